"""Reading a rotated log: `RotatingReader`."""

from __future__ import annotations

import threading
from collections import OrderedDict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, cast, overload

from capturefile._errors import CaptureFileNotOpen, InvalidCaptureFile
from capturefile._numbers import integer
from capturefile._runs import as_table
from capturefile._typing import RecordT_co
from capturefile.rotating.follower import RotatingFollower
from capturefile.rotating.log import Log
from capturefile.rotating.manifest import RotatedFile
from capturefile.sequence import RecordSequence, concat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self, SupportsIndex

    from capturefile._capturefile import ArrowRecords, CaptureFile
    from capturefile._typing import StrPath


_MAX_OPEN = 8
"""How many files `record_at` keeps open."""


class RotatingReader(Generic[RecordT_co]):
    """Reads a log that a `RotatingWriter` writes, all its files as one.

        with RotatingReader("orders") as log:
            print(log.record_count(), log.record_at(1))
            for record in log.follow(1):
                ...

    Records are numbered over the whole log, from 1, and keep their numbers when older files are deleted. `log[n]` is
    record n, `log[-1]` the last one, and `log[a:b]` the list of records a to b - 1; `len(log)` is the number of the
    last record, and `for record in log` goes through those that are there, from `first_record` on. What the object
    sees stands still until `refresh()`. One object may be used by many threads.

    Arguments:
        folder: where the log is.
        encoding: as for `CaptureFile`; None for records that are `bytes`.
        errors: as for `CaptureFile`.
        cache_size: as for `CaptureFile`, for each file that is open.

    Raises FileNotFoundError if there is no log, InvalidCaptureFile if its manifest is damaged or all its files are
    gone, and what `CaptureFile` raises. Reading raises `RecordsDeleted` for records whose file was deleted.
    """

    @overload
    def __init__(
        self: RotatingReader[str],
        folder: StrPath,
        *,
        encoding: str = "utf_8",
        errors: str | None = None,
        cache_size: int = 50331648,
    ) -> None: ...
    @overload
    def __init__(
        self: RotatingReader[bytes],
        folder: StrPath,
        *,
        encoding: None,
        errors: None = None,
        cache_size: int = 50331648,
    ) -> None: ...
    def __init__(
        self,
        folder: StrPath,
        *,
        encoding: str | None = "utf_8",
        errors: str | None = None,
        cache_size: int = 50331648,
    ) -> None:
        """Opens the log at `folder` for reading."""
        options: dict[str, Any] = {"encoding": encoding, "errors": errors, "cache_size": cache_size}
        self._open: OrderedDict[int, CaptureFile[RecordT_co]] = OrderedDict()
        self._opening = threading.RLock()
        self._log: Log[RecordT_co] = Log(Path(folder), options)
        self._manifest = self._log.manifest
        try:
            self._seen, self._metadata = self._log.newest()
        except BaseException:
            self._log.close()
            raise

    @property
    def folder(self) -> Path:
        """Where the log is."""
        return self._manifest.folder

    @property
    def file_name(self) -> str:
        """The path of the folder, as `str`."""
        return self._log.file_name

    @property
    def closed(self) -> bool:
        """Whether the object is closed."""
        return self._log.closed

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

    @property
    def first_record(self) -> int:
        """The number of the first record that is there; one more than `record_count()` if none is."""
        index = self._manifest.next_there(0)
        return min(self._manifest.entries[index].first if index is not None else 1, self._seen + 1)

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
        self._seen, self._metadata = self._log.newest()
        return before != (self._seen, self._metadata)

    def record_at(self, record_number: SupportsIndex) -> RecordT_co:
        """Record `record_number` of the log.

        Raises IndexError below 1 and past the end, RecordsDeleted if its file was deleted, and what
        `CaptureFile.record_at` raises.
        """
        number = integer(record_number)
        if not 1 <= number <= self._seen:
            raise self._no_such_record(number)
        index = self._manifest.index_of(number)
        return self._file(index, number).record_at(number - self._manifest.entries[index].first + 1)

    def __len__(self) -> int:
        """The number of the last record that this object sees, as `record_count` gives it."""
        return self._seen

    def __bool__(self) -> bool:
        """Always True, also for a log without records: the object stands for the log."""
        return True

    @overload
    def __getitem__(self, key: SupportsIndex, /) -> RecordT_co: ...
    @overload
    def __getitem__(self, key: slice[Any, Any, Any], /) -> list[RecordT_co]: ...
    def __getitem__(self, key: SupportsIndex | slice[Any, Any, Any], /) -> RecordT_co | list[RecordT_co]:
        """Returns the record with a number, or a list of those in a slice of numbers.

        Negative numbers count from the end. A slice without a start begins with the first record that is there.

        Raises:
            IndexError: There is no record with this number.
            RecordsDeleted: The file of a record was deleted.
        """
        if isinstance(key, slice):
            return self._slice(key)
        number = integer(key)
        return self.record_at(self._seen + 1 + number if number < 0 else number)

    def _slice(self, part: slice[Any, Any, Any]) -> list[RecordT_co]:
        step = 1 if part.step is None else integer(part.step)
        if step == 0:
            raise ValueError("slice step cannot be zero")
        first, end = (self.first_record, self._seen + 1) if step > 0 else (self._seen, self.first_record - 1)
        low, high = (1, self._seen + 1) if step > 0 else (0, self._seen)

        def bound(given: SupportsIndex | None, default: int) -> int:
            if given is None:
                return default
            number = integer(given)
            return max(low, min(self._seen + 1 + number if number < 0 else number, high))

        numbers = range(bound(part.start, first), bound(part.stop, end), step)
        if not numbers:
            return []
        lowest, highest = sorted((numbers[0], numbers[-1]))
        records = self._between(lowest, highest)
        return list(records[:: abs(step)] if step > 0 else records[::step])

    def __iter__(self) -> Iterator[RecordT_co]:
        """Iterates over the records that are there and seen by this object, from the first to the last.

        A file is opened when it is its turn.

        Raises:
            RecordsDeleted: A file was deleted before it was its turn.
        """
        self._check_open()
        indices = range(self._manifest.index_of(self.first_record), self._manifest.index_of(self._seen) + 1)
        return chain.from_iterable(map(self._part, indices if self._seen else ()))

    def as_sequence(self, first_record_number: SupportsIndex = 1) -> RecordSequence[RecordT_co]:
        """Returns the records from `first_record_number` to the last that this object sees, as a sequence counted from
        0 whose length never changes; see `RecordSequence`.

        Each file is opened to see that it is the right one.

        Raises:
            IndexError: The number is below 1.
            RecordsDeleted: The file of the first record was deleted, or that of a later one.
            InvalidCaptureFile: A file has lost records.
        """
        return self._between(self._from(first_record_number), self._seen)

    def as_arrow(
        self,
        first_record_number: SupportsIndex | None = None,
        last_record_number: SupportsIndex | None = None,
        *,
        text: bool = False,
    ) -> ArrowRecords:
        """Returns records as a table for whatever takes Arrow data, with their numbers in the log.

        It stands for these records for ever. A file is opened when a stream comes to it; one that was deleted by then
        ends the stream with an error.

        Args:
            first_record_number: Of the first record; by default the first that is there.
            last_record_number: Of the last record, which is included; by default the last that this object sees.
            text: Make the records strings, which have to be UTF-8; otherwise they are bytes.

        Returns:
            The table; see `ArrowRecords`.

        Raises:
            IndexError: One of the records asked for does not exist.
            RecordsDeleted: The file of one of them was deleted.
            ValueError: There is to be text, and the log was opened with another encoding than UTF-8 or None.
        """
        first = self.first_record if first_record_number is None else self._from(first_record_number)
        last = self._seen if last_record_number is None else integer(last_record_number)
        if first <= last and last > self._seen:
            raise self._no_such_record(last)
        return as_table(self._between(first, last)._runs, first, text=text, place=repr(self.file_name))

    def _from(self, number: SupportsIndex) -> int:
        """The number of a first record, which may be behind the last."""
        first = integer(number)
        if first < 1:
            raise IndexError(f"record {first} does not exist: records are numbered from 1")
        return first

    def _no_such_record(self, number: int) -> IndexError:
        return IndexError(
            f"record {number} does not exist in {self.file_name!r}, which has {self._seen} records, numbered from 1"
        )

    def _between(self, first: int, last: int) -> RecordSequence[RecordT_co]:
        """The records from one number to another, both included, in files that are there now."""
        self._check_open()
        if first > last:
            return RecordSequence()
        index = self._manifest.index_of(first)
        parts = [self._part(each) for each in range(index, self._manifest.index_of(last) + 1)]
        everything = RecordSequence[RecordT_co](chain.from_iterable(part._runs for part in parts))
        before = self._manifest.entries[index].first
        return everything[first - before : last + 1 - before]

    def follow(self, start: SupportsIndex | None = None, timeout: float | None = None) -> RotatingFollower[RecordT_co]:
        """Iterates over committed records and continues with those that are committed later, over any rotation.

        It gives each record once, and never half a commit. It is at most some 20 milliseconds late, 40 behind a
        rotation. What this object itself sees does not change.

        Arguments:
            start: number of the first record; by default the first that this object does not see yet.
            timeout: seconds without news after which it ends; by default it waits for ever. It also ends when this
                object is closed.

        Raises IndexError if `start` is below 1, and ValueError if `timeout` is negative or not a number. Later
        it raises RecordsDeleted if the file of the next record was deleted, and the next step continues behind the
        gap; CaptureFileReplaced if another log stands there, or none; and what `CaptureFile.follow` raises.
        """
        self._check_open()
        number = self._seen + 1 if start is None else self._from(start)
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout cannot be {timeout}: it must be a number of seconds, from 0 up")
        return RotatingFollower(self._log, number, timeout)

    def close(self) -> None:
        """Closes the log, and ends what follows it. Sequences live on. Does nothing on a closed object."""
        self._log.close()
        with self._opening:
            while self._open:
                self._open.popitem()[1].close()

    def __enter__(self) -> Self:
        """The object itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Calls `close`."""
        self.close()

    def __repr__(self) -> str:
        """Where the log is, and how many records are seen of it."""
        return f"<RotatingReader: {self._seen} records of {self.file_name!r}{', closed' if self.closed else ''}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """The folder, and how it was opened: the other side opens it again, and sees what is committed by then.

        What this object sees is in the pickle as well, since some caches know a result by it.
        """
        self._check_open()
        return _reopen, (type(self), self.file_name, self._log.options, (self._seen, self._metadata))

    def _check_open(self) -> None:
        if self.closed:
            raise CaptureFileNotOpen(f"the log {self.file_name!r} is closed")

    def _file(self, index: int, number: int) -> CaptureFile[RecordT_co]:
        """The file at `index`, kept open among a few."""
        with self._opening:
            self._check_open()
            cf = self._open.pop(index, None) or self._log.open_file(index, number)
            if cf.record_count() <= self._seen - self._manifest.entries[index].first:
                cf.refresh()
            self._open[index] = cf
            if len(self._open) > _MAX_OPEN:
                self._open.popitem(last=False)
            return cf

    def _part(self, index: int) -> RecordSequence[RecordT_co]:
        """The records of one file that belong to the log and are seen here."""
        manifest = self._manifest
        first, end = manifest.entries[index].first, manifest.end(index)
        try:
            found = cast("RecordSequence[RecordT_co]", concat([manifest.path_of(index)], **self._log.options))
        except FileNotFoundError:
            manifest.look()
            raise manifest.deleted(first, index) from None
        wanted = min(self._seen, end - 1 if end else self._seen) - first + 1
        if len(found) < wanted:
            raise InvalidCaptureFile(
                f"{str(manifest.path_of(index))!r} has {len(found)} records, where it had {wanted}"
            )
        return found[:wanted]


def _reopen(
    reader: type[RotatingReader[Any]], folder: str, options: dict[str, Any], _seen: object
) -> RotatingReader[Any]:
    """Makes again what `RotatingReader.__reduce__` took apart."""
    return reader(folder, **options)
