"""The API reference: every class and function of the extension module, with types.

All of it is also in `capturefile`, which is where to import it from.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from types import GenericAlias
from typing import Any, Generic, Literal, Self, SupportsIndex, TypeAlias, final, overload

from typing_extensions import Buffer, CapsuleType, TypeVar, disjoint_base

from capturefile._info import BlockInfo, Info, Recovery, Report, Stats
from capturefile._runs import ArrowRun
from capturefile._typing import Compression, StrPath, SyncMode
from capturefile.codecs import Codec
from capturefile.sequence import RecordSequence

__all__ = [
    "ArrowRecords",
    "BlockIterator",
    "CaptureFile",
    "CommitTicket",
    "Follower",
    "RecordIterator",
    "Transaction",
    "_HeadSlot",
    "_Header",
    "_IndexKey",
    "_IndexRun",
    "_LogExtent",
    "_LogTransaction",
    "_MasterSlot",
    "_Pattern",
    "_Replacement",
    "_Search",
    "_Step",
    "_Structure",
    "__version__",
    "_arrow_of",
    "_backup",
    "_find_all",
    "_index_groups",
    "_index_hash",
    "_index_matches",
    "_index_page",
    "_json_lines",
    "_reopen",
    "_sync_path",
    "block_range",
    "file_identity",
    "is_in_place",
    "open",
    "place_in_store",
    "reader_of",
    "recover",
    "set_commit_hook",
    "verify",
]

_RecordT_co = TypeVar("_RecordT_co", covariant=True, default=str)
_RecordT = TypeVar("_RecordT", default=str)
_T = TypeVar("_T")

_LogT = TypeVar("_LogT")

__version__: str
"""Version of the library, as its package's."""

