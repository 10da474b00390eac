"""Reading a rotated log: `RotatingReader`, and `RotatingFollower` for what is still to come."""

from __future__ import annotations

import operator
import os
import threading
import time
from collections import OrderedDict, deque
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar, cast, overload

from capturefile._capturefile import CaptureFile
from capturefile._errors import (
    CaptureFileError,
    CaptureFileNotOpen,
    CaptureFileReplaced,
    InvalidCaptureFile,
    RecordsDeleted,
)
from capturefile._manifest import Manifest, RotatedFile
from capturefile.sequence import RecordSequence, concat

if TYPE_CHECKING:
    from typing import Self, SupportsIndex

    from capturefile._capturefile import Follower

    _Path: TypeAlias = str | os.PathLike[str]

_RecordT_co = TypeVar("_RecordT_co", bound=str | bytes, covariant=True)

_STEP = 0.02
"""Seconds that a follower waits for one file before it looks into the manifest."""
_MOST_AT_HAND = 256
"""How many records a follower takes at once at most."""
_BYTES_AT_HAND = 1 << 18
"""How many bytes these have, if they are about as large as the first."""
_MOST_OPEN = 8
"""How many files `record_at` keeps open."""


class RotatingReader(Generic[_RecordT_co]):
    """Reads a log that a `RotatingWriter` writes, all its files as one.

        with RotatingReader("orders") as log:
            print(log.record_count(), log.record_at(1))
            for record in log.follow(1):
                ...

    Records are numbered over the whole log, from 1. What the object sees stands still until `refresh()`. One object may
    be used by many threads.

    Arguments:
        folder: where the log is.
        encoding: as for `CaptureFile`; None for records that are `bytes`.
        cache_size: as for `CaptureFile`, for each file that is open.

    Raises FileNotFoundError if there is no log, InvalidCaptureFile if its manifest is damaged or its last file is gone,
    and what `CaptureFile` raises. Reading raises `RecordsDeleted` for records whose file was deleted.
    """

    @overload
    def __init__(
        self: RotatingReader[str], folder: _Path, *, encoding: str = "utf_8", cache_size: int = 50331648
    ) -> None: ...
    @overload
    def __init__(self: RotatingReader[bytes], folder: _Path, *, encoding: None, cache_size: int = 50331648) -> None: ...
    def __init__(self, folder: _Path, *, encoding: str | None = "utf_8", cache_size: int = 50331648) -> None:
        """Opens the log at `folder` for reading."""
        self._options: dict[str, Any] = {"encoding": encoding, "cache_size": cache_size}
        self._open: OrderedDict[int, CaptureFile[_RecordT_co]] = OrderedDict()
        self._opening = threading.Lock()
        self.closed = False
        """Whether the object is closed."""
        self._manifest = Manifest(Path(folder))
        try:
            self._seen, self._metadata = self._newest()
        except BaseException:
            self._manifest.close()
            raise

    @property
    def folder(self) -> Path:
        """Where the log is."""
        return self._manifest.folder

    @property
    def file_name(self) -> str:
        """The path of the folder, as `str`."""
        return str(self.folder)

    def files(self) -> tuple[RotatedFile, ...]:
        """The files that are there, with the records that this object sees of them; those deleted are left out.

        None is opened.
        """
        manifest = self._manifest
        found = []
        for index in range(manifest.index_of(max(self._seen, 1)) + 1):
            entry, end = manifest.entries[index], manifest.end(index)
            last = min(self._seen, end - 1) if end else self._seen
            file = RotatedFile(manifest.path_of(index), entry.first, last, end is not None, entry.started)
            if file.path.exists():
                found.append(file)
        return tuple(found)

    def record_count(self) -> int:
        """The number of the last record that this object sees; those that were deleted count."""
        return self._seen

    def get_metadata(self) -> bytes | None:
        """The metadata of the log, or None; of the same commit as the last record that this object sees."""
        return self._metadata

    def refresh(self) -> bool:
        """Looks at what has been committed since; returns True if there are more records to see, or other metadata.

        Raises CaptureFileReplaced if another log stands there, or none, and what `CaptureFile.refresh` raises.
        """
        self._check_open()
        self._manifest.look()
        before = self._seen, self._metadata
        self._seen, self._metadata = self._newest()
        return before != (self._seen, self._metadata)

    def record_at(self, record_number: SupportsIndex) -> _RecordT_co:
        """Record `record_number` of the log.

        Raises IndexError below 1 and past the end, RecordsDeleted if its file was deleted, and what
        `CaptureFile.record_at` raises.
        """
        number = operator.index(record_number)
        if not 1 <= number <= self._seen:
            raise IndexError(
                f"record {number} does not exist in {self.file_name!r}, which has {self._seen} records, numbered from 1"
            )
        index = self._manifest.index_of(number)
        return self._file(index, number).record_at(number - self._manifest.entries[index].first + 1)

    def as_sequence(self, first_record_number: SupportsIndex = 1) -> RecordSequence[_RecordT_co]:
        """The records from `first_record_number` to the last that this object sees, as a sequence counted from 0 whose
        length never changes; see `RecordSequence`.

        Each file is opened to see that it is the right one. Raises IndexError below 1, RecordsDeleted if the first
        record's file was deleted, or a later one, and InvalidCaptureFile if a file has lost records.
        """
        number = operator.index(first_record_number)
        if number < 1:
            raise IndexError(f"record {number} does not exist: records are numbered from 1")
        if number > self._seen:
            return RecordSequence()
        first = self._manifest.index_of(number)
        parts = [self._part(index) for index in range(first, self._manifest.index_of(self._seen) + 1)]
        everything = RecordSequence[_RecordT_co](chain.from_iterable(part._runs for part in parts))
        return everything[number - self._manifest.entries[first].first :]

    def follow(self, start: SupportsIndex | None = None, timeout: float | None = None) -> RotatingFollower[_RecordT_co]:
        """Iterates over committed records and goes on with those that are committed later, over any rotation.

        It gives each record once, and never half a commit. It is at most some 20 milliseconds late, 40 behind a
        rotation. What this object itself sees does not change.

        Arguments:
            start: number of the first record; by default the first that this object does not see yet.
            timeout: seconds without news after which it ends; by default it waits for ever. It also ends when this
                object is closed.

        Raises IndexError if `start` is below 1, and ValueError if `timeout` is negative or not a number. While it goes
        on it raises RecordsDeleted if the file of the next record was deleted, and the next step goes on behind the
        gap; CaptureFileReplaced if another log stands there, or none; and what `CaptureFile.follow` raises.
        """
        self._check_open()
        number = self._seen + 1 if start is None else operator.index(start)
        if number < 1:
            raise IndexError(f"record {number} does not exist: records are numbered from 1")
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout cannot be {timeout}: it must be a number of seconds, from 0 up")
        return RotatingFollower(self, number, timeout)

    def close(self) -> None:
        """Closes the log, and ends what follows it. Sequences live on. Does nothing on a closed object."""
        with self._opening:
            self.closed = True
            while self._open:
                self._open.popitem()[1].close()
        self._manifest.close()

    def __enter__(self) -> Self:
        """The object itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Calls `close`."""
        self.close()

    def __repr__(self) -> str:
        """Where the log is, and how many records are seen of it."""
        return f"<RotatingReader: {self._seen} records of {self.file_name!r}{', closed' if self.closed else ''}>"

    def _check_open(self) -> None:
        if self.closed:
            raise CaptureFileNotOpen(f"the log {self.file_name!r} is closed")

    def _newest(self) -> tuple[int, bytes | None]:
        """The number of the last record, and the metadata, of the last file."""
        while self._manifest.entries:
            index = len(self._manifest.entries) - 1
            first = self._manifest.entries[index].first
            try:
                cf = self._opened(index, first)
            except RecordsDeleted:
                # It was sealed and deleted meanwhile: there is a later file.
                continue
            with cf:
                count = cf.record_count()
                metadata = cf.get_metadata()
            # A rotation meanwhile has made another file the last one; this one may have grown before that.
            if not self._manifest.look():
                return first - 1 + count, metadata
        return 0, None

    def _opened(self, index: int, number: int) -> CaptureFile[_RecordT_co]:
        """The file at `index`, opened for record `number`."""
        try:
            return CaptureFile(self._manifest.path_of(index), **self._options)
        except FileNotFoundError:
            # Without the manifest it is not the file that is gone, but the log.
            self._manifest.look()
            raise self._manifest.deleted(number, index) from None

    def _file(self, index: int, number: int) -> CaptureFile[_RecordT_co]:
        """The same, kept open among a few."""
        with self._opening:
            self._check_open()
            cf = self._open.pop(index, None) or self._opened(index, number)
            if cf.record_count() <= self._seen - self._manifest.entries[index].first:
                cf.refresh()
            self._open[index] = cf
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
            return cf

    def _part(self, index: int) -> RecordSequence[_RecordT_co]:
        """The records of one file that belong to the log and are seen here."""
        manifest = self._manifest
        first, end = manifest.entries[index].first, manifest.end(index)
        try:
            found = cast("RecordSequence[_RecordT_co]", concat([manifest.path_of(index)], **self._options))
        except FileNotFoundError:
            manifest.look()
            raise manifest.deleted(first, index) from None
        wanted = min(self._seen, end - 1 if end else self._seen) - first + 1
        if len(found) < wanted:
            raise InvalidCaptureFile(
                f"{str(manifest.path_of(index))!r} has {len(found)} records, where it had {wanted}"
            )
        return found[:wanted]


