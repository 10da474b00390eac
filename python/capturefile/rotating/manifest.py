"""The manifest of a rotated log: a capture file that announces the files of the log, each with its first record."""

from __future__ import annotations

import json
import re
import threading
import time
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass
from io import UnsupportedOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capturefile._alone import alone
from capturefile._capturefile import CaptureFile
from capturefile._errors import CaptureFileError, CaptureFileReplaced, InvalidCaptureFile, RecordsDeleted
from capturefile._files import SUFFIX, sync_path
from capturefile._folders import folder_at
from capturefile._remote import is_url, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capturefile._capturefile import Follower
    from capturefile._folders import Folder
    from capturefile._typing import StrPath

_NAMED_BY_NUMBER = re.compile(r"\d{20}" + re.escape(SUFFIX))
NAME = "_manifest.capture"
"""It starts with an underscore because engines that read whole folders skip such names."""
FORMAT = b'{"capturefile.rotating": 1}'
"""The metadata that marks a file as a manifest."""


@dataclass(frozen=True)
class RotatedFile:
    """A file of a rotated log."""

    location: str
    """Path of the file, or its URL in an object store."""
    first_record: int
    """Number of its first record in the whole log, from 1."""
    last_record: int
    """Number of its last record; `first_record - 1` if it has none."""
    sealed: bool
    """Whether there is a later file; a sealed file never changes."""
    started: float
    """When it was started, in seconds since the epoch."""

    @property
    def path(self) -> Path:
        """Path of the file.

        Raises:
            io.UnsupportedOperation: It is in an object store.
        """
        if is_url(self.location):
            raise UnsupportedOperation(f"{without_secrets(self.location)!r} is in an object store, and has no path")
        return Path(self.location)

    @property
    def name(self) -> str:
        """Name of the file in the folder of the log."""
        return Entry(self.first_record, self.started).name

    @property
    def record_count(self) -> int:
        """The number of records in the file."""
        return self.last_record - self.first_record + 1


@dataclass(frozen=True)
class Entry:
    """A record of the manifest, which announces a file."""

    first: int
    started: float

    @property
    def name(self) -> str:
        """The file's name. It derives from the first record, so that no manifest can name a file elsewhere."""
        return f"{self.first:020}{SUFFIX}"

    def encode(self) -> str:
        """Returns the entry as a record of the manifest."""
        return json.dumps({"first": self.first, "started": self.started})

    @classmethod
    def decode(cls, line: str, manifest: str) -> Entry:
        """Parses a record of the manifest.

        Raises:
            InvalidCaptureFile: The record does not announce a file.
        """
        try:
            match json.loads(line):
                case {"first": int(first), "started": int() | float() as started} if 1 <= first < 1 << 63:
                    return cls(first, float(started))
        except (ValueError, RecursionError):
            pass
        raise InvalidCaptureFile(
            f"a record of the manifest {manifest!r} does not announce a file, but contains {line!r:.80}"
        )


def decoded(lines: list[str], before: list[Entry], manifest: str) -> list[Entry]:
    """Parses entries of the manifest with this name.

    Raises:
        InvalidCaptureFile: The first file does not start with record 1, or a file does not start after the previous
            one.
    """
    found: list[Entry] = []
    for line in lines:
        entry = Entry.decode(line, manifest)
        last = found[-1] if found else before[-1] if before else None
        if (entry.first != 1) if last is None else (entry.first <= last.first):
            raise InvalidCaptureFile(
                f"the manifest {manifest!r} announces a file that starts with record {entry.first} "
                + (f"after one that starts with record {last.first}" if last else "as the first one")
            )
        found.append(entry)
    return found


def check_format(manifest: CaptureFile[str]) -> None:
    """Checks that a file is a manifest of this version.

    Raises:
        InvalidCaptureFile: It is not.
    """
    if (metadata := manifest.get_metadata()) != FORMAT:
        raise InvalidCaptureFile(
            f"{manifest.file_name!r} is not a manifest that this version supports: "
            f"its metadata is {metadata!r:.80}, not {FORMAT!r}"
        )