@disjoint_base
class CaptureFile(Generic[_RecordT]):
    """A capture file: a compressed, transactional, append-only log of records.

    Records are numbered from 1. Added records become visible to others, together with the metadata, at
    `commit()`. One writer and any number of readers, in threads and processes, can have a file open at the
    same time, and one object may be used by many threads.

    `cf[n]` is record n, `cf[-1]` the last one, and `cf[a:b]` a list of records a to b - 1. `len(cf)` is the
    number of records, and `for record in cf` iterates over those that exist when the loop starts. Leaving the
    `with` block closes the file; it does not commit. Type checkers know an object whose records are `str` as
    `CaptureFile[str]`, and one whose records are `bytes` as `CaptureFile[bytes]`.

    A reader can be pickled: the other process opens the file again and sees the last commit at that time. The
    pickle changes once `refresh()` has found something new, so caches can use it as a key. After a fork, the
    child can continue reading but never writes, and it does not see its parent's uncommitted records.

    Args:
        file_name: Path of the file, by convention with the extension `.capture`, or URL of one in an object
            store, which is read without a download; see `docs/object-stores.md`.
        to_write: Open for writing, and create the file if it does not exist or is empty.
        initial_metadata: Metadata of a file that this call creates; ignored for an existing file.
        force_new_empty_file: Atomically replace any existing file with a new, empty one. A file that is being
            written is refused.
        encoding: Encoding that decodes records on reading and encodes `str` records on adding. With None,
            records are returned as `bytes`, and `str` is encoded as UTF-8.
        use_os_file_locking: Hold the writer lock in the operating system. False is for file systems without
            locks; a second writer in the same process is refused in any case.
        compression_block_size: Bytes that are compressed together, a multiple of 4,096, for a file that this
            call creates; ignored for an existing file. By default 32,768, and 131,072 in format 3.
        errors: How to handle text that cannot be decoded or encoded, as for Python's `open`: "replace",
            "backslashreplace", "surrogateescape" and so on. By default it is an error.
        codec: Converts records to objects and back: any object with the methods `decode`, which takes
            `bytes`, and `encode`. `capturefile.codecs` has codecs for JSON, msgspec and pydantic. It replaces
            `encoding`. Type checkers know an object whose codec returns `Order`s as `CaptureFile[Order]`.
        sync: "full" (or True): `commit()` returns once the data would survive a power cut. "barrier": a power
            cut rolls back at most the last commit (in format 3, those since the last sync), and never harms
            the file. "none" (or False): a commit survives the process, but a power cut may destroy the file.
        format: Version of the format of a file that this call creates: 2, or 3, which only this package reads;
            `docs/format-3.md` lists what works with it. The version of an existing file is detected.
        compression: How blocks of a file that this call creates are compressed: "zlib" in format 2; "zstd",
            "lz4" or "none" in format 3. By default the first of these.
        compression_level: From 1, the fastest, to 12, the smallest, with "zlib", by default 6; from 1 to 22 with
            "zstd", by default 1.
        threads: Number of threads, including the calling one, that compress blocks and inflate them ahead of
            sequential reads; by default one per core, up to four.
        cache_size: Maximum size of the cache of inflated blocks and index nodes, in bytes.
        store: The store that contains the object at this path: a store of `obstore` or a file system of
            `fsspec`. Only for reading.

    Raises:
        OSError: The file cannot be opened, created, or locked because its file system has no locks. This
            includes FileNotFoundError and PermissionError.
        InvalidCaptureFile: The file is not a capture file, or it is damaged.
        CaptureFileAlreadyOpen: The file is open for writing elsewhere.
        LookupError: There is no such encoding or error handler.
        ValueError: A setting is out of range.
        TypeError: The codec has no methods `decode` and `encode`.

    Examples:
        >>> with CaptureFile("guests.capture", to_write=True) as guests:
        ...     guests.add_record("Ada, from London")
        ...     guests.commit()
        ...     print(guests[1])
        1
        Ada, from London

        In the examples of the methods, `cf` is open for writing and has committed the records "first",
        "second" and "third".
    """

    @overload
    def __init__(
        self: CaptureFile[str],
        file_name: StrPath,
        to_write: bool = False,
        initial_metadata: Buffer | None = None,
        force_new_empty_file: bool = False,
        encoding: str = "utf_8",
        use_os_file_locking: bool = True,
        compression_block_size: int | None = None,
        *,
        errors: str | None = None,
        codec: None = None,
        sync: SyncMode = "full",
        format: Literal[2, 3] = 2,
        compression: Compression | None = None,
        compression_level: int | None = None,
        threads: int | None = None,
        cache_size: int = 50331648,
        store: object = None,
    ) -> None: ...
    @overload
    def __init__(
        self: CaptureFile[bytes],
        file_name: StrPath,
        to_write: bool = False,
        initial_metadata: Buffer | None = None,
        force_new_empty_file: bool = False,
        *,
        encoding: None,
        use_os_file_locking: bool = True,
        compression_block_size: int | None = None,
        errors: None = None,
        codec: None = None,
        sync: SyncMode = "full",
        format: Literal[2, 3] = 2,
        compression: Compression | None = None,
        compression_level: int | None = None,
        threads: int | None = None,
        cache_size: int = 50331648,
        store: object = None,
    ) -> None: ...
    @overload
    def __init__(
        self: CaptureFile[bytes],
        file_name: StrPath,
        to_write: bool,
        initial_metadata: Buffer | None,
        force_new_empty_file: bool,
        encoding: None,
        use_os_file_locking: bool = True,
        compression_block_size: int | None = None,
        *,
        errors: None = None,
        codec: None = None,
        sync: SyncMode = "full",
        format: Literal[2, 3] = 2,
        compression: Compression | None = None,
        compression_level: int | None = None,
        threads: int | None = None,
        cache_size: int = 50331648,
        store: object = None,
    ) -> None: ...
    @overload
    def __init__(
        self: CaptureFile[_T],
        file_name: StrPath,
        to_write: bool = False,
        initial_metadata: Buffer | None = None,
        force_new_empty_file: bool = False,
        *,
        use_os_file_locking: bool = True,
        compression_block_size: int | None = None,
        codec: Codec[_T],
        sync: SyncMode = "full",
        format: Literal[2, 3] = 2,
        compression: Compression | None = None,
        compression_level: int | None = None,
        threads: int | None = None,
        cache_size: int = 50331648,
        store: object = None,
    ) -> None: ...
    @property
    def file_name(self) -> str:
        """The path that the file was opened with, as `str`."""
    @property
    def to_write(self) -> bool:
        """Whether the object is open for writing, or was when it was closed."""
    @property
    def path(self) -> Path:
        """The path that the file was opened with, as `pathlib.Path`; `file_name` is the same path as `str`."""
    @property
    def writable(self) -> bool:
        """Whether the object is open for writing, or was when it was closed; an alias of `to_write`."""
    def is_being_written(self) -> bool:
        """Returns whether the file is open for writing, in this process or in another one.

        A writer in another process is recognized by its lock, so one with `use_os_file_locking=False` goes unnoticed.

        Returns:
            True while there is a writer, which may be this object.

        Raises:
            CaptureFileNotOpen: The object is closed.
            OSError: The file system has no locks.

        Examples:
            >>> cf.is_being_written()
            True
        """
    @property
    def metadata(self) -> bytes | None:
        """The metadata, as returned by `get_metadata`; assigning calls `set_metadata`."""
    @metadata.setter
    def metadata(self, metadata: Buffer | None) -> None: ...
    @property
    def encoding(self) -> str | None:
        """The encoding of the records, as it was given, or None if records are `bytes` or there is a codec."""
    @property
    def errors(self) -> str | None:
        """The handler for text that cannot be decoded or encoded, as it was given, or None if that is an error."""
    @property
    def codec(self) -> Codec[_RecordT] | None:
        """The codec of the records, as it was given, or None if they are `str` or `bytes`."""
    @property
    def use_os_file_locking(self) -> bool:
        """Whether this object, if it is a writer, holds a lock in the operating system."""
    @property
    def closed(self) -> bool:
        """Whether the object is closed."""
    def open(self, to_write: bool = False) -> None:
        """Opens the object again after `close()`, with the settings it was created with.

        No file is created.

        Args:
            to_write: Open for writing instead of reading.

        Raises:
            FileNotFoundError: The file no longer exists.
            CaptureFileAlreadyOpen: This object is already open, or `to_write` is true and the file is open
                for writing elsewhere.
            OSError: As for the constructor.
            InvalidCaptureFile: As for the constructor.

        Examples:
            >>> cf.close()
            >>> cf.open()
            >>> cf.writable
            False
        """
    def close(self) -> None:
        """Closes the file without committing. Does nothing on a closed object.

        Uncommitted records and metadata are lost; an UncommittedWarning reports the number of records.
        Commits that were started by `start_commit()` are finished first.

        Raises:
            OSError: A started commit has failed, and no ticket or other call has raised the error. The file
                is closed.
            CaptureFileError: Likewise.

        Examples:
            >>> cf.close()
            >>> cf.closed
            True
        """
    def record_count(self) -> int:
        """Returns the number of records that this object sees, like `len(cf)`.

        These are the records that were committed when the object was opened or last refreshed, and those added
        through it. A closed object returns the count that it saw last, whereas all other calls that read or write
        raise CaptureFileNotOpen.

        Returns:
            The number of records, which is also the number of the last one.

        Raises:
            InvalidCaptureFile: The file is damaged.

        Examples:
            >>> cf.record_count()
            3
        """
    def record_at(self, record_number: SupportsIndex) -> _RecordT:
        """Reads one record by its number.

        `cf[record_number]` does the same; it also takes slices, and negative numbers, which count from the end.

        Args:
            record_number: Number of the record, counted from 1.

        Returns:
            The record, as `str`, or as `bytes` if the encoding is None.

        Raises:
            IndexError: The number is below 1 or past the last record.
            InvalidCaptureFile: The record is damaged.
            UnicodeDecodeError: The record is not text in the file's encoding, and no `errors` were given.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> cf.record_at(2)
            'second'
        """
    def record(self, number: SupportsIndex) -> _RecordT:
        """Reads one record by its number; an alias of `record_at`.

        Args:
            number: Number of the record, counted from 1.

        Returns:
            The record, as `str`, or as `bytes` if the encoding is None.

        Raises:
            IndexError: The number is below 1 or past the last record.
            InvalidCaptureFile: The record is damaged.
            UnicodeDecodeError: The record is not text in the file's encoding, and no `errors` were given.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> cf.record(2)
            'second'
        """
    def records(self, start: SupportsIndex = 1) -> RecordIterator[_RecordT]:
        """Iterates over the records that exist now, in order; an alias of `record_generator`.

        Args:
            start: Number of the first record to return, counted from 1.

        Returns:
            An iterator over the records.

        Raises:
            IndexError: `start` is below 1.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> list(cf.records(2))
            ['second', 'third']
        """
    def records_at(self, numbers: Iterable[SupportsIndex]) -> list[_RecordT]:
        """Reads records by their numbers, inflating each block once.

        Args:
            numbers: Numbers of records, counted from 1, in any order.

        Returns:
            A list of the records, in the order of `numbers`.

        Raises:
            IndexError: A number is below 1 or past the last record.
            InvalidCaptureFile: A record is damaged.
            UnicodeDecodeError: A record is not text in the file's encoding, and no `errors` were given.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> cf.records_at([3, 1])
            ['third', 'first']
        """
    def read_range(self, first_record_number: SupportsIndex, last_record_number: SupportsIndex) -> list[_RecordT]:
        """Reads consecutive records.

        Args:
            first_record_number: Number of the first record, counted from 1.
            last_record_number: Number of the last record, which is included.

        Returns:
            A list of the records, empty if the last number is below the first.

        Raises:
            IndexError: The range is not empty, and reaches below 1 or past the last record.
            InvalidCaptureFile: A record is damaged.
            UnicodeDecodeError: A record is not text in the file's encoding, and no `errors` were given.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> cf.read_range(1, 2)
            ['first', 'second']
        """
    def read_range_buffers(
        self, first_record_number: SupportsIndex, last_record_number: SupportsIndex
    ) -> tuple[memoryview[int], memoryview[int]]:
        """Reads consecutive records into two buffers, without decoding them or creating an object for each.

        NumPy, Arrow and other users of the buffer protocol accept both buffers without copying.

        Args:
            first_record_number: Number of the first record, counted from 1.
            last_record_number: Number of the last record, which is included.

        Returns:
            `(offsets, data)`. `data` is a memoryview of the bytes of all records, back to back. `offsets` is a
            memoryview of signed 64-bit integers, one more than there are records: record i of the range, counted
            from 0, is `data[offsets[i]:offsets[i + 1]]`.

        Raises:
            IndexError: The range is not empty, and reaches below 1 or past the last record.
            InvalidCaptureFile: A record is damaged.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> offsets, data = cf.read_range_buffers(1, 2)
            >>> offsets.tolist(), bytes(data)
            ([0, 5, 11], b'firstsecond')
        """
    def as_arrow(
        self,
        first_record_number: SupportsIndex = 1,
        last_record_number: SupportsIndex | None = None,
        *,
        text: bool = False,
    ) -> ArrowRecords:
        """Returns consecutive records as a table for any consumer of Arrow data; see `ArrowRecords`.

        Nothing is read yet. The table never changes, and remains usable when this object is closed.

        Args:
            first_record_number: Number of the first record, counted from 1.
            last_record_number: Number of the last record, which is included; by default the last one that exists
                now.
            text: Return the records as strings, which requires them to be UTF-8, instead of bytes.

        Returns:
            The table. It is empty if the last number is below the first, or if no last number is given and the
            first is past the end.

        Raises:
            IndexError: The range is not empty, and reaches below 1 or past the last record.
            ValueError: `text` is true, and the encoding of the file is neither UTF-8 nor None.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> import pyarrow
            >>> pyarrow.table(cf.as_arrow(2, text=True)).to_pylist()
            [{'record_number': 2, 'record': 'second'}, {'record_number': 3, 'record': 'third'}]
        """
    def record_generator(self, starting_record_number: SupportsIndex = 1) -> RecordIterator[_RecordT]:
        """Iterates over the records that exist now, in order.

        The iterator covers exactly these records, even if more are added, or the object is refreshed, rolled back
        or closed meanwhile. It is empty if it starts past the last one. `iter(cf)` starts at record 1, and
        `reversed(cf)` iterates from the last record to the first.

        Args:
            starting_record_number: Number of the first record to return, counted from 1.

        Returns:
            An iterator over the records.

        Raises:
            IndexError: `starting_record_number` is below 1.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> list(cf.record_generator(2))
            ['second', 'third']
        """
    def follow(self, start: SupportsIndex | None = None, timeout: float | None = None) -> Follower[_RecordT]:
        """Iterates over committed records and then waits for new ones, from any writer.

        Waiting takes little processor time: within a second of a commit, the iterator checks again after at
        most a millisecond, and later after at most 20 milliseconds or, on Linux, as soon as this library
        commits. It never returns part of a commit, and `operator.length_hint` returns the number of records
        that are available. The state that this object itself shows does not change.

        Args:
            start: Number of the first record, counted from 1; by default the first one that this object does not
                see yet.
            timeout: Seconds without a new record after which the iteration ends; by default it waits for
                ever. It also ends when this object, which it keeps alive, or the iterator itself is closed.

        Returns:
            An iterator. Its steps raise CaptureFileReplaced, after the last record, if the file was removed or
            replaced; InvalidCaptureFile if it was truncated; and the exceptions of `record_at` and `refresh`.

        Raises:
            IndexError: `start` is below 1.
            ValueError: `timeout` is negative or not a number.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> for record in cf.follow(2, timeout=0):
            ...     print(record)
            second
            third
        """
    def refresh(self, durable: bool = False) -> bool:
        """Shows what has been committed since the object was opened or last refreshed.

        An object that is open for writing sees everything and has nothing to refresh. A reader of an object
        store checks whether the file there has been replaced by a longer one.

        Args:
            durable: Sync the disk before returning, so that a power cut cannot roll back the visible state.

        Returns:
            True if there are more records, or different metadata.

        Raises:
            InvalidCaptureFile: The file has been damaged or truncated, or replaced by a different file in an
                object store. The object continues to show the previous state.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> reader = CaptureFile(cf.path)
            >>> cf.add_record("fourth")
            4
            >>> cf.commit()
            >>> reader.refresh(), len(reader)
            (True, 4)
        """
    def get_metadata(self) -> bytes | None:
        """Returns the metadata.

        Returns:
            The metadata, from the same commit as the records or as it was set through this object since; None if
            there is none.

        Raises:
            InvalidCaptureFile: The metadata is damaged.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> cf.set_metadata(b"read up to line 17")
            >>> cf.get_metadata()
            b'read up to line 17'
        """
    def info(self) -> Info:
        """Returns the sizes and numbers that describe the file.

        Returns:
            An `Info` with the format version, geometry, sizes and counts.

        Raises:
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> cf.info().record_count, cf.info().block_size
            (3, 32768)
        """
    def blocks(self) -> BlockIterator:
        """Iterates over the blocks that the file consists of now, in file order.

        Blocks that are inflated for this purpose are not cached.

        Returns:
            An iterator over `BlockInfo` objects. Its steps raise InvalidCaptureFile for a damaged block, and for
            damage of the index, which is followed by the blocks whose records are unknown.

        Raises:
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> for block in cf.blocks():
            ...     print(block.records, block.size)
            records 1 to 3 28
        """
    def commit_time(self, record_number: SupportsIndex) -> datetime | None:
        """Returns when a record was committed.

        Times never decrease: after the clock was set back, commits keep the latest time until the clock has
        caught up. Only files in format 3 have times.

        Args:
            record_number: Number of the record, from 1.

        Returns:
            The time as an aware `datetime` in UTC, without the fraction of a microsecond; None if the record is not
            committed yet.

        Raises:
            IndexError: There is no such record.
            CaptureFileError: The file is in format 2.
            InvalidCaptureFile: The file is damaged where the record is.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> with CaptureFile("timed.capture", to_write=True, format=3) as timed:
            ...     timed.add_record("first")
            ...     timed.commit()
            ...     timed.commit_time(1).tzinfo
            1
            datetime.timezone.utc
        """
    def record_number_at(self, time: datetime) -> int | None:
        """Returns the number of the first record that was committed at a time or later.

        Args:
            time: The time, as an aware `datetime`.

        Returns:
            The number of the record; None if everything was committed before.

        Raises:
            TypeError: `time` is not an aware `datetime`.
            CaptureFileError: The file is in format 2, which has no times.
            InvalidCaptureFile: The index of the file is damaged.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> with CaptureFile("moments.capture", to_write=True, format=3) as moments:
            ...     moments.add_record("first")
            ...     moments.commit()
            ...     moments.record_number_at(moments.commit_time(1))
            1
            1
        """
    def stats(self) -> Stats:
        """Returns the totals of the commits through this object since it was opened.

        A closed object returns the totals at the time of closing.

        Returns:
            A `Stats` with the number of records, bytes and commits, and the time that the commits took.

        Examples:
            >>> cf.stats().records, cf.stats().bytes, cf.stats().commits
            (3, 16, 1)
        """
    def as_sequence(self) -> RecordSequence[_RecordT]:
        """Returns the committed records that this object sees as a sequence of fixed length, counted from 0.

        The sequence remains usable when this object is closed. Its slices are views of the same kind, and it can be
        sent to other processes.

        Returns:
            A `RecordSequence`; its item 0 is record 1.

        Raises:
            InvalidCaptureFile: The file is damaged.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> records = cf.as_sequence()
            >>> records[0], records[-1], len(records[1:])
            ('first', 'third', 2)
        """
    def find(
        self,
        value: Any,  # noqa: ANN401 - whatever keys are compared with
        /,
        key: Callable[[_RecordT], Any] | None = None,
        *,
        slack: Any = None,  # noqa: ANN401 - whatever is subtracted from it
    ) -> int:
        """Finds the first record whose key is not below a value, by bisection; returns its number.

        The keys must ascend from record to record, as times and sequence numbers do, or nearly so.

        Args:
            value: The least key to find.
            key: Called with a record, returns its key; by default the record itself. A record for which it
                returns None has no key, and counts like the next one that has.
            slack: By how much a key may be below an earlier one; by default, not at all. It is subtracted
                from the value, so it is a number if the keys are numbers, or a `timedelta` if they are
                `datetime`s.

        Returns:
            The number of the record, or one more than the record count if every key is below the value.

        Raises:
            InvalidCaptureFile: A record that is needed is damaged.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> cf.find("second")
            2
        """
    def find_all(self, key: str, value: object) -> Iterator[tuple[int, _RecordT]]:
        """Iterates over the JSON records in which a field has a value, with their numbers.

        If the file has an index of the field, only blocks that may have the value are read; see `capturefile.index`.
        Without one, all records are searched. An outdated index is updated first, if that is possible.

        Args:
            key: Name of the field; `a.b` is field `b` in `a`, or else the field `a.b`.
            value: The value, compared with Python's `==`: 1 equals 1.0 and true.

        Returns:
            An iterator over pairs of record number and record, in order, of the current records.

        Raises:
            InvalidCaptureFile: A record that is needed is damaged.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> for number, record in cf.find_all("order", "A17"):
            ...     print(number, record)
        """
    def _repr_html_(self) -> str | None:
        """Returns a table of the first records for notebooks, or None if the object is closed."""
    @overload
    def add_record(self: CaptureFile[str], record: str | Buffer) -> int:
        """Adds a record, which others see after `commit()`.

        If the call fails, it has no effect, and may be repeated.

        Args:
            record: `str`, or an object with the buffer protocol; with a codec, any object that it encodes.

        Returns:
            The new number of records, which is the number of this record.

        Raises:
            CaptureFileNotOpenForWrite: The object is open for reading.
            CaptureFileNotOpen: The object is closed.
            ValueError: The record is larger than the format can hold.
            OSError: An earlier record could not be written to the disk.
            UnicodeEncodeError: The `str` cannot be encoded, and no `errors` were given.
            TypeError: The record is neither `str` nor bytes-like, or a buffer of objects, pointers, dates or
                characters.

        Examples:
            >>> cf.add_record("fourth")
            4
        """

    @overload
    def add_record(self: CaptureFile[bytes], record: str | Buffer) -> int: ...
    @overload
    def add_record(self, record: _RecordT) -> int: ...
    @overload
    def add_records(self: CaptureFile[str], records: Iterable[str | Buffer]) -> int:
        """Adds many records.

        If one of them is refused, or the iterable raises, none of this call's records is added. The records
        of a call are added together at its end, whatever other threads do meanwhile.

        A call with more than 4 MiB of records adds them as they arrive instead. If it then fails, and this
        object was used for other writing meanwhile, by another thread or by the iterable itself, that work
        remains, and so do the records of this call before it.

        Args:
            records: Records, each as for `add_record`.

        Returns:
            The new number of records, which is the number of the last one.

        Raises:
            CaptureFileNotOpenForWrite: The object is open for reading.
            CaptureFileNotOpen: The object is closed.
            ValueError: A record is larger than the format can hold.
            OSError: An earlier record could not be written to the disk.
            UnicodeEncodeError: A `str` cannot be encoded, and no `errors` were given.
            TypeError: A record is neither `str` nor bytes-like, as for `add_record`.

        Examples:
            >>> cf.add_records(["fourth", "fifth"])
            5
        """

    @overload
    def add_records(self: CaptureFile[bytes], records: Iterable[str | Buffer]) -> int: ...
    @overload
    def add_records(self, records: Iterable[_RecordT]) -> int: ...
    def set_metadata(self, new_metadata: Buffer | None) -> None:
        """Replaces the metadata, from the next commit on.

        The metadata is one blob of bytes that belongs to the file as a whole. It is committed together with the
        records, so it can record, for example, how far their source has been read.

        Args:
            new_metadata: An object with the buffer protocol, or None to remove the metadata.

        Raises:
            CaptureFileNotOpenForWrite: The object is open for reading.
            CaptureFileNotOpen: The object is closed.
            ValueError: The metadata is larger than the format can hold.
            OSError: An earlier record could not be written to the disk.
            TypeError: The metadata is `str`, or not bytes-like.

        Examples:
            >>> cf.set_metadata(b"read up to line 17")
            >>> cf.commit()
            >>> CaptureFile(cf.path).metadata
            b'read up to line 17'
        """
    def commit(self) -> None:
        """Makes everything since the last commit visible to others and durable, all at once.

        The setting `sync` determines how durable it is. With nothing to commit, the call does nothing.

        Records that several threads have added become one commit, whichever of them calls. While a commit
        waits for the disk, other threads can add records, and their calls of `commit` share the next commit;
        each returns once everything that was added before it is committed, or raises the error of the commit
        that contained it.

        If the disk is full, nothing is lost: after making room, the transaction can be committed again or rolled
        back. After InvalidCaptureFile, CaptureFileReplaced, or a failed sync, the object refuses further work with
        CaptureFileError until it is opened again.

        Raises:
            OSError: The disk is full or fails. Nothing of the transaction is visible to others. Also the
                error of an earlier started commit that no ticket has raised; then nothing is committed.
            CommitUncertain: The commit failed at a point where it may or may not have happened; opening the
                file again shows which.
            InvalidCaptureFile: The file has been truncated.
            CaptureFileReplaced: The file was removed or replaced.
            CaptureFileNotOpenForWrite: The object is open for reading.
            CaptureFileNotOpen: The object is closed.

        Examples:
            >>> cf.add_record("fourth")
            4
            >>> cf.commit()
            >>> CaptureFile(cf.path)[-1]
            'fourth'
        """
    def start_commit(self) -> CommitTicket:
        """Starts a commit of everything since the last one, and returns while it is in progress.

        The commit contains everything that was added before the call. Of what is added later, up to the next
        call of this method or of `commit`, it contains all or nothing. Commits happen in the order in which
        they are started, on a separate thread; those that are started while one is in progress share the next
        one. At most 64 are in progress at a time; beyond that, the call waits.

        If one fails, all others in progress fail too: their tickets raise the error, and their records are
        part of the open transaction again. An error that no ticket has raised is raised by the next call of
        this method, of `commit` or of `close`.

        `close` and `rollback` wait for started commits. A process that ends without calling one of them may
        lose these commits.

        Returns:
            The ticket, by which to wait for the commit.

        Raises:
            OSError: As for `commit`; also the error of an earlier started commit.
            CaptureFileError: As for `commit`; likewise.

        Examples:
            >>> tickets = []
            >>> for record in ("fourth", "fifth"):
            ...     number = cf.add_record(record)
            ...     tickets.append(cf.start_commit())
            >>> [ticket.result() for ticket in tickets]
            [4, 5]
        """
    def rollback(self) -> None:
        """Discards everything since the last commit.

        Started commits are finished first.

        Raises:
            CaptureFileNotOpenForWrite: The object is open for reading.
            CaptureFileNotOpen: The object is closed.
            CaptureFileError: An earlier commit failed in such a way that the object must be opened again.

        Examples:
            >>> cf.add_record("fourth")
            4
            >>> cf.rollback()
            >>> len(cf)
            3
        """
    def transaction(self) -> Transaction[_RecordT]:
        """Returns a context manager that commits at the end of its block, and rolls back if the block raises.

        Like `commit()` and `rollback()`, it acts on everything since the last commit. Entering the block raises
        CaptureFileNotOpenForWrite if the object is open for reading.

        Returns:
            The context manager; entering it returns this object.

        Examples:
            >>> with cf.transaction():
            ...     cf.add_record("fourth")
            4
            >>> CaptureFile(cf.path)[-1]
            'fourth'
        """
    @overload
    def __getitem__(self, key: SupportsIndex, /) -> _RecordT: ...
    @overload
    def __getitem__(
        self, key: slice[SupportsIndex | None, SupportsIndex | None, SupportsIndex | None], /
    ) -> list[_RecordT]: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> Literal[True]: ...
    def __iter__(self) -> RecordIterator[_RecordT]: ...
    def __reversed__(self) -> RecordIterator[_RecordT]: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...
    def __class_getitem__(cls, key: object) -> GenericAlias: ...
    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles a reader, as its path, its settings and the state that it sees.

        The other process opens the file again with these settings. The state is part of the pickle because
        some caches use the pickle as a key.
        """

@final
class ArrowRecords:
    """Records as a table for any consumer of Arrow data: pyarrow, polars, DuckDB, pandas, nanoarrow.

    `CaptureFile.as_arrow`, `RecordSequence.as_arrow` and `RotatingReader.as_arrow` return such tables.

    The columns, without nulls, are `record_number` (int64), counted from 1 as everywhere, and `record` (binary,
    or string if text was requested). The table is read as a stream of batches of at most 65,536 records and
    16 MiB; a larger record forms a batch of its own. Each consumer gets a stream that starts at the first
    record. Streams can be read in other threads, without the interpreter lock, and after the file is closed.

    A stream ends with an error if a record cannot be read, is not UTF-8 although text was requested, or has
    more than 2,147,483,647 bytes, or if a file of a sequence has been removed or replaced. The records before
    it are returned first; the consumer then raises the error as its own kind of exception, with the message
    of this library.

    Examples:
        >>> import pyarrow
        >>> pyarrow.table(cf.as_arrow(text=True)).column("record").to_pylist()
        ['first', 'second', 'third']
    """

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> CapsuleType:
        """Returns a new stream of the records.

        Args:
            requested_schema: A capsule with an ArrowSchema, which may ask for strings instead of bytes or bytes
                instead of strings. Other types of integers, bytes and text are answered with the nearest supported
                type.

        Returns:
            A capsule with an ArrowArrayStream.

        Raises:
            ValueError: The requested schema does not have two such columns.
        """
    def __arrow_c_schema__(self) -> CapsuleType:
        """Returns the types of the columns.

        Returns:
            A capsule with an ArrowSchema.
        """
    def _repr_html_(self) -> str | None:
        """Returns a table of the first records for notebooks, or None if they are not records of one open file."""

def _arrow_of(runs: Iterable[ArrowRun], first: SupportsIndex, place: str, text: bool, is_utf8: bool, /) -> ArrowRecords:
    """Returns a sequence's records as a table; its first row has the number `first`, and `place` is for messages."""