class _Part(NamedTuple):
    """The file that a follower is in."""

    place: int
    """Index of its entry in the manifest."""
    first: int
    """Number of its first record in the log."""
    file: CaptureFile[Any]
    follower: Follower[Any]


class RotatingFollower(Generic[_RecordT_co]):
    """Iterates over the records of a rotated log as they are committed; made by `RotatingReader.follow`."""

    def __init__(self, reader: RotatingReader[_RecordT_co], number: int, timeout: float | None) -> None:
        """Use `RotatingReader.follow`."""
        self._reader = reader
        self._manifest = reader._manifest
        # Of the next record to take.
        self._number = number
        self._timeout = timeout
        self._part: _Part | None = None
        # What was at hand beyond the record that was asked for, and the error behind it.
        self._taken: deque[_RecordT_co] = deque()
        self._error: Exception | None = None
        self._stepping = threading.Lock()

    def __iter__(self) -> Self:
        """The object itself."""
        return self

    def __next__(self) -> _RecordT_co:
        """The next record, once it is committed."""
        with self._stepping:
            if not self._taken:
                self._fill()
            return self._taken.popleft()

    def _fill(self) -> None:
        """Waits until records are at hand; raises StopIteration if that takes too long."""
        error, self._error = self._error, None
        if error:
            raise error
        since = time.monotonic()
        while not self._reader.closed:
            known = len(self._manifest.entries)
            self._take()
            if self._taken:
                return
            self._manifest.look()
            # Another thread may have looked before, and it is news here all the same.
            if len(self._manifest.entries) > known or self._left_behind():
                continue
            if self._timeout is not None and time.monotonic() - since >= self._timeout:
                break
        raise StopIteration

    @property
    def file_name(self) -> str:
        """The path of the log's folder."""
        return self._reader.file_name

    def ready(self) -> bool:
        """Whether there may be something to give, or an error or the end to tell. It does not wait itself, also while
        another thread waits for the next record.
        """
        part = self._part
        if self._taken or self._error or self._reader.closed or self._manifest.has_news():
            return True
        if part is None:
            return bool(self._manifest.entries)
        return self._manifest.end(part.place) is not None or part.follower.ready()

    def lag(self) -> int:
        """How many records are committed now and were not given yet; those that were deleted count. It does not wait,
        also while another thread waits for the next record. Raises what `RotatingReader.refresh` raises.
        """
        self._manifest.look()
        part = self._part
        if part and self._manifest.end(part.place) is None:
            return part.follower.lag() + len(self._taken)
        last, _ = self._reader._newest()
        return max(last + 1 - self._number, 0) + len(self._taken)

    def _take(self) -> None:
        """Takes what there is in the file at hand, within a short time."""
        part = self._part or self._enter()
        if part is None:
            # The writer is about to announce the first file.
            time.sleep(self._step())
            return
        # Looked up before the file is: all that it will ever have is there then.
        end = self._manifest.end(part.place)
        if end is not None and self._number >= end:
            return
        try:
            self._take_from(part.follower, end)
        except Exception as error:
            self._note_position(part)
            # A file that was deleted may have been sealed before.
            if isinstance(error, CaptureFileReplaced) and end is None and self._is_sealed(part):
                return
            if not self._taken:
                raise
            self._error = error
        if end is not None and not self._taken:
            raise InvalidCaptureFile(
                f"{part.file.file_name!r} ends before record {self._number} of the log, and should go on to {end - 1}"
            )

    def _take_from(self, follower: Follower[Any], end: int | None) -> None:
        """Takes a record, for which it may wait a little, and some of those that are at hand behind it."""
        try:
            for record in islice(follower, 1):
                self._taken.append(record)
                more = min(operator.length_hint(follower), _MOST_AT_HAND, _BYTES_AT_HAND // (len(record) + 1))
                self._taken.extend(islice(follower, more if end is None else min(more, end - self._number - 1)))
        finally:
            self._number += len(self._taken)

    def _enter(self) -> _Part | None:
        """Opens the file of the next record; None if there is no file yet."""
        index = self._manifest.index_of(self._number)
        if index < 0:
            return None
        first = self._manifest.entries[index].first
        try:
            file = self._reader._opened(index, self._number)
        except RecordsDeleted as gap:
            self._number = gap.first_record
            raise
        follower = file.follow(self._number - first + 1, timeout=self._step())
        self._part = _Part(index, first, file, follower)
        return self._part

    def _left_behind(self) -> bool:
        """Whether the file at hand is at its end for good; then the next one is its successor."""
        part = self._part
        end = self._manifest.end(part.place) if part else None
        if end is None or self._number < end:
            return False
        self._part = None
        return True

    def _is_sealed(self, part: _Part) -> bool:
        self._manifest.look()
        return self._manifest.end(part.place) is not None

    def _step(self) -> float:
        return _STEP if self._timeout is None else min(self._timeout, _STEP)

    def _note_position(self, part: _Part) -> None:
        """After an error: a record that cannot be read was passed over, and only the follower knows."""
        with suppress(CaptureFileError, OSError):
            count = -1
            while count != part.file.record_count():
                count = part.file.record_count()
                lag = part.follower.lag()
                part.file.refresh()
            self._number = max(self._number, part.first + count - lag)
