"""What a consumer reads: the records of its source from a position on, and whether the position is one of its."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from capturefile._capturefile import CaptureFile
from capturefile._errors import CaptureFileReplaced

if TYPE_CHECKING:
    from capturefile._typing import StrPath

_BYTES_PER_BATCH = 8 << 20


class Position(NamedTuple):
    """How much of a source is consumed."""

    records: int = 0
    """How many records, from the first on."""
    checksum: int | None = None
    """CRC-32 of the last one, to tell the source from another file."""

    def encode(self) -> dict[str, Any]:
        return {"records": self.records, "crc32": self.checksum}

    @classmethod
    def decode(cls, value: object, place: str) -> Position:
        """The position that stands at `place`."""
        match value:
            case None:
                return cls()
            case {"records": int(records), "crc32": int() | None as checksum} if records >= 0:
                return cls(records, checksum)
        raise ValueError(f"{place} holds no position of a consumer, but {value!r}")


class Source:
    """The records to consume, as bytes."""

    def __init__(self, path: StrPath, *, follow: bool, timeout: float | None, durable: bool) -> None:
        self._cf = CaptureFile(path, encoding=None)
        self._follow = follow
        self._timeout = timeout
        self._durable = durable
        self._cf.refresh(durable)

    def check(self, position: Position) -> None:
        """Sees that the records up to `position` are those that were consumed."""
        count = self._cf.record_count()
        name = repr(self._cf.file_name)
        if count < position.records:
            raise CaptureFileReplaced(
                f"{name} has {count} records, of which {position.records} have been consumed: "
                "it was replaced, or has lost records"
            )
        if position.records and crc32(self._cf.record_at(position.records)) != position.checksum:
            raise CaptureFileReplaced(
                f"record {position.records} of {name} is not the one that was consumed last: the file was replaced"
            )

    def read(self, consumed: int, most: int) -> list[bytes]:
        """The next records, at most so many and so many bytes; none at the end, which may be waited for."""
        while True:
            batch = self._at_hand(consumed, most)
            if batch or not self._more(consumed):
                return batch

    def _at_hand(self, consumed: int, most: int) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        for record in islice(self._cf.record_generator(consumed + 1), most):
            batch.append(record)
            size += len(record)
            if size >= _BYTES_PER_BATCH:
                break
        return batch

    def _more(self, consumed: int) -> bool:
        """Looks for records that were committed since, and waits for them if the file is to be followed."""
        follower = self._cf.follow(consumed + 1, timeout=self._timeout if self._follow else 0)
        if next(follower, None) is None:
            return False
        # What is consumed must never be taken back by a power cut: nobody would notice.
        self._cf.refresh(self._durable)
        return True

    @property
    def file_name(self) -> str:
        return self._cf.file_name

    def lag(self, consumed: int) -> int:
        """How many committed records lie behind the first `consumed`."""
        return self._cf.follow(consumed + 1).lag()

    def close(self) -> None:
        self._cf.close()