def block_range(cf: CaptureFile[Any], record_number: SupportsIndex, /) -> tuple[int, int]:
    """Returns the numbers of the first and last record that are compressed together with record `record_number`."""

def file_identity(cf: CaptureFile[Any], /) -> tuple[int, int, int | None]:
    """Returns the device, inode and creation time of the open file.

    The time is in nanoseconds since the epoch, or None if the file system does not record it.
    """

def is_in_place(cf: CaptureFile[Any], /) -> bool:
    """Returns whether the path still leads to the open file: it has not been renamed, removed or replaced.

    Raises InvalidCaptureFile if the file has been truncated.
    """

def place_in_store(cf: CaptureFile[Any], /) -> tuple[str, Any] | None:
    """Returns the path of a file in an object store and, if the caller gave one, the store; None for a local file."""

def reader_of(cf: CaptureFile[_RecordT_co], /) -> CaptureFile[_RecordT_co]:
    """Returns a reader of the same open file, which refreshes independently. It may outlive `cf`."""

def set_commit_hook(cf: CaptureFile[Any], hook: Callable[[int, int, float], object] | None, /) -> None:
    """Calls `hook` after each commit with its records, their bytes, and the seconds it took; None stops that."""

def _backup(
    source: StrPath, target: StrPath, *, overwrite: bool, progress: Callable[[int, int], object] | None = None
) -> int:
    """Copies one commit of a capture file; see `capturefile.backup`. Returns the record count of the copy."""

