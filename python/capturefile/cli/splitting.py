"""Splitting streams of bytes into records incrementally."""

from __future__ import annotations

from capturefile.cli.encoders import LENGTH_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Separated:
    """Records that end with a separator, which may be missing after the last one."""

    def __init__(self, separator: bytes) -> None:
        """Starts a stream."""
        self.separator = separator
        self.begun: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Returns the records that end in `data`, the next part of the stream."""
        first, *records = data.split(self.separator)
        self.begun.append(first)
        if not records:
            return []
        whole = b"".join(self.begun)
        self.begun = [records.pop()]
        return [whole, *records]

    def finish(self, name: str) -> list[bytes]:
        """Returns the last record without a separator, if there is one."""
        rest = b"".join(self.begun)
        return [rest] if rest else []


class Prefixed:
    """Records with a big-endian length before each."""

    def __init__(self) -> None:
        """Starts a stream."""
        self.begun = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Returns the records that end in `data`, the next part of the stream."""
        begun = self.begun
        begun += data
        records = []
        start = 0
        while (end := self._end(start)) <= len(begun):
            records.append(bytes(begun[start + LENGTH_SIZE : end]))
            start = end
        del begun[:start]
        return records

    def _end(self, start: int) -> int:
        """Returns the end of the record that starts there, or of its length if that is incomplete."""
        body = start + LENGTH_SIZE
        return body if body > len(self.begun) else body + int.from_bytes(self.begun[start:body])

    def finish(self, name: str) -> list[bytes]:
        """Checks that the stream does not end within a record."""
        if self.begun:
            whole = self._end(0)
            raise ValueError(f"{name}: it ends after {len(self.begun)} of the {whole} bytes of a record and its length")
        return []


SPLITTERS: dict[str, Callable[[], Separated | Prefixed]] = {
    "text": lambda: Separated(b"\n"),
    "nul": lambda: Separated(b"\0"),
    "prefixed": Prefixed,
}
