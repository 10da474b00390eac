"""Reading a rotated log: `RotatingReader`."""

from __future__ import annotations

import threading
from collections import OrderedDict
from io import UnsupportedOperation
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, overload

from capturefile._errors import CaptureFileNotOpen
from capturefile._folders import folder_at
from capturefile._numbers import first_number, integer, numbers_in
from capturefile._runs import as_table
from capturefile._typing import RecordT, RecordT_co
from capturefile.rotating.finding import Finding
from capturefile.rotating.follower import RotatingFollower
from capturefile.rotating.log import Log, reopen
from capturefile.rotating.manifest import RotatedFile
from capturefile.sequence import RecordSequence, runs_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from typing import Self, SupportsIndex

    from capturefile._capturefile import ArrowRecords, CaptureFile
    from capturefile._typing import StrPath
    from capturefile.codecs import Codec

_MAX_OPEN = 8
"""The number of files that `record_at` keeps open."""


class RotatingReader(Finding[RecordT_co]):
    """Reads a log of a `RotatingWriter`, all files as one.

    Records are numbered over the whole log, from 1, and keep their numbers when older files are deleted. `log[n]` is
    record n, `log[-1]` the last one, and `log[a:b]` a list of records a to b - 1; `len(log)` is the number of the last
    record, and `for record in log` iterates over the records whose files exist, from `first_record` on. The state
    that the object shows does not change until `refresh()`. Reading raises `RecordsDeleted` for records whose file
    was deleted. One object may be used by many threads.

    Args:
        folder: Folder of the log, or its URL in an object store, where it can be read but not followed.
        encoding: As for `CaptureFile`; None for records that are `bytes`.
        errors: As for `CaptureFile`.
        codec: As for `CaptureFile`.
        cache_size: As for `CaptureFile`, for each open file.
        store: As for `CaptureFile`, for all files.

    Raises:
        FileNotFoundError: There is no log.
        InvalidCaptureFile: The manifest is damaged, or all files of the log were deleted.
        OSError: As for `CaptureFile`.
        CaptureFileError: As for `CaptureFile`.

    Examples:
        >>> with RotatingReader("orders") as reader:
        ...     print(reader.record_count(), reader.record_at(1))
        2 first
    """

    @overload
    def __init__(
        self: RotatingReader[str],
        folder: StrPath,
        *,
        encoding: str = "utf_8",
        errors: str | None = None,
        codec: None = None,
        cache_size: int = 50331648,
        store: object = None,
    ) -> None: ...
    @overload
    def __init__(
        self: RotatingReader[bytes],
        folder: StrPath,
        *,
        encoding: None,
        errors: None = None,
        codec: None = None,
        cache_size: int = 50331648,
        store: object = None,
    ) -> None: ...
    @overload
    def __init__(
        self: RotatingReader[RecordT],
        folder: StrPath,
        *,
        codec: Codec[RecordT],
        cache_size: int = 50331648,
        store: object = None,
    ) -> None: ...
    def __init__(
        self,
        folder: StrPath,
        *,
        encoding: str | None = "utf_8",
        errors: str | None = None,
        codec: Codec[Any] | None = None,
        cache_size: int = 50331648,
        store: object = None,
    ) -> None:
        """Opens the log at `folder` for reading."""
        options: dict[str, Any] = {"encoding": encoding, "errors": errors, "codec": codec, "cache_size": cache_size}
        options["store"] = store
        self._open: OrderedDict[int, CaptureFile[RecordT_co]] = OrderedDict()
        self._opening = threading.RLock()
        self._log: Log[RecordT_co] = Log(folder_at(folder, store), options)
        self._manifest = self._log.manifest
        try:
            self._seen, self._metadata = self._log.newest()
        except BaseException:
            self._log.close()
            raise

    @property
    def folder(self) -> Path:
        """The folder of the log.

        Raises:
            io.UnsupportedOperation: It is in an object store.
        """
        return self._manifest.folder.path

    @property
    def file_name(self) -> str:
        """The path of the folder, or its URL as it was given, as `str`."""
        return self._manifest.folder.given

    @property
    def closed(self) -> bool:
        """Whether the object is closed."""
        return self._log.closed

    def files(self) -> tuple[RotatedFile, ...]:
        """Lists the files of the log that have not been deleted, without opening them.

        Returns:
            The files in order, with the records that this object sees of them.

        Examples:
            >>> [(file.first_record, file.last_record) for file in reader.files()]
            [(1, 2)]
        """
        return self._log.files(self._seen)

    def record_count(self) -> int:
        """Returns the number of records that this object sees, including those whose files were deleted.

        Returns:
            The number of records, which is also the number of the last one.

        Examples:
            >>> reader.record_count()
            2
        """
        return self._seen

    @property
    def first_record(self) -> int:
        """The number of the first record whose file exists; `record_count() + 1` if there is none."""
        index = self._manifest.next_there(0)
        return min(self._manifest.entries[index].first if index is not None else 1, self._seen + 1)

    def get_metadata(self) -> bytes | None:
        """Returns the metadata of the log.

        Returns:
            The metadata, from the same commit as the last record that this object sees; None if there is none.

        Examples:
            >>> reader.get_metadata() is None
            True
        """
        return self._metadata

    def refresh(self, durable: bool = False) -> bool:
        """Shows what has been committed since the object was opened or last refreshed.

        Args:
            durable: Sync the disk before returning, so that a power cut cannot roll back the visible state.

        Returns:
            True if there are more records, or different metadata.

        Raises:
            CaptureFileReplaced: The log was removed or replaced.
            InvalidCaptureFile: The manifest or the last file is damaged.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> log.add_record("third")
            3
            >>> log.commit()
            >>> reader.refresh(), len(reader)
            (True, 3)
        """
        self._check_open()
        self._manifest.look()
        before = self._seen, self._metadata
        self._seen, self._metadata = self._log.newest(durable=durable)
        return before != (self._seen, self._metadata)

    def record_at(self, record_number: SupportsIndex) -> RecordT_co:
        """Reads one record by its number in the log, like `log[record_number]`.

        Args:
            record_number: Number of the record, counted from 1.

        Returns:
            The record, as `str`, or as `bytes` if the encoding is None.

        Raises:
            IndexError: The number is below 1 or past the last record.
            RecordsDeleted: The file of the record was deleted.
            InvalidCaptureFile: The record is damaged.
            UnicodeDecodeError: The record is not text in the encoding, and no `errors` were given.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> reader.record_at(2)
            'second'
        """
        number = integer(record_number)
        if not 1 <= number <= self._seen:
            raise self._log.no_such_record(number, self._seen)
        index = self._manifest.index_of(number)
        return self._file(index, number).record_at(number - self._manifest.entries[index].first + 1)

    def __len__(self) -> int:
        """Returns the number of the last record that this object sees, like `record_count`."""
        return self._seen

    def __bool__(self) -> bool:
        """Returns True, even for a log without records: the object represents the log."""
        return True

    @overload
    def __getitem__(self, key: SupportsIndex, /) -> RecordT_co: ...
    @overload
    def __getitem__(self, key: slice[Any, Any, Any], /) -> list[RecordT_co]: ...
    def __getitem__(self, key: SupportsIndex | slice[Any, Any, Any], /) -> RecordT_co | list[RecordT_co]:
        """Returns the record with a number, or a list of those in a slice of numbers.

        Negative numbers count from the end. A slice without a start begins with the first record whose file exists.

        Raises:
            IndexError: There is no record with this number.
            RecordsDeleted: The file of a record was deleted.
        """
        if isinstance(key, slice):
            return self._slice(key)
        number = integer(key)
        return self.record_at(self._seen + 1 + number if number < 0 else number)

    def _slice(self, part: slice[Any, Any, Any]) -> list[RecordT_co]:
        numbers = numbers_in(part, self.first_record, self._seen)
        records = self._between(min(numbers), max(numbers)) if numbers else RecordSequence[RecordT_co]()
        return list(records[:: numbers.step])

    def __iter__(self) -> Iterator[RecordT_co]:
        """Iterates over the records that exist and that this object sees, in order, opening one file after the other.

        Raises:
            RecordsDeleted: A file was deleted before the iteration reached it.
        """
        self._check_open()
        files = self._log.files_with(self.first_record, self._seen)
        return chain.from_iterable(islice(cf.record_generator(numbers[0]), len(numbers)) for cf, numbers, _ in files)

    def as_sequence(self, first_record_number: SupportsIndex = 1) -> RecordSequence[RecordT_co]:
        """Returns the records that this object sees as a sequence of fixed length, counted from 0.

        Each file is opened to check that it is the right one.

        Args:
            first_record_number: Number of the first record of the sequence.

        Returns:
            A `RecordSequence` from that record to the last one that this object sees.

        Raises:
            IndexError: The number is below 1.
            RecordsDeleted: The file of one of the records was deleted.
            InvalidCaptureFile: A file has lost records.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> list(reader.as_sequence(2))
            ['second']
        """
        return self._between(first_number(first_record_number), self._seen)

    def as_arrow(
        self,
        first_record_number: SupportsIndex | None = None,
        last_record_number: SupportsIndex | None = None,
        *,
        text: bool = False,
    ) -> ArrowRecords:
        """Returns records as a table for any consumer of Arrow data, with their numbers in the log.

        The table never changes. A file is opened when a stream reaches it; if it has been deleted by then, the stream
        ends with an error.

        Args:
            first_record_number: Number of the first record; by default the first one whose file exists.
            last_record_number: Number of the last record, which is included; by default the last one that this object
                sees.
            text: Return the records as strings, which requires them to be UTF-8, instead of bytes.

        Returns:
            The table; see `ArrowRecords`.

        Raises:
            IndexError: One of the requested records does not exist.
            RecordsDeleted: The file of one of them was deleted.
            ValueError: `text` is true, and the log was opened with an encoding other than UTF-8 or None.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> import pyarrow
            >>> pyarrow.table(reader.as_arrow(text=True)).column("record").to_pylist()
            ['first', 'second']
        """
        first = self.first_record if first_record_number is None else first_number(first_record_number)
        last = self._seen if last_record_number is None else integer(last_record_number)
        if first <= last and last > self._seen:
            raise self._log.no_such_record(last, self._seen)
        return as_table(runs_of(self._between(first, last)), first, text=text, place=repr(self._log.name))

    def _between(self, first: int, last: int) -> RecordSequence[RecordT_co]:
        """Returns the records from one number to another, both included, of files that exist now."""
        self._check_open()
        if first > last:
            return RecordSequence()
        index = self._manifest.index_of(first)
        parts = [self._log.part(each, self._seen) for each in range(index, self._manifest.index_of(last) + 1)]
        everything = RecordSequence[RecordT_co](chain.from_iterable(map(runs_of, parts)))
        before = self._manifest.entries[index].first
        return everything[first - before : last + 1 - before]

    def follow(self, start: SupportsIndex | None = None, timeout: float | None = None) -> RotatingFollower[RecordT_co]:
        """Iterates over committed records and then waits for new ones, across rotations.

        The iterator returns each record once, and never part of a commit, at most about 20 milliseconds after the
        commit or 40 after a rotation. The state that this object itself shows does not change.

        Args:
            start: Number of the first record; by default the first one that this object does not see yet.
            timeout: Seconds without a new record after which the iteration ends; by default it waits for ever. It
                also ends when this object is closed.

        Returns:
            An iterator. Its steps raise RecordsDeleted if the file of the next record was deleted, and the next step
            continues after the gap; CaptureFileReplaced if the log was removed or replaced; and the exceptions of
            `CaptureFile.follow`.

        Raises:
            IndexError: `start` is below 1.
            ValueError: `timeout` is negative or not a number.
            io.UnsupportedOperation: The log is in an object store.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> list(reader.follow(1, timeout=0))
            ['first', 'second']
        """
        self._check_open()
        if self._manifest.folder.is_remote:
            raise UnsupportedOperation(f"{self._log.name!r} is in an object store, where refresh() finds new records")
        number = self._seen + 1 if start is None else first_number(start)
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout cannot be {timeout}: it must be a number of seconds, at least 0")
        return RotatingFollower(self._log, number, timeout)

    def close(self) -> None:
        """Closes the log and ends its followers. Does nothing on a closed object.

        Sequences and tables that were created from it remain usable.

        Examples:
            >>> reader.close()
            >>> reader.closed
            True
        """
        self._log.close()
        with self._opening:
            while self._open:
                self._open.popitem()[1].close()

    def __enter__(self) -> Self:
        """Returns the object itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Calls `close`."""
        self.close()

    def __repr__(self) -> str:
        """Shows the folder and the number of records that the object sees."""
        return f"<RotatingReader: {self._log.summary(self._seen)}>"

    def _repr_html_(self) -> str | None:
        """Returns a table of the first records for notebooks, or None if the object is closed."""
        return None if self.closed else self._log.table(repr(self), self.first_record, self._seen)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the folder and the settings: the other process opens the log and sees the last commit at that time.

        The state that this object shows is part of the pickle because some caches use the pickle as a key.
        """
        self._check_open()
        return reopen, (type(self), self.file_name, self._log.options, (self._seen, self._metadata))

    def _check_open(self) -> None:
        if self.closed:
            raise CaptureFileNotOpen(f"the log {self._log.name!r} is closed")

    def _file(self, index: int, number: int) -> CaptureFile[RecordT_co]:
        """Returns the file at `index`, one of the few that are kept open."""
        with self._opening:
            self._check_open()
            cf = self._open.pop(index, None) or self._log.open_file(index, number)
            if cf.record_count() <= self._seen - self._manifest.entries[index].first:
                cf.refresh()
            self._open[index] = cf
            if len(self._open) > _MAX_OPEN:
                self._open.popitem(last=False)
            return cf


def files_with(
    reader: RotatingReader[RecordT_co], first: int, last: int
) -> Generator[tuple[CaptureFile[RecordT_co], range, int], None, None]:
    """Opens the files of a log that have the records from one number to another; see `Log.files_with`."""
    return reader._log.files_with(first, last)


def size_of(reader: RotatingReader[Any], file: RotatedFile) -> int | None:
    """Returns the size of a file of a log; None if it does not exist."""
    return reader._manifest.folder.size_of(file.name)


def manifest_of(reader: RotatingReader[Any]) -> CaptureFile[str]:
    """Returns the manifest of a log, which is open as long as the log is."""
    return reader._manifest.file