def _sync_path(path: StrPath, /) -> None:
    """Syncs a file to the disk, or the names in a folder if its file system supports that."""

@final
class _Replacement:
    """A new file next to the one that it will replace: a context manager, whose value is the new file's name.

    The file takes its final name at the end of the block, or is deleted; no signal handler runs in between.
    """

    def __new__(cls, target: StrPath, *, overwrite: bool = True, sync: bool = True) -> Self: ...
    def __enter__(self) -> str: ...
    def __exit__(self, exception_type: object, exception: object, traceback: object) -> None: ...

@final
class _LogTransaction(Generic[_LogT]):
    """The `Transaction` of a `RotatingWriter`.

    In a generator or a class in Python, a signal handler could raise after the block and before the commit or
    rollback.
    """

    def __new__(cls, log: _LogT, /) -> Self: ...
    def __enter__(self) -> _LogT: ...
    def __exit__(self, exception_type: object, exception: object, traceback: object) -> None: ...
    def __class_getitem__(cls, key: object) -> GenericAlias: ...

@final
class _Pattern:
    """A regular expression in the syntax of Rust's crate regex, for bytes that are mostly UTF-8."""

    def __new__(cls, pattern: str, *, ignore_case: bool) -> Self: ...
    def is_in(self, record: bytes) -> bool:
        """Returns whether the pattern is found in `record`."""

    def spans(self, record: bytes) -> list[tuple[int, int]]:
        """Returns the start and the end of each match in `record` that is not empty."""

    def search(self, file: CaptureFile[Any], first: int, last: int, *, invert: bool) -> _Search:
        """Searches the records `first` to `last` of a file, or with `invert` for those without a match."""

