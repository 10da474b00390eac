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
"""Bytes of inflated blocks kept for each file: somebody looks at a few pages at a time."""
BROKEN = (capturefile.CaptureFileError, OSError, MemoryError)
"""What a file or a disk can cause."""


@dataclass(frozen=True)
class State:
    """The state that a page that follows a file receives: no records, only numbers."""

    count: str
    """Records; as text, since numbers past 2**53 are none in a browser."""
    serial: int
    """Serial number of the last commit."""
    size: int
    """Length of the file in bytes."""
    replaced: bool
    """Whether another file stands under the name now, or none."""
    error: str | None
    """Why the file cannot be read, or not any further."""
    format: int | None = None
    """Version of the file's format; only in version 2 do serial numbers count commits."""


class Unreadable(Exception):  # noqa: N818 - what it says of the file
    """The file cannot be opened."""


class ViewedFile:
    """One file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """It need not be possible to open the file."""
        self.path = Path(path)
        self.name = self.path.name
        self._lock = threading.Lock()
        self._file: Readable | None = None
        self._error: str | None = None
        self.open()

    def open(self) -> None:
        """Opens the file that stands under the name now, in the place of the one that was open."""
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
        """What is to be seen of the file now."""
        try:
            file = self.file()
        except Unreadable as error:
            return State("0", 0, 0, replaced=False, error=str(error))
        try:
            file.refresh()
            self._error = None
        except BROKEN as error:
            # What was seen before stays readable.
            self._error = in_words(error)
        info = file.info()
        return State(
            str(info.record_count), info.serial_number, info.file_size, _is_replaced(file), self._error, info.version
        )

    def describe(self) -> dict[str, Any]:
        """The file's name and sizes, for the head of the page."""
        state = self.look()
        info = None if self._file is None else asdict(self._file.info())
        if info is not None:
            info["record_count"] = str(info["record_count"])
        return {"name": self.name, "path": str(self.path.absolute()), "state": asdict(state), "info": info}


def _is_replaced(file: Readable) -> bool:
    try:
        return not is_in_place(file)
    except capturefile.CaptureFileError:
        # It has been cut short, which `refresh` has said.
        return False
    except OSError:
        return True
