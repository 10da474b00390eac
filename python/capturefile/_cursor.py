"""The position of a consumer in a capture file, and the cursor files that store it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from capturefile._errors import CaptureFileReplaced, RecordsDeleted
from capturefile._files import opener, replacing

if TYPE_CHECKING:
    from capturefile._capturefile import CaptureFile
    from capturefile._typing import StrPath
    from capturefile.rotating.reader import RotatingReader


class Position(NamedTuple):
    """How many records of a file have been consumed."""

    records: int = 0
    """Number of consumed records, from the first one on."""
    checksum: int | None = None
    """CRC-32 of the last consumed record, to recognise a replaced file."""

    @classmethod
    def behind(cls, number: int, record: bytes) -> Position:
        """Returns the position after `record`, whose number is `number`."""
        return cls(number, crc32(record))

    @classmethod
    def before(cls, number: int, cf: CaptureFile[bytes] | RotatingReader[bytes]) -> Position:
        """Returns the position before record `number` of a file or a log."""
        return cls.behind(number - 1, cf.record_at(number - 1)) if number > 1 else cls()

    def check(self, cf: CaptureFile[bytes] | RotatingReader[bytes]) -> None:
        """Checks that the records up to this position are those that were consumed.

        If the file of the last one has been deleted from a log, only its number is checked.

        Raises:
            CaptureFileReplaced: They are not.
        """
        count = cf.record_count()
        name = repr(cf.file_name)
        if count < self.records:
            raise CaptureFileReplaced(
                f"{name} has {count} records, of which {self.records} have been consumed: "
                "it was replaced, or has lost records"
            )
        try:
            is_same = not self.records or crc32(cf.record_at(self.records)) == self.checksum
        except RecordsDeleted:
            return
        if not is_same:
            raise CaptureFileReplaced(
                f"record {self.records} of {name} is not the one that was consumed last: the file was replaced"
            )

    def encode(self) -> dict[str, Any]:
        """Returns the position as a JSON object."""
        return {"records": self.records, "crc32": self.checksum}

    @classmethod
    def decode(cls, value: object, place: str) -> Position:
        """Parses a position from a JSON object; `place` says where it comes from.

        Raises:
            ValueError: The value is not a position.
        """
        match value:
            case {"records": int(records), "crc32": int() | None as checksum} if records >= 0 and records is not True:
                return cls(records, checksum)
        raise ValueError(f"{place} does not contain the position of a consumer, but {value!r:.200}")


class CursorFile:
    """A small file with a position."""

    def __init__(self, path: StrPath) -> None:
        """Uses the file at `path`, which need not exist yet."""
        self.path = Path(path).absolute()

    def load(self) -> Position | None:
        """Returns the saved position, or None if there is no file.

        Raises:
            ValueError: The file contains something else.
        """
        try:
            content: object = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            value = json.loads(content)  # type: ignore[arg-type]
        except (ValueError, RecursionError):
            value = content
        return Position.decode(value, f"the cursor file {str(self.path)!r}")

    def save_behind(self, number: int, record: bytes) -> None:
        """Saves the position after `record`, whose number is `number`."""
        self.save(Position.behind(number, record))

    def save_before(self, number: int, cf: CaptureFile[bytes] | RotatingReader[bytes]) -> None:
        """Saves the position before record `number` of a file or a log."""
        self.save(Position.before(number, cf))

    def save(self, position: Position) -> None:
        """Replaces the position atomically: after a power cut the file contains the old or the new one."""
        with replacing(self.path) as temporary, open(temporary, "wb", opener=opener) as file:
            file.write(json.dumps(position.encode()).encode() + b"\n")