@final
class _Search:
    """Iterates over the matches, in lists of numbers and records, some of which may be empty.

    A step raises InvalidCaptureFile for a record that cannot be read; the next step continues after it.
    """

    def __iter__(self) -> Self: ...
    def __next__(self) -> list[tuple[int, bytes]]: ...
    def count(self, limit: int) -> int | None:
        """Counts the matches in the next records, up to `limit`; None at the end. Raises the exceptions of a step."""

    def position(self) -> int:
        """Returns the number of the record that is examined next."""

@final
class _IndexKey:
    """A field of JSON records, by its name; `a.b` is field `b` in `a`, or else the field `a.b`."""

    def __new__(cls, name: str) -> Self: ...
    def search(self, file: CaptureFile[Any], first: int, last: int, value_hash: int | None) -> _Search:
        """Searches the records `first` to `last` of a file for those whose field may have a value with this hash.

        With None, it searches for those that may have the field. Whether they do has to be checked.
        """

@final
class _IndexRun:
    """A part of an index, of consecutive records, that is being built."""

    def __new__(cls, keys: list[str], first: int) -> Self: ...
    def add(self, file: CaptureFile[Any], first: int, last: int, before: int) -> int:
        """Adds the next records of a file, up to `last`, whose numbers in the log are higher by `before`.

        It adds at most 100,000 records, and returns the number of the record after them.
        """
    def end_group(self) -> None:
        """Ends the last group, at the end of a file or of the run."""
    def prepend(self, first: int, groups: int, parts: list[tuple[list[bytes], list[bytes]]]) -> None:
        """Inserts an earlier run before this one. Raises ValueError if it is damaged."""
    @property
    def groups(self) -> int:
        """Returns the number of groups that have ended."""
    @property
    def unreadable(self) -> list[tuple[int, int]]:
        """Returns the first and the last record of each range that could not be read."""
    def pages(self) -> list[tuple[list[bytes], list[bytes]]]:
        """Returns, for each key, the pages of groups and the pages of hashes."""