class Manifest:
    """The manifest as readers see it; many threads may use it."""

    def __init__(self, folder: Folder, store: object = None) -> None:
        self.folder = folder
        self.name = folder.shown(NAME)
        self._file: CaptureFile[str] = CaptureFile(folder.file(NAME), store=store)
        try:
            check_format(self._file)
            # In stores, it can only be read again.
            self._news: Follower[str] | None = None if folder.is_remote else self._file.follow(1, timeout=0)
            self._looking = threading.RLock()
            self._lines: list[str] = []
            self.entries: list[Entry] = []
            self.look()
        except BaseException:
            self._file.close()
            raise

    def look(self) -> bool:
        """Reads new announcements. Returns whether there were any.

        Raises:
            CaptureFileReplaced: The manifest was removed or replaced.
        """
        with alone(self._looking, f"a read of {self.name!r}"):
            self.folder.look()
            # All lines are kept, so that an invalid one is reported each time, and an exception cannot make the two
            # lists differ.
            self._lines.extend(self._new_lines() if self._news is None else self._news)
            more = decoded(self._lines[len(self.entries) :], self.entries, self.name)
            # Other threads read the list meanwhile; it only grows.
            self.entries.extend(more)
            return bool(more)

    def _new_lines(self) -> list[str]:
        """Reads new announcements in a store."""
        if self._lines:
            try:
                self._file.refresh()
            except FileNotFoundError:
                raise CaptureFileReplaced(f"the manifest {self.name!r} was removed") from None
        return self._file[len(self._lines) + 1 :]

    def has_news(self) -> bool:
        """Returns whether `look` would find an announcement, or raise."""
        return self._news is not None and self._news.ready()

    def index_of(self, number: int) -> int:
        """Returns the index of the file that contains record `number`, or will contain it; -1 if there is no file."""
        return bisect_right(self.entries, number, key=lambda entry: entry.first) - 1

    def end(self, index: int) -> int | None:
        """Returns the number that follows the last record of a sealed file; None if the file is not sealed."""
        entries = self.entries
        return entries[index + 1].first if index + 1 < len(entries) else None

    def location(self, index: int) -> str:
        """Returns the path or the URL of the file at `index`."""
        return self.folder.file(self.entries[index].name)

    def shown(self, index: int) -> str:
        """Returns the path or the URL of the file at `index` in messages."""
        return self.folder.shown(self.entries[index].name)

    def is_there(self, index: int) -> bool:
        """Returns whether the file at `index` exists."""
        return self.folder.has(self.entries[index].name)

    def next_there(self, index: int) -> int | None:
        """Returns the index of the first existing file from `index` on; None if there is none."""
        return next((each for each in range(index, len(self.entries)) if self.is_there(each)), None)

    def last_there(self) -> int:
        """Returns the index of the last existing file; that of the last entry if none exists."""
        last = len(self.entries) - 1
        return next((each for each in range(last, -1, -1) if self.is_there(each)), last)

    def deleted(self, number: int, index: int) -> CaptureFileError:
        """Returns the error for record `number`, whose file, at `index`, does not exist."""
        there = self.next_there(index + 1)
        where = f"record {number} of the log {self.folder.name!r} was in {self.entries[index].name}, which was deleted"
        if there is None:
            return InvalidCaptureFile(f"{where}, and so was every file after it")
        first = self.entries[there].first
        return RecordsDeleted(f"{where}; the next record that exists is {first}", first)

    @property
    def file(self) -> CaptureFile[str]:
        """The open file."""
        return self._file

    def close(self) -> None:
        self._file.close()


def names_of_files(folder: StrPath) -> list[str]:
    """Returns the names of files in a folder that are named like those of a log, in the order of their records.

    In a store that does not list them, only those in the manifest are known.
    """
    place = folder_at(folder)
    names = place.names()
    if names is None:
        return [entry.name for entry in entries_at(place.file(NAME)) if place.has(entry.name)]
    return sorted(name for name in names if _NAMED_BY_NUMBER.fullmatch(name))


def contains(folder: Path, path: Path) -> bool:
    """Returns whether `path` leads to the manifest or to a file of the log in `folder`."""
    target = path.resolve()
    is_called_so = target.name == NAME or _NAMED_BY_NUMBER.fullmatch(target.name) is not None
    return is_called_so and target.parent == folder.resolve()


