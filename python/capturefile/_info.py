"""What the library tells about a file, as plain data."""

from dataclasses import dataclass


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
class Problem:
    """Something in a file that is damaged."""

    position: int | None
    """Where, in bytes from the start of the file; None where that cannot be said."""
    message: str
    """What was found, and what was expected."""


@dataclass(frozen=True)
class Report:
    """What a walk through a whole file found."""

    record_count: int
    """Records that the file says it has."""
    records_checked: int
    """Sound records that were looked at; each once, where parts of the index are shared."""
    frames: int
    """Compressed blocks that were inflated."""
    index_nodes: int
    """Index nodes that were looked at."""
    problems: tuple[Problem, ...]
    """What is damaged; empty if all is sound. At most a thousand things."""

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged."""
        return not self.problems
