"""The API reference: every class and function of the extension module, with types.

All of it is also in `capturefile`, which is where to import it from.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import GenericAlias
from typing import Any, Generic, Literal, Self, SupportsIndex, final, overload

from typing_extensions import Buffer, CapsuleType, TypeVar, disjoint_base

from capturefile._info import BlockInfo, Info, Recovery, Report, Stats
from capturefile._runs import ArrowRun
from capturefile._typing import StrPath, SyncMode
from capturefile.sequence import RecordSequence

__all__ = [
    "ArrowRecords",
    "BlockIterator",
    "CaptureFile",
    "Follower",
    "RecordIterator",
    "Transaction",
    "_Header",
    "_MasterSlot",
    "_Replacement",
    "_Step",
    "_Structure",
    "__version__",
    "_arrow_of",
    "_reopen",
    "_sync_path",
    "open",
    "recover",
    "verify",
]

_RecordT_co = TypeVar("_RecordT_co", bound=str | bytes, covariant=True, default=str)

__version__: str
"""Version of the library, as its package's."""

@disjoint_base
class CaptureFile(Generic[_RecordT_co]):
    """A capture file: a compressed, transactional, append-only log of records.

    Records are numbered from 1. Those that are added become visible to others, together with the
    metadata, at `commit()`. One writer and any number of readers, in threads and processes, can have a
    file open at the same time; one object may be used by many threads.

        with CaptureFile("log.capture", to_write=True) as cf:
            cf.add_record("first")
            cf.commit()
            print(cf[1])

    `cf[n]` is record n, `cf[-1]` the last one, and `cf[a:b]` the list of records a to b - 1; `len(cf)`
    counts the records, and `for record in cf` goes through those there are. Leaving the `with` block
    closes the file; it does not commit. A type checker knows an object whose records are `str` as
    `CaptureFile[str]`, and one whose records are `bytes` as `CaptureFile[bytes]`.

    An object that reads can be pickled; the other side opens the file again, and sees what is committed
    by then. The pickle is another one after `refresh()` has found more, as caches of results want it.
    After a fork a child can continue reading, and never writes; what its parent had not committed it does
    not see.

    Arguments:
        file_name: path of the file, by convention with the extension `.capture`.
        to_write: open for writing, creating the file if there is none or an empty one.
        initial_metadata: metadata of a file that this call creates; ignored otherwise.
        force_new_empty_file: replace whatever stands there by a new empty file, in one step for
            everybody who looks. A file that somebody is writing is refused.
        encoding: how records are decoded on reading and `str` records encoded on adding. None: records
            come back as `bytes`, and `str` is encoded as UTF-8.
        use_os_file_locking: hold the writer lock in the operating system. False is for file systems
            without locks; a second writer in this process is refused all the same.
        compression_block_size: of a file that this call creates: how many bytes are compressed
            together, a multiple of 4,096.
        errors: what becomes of text that cannot be decoded or encoded, in the words of Python's `open`, such as
            "replace", "backslashreplace" or "surrogateescape"; by default it is an error.
        sync: "full" (or True): `commit()` returns when the data would survive a power cut. "barrier": a
            power cut rolls back the last commit at most, and never harms the file. "none" (or False): a
            commit survives the process, but a power cut may cost the file.
        compression_level: from 1, the fastest, to 12, the smallest.
        threads: on how many threads blocks are compressed, and inflated ahead of whoever reads many records,
            the calling one included; by default as many as the machine has cores, up to four.
        cache_size: bytes of inflated blocks and index nodes that are kept in memory at most.

    Raises:
        FileNotFoundError, PermissionError or another OSError: the file cannot be opened, created or, for
            want of locks in the file system, locked.
        InvalidCaptureFile: it is not a capture file, or a damaged one.
        CaptureFileAlreadyOpen: somebody else has it open for writing.
        LookupError: there is no such encoding or error handler.
        ValueError: a setting that no file can have.
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
        compression_block_size: int = 32768,
        *,
        errors: str | None = None,
        sync: SyncMode = "full",
        compression_level: int = 6,
        threads: int | None = None,
        cache_size: int = 50331648,
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
        compression_block_size: int = 32768,
        errors: None = None,
        sync: SyncMode = "full",
        compression_level: int = 6,
        threads: int | None = None,
        cache_size: int = 50331648,
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
        compression_block_size: int = 32768,
        *,
        errors: None = None,
        sync: SyncMode = "full",
        compression_level: int = 6,
        threads: int | None = None,
        cache_size: int = 50331648,
    ) -> None: ...
    @property
    def file_name(self) -> str:
        """The path that the file was opened with, as `str`."""
    @property
    def to_write(self) -> bool:
        """Whether the object is, or was when it was closed, open for writing."""
    @property
    def path(self) -> Path:
        """The path that the file was opened with, as `pathlib.Path`; `file_name` is the same as `str`."""
    @property
    def writable(self) -> bool:
        """Whether the object is, or was when it was closed, open for writing; `to_write` is the same."""
    @property
    def metadata(self) -> bytes | None:
        """The metadata, as `get_metadata` gives it; assigning does what `set_metadata` does."""
    @metadata.setter
    def metadata(self, metadata: Buffer | None) -> None: ...
    @property
    def encoding(self) -> str | None:
        """The encoding of the records, as it was given, or None where they are `bytes`."""
    @property
    def errors(self) -> str | None:
        """What becomes of text that cannot be decoded or encoded, as it was given, or None where it is an error."""
    @property
    def use_os_file_locking(self) -> bool:
        """Whether this object, where it writes, holds a lock in the operating system."""
    @property
    def closed(self) -> bool:
        """Whether the object is closed."""
    def open(self, to_write: bool = False) -> None:
        """Opens the object again after `close()`, for reading or for writing, with the settings it was made
        with.

        No file is created. Raises FileNotFoundError if there is none any more, CaptureFileAlreadyOpen if this
        object is open, or if somebody else has the file open for writing and this one is to write too;
        otherwise what the constructor raises.
        """
    def close(self) -> None:
        """Closes the file without committing. Does nothing on a closed object.

        Uncommitted records and metadata are lost; an UncommittedWarning says how many records.
        """
    def record_count(self) -> int:
        """How many records this object sees: those committed when it was opened or last refreshed, and
        those that were added here. `len(cf)` is the same.

        A closed object gives the count that it saw last. All other calls that read or write raise
        CaptureFileNotOpen then.
        """
    def record_at(self, record_number: SupportsIndex) -> _RecordT_co:
        """Record `record_number`, counted from 1; `cf[record_number]` is the same, and also takes negative
        numbers, which count from the end, and slices.

        Raises IndexError below 1 and past the end, InvalidCaptureFile if the record is damaged, and
        UnicodeDecodeError if it is not text in the file's encoding and `errors` does not say what to do then.
        """
    def record(self, number: SupportsIndex) -> _RecordT_co:
        """Record `number`, counted from 1; `record_at` is the same.

        Raises what `record_at` raises.
        """
    def records(self, start: SupportsIndex = 1) -> RecordIterator[_RecordT_co]:
        """Iterates over the records there are now, from number `start` to the last; `record_generator` is the same.

        Raises what `record_generator` raises.
        """
    def records_at(self, numbers: Iterable[SupportsIndex]) -> list[_RecordT_co]:
        """A list of the records with the given numbers, in the order asked; each block is inflated once.

        Raises IndexError if a number is below 1 or past the end; otherwise as `record_at`.
        """
    def read_range(self, first_record_number: SupportsIndex, last_record_number: SupportsIndex) -> list[_RecordT_co]:
        """A list of the records from `first_record_number` to `last_record_number`, both included.

        It is empty if the last number is below the first. Raises IndexError, where there are records asked
        for, if one of them is below 1 or past the end; otherwise as `record_at`.
        """
    def read_range_buffers(
        self, first_record_number: SupportsIndex, last_record_number: SupportsIndex
    ) -> tuple[memoryview[int], memoryview[int]]:
        """The records of `read_range`, not decoded, as two buffers `(offsets, data)` without an object for each.

        `data` is a memoryview of the bytes of all records, one behind the other. `offsets` is a memoryview of
        signed 64-bit integers, one more than there are records: record i of the range, counted from 0, is
        `data[offsets[i]:offsets[i + 1]]`. NumPy, Arrow and whatever else knows the buffer protocol take both
        without copying. Raises what `read_range` raises, but UnicodeDecodeError.
        """
    def as_arrow(
        self,
        first_record_number: SupportsIndex = 1,
        last_record_number: SupportsIndex | None = None,
        *,
        text: bool = False,
    ) -> ArrowRecords:
        """The records from `first_record_number` to `last_record_number`, both included, or to the last there is now,
        as a table for whatever takes Arrow data: `pyarrow.table(cf.as_arrow())`; see `ArrowRecords`.

        Nothing is read yet. What it stands for never changes, and it lives on when this object is closed. It is
        empty if the last number is below the first, and, where no last number is given, if the first is past the
        end. With `text`, the records are strings, and have to be UTF-8; otherwise they are bytes.

        Raises IndexError, where there are records asked for, if one of them is below 1 or past the end, and
        ValueError if there is to be text of a file whose encoding is another than UTF-8 or None.
        """
    def record_generator(self, starting_record_number: SupportsIndex = 1) -> RecordIterator[_RecordT_co]:
        """Iterates over the records there are now, from `starting_record_number` to the last.

        It continues over these records even while more are added, or while the object is refreshed, rolled
        back or closed; there is nothing to give if it starts past the last one. `iter(cf)` starts at record
        1, and `reversed(cf)` goes from the last to the first.

        Raises IndexError if `starting_record_number` is below 1.
        """
    def follow(self, start: SupportsIndex | None = None, timeout: float | None = None) -> Follower[_RecordT_co]:
        """Iterates over committed records and continues with those that are committed later, by anybody.

        It waits for them without burning the processor: it looks again within a millisecond in the second after
        there was something new, and later within 20 or, on Linux, as soon as this library commits something. It never
        gives half a commit, and `operator.length_hint` says how many records it has at hand. What this object itself
        sees does not change.

        Arguments:
            start: number of the first record; by default the first that this object does not see yet.
            timeout: seconds without news after which it ends; by default it waits for ever. It also ends
                when this object is closed, which it keeps alive, or when it is closed itself.

        Raises IndexError if `start` is below 1, and ValueError if `timeout` is negative or not a number. While
        it continues it raises CaptureFileReplaced, once there are no more records, if another file stands under
        the name by then, or none; InvalidCaptureFile if the file has been cut short; and what `record_at` and
        `refresh` raise.
        """
    def refresh(self, durable: bool = False) -> bool:
        """Looks at what has been committed since; returns True if there are more records to see, or other
        metadata.

        With `durable`, the disk is synced before it returns, so that what is seen cannot be rolled back by
        a power cut. An object that is open for writing sees everything and has nothing to refresh.

        Raises InvalidCaptureFile if the file has been damaged or replaced by something shorter; the object
        then continues to show what it showed before.
        """
    def get_metadata(self) -> bytes | None:
        """The metadata as `bytes`, or None; of the same commit as the records, or as it was set here since."""
    def info(self) -> Info:
        """The sizes and numbers that describe the file; see `Info`."""
    def blocks(self) -> BlockIterator:
        """Iterates over the blocks that the file consists of now, in the order in which they stand there; see
        `BlockInfo`.

        What is inflated for that is not kept. Raises InvalidCaptureFile, while it continues, if a block is damaged.
        """
    def stats(self) -> Stats:
        """What was committed through this object since it was opened, or while it was open; see `Stats`."""
    def as_sequence(self) -> RecordSequence[_RecordT_co]:
        """The records that are committed and seen here, as a sequence counted from 0 whose length never changes;
        see `capturefile.RecordSequence`.

        It lives on when this object is closed. Its slices are views of the same kind, and it can be passed to other
        processes. Raises what `refresh` raises.
        """
    def _repr_html_(self) -> str | None:
        """What a notebook shows: a table of the first records. None, for the plain representation, if it is closed."""
    def _observer(self) -> CaptureFile[_RecordT_co]:
        """A reading object over the same open file, with its own idea of what is new. It outlives this one."""
    def _identity(self) -> tuple[int, int, int | None]:
        """Device, inode, and nanoseconds from the epoch to the creation of the open file; None for the last where
        the file system does not know it.
        """
    def _block_of(self, record_number: SupportsIndex) -> tuple[int, int]:
        """The numbers of the first and the last record that are compressed together with record `record_number`."""
    def _on_commit(self, hook: Callable[[int, int, float], object] | None) -> None:
        """Has `hook` called after each commit with its records, their bytes, and the seconds that it took; None ends
        that.
        """
    def add_record(self, record: str | Buffer) -> int:
        """Adds a record; returns the new record count.

        Others see it after `commit()`. `record` is `str`, or anything with the buffer protocol.

        Raises CaptureFileNotOpenForWrite on an object that reads, ValueError if the record is larger than
        the format can hold, and OSError if an earlier record could not be written to the disk; nothing of
        the failed call remains, and the call may be repeated. A `str` that cannot be encoded raises
        UnicodeEncodeError. Anything else than `str` or bytes is a TypeError, also a buffer of objects, pointers,
        dates or characters.
        """
    def add_records(self, records: Iterable[str | Buffer]) -> int:
        """Adds many records; returns the new record count.

        If one is refused, or the iterable raises, none of this call's records stay. Raises what `add_record`
        and the iterable raise.

        The records of a call are added together at its end, whatever other threads do meanwhile. A call with
        more than 4 MiB of records adds them as they come instead. If it then fails, and this object was used for
        other writing meanwhile (by another thread, or by the iterable itself), that work stays, and so do the
        records of this call before it.
        """
    def set_metadata(self, new_metadata: Buffer | None) -> None:
        """Replaces the metadata, from the next commit on; None removes it.

        The metadata is one blob of bytes (anything with the buffer protocol) that belongs to the file as a
        whole. It is committed together with the records, so it can say how far their source has been read.

        Raises what `add_record` raises; `str` is a TypeError.
        """
    def commit(self) -> None:
        """Makes everything since the last commit visible to others and durable, together.

        How durable is up to the setting `sync`. Without anything to commit it does nothing.

        Raises OSError if the disk is full or fails; then nothing of the transaction is visible to others.
        With a full disk nothing of it is lost either, and after making room it can be committed again or
        rolled back. Raises CommitUncertain, also an OSError, if it failed at a point where the commit may
        or may not have happened; opening the file again tells. Raises InvalidCaptureFile if somebody has cut
        the file short, and CaptureFileReplaced if it was removed or replaced. After these, and after a sync that
        failed, the object refuses further work with CaptureFileError until it is opened again.
        """
    def rollback(self) -> None:
        """Forgets everything since the last commit.

        Raises CaptureFileNotOpenForWrite on an object that reads, and CaptureFileError after a commit that
        failed in a way that the object must be opened again.
        """
    def transaction(self) -> Transaction[_RecordT_co]:
        """A context manager that commits at the end of its block, and rolls back if the block raises.

        Like `commit()` and `rollback()`, it does so with everything since the last commit. Raises
        CaptureFileNotOpenForWrite at the beginning of the block on an object that reads.
        """
    @overload
    def __getitem__(self, key: SupportsIndex, /) -> _RecordT_co: ...
    @overload
    def __getitem__(
        self, key: slice[SupportsIndex | None, SupportsIndex | None, SupportsIndex | None], /
    ) -> list[_RecordT_co]: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> Literal[True]: ...
    def __iter__(self) -> RecordIterator[_RecordT_co]: ...
    def __reversed__(self) -> RecordIterator[_RecordT_co]: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...
    def __class_getitem__(cls, key: object) -> GenericAlias: ...
    def __reduce__(self) -> tuple[Any, ...]:
        """An object that reads is pickled as its path and settings, with which the other side opens the file again,
        and what it sees: the pickle is what some caches know a result by.
        """

@final
class ArrowRecords:
    """Records as a table for whatever takes Arrow data (pyarrow, polars, DuckDB, pandas, nanoarrow); see
    `CaptureFile.as_arrow`, `RecordSequence.as_arrow` and `RotatingReader.as_arrow`.

    Its columns, without nulls, are `record_number` (int64), counted from 1 as everywhere, and `record` (binary, or
    string where text was asked for). It is read as a stream of batches of at most 65,536 records and 16 MiB; a larger
    record is a batch of its own. Each consumer gets a stream that starts at the first record. Streams can be read
    in other threads, without the interpreter lock, and when the file is closed.

    A stream ends with an error, which the consumer raises as its own kind of exception with our message, behind the
    batch of the records before it, if a record cannot be read, is not UTF-8 where text was asked for, or has more
    than 2,147,483,647 bytes. It also ends so at a file of a sequence that is not there any more, or is another one.
    """

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> CapsuleType:
        """A new stream of the records, as a capsule that holds an ArrowArrayStream.

        `requested_schema`, a capsule that holds an ArrowSchema, may ask for strings instead of bytes, or for bytes
        instead of strings. Other types of integers, bytes and text are answered with the nearest of ours. Raises
        ValueError if it is not of two such columns.
        """
    def __arrow_c_schema__(self) -> CapsuleType:
        """The types of the columns, as a capsule that holds an ArrowSchema."""
    def _repr_html_(self) -> str | None:
        """What a notebook shows: a table of the first records. None, for the plain representation, if they are not
        those of one open file.
        """

def _arrow_of(runs: Iterable[ArrowRun], first: SupportsIndex, place: str, text: bool, is_utf8: bool, /) -> ArrowRecords:
    """The records of a sequence as a table whose first row has the number `first`; `place` says what they are of."""

def _sync_path(path: StrPath, /) -> None:
    """Brings a file to the disk, or the names in a folder where its file system can do that."""

@final
class _Replacement:
    """A file in the making beside the place that it is for; see `capturefile._files.replacing`."""

    def __new__(cls, path: StrPath, *, overwrite: bool) -> Self: ...
    @property
    def temporary(self) -> str: ...
    def finish(self, *, sync: bool) -> None:
        """Gives the file its name. With `sync` both are on the disk when this returns."""

    def discard(self) -> None:
        """Deletes the file, unless it has its name already."""

@final
class _Header:
    """What a file's header says."""

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
    """What a master slot says."""

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
class _Step:
    """A node on the way to a record, or the record, which has the height 0 and no node's numbers."""

    @property
    def height(self) -> int: ...
    @property
    def children(self) -> int: ...
    @property
    def below(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def chosen(self) -> int | None: ...
    @property
    def at(self) -> tuple[int, int] | None: ...
    @property
    def is_pending(self) -> bool: ...

@final
class _Structure:
    """A file's header and slots as they are, damaged or not, and the ways down its index."""

    def __new__(cls, path: StrPath, /) -> Self: ...
    @property
    def file_size(self) -> int: ...
    @property
    def header(self) -> _Header | None: ...
    @property
    def slots(self) -> list[_MasterSlot]: ...
    @property
    def damage(self) -> str | None: ...
    @property
    def last_commit(self) -> int | None: ...
    def way_to(self, number: int, /) -> tuple[list[_Step], Exception | None]:
        """Goes down to a record: what is passed on the way, and why it ends before the record if it does."""

@final
class RecordIterator(Generic[_RecordT_co]):
    """Iterates over the records that there were when it was made; see `CaptureFile.record_generator`.

    A record that cannot be read raises InvalidCaptureFile; the next call continues behind it.
    """

    def __iter__(self) -> Self: ...
    def __next__(self) -> _RecordT_co: ...
    def __class_getitem__(cls, key: object) -> GenericAlias: ...
    def __length_hint__(self) -> int: ...

@final
class Follower(Generic[_RecordT_co]):
    """Iterates over records as they are committed, waiting for more; see `CaptureFile.follow`.

    Used by a signal handler while its own thread waits in it, it raises ValueError, as a generator does.
    """

    def __iter__(self) -> Self: ...
    def __next__(self) -> _RecordT_co: ...
    def __length_hint__(self) -> int:
        """How many records it can give without looking for more."""
    def __class_getitem__(cls, key: object) -> GenericAlias: ...
    @property
    def file_name(self) -> str:
        """The path that the file was opened with."""
    def close(self) -> None:
        """Ends the iteration and releases the file and the object that is followed, also while another thread waits
        for the next record. Does nothing on one that is closed.
        """
    def ready(self) -> bool:
        """Whether the next call would not wait: there is a record to give, or an error or the end to tell. It does
        not wait itself, also while another thread waits for the next record.
        """
    def lag(self) -> int:
        """How many records are committed now and were not given yet. It does not wait, also while another
        thread waits for the next record. Raises what `refresh` raises.
        """

@final
class BlockIterator:
    """Iterates over the blocks that there were when it was made; see `CaptureFile.blocks`.

    A block that cannot be inflated raises InvalidCaptureFile; the next call continues behind it if it can.
    """

    def __iter__(self) -> Self: ...
    def __next__(self) -> BlockInfo: ...

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
    compression_block_size: int = 32768,
    errors: str | None = None,
    sync: SyncMode = "full",
    compression_level: int = 6,
    threads: int | None = None,
    cache_size: int = 50331648,
) -> CaptureFile[str]:
    """Opens a capture file in the words of Python's `open()`.

    `mode` is "r" to read; "a" to write, creating the file if there is none or an empty one; "x" to create a
    file and refuse an existing one; "w" to start a new empty file in place of whatever stands there. The
    other arguments are those of `CaptureFile`.

    Raises FileExistsError for "x" where there is a file, and ValueError for another mode; otherwise as
    `CaptureFile`.
    """

