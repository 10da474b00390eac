"""Dataclasses with information about a file."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Info:
    """Sizes and numbers that describe a capture file as one object sees it."""

    version: int
    """Version of the format: 1, 2 or 3."""
    page_size: int
    """Bytes in a page, the unit in which data is written."""
    block_size: int
    """Number of bytes at which a block is compressed; in format 3, a block has at most this many."""
    fan_out: int
    """Number of children of a full node of the index tree."""
    serial_number: int
    """Serial number of the last commit; it wraps at 2**32. In format 3, the position in the log at which the last
    commit ends."""
    record_count: int
    """Number of records."""
    tree_height: int
    """Number of levels of the index tree; 0 without records."""
    file_limit: int
    """Position of the next compressed block, in bytes from the start of the file."""
    file_size: int
    """Length of the file in bytes, including space that is preallocated for growth."""
    pending_bytes: int
    """Number of bytes that are not compressed yet."""
    metadata_length: int | None
    """Length of the metadata in bytes; None without metadata."""
    compression: Literal["zlib", "zstd", "lz4", "none"]
    """Compression of the blocks."""


@dataclass(frozen=True)
class Stats:
    """Totals of the commits through one object since it was opened; zero for a reader."""

    records: int
    """Number of committed records."""
    bytes: int
    """Size of these records in bytes, before compression."""
    commits: int
    """Number of commits; calls of `commit()` without anything to commit do not count."""
    commit_seconds: float
    """Total duration of these commits in seconds."""


@dataclass(frozen=True)
class Damage:
    """A damaged part of a file."""

    position: int | None
    """Position in bytes from the start of the file; None if it is unknown."""
    found: str
    """What was found."""
    expected: str
    """What was expected instead."""

    def __str__(self) -> str:
        """Describes the damage, starting with its position if it is known."""
        place = "" if self.position is None else f"at byte {self.position}: "
        return f"{place}found {self.found}, expected {self.expected}"


@dataclass(frozen=True)
class RecordRange:
    """Consecutive records, by their numbers."""

    first: int
    """Number of the first record; records are counted from 1."""
    last: int
    """Number of the last record, which is included."""

    def __str__(self) -> str:
        """Describes the range."""
        return f"record {self.first}" if self.first == self.last else f"records {self.first} to {self.last}"


@dataclass(frozen=True)
class LostRange(RecordRange):
    """Records of a damaged file that could not be recovered, by their numbers in it."""

    exact: bool
    """Whether it is certain that exactly these records are missing. If not, the numbers are the most likely ones, and
    those of the records after them are just as uncertain."""


@dataclass(frozen=True)
class BlockInfo:
    """One of the blocks of a file; the content of a block is compressed together."""

    position: int | None
    """Position of the compressed block, in bytes from the start of the file. None for the last block, which is not
    compressed yet and is stored with the commit."""
    compressed_size: int | None
    """Size of the compressed block in the file in bytes, including its length field; None for the last block."""
    size: int
    """Size of the inflated block in bytes, including the length fields of its records."""
    records: RecordRange | None
    """The records in the block. None if it contains only index nodes or metadata, or if its records are unknown."""
    record_count: int | None
    """Number of records in the block. None if it is unknown because their index is damaged."""


@dataclass(frozen=True)
class Report:
    """The result of `verify`."""

    record_count: int
    """Number of records according to the file."""
    records_checked: int
    """Number of sound records that were checked; each counts once, even if parts of the index are shared."""
    frames: int
    """Number of compressed blocks that were inflated."""
    index_nodes: int
    """Number of index nodes that were checked."""
    problems: tuple[Damage, ...]
    """The damage that was found, at most a thousand places; empty if the file is sound."""
    repairable: tuple[Damage, ...] = ()
    """Traces of a crash that the next writer repairs, such as a half-written master node. Earlier commits are not
    harmed."""
    unreadable: tuple[RecordRange, ...] = ()
    """The records that cannot be read, in order, at most a thousand ranges. If there are more, the last range
    extends to the last such record."""

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged, apart from what the next writer repairs."""
        return not self.problems


@dataclass(frozen=True)
class Recovery:
    """The result of `recover`."""

    record_count: int
    """Number of records in the new file."""
    recovered: int
    """Number of records that were found. The new file has more if empty records replace lost ones."""
    expected: int | None
    """Number of records according to the last commit that can be read; None if none can."""
    lost: tuple[LostRange, ...]
    """The lost records, by their numbers in the damaged file."""
    uncertain: tuple[RecordRange, ...]
    """Records, by their numbers in the new file, that may be old metadata, may never have been committed, or may be
    damaged because the checksum that would show it is lost."""
    metadata: Literal["recovered", "none", "lost"]
    """Whether the new file has the metadata ("recovered"), the last readable commit had none ("none"), or the metadata
    is lost ("lost"): it could not be read, or there is no readable commit that locates it."""
    last_metadata: bytes | None
    """If the metadata is lost and no commit can be read: the last blob that certainly was metadata, possibly an older
    one. It is not written to the new file."""
    later_commit_lost: bool
    """Whether commits after the last readable one may have been lost."""
    problems: tuple[Damage, ...]
    """The damage that was found, at most a thousand places."""

    @property
    def complete(self) -> bool:
        """Whether the new file certainly contains everything that was committed, and nothing else."""
        whole = self.expected == self.recovered and self.metadata != "lost"
        return whole and not (self.lost or self.uncertain or self.later_commit_lost)