def problems_of(folder: StrPath) -> list[str]:
    """Describes the problems of a log whose individual files are sound.

    Missing files before all others were deleted, which is not a problem.
    """
    names = names_of_files(folder)
    manifest = Manifest(folder_at(folder))
    try:
        known = {entry.name for entry in manifest.entries}
        problems = [
            f"{name} has records, but is not in the manifest"
            for name in names
            if name not in known and _count(manifest.folder.file(name))
        ]
        start = manifest.next_there(0)
        if known and start is None:
            problems.append("none of its files exists")
        for index in range(start or 0, len(known) if start is not None else 0):
            problems += _problems_of_file(manifest, index)
        return problems
    finally:
        manifest.close()


def _count(path: StrPath) -> int:
    with CaptureFile(path) as cf:
        return cf.record_count()


def _problems_of_file(manifest: Manifest, index: int) -> Iterator[str]:
    name, end = manifest.entries[index].name, manifest.end(index)
    try:
        found = _count(manifest.location(index))
    except FileNotFoundError:
        # If no earlier file exists, it has just been deleted.
        if (manifest.next_there(0) or 0) < index:
            yield f"{name} does not exist, but files before it do"
        return
    if end is not None and found != (expected := end - manifest.entries[index].first):
        yield f"{name} has {found} records, but {expected} according to the start of the next file"


def open_for_writing(folder: Path, **options: Any) -> CaptureFile[str]:  # noqa: ANN401
    """Opens the manifest for writing, which includes the right to write the log; creates it if necessary."""
    manifest: CaptureFile[str] = CaptureFile(folder / NAME, True, FORMAT, **options)
    try:
        check_format(manifest)
    except BaseException:
        manifest.close()
        raise
    return manifest


def committed(manifest: CaptureFile[str] | None, folder: Path, **options: Any) -> CaptureFile[str]:  # noqa: ANN401
    """Returns the manifest, open for writing, without uncommitted changes; reopens it if a commit of it has failed."""
    if manifest is not None:
        try:
            manifest.rollback()
        except CaptureFileError:
            close_for_writing(manifest)
        else:
            return manifest
    return open_for_writing(folder, **options)


def close_for_writing(manifest: CaptureFile[str] | None) -> None:
    """Closes the manifest, if it is open, and discards an uncommitted announcement: that rotation has not happened."""
    if manifest is not None:
        with suppress(CaptureFileError):
            manifest.rollback()
        with suppress(Warning):
            manifest.close()


def make_folder(folder: Path) -> None:
    """Creates the folder of a log if necessary, and syncs its name."""
    if not folder.is_dir():
        folder.mkdir()
        sync_path(folder.parent)


def open_last(path: Path, options: dict[str, Any]) -> CaptureFile[Any]:
    """Opens the last file of a log for writing.

    Raises:
        InvalidCaptureFile: The file does not exist.
    """
    if not path.exists():
        raise InvalidCaptureFile(
            f"{str(path)!r} does not exist; it is the last file of a log, which determines its numbering"
        )
    return CaptureFile(path, True, **options)


def delete_unannounced(folder: Path, announced: set[str]) -> None:
    """Deletes files without records that are not in the manifest: a rotation was interrupted.

    Raises:
        InvalidCaptureFile: Such a file has records.
    """
    for name in names_of_files(folder):
        if name in announced:
            continue
        path = folder / name
        with CaptureFile(path) as cf:
            if count := cf.record_count():
                raise InvalidCaptureFile(
                    f"{str(path)!r} has {count} records, but is not in the folder's manifest; it may be an old copy"
                )
        path.unlink()


def entries_of(manifest: CaptureFile[str]) -> list[Entry]:
    """Returns all entries of the manifest."""
    return decoded(manifest[:], [], without_secrets(manifest.file_name))


def entries_at(path: StrPath) -> list[Entry]:
    """Returns all entries of the manifest at a path.

    Raises:
        InvalidCaptureFile: It is not a manifest of this version.
    """
    with CaptureFile(path) as manifest:
        check_format(manifest)
        return entries_of(manifest)


def announce(manifest: CaptureFile[str], first: int) -> Entry:
    """Commits an entry for a file that starts with record `first`, and returns it."""
    entry = Entry(first, time.time())
    manifest.add_record(entry.encode())
    manifest.commit()
    return entry
