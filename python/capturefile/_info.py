"""What the library tells about a file, as plain data."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Info:
    """The sizes and numbers that describe a capture file, as one object sees it."""

    version: int
    """Version of the format, 1 or 2."""
    page_size: int
    """Bytes in a page, the unit in which data is written."""
    block_size: int
    """A block is compressed once it holds this many bytes."""
    fan_out: int
    """Children of a full node of the index tree."""
    serial_number: int
    """Serial number of the last commit; it wraps at 2**32."""
    record_count: int
    """How many records there are."""
    tree_height: int
    """Levels of the index tree; 0 without records."""
    file_limit: int
    """Where the next compressed block will start, in bytes."""
    file_size: int
    """Length of the file in bytes, room for growth included."""
    pending_bytes: int
    """Bytes that are not compressed yet."""
    metadata_length: int | None
    """Length of the metadata in bytes; None without metadata."""


@dataclass(frozen=True)
class Stats:
    """What was committed through one object since it was opened. All zero for an object that reads."""

    records: int
    """Records that were committed."""
    bytes: int
    """Bytes of these records, before they are compressed."""
    commits: int
    """Commits; a call of `commit()` that had nothing to commit is none."""
    commit_seconds: float
    """How long these commits took together."""


@dataclass(frozen=True)
class Damage:
    """Something in a file that is damaged."""

    position: int | None
    """Where, in bytes from the start of the file; None where that cannot be said."""
    message: str
    """What was found, and what was expected."""


@dataclass(frozen=True)
class RecordRange:
    """Records that follow each other, by their numbers."""

    first: int
    """Number of the first one; the first record of a file is 1."""
    last: int
    """Number of the last one, which is included."""

    def __str__(self) -> str:
        """The range in words."""
        return f"record {self.first}" if self.first == self.last else f"records {self.first} to {self.last}"


@dataclass(frozen=True)
class LostRange(RecordRange):
    """Records of a damaged file that could not be recovered, by their numbers there."""

    exact: bool
    """Whether it is certain that these records are missing and no others. If not, the numbers are the most likely
    ones, and those of the records behind them are as uncertain."""


@dataclass(frozen=True)
class BlockInfo:
    """One of the blocks that a file consists of; what is in one is compressed together."""

    position: int | None
    """Where its compressed form starts, in bytes from the start of the file. None for the last block, which is not
    compressed yet and is kept with the commit."""
    compressed_size: int | None
    """Bytes that it takes in the file, its length included; None for the last block."""
    size: int
    """Bytes that it has when it is inflated, the lengths of its records included."""
    records: RecordRange | None
    """The records in it. None where it holds nothing but nodes of the index, or metadata."""


@dataclass(frozen=True)
class Report:
    """What a walk through a file found."""

    record_count: int
    """Records that the file says it has."""
    records_checked: int
    """Sound records that were looked at; each once, where parts of the index are shared."""
    frames: int
    """Compressed blocks that were inflated."""
    index_nodes: int
    """Index nodes that were looked at."""
    problems: tuple[Damage, ...]
    """What is damaged; empty if all is sound. At most a thousand things."""
    repairable: tuple[Damage, ...] = ()
    """What a crash leaves and the next writer puts right, such as a half-written master node. No harm was done to
    what was committed before."""
    unreadable: tuple[RecordRange, ...] = ()
    """The records that cannot be read, in order. At most a thousand ranges; if there were more, the last one continues
    to the last such record."""

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged. What the next writer repairs does not count."""
        return not self.problems


@dataclass(frozen=True)
class Recovery:
    """What a recovery found, and what it did not."""

    record_count: int
    """Records of the new file."""
    recovered: int
    """Records that were found. The new file has more if empty ones stand in the place of lost ones."""
    expected: int | None
    """How many there were by the last commit that can be read; None if none can."""
    lost: tuple[LostRange, ...]
    """Records that are lost, by their numbers in the damaged file."""
    uncertain: tuple[RecordRange, ...]
    """Records, by their numbers in the new file, that may be old metadata, or may never have been committed."""
    metadata: Literal["recovered", "none", "lost"]
    """Whether the new file has the metadata, or the last readable commit had none, or it is lost: it could not be
    read, or no commit can be that would say where it is."""
    last_metadata: bytes | None
    """Where the metadata is lost and no commit can be read: the last blob that certainly was metadata, perhaps an
    older one. It is not written to the new file."""
    later_commit_lost: bool
    """Whether a later commit may have been lost than the last one that can be read."""
    problems: tuple[Damage, ...]
    """What is damaged. At most a thousand things."""

    @property
    def complete(self) -> bool:
        """Whether the new file has for certain all that was committed, and nothing else."""
        whole = self.expected == self.recovered and self.metadata != "lost"
        return whole and not (self.lost or self.uncertain or self.later_commit_lost)
