"""The files that are shown: each is opened for reading only, and may be damaged, growing or replaced."""

from __future__ import annotations

import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import capturefile
from capturefile._capturefile import is_in_place
from capturefile._errors import in_words

Readable = capturefile.CaptureFile[bytes]
CACHE_SIZE = 8 * 1024 * 1024
"""Cache size of each file, in bytes: users look at a few pages at a time."""
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


class Unreadable(Exception):  # noqa: N818 - what it says of the file
    """The file cannot be opened."""


class ViewedFile:
    """One file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens the file if possible."""
        self.path = Path(path)
        self.name = self.path.name
        self._lock = threading.Lock()
        self._file: Readable | None = None
        self._error: str | None = None
        self.open()

    def open(self) -> None:
        """Opens the file that the path leads to now, and replaces the one that was open."""
        with self._lock:
            try:
                self._file = capturefile.open(self.path, encoding=None, cache_size=CACHE_SIZE)
                self._error = None
            except BROKEN as error:
                self._error = in_words(error)

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
        """Refreshes the file, and returns its state."""
        try:
            file = self.file()
        except Unreadable as error:
            return State("0", 0, 0, replaced=False, error=str(error))
        try:
            file.refresh()
            self._error = None
        except BROKEN as error:
            # The earlier state remains readable.
            self._error = in_words(error)
        info = file.info()
        return State(
            str(info.record_count), info.serial_number, info.file_size, _is_replaced(file), self._error, info.version
        )

    def describe(self) -> dict[str, Any]:
        """Returns the file's name and sizes, for the head of the page."""
        state = self.look()
        info = None if self._file is None else asdict(self._file.info())
        if info is not None:
            info["record_count"] = str(info["record_count"])
        return {"name": self.name, "path": str(self.path.absolute()), "state": asdict(state), "info": info}


def _is_replaced(file: Readable) -> bool:
    try:
        return not is_in_place(file)
    except capturefile.CaptureFileError:
        # It has been truncated, which `refresh` has reported.
        return False
    except OSError:
        return True