def _find_all(log: Any, key: str, value: object, /) -> Iterator[tuple[int, Any]]:  # noqa: ANN401 - a file or a log
    """Finds records of a file or a rotated log by the value of a field; see `CaptureFile.find_all`."""

def _index_hash(text: bytes, /) -> int | None:
    """Returns the hash that a value, given as JSON, shares with equal ones; None if it is not equal to any value."""

_IndexPart: TypeAlias = tuple[int, str, int, int]
"""A run and a key of an index: its first record, the name, and the numbers of groups and of pages of hashes."""

def _index_page(part: _IndexPart, value_hash: int, /) -> int:
    """Returns the number of the page, among those of a part, that has the entries with a hash."""

def _index_matches(page: bytes, part: _IndexPart, value_hash: int, /) -> list[int]:
    """Returns which groups of a part may have a value with a hash; raises ValueError if that page is damaged."""

def _index_groups(
    page: bytes,
    part: _IndexPart,
    number: int,
    wanted: list[int] | None,
    numbers: tuple[float | None, float | None] | None,
    texts: tuple[bytes | None, bytes | None] | None,
    /,
) -> list[tuple[int, int]]:
    """Returns the first and last records of the groups in a page of a part that may have values in an interval.

    With `wanted`, only the groups at these places in the page count. Raises ValueError if the page is damaged.
    """

def _json_lines(start: str, numbers: list[int], records: list[bytes], /) -> bytes | None:
    """Returns a line of JSON for each record, with its number; None if one of them is not UTF-8."""

