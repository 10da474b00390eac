"""The web application: its addresses and their handlers, which only read files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import capturefile
from capturefile._errors import in_words
from capturefile.view import records, structure
from capturefile.view.events import events
from capturefile.view.fields import Columns
from capturefile.view.jobs import Jobs
from capturefile.view.security import Guard
from capturefile.view.sources import BROKEN, AnyViewed, Unreadable, ViewedLog

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

STATIC = Path(__file__).parent / "static"
MAX_QUERY_LENGTH = 2000
"""Maximum number of characters in a search, in a condition, and in the names of fields."""
MAX_COLUMNS = 20
"""Maximum number of fields that are shown as columns."""
MAX_DIGITS = 20
"""Maximum number of digits in a record number."""
TIME = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,20})?", re.ASCII)
"""Seconds since 1970."""


class Viewer:
    """Handles the requests for some files."""

    def __init__(self, sources: Sequence[AnyViewed]) -> None:
        """Takes the files, which remain open as long as this object exists."""
        self.sources = sources
        self.jobs = Jobs()

    def files(self, request: Request) -> Response:
        """Lists all files that are shown."""
        return JSONResponse({"version": capturefile.__version__, "files": [one.describe() for one in self.sources]})

    def file(self, request: Request) -> Response:
        """Describes one of them."""
        return JSONResponse(self._source(request).describe())

    def reopen(self, request: Request) -> Response:
        """Opens the file that the path leads to now."""
        self._source(request).open()
        return self.file(request)

    def page(self, request: Request) -> Response:
        """Returns a page of records."""
        cf, columns = self._source(request).file(), Columns(columns_in(request))
        return JSONResponse(records.page(cf, number_in(request, "first", 1), number_in(request, "count", 100), columns))

    def record(self, request: Request) -> Response:
        """Returns a part of a record."""
        return self._part(request, self._record(request))

    def download(self, request: Request) -> Response:
        """Returns a whole record as a download."""
        return saved(self._record(request), f"{self._source(request).path.stem}-{request.path_params['number']}.bin")

    def metadata(self, request: Request) -> Response:
        """Returns a part of the metadata."""
        return self._part(request, self._metadata(request))

    def download_metadata(self, request: Request) -> Response:
        """Returns all metadata as a download."""
        return saved(self._metadata(request), f"{self._source(request).path.stem}-metadata.bin")

    def structure(self, request: Request) -> Response:
        """Returns the header and both master nodes."""
        return JSONResponse(structure.describe(self._path(request)))

    def way(self, request: Request) -> Response:
        """Returns the path to a record through the index."""
        return JSONResponse(structure.way(self._path(request), record_number(request)))

    async def events(self, request: Request) -> Response:
        """Streams the growth of the file until the client disconnects."""
        changes = events(self._source(request), request.is_disconnected)
        return StreamingResponse(changes, media_type="text/event-stream")

    async def job(self, request: Request) -> Response:
        """Streams the lines of a job, which ends with the connection."""
        kind = request.path_params["kind"]
        if kind not in self._source(request).jobs:
            raise HTTPException(404, "There is no such job.")
        task = self._task(request, kind)
        if kind == "search" and all(task[name] in ("", None) for name in ("text", "where", "since", "until")):
            raise HTTPException(400, "A text, a condition or a range of time is expected.")
        if kind == "values" and not task["field"]:
            raise HTTPException(400, "The name of a field is expected.")
        self._reserve()
        return JobResponse(self.jobs.lines(task, request.is_disconnected), self.jobs.release)

    async def export(self, request: Request) -> Response:
        """Streams all results of a search, as a download."""
        task = self._task(request, "export")
        task["format"] = request.path_params["format"]
        if task["format"] not in ("jsonl", "csv"):
            raise HTTPException(404, "There is no such format.")
        self._reserve()
        name = f"{self._source(request).path.stem}-found.{task['format']}"
        return ExportResponse(self.jobs.parts(task, request.is_disconnected), self.jobs.release, name)

    def _task(self, request: Request, kind: str) -> dict[str, Any]:
        path = str(self._source(request).path.absolute())
        return {"kind": kind, "path": path, **query_of(request)}

    def _reserve(self) -> None:
        if not self.jobs.reserve():
            raise HTTPException(429, "Too many jobs are running; end one of them.")

    def _source(self, request: Request) -> AnyViewed:
        index = _natural(request.path_params["file"])
        if index >= len(self.sources):
            raise HTTPException(404, "There is no such file.")
        return self.sources[index]

    def _path(self, request: Request) -> Path:
        source = self._source(request)
        if isinstance(source, ViewedLog):
            raise HTTPException(404, "A rotated log has no structure; its files have one.")
        return source.path

    def _record(self, request: Request) -> bytes:
        return self._source(request).file().record_at(record_number(request))

    def _metadata(self, request: Request) -> bytes:
        data = self._source(request).file().get_metadata()
        if data is None:
            raise HTTPException(404, "The file has no metadata.")
        return data

    def _part(self, request: Request, data: bytes) -> Response:
        start, length = number_in(request, "start", 0), number_in(request, "length", 64 * 1024)
        headers = {"X-Total-Bytes": str(len(data))}
        return Response(records.part(data, start, length), headers=headers, media_type="application/octet-stream")


class JobResponse(StreamingResponse):
    """Streams the output of a job whose place is reserved, and releases the place when the worker has ended."""

    def __init__(self, output: AsyncGenerator[bytes], release: Callable[[], None], **options: Any) -> None:  # noqa: ANN401 - those of any response
        """Does not start the job yet."""
        self.output = output
        self.release = release
        super().__init__(output, **{"media_type": "application/x-ndjson", **options})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the output."""
        try:
            await self.respond(scope, receive, send)
        finally:
            try:
                await self.output.aclose()
            finally:
                self.release()

    async def respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it as it is produced."""
        await super().__call__(scope, receive, send)


class ExportResponse(JobResponse):
    """Streams an export, which a browser saves and never shows."""

    def __init__(self, output: AsyncGenerator[bytes], release: Callable[[], None], name: str) -> None:
        """Takes the name of the file for the download."""
        super().__init__(output, release, headers=disposition(name), media_type="application/octet-stream")

    async def respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the export, or the reason why there is none."""
        first = json.loads(await anext(self.output) or b"{}")
        if "ready" in first:
            await StreamingResponse.__call__(self, scope, receive, send)
        else:
            await JSONResponse(first, 422)(scope, receive, send)


