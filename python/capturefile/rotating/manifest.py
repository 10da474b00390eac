"""The manifest of a rotated log: a capture file that announces the files of the log, each with its first record."""

from __future__ import annotations

import json
import threading
import time
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capturefile._alone import alone
from capturefile._capturefile import CaptureFile
from capturefile._errors import CaptureFileError, InvalidCaptureFile, RecordsDeleted
from capturefile._files import SUFFIX

if TYPE_CHECKING:
    from capturefile._capturefile import Follower

NAME = "_manifest.capture"
"""Engines that read whole folders pass over what begins with an underscore."""
FORMAT = b'{"capturefile.rotating": 1}'
"""The metadata of a manifest."""


@dataclass(frozen=True)
class RotatedFile:
    """A file of a rotated log."""

    path: Path
    """Where it is."""
    first_record: int
    """Number of its first record in the whole log, from 1."""
    last_record: int
    """Number of its last record; one less than `first_record` if it has none."""
    sealed: bool
    """Whether there is a later file, so that this one never changes."""
    started: float
    """When it was started, in seconds since the epoch."""

    @property
    def record_count(self) -> int:
        """How many records it has."""
        return self.last_record - self.first_record + 1


@dataclass(frozen=True)
class Entry:
    """What a record of the manifest says: a file starts here."""

    first: int
    started: float

    @property
    def name(self) -> str:
        """The file's name, which follows from its first record, so that no manifest can name a file elsewhere."""
        return f"{self.first:020}{SUFFIX}"

    def encode(self) -> str:
        """The record of the manifest."""
        return json.dumps({"first": self.first, "started": self.started})

    @classmethod
    def decode(cls, line: str, manifest: Path) -> Entry:
        """Raises InvalidCaptureFile if it is no such record."""
        try:
            match json.loads(line):
                case {"first": int(first), "started": int() | float() as started} if 1 <= first < 1 << 63:
                    return cls(first, float(started))
        except (ValueError, RecursionError):
            pass
        raise InvalidCaptureFile(f"a record of the manifest {str(manifest)!r} announces no file, but says {line!r:.80}")


def decoded(lines: list[str], before: list[Entry], manifest: Path) -> list[Entry]:
    """The entries of a manifest; each file starts behind the one before, and the first one with record 1."""
    found: list[Entry] = []
    for line in lines:
        entry = Entry.decode(line, manifest)
        last = found[-1] if found else before[-1] if before else None
        if (entry.first != 1) if last is None else (entry.first <= last.first):
            raise InvalidCaptureFile(
                f"the manifest {str(manifest)!r} announces a file that starts with record {entry.first} "
                + (f"behind one that starts with record {last.first}" if last else "as the first one")
            )
        found.append(entry)
    return found


def check_format(manifest: CaptureFile[str]) -> None:
    """Raises InvalidCaptureFile if this is no manifest, or one of a later version."""
    if (metadata := manifest.get_metadata()) != FORMAT:
        raise InvalidCaptureFile(
            f"{manifest.file_name!r} is no manifest that this version knows: "
            f"its metadata is {metadata!r:.80}, not {FORMAT!r}"
        )


class Manifest:
    """The manifest as readers see it; many threads may use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / NAME
        self._file: CaptureFile[str] = CaptureFile(self.path)
        try:
            check_format(self._file)
            self._news: Follower[str] = self._file.follow(1, timeout=0)
            self._looking = threading.RLock()
            self._lines: list[str] = []
            self.entries: list[Entry] = []
            self.look()
        except BaseException:
            self._file.close()
            raise

    def look(self) -> bool:
        """Takes in what has been announced since; whether there is more than before.

        Raises CaptureFileReplaced if another manifest stands there, or none.
        """
        with alone(self._looking, f"a look into {str(self.path)!r}"):
            # All are kept, so that what is wrong stays wrong, and no exception can come between the two lists.
            self._lines.extend(self._news)
            more = decoded(self._lines[len(self.entries) :], self.entries, self.path)
            # Others look at the list meanwhile; it only ever grows.
            self.entries.extend(more)
            return bool(more)

    def has_news(self) -> bool:
        """Whether `look` would find something, or raise."""
        return self._news.ready()

    def index_of(self, number: int) -> int:
        """The index of the entry of the file that record `number` is in, or will be; -1 without any file."""
        return bisect_right(self.entries, number, key=lambda entry: entry.first) - 1

    def end(self, index: int) -> int | None:
        """The number behind the last record of a file, if it is sealed."""
        entries = self.entries
        return entries[index + 1].first if index + 1 < len(entries) else None

    def path_of(self, index: int) -> Path:
        """Where the file of an entry is."""
        return self.folder / self.entries[index].name

    def next_there(self, index: int) -> int | None:
        """The index of the first file from `index` on that is there; None if there is none."""
        return next((each for each in range(index, len(self.entries)) if self.path_of(each).exists()), None)

    def last_there(self) -> int:
        """The index of the last file that is there; the very last one if there is none."""
        last = len(self.entries) - 1
        return next((each for each in range(last, -1, -1) if self.path_of(each).exists()), last)

    def deleted(self, number: int, index: int) -> CaptureFileError:
        """The error for record `number`, in the file at `index`, which is not there."""
        there = self.next_there(index + 1)
        where = f"record {number} of the log {str(self.folder)!r} was in {self.entries[index].name}, which was deleted"
        if there is None:
            return InvalidCaptureFile(f"{where}, and so was every file behind it")
        first = self.entries[there].first
        return RecordsDeleted(f"{where}; the next record that is there is {first}", first)

    def close(self) -> None:
        self._file.close()


def open_for_writing(folder: Path, **options: Any) -> CaptureFile[str]:  # noqa: ANN401
    """The manifest, with the right to write the log; it is created if there is none."""
    manifest: CaptureFile[str] = CaptureFile(folder / NAME, True, FORMAT, **options)
    try:
        check_format(manifest)
    except BaseException:
        manifest.close()
        raise
    return manifest


def entries_of(manifest: CaptureFile[str]) -> list[Entry]:
    """All that the manifest announces."""
    return decoded(manifest[:], [], Path(manifest.file_name))


def announce(manifest: CaptureFile[str], first: int) -> Entry:
    """Commits that a file starts with record `first`."""
    entry = Entry(first, time.time())
    manifest.add_record(entry.encode())
    manifest.commit()
    return entry