@final
class _Header:
    """The fields of a file's header."""

    @property
    def magic(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def page_size(self) -> int: ...
    @property
    def block_size(self) -> int: ...
    @property
    def fan_out(self) -> int: ...
    @property
    def checksum(self) -> Literal["right", "wrong", "none"]: ...

@final
class _MasterSlot:
    """The fields of a master slot."""

    @property
    def position(self) -> int: ...
    @property
    def serial(self) -> int: ...
    @property
    def stored(self) -> int: ...
    @property
    def computed(self) -> int: ...
    @property
    def file_limit(self) -> int: ...
    @property
    def pending_bytes(self) -> int: ...
    @property
    def metadata(self) -> tuple[int, int] | None: ...
    @property
    def levels(self) -> list[int]: ...
    @property
    def record_count(self) -> int: ...
    @property
    def problem(self) -> str | None: ...
    @property
    def is_current(self) -> bool: ...

@final
class _HeadSlot:
    """The fields of a head of a file in format 3."""

    @property
    def position(self) -> int: ...
    @property
    def serial(self) -> int: ...
    @property
    def begin(self) -> int: ...
    @property
    def sure(self) -> int: ...
    @property
    def file_limit(self) -> int: ...
    @property
    def record_count(self) -> int: ...
    @property
    def metadata(self) -> int | None: ...
    @property
    def levels(self) -> list[int]: ...
    @property
    def problem(self) -> str | None: ...
    @property
    def is_current(self) -> bool: ...

@final
class _LogExtent:
    """The extent of the log of a file in format 3."""

    @property
    def size(self) -> int: ...
    @property
    def begin(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def entries(self) -> int: ...
    @property
    def record_count(self) -> int: ...

@final
class _Step:
    """A node on the path to a record, or the block or entry that holds it, with height 0 and no numbers of a node."""

    @property
    def kind(self) -> Literal["node", "record", "block", "entry"]: ...
    @property
    def height(self) -> int: ...
    @property
    def children(self) -> int: ...
    @property
    def below(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def lasts(self) -> list[int]: ...
    @property
    def chosen(self) -> int | None: ...
    @property
    def at(self) -> tuple[int, int] | None: ...
    @property
    def is_pending(self) -> bool: ...

@final
class _Structure:
    """The header and slots or heads of a file as they are, damaged or not, and the paths through its index."""

    def __new__(cls, path: StrPath, /) -> Self: ...
    @property
    def file_size(self) -> int: ...
    @property
    def header(self) -> _Header | None: ...
    @property
    def slots(self) -> list[_MasterSlot]: ...
    @property
    def heads(self) -> list[_HeadSlot]: ...
    @property
    def log(self) -> _LogExtent | None: ...
    @property
    def damage(self) -> str | None: ...
    @property
    def last_commit(self) -> int | None: ...
    def path_to(self, number: int, /) -> tuple[list[_Step], Exception | None]:
        """Descends the index to a record; returns the nodes on the path, and the error that ended it early, if any."""

@final
class RecordIterator(Generic[_RecordT_co]):
    """Iterates over the records that existed when it was created; see `CaptureFile.record_generator`.

    A step raises InvalidCaptureFile for a record that cannot be read; the next step continues after it.
    """

    def __iter__(self) -> Self: ...
    def __next__(self) -> _RecordT_co: ...
    def __class_getitem__(cls, key: object) -> GenericAlias: ...
    def __length_hint__(self) -> int: ...

@final
class Follower(Generic[_RecordT_co]):
    """Iterates over records as they are committed, waiting for more; see `CaptureFile.follow`.

    A signal handler that calls it while its own thread waits in it gets a ValueError, as with generators.
    """

    def __iter__(self) -> Self: ...
    def __next__(self) -> _RecordT_co: ...
    def __length_hint__(self) -> int:
        """Returns the number of records available without looking for more."""
    def __class_getitem__(cls, key: object) -> GenericAlias: ...
    @property
    def file_name(self) -> str:
        """The path that the file was opened with."""
    def close(self) -> None:
        """Ends the iteration and releases the file and the object that is followed.

        Another thread that waits for the next record stops waiting. Does nothing on a closed follower.

        Examples:
            >>> follower = cf.follow(1)
            >>> follower.close()
            >>> list(follower)
            []
        """
    def ready(self) -> bool:
        """Reports, without waiting, whether the next step would return immediately.

        It does not wait even if another thread is waiting for the next record.

        Returns:
            True if a record, an error or the end of the iteration is available.

        Examples:
            >>> follower = cf.follow()
            >>> follower.ready()
            False
            >>> cf.add_record("fourth")
            4
            >>> cf.commit()
            >>> follower.ready()
            True
        """
    def lag(self) -> int:
        """Returns the number of records that are committed now and have not been returned yet.

        It does not wait, even if another thread is waiting for the next record.

        Returns:
            The number of records.

        Raises:
            InvalidCaptureFile: The file has been damaged or truncated.
            CaptureFileNotOpen: The follower is closed.

        Examples:
            >>> follower = cf.follow(1)
            >>> next(follower), follower.lag()
            ('first', 2)
        """

@final
class BlockIterator:
    """Iterates over the blocks that existed when it was created; see `CaptureFile.blocks`.

    A step raises InvalidCaptureFile for a block that cannot be inflated, or an index that cannot be read; the
    next step continues after it if possible.
    """

    def __iter__(self) -> Self: ...
    def __next__(self) -> BlockInfo: ...

@final
class CommitTicket:
    """A commit in progress, started by `CaptureFile.start_commit`. It continues if the ticket is dropped."""

    @property
    def record_count(self) -> int:
        """The number of records in the file after this commit."""
    def result(self, timeout: float | None = None) -> int:
        """Waits until the commit is done, and as durable as the setting `sync` demands.

        Any thread may call it, any number of times.

        Args:
            timeout: Maximum time to wait, in seconds; by default there is no limit.

        Returns:
            The number of records in the file after this commit, which is the number of the last one.

        Raises:
            TimeoutError: The commit is still in progress.
            ValueError: `timeout` is negative or not a number.
            CaptureFileNotOpenForWrite: This process is a forked child of the writer.
            OSError: As for `CaptureFile.commit`; this commit has failed, or one that was started before it.
            CaptureFileError: Likewise.

        Examples:
            >>> cf.add_record("fourth")
            4
            >>> cf.start_commit().result()
            4
        """
    def done(self) -> bool:
        """Returns whether the commit is done, or has failed, so that `result` returns immediately.

        Returns:
            True once it is.

        Examples:
            >>> cf.add_record("fourth")
            4
            >>> ticket = cf.start_commit()
            >>> ticket.result()
            4
            >>> ticket.done()
            True
        """

@final
class Transaction(Generic[_RecordT_co]):
    """Commits at the end of its `with` block, or rolls back; see `CaptureFile.transaction`."""

    def __enter__(self) -> CaptureFile[_RecordT_co]: ...
    def __exit__(self, exception_type: object, exception: object, traceback: object) -> None: ...
    def __class_getitem__(cls, key: object) -> GenericAlias: ...

@overload
def open(
    path: StrPath,
    mode: Literal["r", "a", "x", "w"] = "r",
    *,
    initial_metadata: Buffer | None = None,
    encoding: str = "utf_8",
    use_os_file_locking: bool = True,
    compression_block_size: int | None = None,
    errors: str | None = None,
    codec: None = None,
    sync: SyncMode = "full",
    format: Literal[2, 3] = 2,
    compression: Compression | None = None,
    compression_level: int | None = None,
    threads: int | None = None,
    cache_size: int = 50331648,
    store: object = None,
) -> CaptureFile[str]:
    """Opens a capture file with the modes of Python's `open()`.

    Args:
        path: Path of the file, by convention with the extension `.capture`, or URL of one in an object store,
            which is read without a download; see `docs/object-stores.md`.
        mode: "r" to read; "a" to write, creating the file if it does not exist or is empty; "x" to create a
            file and refuse an existing one; "w" to replace any existing file with a new, empty one.
        initial_metadata: Metadata of a file that this call creates.
        encoding: Encoding of the records; None for records that are `bytes`.
        use_os_file_locking: As for `CaptureFile`.
        compression_block_size: As for `CaptureFile`.
        errors: As for `CaptureFile`.
        codec: As for `CaptureFile`.
        sync: As for `CaptureFile`.
        format: As for `CaptureFile`.
        compression: As for `CaptureFile`.
        compression_level: As for `CaptureFile`.
        threads: As for `CaptureFile`.
        cache_size: As for `CaptureFile`.
        store: As for `CaptureFile`.

    Returns:
        The open file.

    Raises:
        FileExistsError: The mode is "x" and the file exists.
        ValueError: There is no such mode, or a setting is out of range.
        OSError: As for `CaptureFile`.
        CaptureFileError: As for `CaptureFile`.
        LookupError: There is no such encoding or error handler.
        TypeError: As for `CaptureFile`.

    Examples:
        >>> with capturefile.open("new.capture", "w") as new:
        ...     new.add_record("first")
        ...     new.commit()
        1
        >>> capturefile.open("new.capture")[1]
        'first'
    """

@overload
def open(
    path: StrPath,
    mode: Literal["r", "a", "x", "w"] = "r",
    *,
    initial_metadata: Buffer | None = None,
    encoding: None,
    use_os_file_locking: bool = True,
    compression_block_size: int | None = None,
    errors: None = None,
    codec: None = None,
    sync: SyncMode = "full",
    format: Literal[2, 3] = 2,
    compression: Compression | None = None,
    compression_level: int | None = None,
    threads: int | None = None,
    cache_size: int = 50331648,
    store: object = None,
) -> CaptureFile[bytes]: ...
@overload
def open(
    path: StrPath,
    mode: Literal["r", "a", "x", "w"] = "r",
    *,
    initial_metadata: Buffer | None = None,
    use_os_file_locking: bool = True,
    compression_block_size: int | None = None,
    codec: Codec[_T],
    sync: SyncMode = "full",
    format: Literal[2, 3] = 2,
    compression: Compression | None = None,
    compression_level: int | None = None,
    threads: int | None = None,
    cache_size: int = 50331648,
    store: object = None,
) -> CaptureFile[_T]: ...
def recover(
    source: StrPath,
    target: StrPath | None,
    *,
    overwrite: bool = False,
    keep_numbers: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Recovery:
    """Writes everything that can be read of a damaged file to a new, sound one.

    The header, the master nodes, compressed blocks and index nodes may be destroyed, and the file may be
    truncated: all records outside of destroyed blocks are found, in order. The source is only read. The target
    appears under its name once it is complete and on the disk.

    Args:
        source: Path of the damaged file.
        target: Path of the new file; with None, nothing is written, and the result describes what would be recovered.
        overwrite: Replace a target that exists, keeping its mode and owner.
        keep_numbers: Put an empty record in place of each lost one. Otherwise lost records are left out, so
            that later ones get lower numbers.
        progress: Called with the bytes of the source that are done and its total bytes: at the start, at most
            ten times a second, and at the end with all of them. An exception that it raises stops the work and
            leaves no target.

    Returns:
        A `Recovery`, which describes what was found and what was lost.

    Raises:
        FileExistsError: The target exists, and `overwrite` is false.
        ValueError: The target is the source.
        CaptureFileAlreadyOpen: The target is being written.
        InvalidCaptureFile: The source is not a regular file, keeps being written, has a circular index, or has
            neither a header nor anything to recover.
        OSError: A file cannot be read or written.

    Examples:
        >>> recovery = capturefile.recover(cf.path, "rescued.capture")
        >>> recovery.recovered, recovery.lost
        (3, ())
    """

def verify(
    path: StrPath,
    *,
    quick: bool = False,
    progress: Callable[[int, int], object] | None = None,
    store: object = None,
) -> Report:
    """Reads a whole capture file and reports all damage.

    It checks the header, both master nodes, every frame, every index node, the bounds of every record, and the
    metadata. Nothing is written, and a writer may continue meanwhile.

    Args:
        path: Path of the file, or URL of one in an object store.
        quick: Check only what takes little time in a file of any size: the header, the master nodes, the
            edges of the index tree and the records there, the last frames, and the metadata.
        progress: Called with the bytes of the file that are done and its total bytes: at the start, at most ten
            times a second, and at the end with all of them; not called with `quick`. An exception that it
            raises stops the work.
        store: As for `CaptureFile`.

    Returns:
        A `Report`, whose `sound` is true if nothing is damaged.

    Raises:
        InvalidCaptureFile: The file cannot be opened as a capture file at all.
        OSError: The file cannot be read.

    Examples:
        >>> report = capturefile.verify(cf.path)
        >>> report.sound, report.records_checked
        (True, 3)
    """

def _reopen(
    cls: type[CaptureFile[Any]], path: str, options: dict[str, Any], seen: tuple[object, int, int], /
) -> CaptureFile[Any]:
    """Recreates an object from the result of `CaptureFile.__reduce__`; it sees the last commit at that time."""
