"""The files that are shown: each is opened for reading only, and may be damaged, growing or replaced."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import capturefile
from capturefile import CaptureFile
from capturefile._capturefile import is_in_place
from capturefile._errors import in_words
from capturefile.rotating import RotatingReader

Readable = TypeVar("Readable", CaptureFile[bytes], RotatingReader[bytes])
CACHE_SIZE = 8 * 1024 * 1024
"""Cache size of each file, in bytes: users look at a few pages at a time."""
QUERIES = ("search", "fields", "values", "timeline")
"""Kinds of jobs that read records."""
BROKEN = (capturefile.CaptureFileError, OSError, MemoryError)
"""Errors that a file or a disk can cause."""


@dataclass(frozen=True)
class State:
    """The state of a file for a page that follows it: no records, only numbers."""

    count: str
    """Number of records; as text, because a browser cannot represent integers above 2**53."""
    serial: int
    """Serial number of the last commit."""
    size: int
    """Length of the file in bytes."""
    replaced: bool
    """Whether the path leads to another file now, or to none."""
    error: str | None
    """The reason why the file, or later data in it, cannot be read."""
    format: int | None = None
    """Version of the file's format; only in version 2 do serial numbers count commits."""
    first: str = "1"
    """Number of the first record that was not deleted."""


class Unreadable(Exception):  # noqa: N818 - it describes the file
    """The file or log cannot be opened."""


class Viewed(Generic[Readable]):
    """A file or log that is open for reading, and can be opened again if it was replaced."""

    jobs: tuple[str, ...]
    """Kinds of jobs that can be run on it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens the file if possible."""
        self.path = Path(path)
        self.name = self.path.name
        self._lock = threading.Lock()
        self._file: Readable | None = None
        self._error: str | None = None
        self.open()

    def open(self) -> None:
        """Opens the file to which the path leads now, instead of the one that was open."""
        with self._lock:
            try:
                self._file = self._opened()
                self._error = None
            except BROKEN as error:
                self._error = in_words(error)

    def _opened(self) -> Readable:
        raise NotImplementedError

    def file(self) -> Readable:
        """Returns the open file, after another attempt to open it if necessary.

        Raises:
            Unreadable: The file cannot be opened.
        """
        if self._file is None:
            self.open()
        if self._file is None:
            raise Unreadable(self._error or "it is not open")
        return self._file

    def look(self) -> State:
        """Refreshes it, and returns its state."""
        try:
            file = self.file()
        except Unreadable as error:
            return State("0", 0, 0, replaced=False, error=str(error))
        try:
            self._refresh(file)
            self._error = None
        except BROKEN as error:
            # The earlier state remains readable.
            self._error = in_words(error)
        return self._state(file)

    def _refresh(self, file: Readable) -> None:
        raise NotImplementedError

    def _state(self, file: Readable) -> State:
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """Returns its name and state, for the head of the page."""
        return {"name": self.name, "path": str(self.path.absolute()), "jobs": self.jobs, "state": asdict(self.look())}


class ViewedFile(Viewed[CaptureFile[bytes]]):
    """One file."""

    jobs = (*QUERIES, "verify", "blocks", "sizes")

    def _opened(self) -> CaptureFile[bytes]:
        return capturefile.open(self.path, encoding=None, cache_size=CACHE_SIZE)

    def _refresh(self, file: CaptureFile[bytes]) -> None:
        file.refresh()

    def _state(self, file: CaptureFile[bytes]) -> State:
        info = file.info()
        return State(
            str(info.record_count), info.serial_number, info.file_size, _is_replaced(file), self._error, info.version
        )

    def describe(self) -> dict[str, Any]:
        """Returns the file's name and sizes, for the head of the page."""
        described = super().describe()
        info = None if self._file is None else asdict(self._file.info())
        if info is not None:
            info["record_count"] = str(info["record_count"])
        return {**described, "info": info}


class ViewedLog(Viewed[RotatingReader[bytes]]):
    """A rotated log, whose files are read as one."""

    jobs = QUERIES

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens the log if possible."""
        self._changes = 0
        self._size = 0
        super().__init__(path)

    def _opened(self) -> RotatingReader[bytes]:
        return RotatingReader(self.path, encoding=None, cache_size=CACHE_SIZE)

    def _refresh(self, file: RotatingReader[bytes]) -> None:
        if not file.refresh() and self._size:
            return
        self._changes += 1
        self._size = 0
        for part in file.files():
            with suppress(FileNotFoundError):
                self._size += part.path.stat().st_size

    def _state(self, file: RotatingReader[bytes]) -> State:
        count, first = str(file.record_count()), str(file.first_record)
        return State(count, self._changes, self._size, replaced=False, error=self._error, first=first)


AnyViewed: TypeAlias = ViewedFile | ViewedLog


def _is_replaced(file: CaptureFile[bytes]) -> bool:
    try:
        return not is_in_place(file)
    except capturefile.CaptureFileError:
        # It has been truncated, which `refresh` has reported.
        return False
    except OSError:
        return True
