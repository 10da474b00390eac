"""A local web server with ranges and entity tags that counts requests and can be told to fail."""

from __future__ import annotations

import hashlib
import re
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from types import TracebackType
    from typing import Self

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


class ObjectServer:
    """The server, the objects that it serves, and the requests that it has received."""

    def __init__(self) -> None:
        """Starts serving."""
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, int, int]] = []
        """Method, start and end of each request."""
        self.faults: deque[str] = deque()
        """How the next requests for bytes fail: "503", "403", "cut" off, "short", "whole"; not at all for ""."""
        self.always = ""
        """How all of them fail."""
        self.delay = 0.0
        """Seconds before each answer."""
        self.has_tags = True
        self.heeds_conditions = True
        self.lock = threading.Lock()
        self._tagged = (b"", "")
        outer = self

        class Handler(_Handler):
            server_state = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """The server itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()

    def tag_of(self, content: bytes) -> str:
        """The entity tag of this content; it is computed once."""
        before, tag = self._tagged
        if before is not content:
            tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            self._tagged = content, tag
        return tag

    def asked(self) -> list[tuple[str, int, int]]:
        """The requests since the last call."""
        with self.lock:
            requests, self.requests = self.requests, []
        return requests


class _Handler(BaseHTTPRequestHandler):
    server_state: ObjectServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Prints nothing."""

    def do_HEAD(self) -> None:
        """Sends the headers of an object."""
        self._answer(body=False)

    def do_GET(self) -> None:
        """Sends an object, or a range of it."""
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        state = self.server_state
        content = state.objects.get(self.path.partition("?")[0].lstrip("/"))
        asked = _RANGE.fullmatch(self.headers.get("Range") or "")
        start, end = (int(asked[1]), int(asked[2]) + 1) if asked else (0, len(content or b""))
        with state.lock:
            state.requests.append((self.command, start, end))
            fault = state.always or (state.faults.popleft() if body and state.faults else "")
        time.sleep(state.delay)
        if content is None:
            return self._refuse(404)
        if fault.isdigit():
            return self._refuse(int(fault))
        tag = state.tag_of(content)
        wanted = self.headers.get("If-Match")
        if state.heeds_conditions and wanted not in (None, tag):
            return self._refuse(412)
        if fault == "whole":
            asked, start, end = None, 0, len(content)
        if asked and start >= len(content):
            return self._refuse(416)
        end = min(end, len(content))
        if fault == "short" and body:
            end = start + (end - start) // 2
        sent = content[start:end]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(sent)))
        self.send_header("Last-Modified", formatdate(1_700_000_000 + len(content), usegmt=True))
        if state.has_tags:
            self.send_header("ETag", tag)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        self.end_headers()
        if body:
            self.wfile.write(sent[: len(sent) // 2] if fault == "cut" else sent)
            if fault == "cut":
                self.close_connection = True
        return None

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


class WebStore:
    """A store with the methods of an fsspec file system that reads from the server."""

    def __init__(self, url: str) -> None:
        """Reads from the server at this URL."""
        self.url = url

    def info(self, path: str) -> dict[str, Any]:
        """Asks for size and tag."""
        with self._ask(urllib.request.Request(f"{self.url}/{path}", method="HEAD")) as answer:
            return {"size": int(answer.headers["Content-Length"]), "ETag": answer.headers["ETag"]}

    def cat_file(self, path: str, start: int, end: int) -> bytes:
        """Reads a range."""
        request = urllib.request.Request(f"{self.url}/{path}", headers={"Range": f"bytes={start}-{end - 1}"})
        with self._ask(request) as answer:
            content: bytes = answer.read()
            return content

    def _ask(self, request: urllib.request.Request) -> HTTPResponse:
        try:
            answer: HTTPResponse = urllib.request.urlopen(request, timeout=20)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                raise FileNotFoundError(request.full_url) from None
            if error.code == 403:
                raise PermissionError(request.full_url) from None
            raise OSError(f"status code: {error.code} {error.reason}") from None
        return answer