def saved(data: bytes, name: str) -> Response:
    """Returns a response that a browser saves and never shows."""
    headers = {**disposition(name), "Content-Length": str(len(data))}
    return StreamingResponse(records.parts(data), headers=headers, media_type="application/octet-stream")


def disposition(name: str) -> dict[str, str]:
    """Returns the header with which a browser saves a response under this name."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return {"Content-Disposition": f'attachment; filename="{safe}"'}


def record_number(request: Request) -> int:
    """Returns the number in the address, which a browser keeps as text."""
    return _natural(request.path_params["number"])


def number_in(request: Request, name: str, default: int) -> int:
    """Returns a number from the query string."""
    text = request.query_params.get(name)
    return default if text is None else _natural(text)


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise HTTPException(400, "A number is expected.")
    return int(text)


def query_of(request: Request) -> dict[str, Any]:
    """Returns the task of a job. The worker compiles patterns and conditions, because that can take long."""
    given = request.query_params
    texts = {name: given.get(name, "") for name in ("text", "where", "time", "field")}
    if max(map(len, texts.values())) > MAX_QUERY_LENGTH:
        raise HTTPException(400, f"At most {MAX_QUERY_LENGTH} characters are expected.")
    flags = {name: name in given for name in ("pattern", "any_case", "whole")}
    range_of_time = {name: time_in(request, name) for name in ("since", "until")}
    numbers = {"first": number_in(request, "first", 1), "last": number_in(request, "last", 0)}
    return {**texts, **flags, **range_of_time, **numbers, "fields": columns_in(request)}


def columns_in(request: Request) -> list[str]:
    """Returns the names of fields in the query string."""
    text = request.query_params.get("fields", "")
    names = [name for name in text.split(",") if name]
    if len(names) > MAX_COLUMNS or len(text) > MAX_QUERY_LENGTH:
        raise HTTPException(400, f"At most {MAX_COLUMNS} fields are expected.")
    return names


def time_in(request: Request, name: str) -> float | None:
    """Returns a time from the query string, in seconds since 1970."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not TIME.fullmatch(text):
        raise HTTPException(400, "A number of seconds since 1970 is expected.")
    return float(text)


def failed(request: Request, error: Exception) -> Response:
    """Returns an error that the page shows."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code)
    return JSONResponse({"error": in_words(error)}, 404 if isinstance(error, IndexError) else 422)


def application(sources: Sequence[AnyViewed], token: str, host: str) -> Starlette:
    """Returns the application, under an address that begins with the token."""
    viewer = Viewer(sources)
    routes = [
        Route("/files", viewer.files),
        Route("/files/{file}", viewer.file),
        Route("/files/{file}/reopen", viewer.reopen, methods=["POST"]),
        Route("/files/{file}/records", viewer.page),
        Route("/files/{file}/records/{number}", viewer.record),
        Route("/files/{file}/records/{number}/download", viewer.download),
        Route("/files/{file}/metadata", viewer.metadata),
        Route("/files/{file}/metadata/download", viewer.download_metadata),
        Route("/files/{file}/structure", viewer.structure),
        Route("/files/{file}/way/{number}", viewer.way),
        Route("/files/{file}/events", viewer.events),
        Route("/files/{file}/jobs/{kind}", viewer.job),
        Route("/files/{file}/export/{format}", viewer.export),
    ]
    # Package managers may install files as links into their cache.
    everything = [
        Mount("/api", routes=routes),
        Mount("/", StaticFiles(directory=STATIC, html=True, follow_symlink=True)),
    ]
    handlers: dict[Any, Any] = dict.fromkeys((HTTPException, Unreadable, IndexError, *BROKEN), failed)
    return Starlette(
        routes=[Mount(f"/{token}", routes=everything)],
        middleware=[Middleware(Guard, token=token, host=host)],
        exception_handlers=handlers,
    )