@overload
def open(
    path: StrPath,
    mode: Literal["r", "a", "x", "w"] = "r",
    *,
    initial_metadata: Buffer | None = None,
    encoding: None,
    use_os_file_locking: bool = True,
    compression_block_size: int = 32768,
    errors: None = None,
    sync: SyncMode = "full",
    compression_level: int = 6,
    threads: int | None = None,
    cache_size: int = 50331648,
) -> CaptureFile[bytes]: ...
def recover(
    source: StrPath,
    target: StrPath | None,
    *,
    overwrite: bool = False,
    keep_numbers: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Recovery:
    """Makes a new sound file at `target` of all that can be read of the damaged one at `source`.

    The header, the master nodes, compressed blocks and index nodes may be destroyed, and the file cut short:
    all records outside of destroyed blocks are found, in order. Lost records are left out, so that those
    behind them get lower numbers; with `keep_numbers` an empty record stands in the place of each. The source
    is only read. The target appears under its name when it is whole and on the disk; one that exists is
    refused unless `overwrite` is true, and then keeps its mode and owner. Returns a `Recovery`. Where `target` is
    None, nothing is written, and the `Recovery` says what would be recovered.

    `progress` is called with the bytes of the source that are done and those that it has: at the start, at most
    ten times a second, and at the end with all. An error that it raises stops the work, and no target is left.

    Raises FileExistsError if the target exists, ValueError if it is the source, CaptureFileAlreadyOpen if somebody
    writes it, InvalidCaptureFile if it is no regular file, the source keeps being written, or its index leads in
    circles, and OSError if a file cannot be read or written.
    """

def verify(path: StrPath, *, quick: bool = False, progress: Callable[[int, int], object] | None = None) -> Report:
    """Reads everything in a capture file and says what is damaged.

    The header, both master nodes, every frame, every index node, the bounds of every record, and the
    metadata are looked at. With `quick` only what costs little however large the file is: the header, the
    master nodes, the edges of the index tree and the records there, the last frames, and the metadata.
    Nothing is written, and a writer may continue meanwhile. Returns a `Report`.

    `progress` is called with the bytes of the file that are done and those that it has: at the start, at most
    ten times a second, and at the end with all; not with `quick`. An error that it raises stops the work.

    Raises InvalidCaptureFile if the file cannot be opened as a capture file at all, and OSError if it
    cannot be read.
    """

def _reopen(
    cls: type[CaptureFile[Any]], path: str, options: dict[str, Any], seen: tuple[object, int, int], /
) -> CaptureFile[Any]:
    """Makes again what `CaptureFile.__reduce__` took apart; it sees what is committed by then."""
