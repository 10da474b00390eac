"""A server on the loopback with as much of Azure Blob Storage as obstore uses for reading, listing and uploading."""

from __future__ import annotations

import hashlib
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

ACCOUNT = "devstoreaccount1"
"""The account of emulators."""


class AzureServer:
    """The server, with its blobs and their metadata by container and name."""

    def __init__(self) -> None:
        """Begins to serve."""
        self.blobs: dict[str, bytes] = {}
        self.metadata: dict[str, dict[str, str]] = {}
        outer = self

        class Handler(_Handler):
            state = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> Self:
        """The server itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    state: AzureServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Prints nothing."""

    @property
    def _name(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix(f"/{ACCOUNT}/")

    def do_PUT(self) -> None:
        """Stores a blob; names of its metadata have to be identifiers, as in Azure."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        prefix = "x-ms-meta-"
        given = {name.lower(): value for name, value in self.headers.items() if name.lower().startswith(prefix)}
        if not all(name.removeprefix(prefix).isidentifier() for name in given):
            return self._send(400, b"")
        self.state.blobs[self._name] = content
        self.state.metadata[self._name] = given
        return self._send(201, b"", ETag=_tag(content))

    def do_HEAD(self) -> None:
        """Describes a blob."""
        self.do_GET()

    def do_GET(self) -> None:
        """Sends a blob, a range of it, or the list of a container."""
        query = parse_qs(urlsplit(self.path).query)
        if query.get("comp") == ["list"]:
            return self._send(200, self._list(query.get("prefix", [""])[0], "delimiter" in query))
        content = self.state.blobs.get(self._name)
        if content is None:
            return self._send(404, b"")
        if self.headers.get("If-Match") not in (None, _tag(content)):
            return self._send(412, b"")
        headers = {"ETag": _tag(content), "Last-Modified": formatdate(1_700_000_000, usegmt=True)}
        headers |= self.state.metadata.get(self._name, {})
        if asked := self.headers.get("Range"):
            start, end = map(int, asked.removeprefix("bytes=").split("-"))
            part = content[start : end + 1]
            headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
            return self._send(206, part, **headers)
        return self._send(200, content, **headers)

    def _list(self, prefix: str, directly: bool) -> bytes:
        container = self._name.rstrip("/") + "/"
        names = (name.removeprefix(container) for name in sorted(self.state.blobs) if name.startswith(container))
        blobs = "".join(
            f"<Blob><Name>{escape(name)}</Name><Properties>"
            f"<Last-Modified>{formatdate(1_700_000_000, usegmt=True)}</Last-Modified>"
            f"<Content-Length>{len(self.state.blobs[container + name])}</Content-Length>"
            "<Content-Type>application/octet-stream</Content-Type>"
            f"<Etag>{_tag(self.state.blobs[container + name])}</Etag></Properties></Blob>"
            for name in names
            if name.startswith(prefix) and not (directly and "/" in name[len(prefix) :])
        )
        return f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker/></EnumerationResults>".encode()

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:16]}"'
