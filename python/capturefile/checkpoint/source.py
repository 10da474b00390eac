"""Reading the source of a consumer from a given record on."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from capturefile._capturefile import CaptureFile

if TYPE_CHECKING:
    from capturefile._typing import StrPath

_BYTES_PER_BATCH = 8 << 20


class Source:
    """The records to consume, as bytes."""

    def __init__(self, path: StrPath, *, follow: bool, timeout: float | None, durable: bool) -> None:
        self.file = CaptureFile(path, encoding=None)
        self._follow = follow
        self._timeout = timeout
        self._durable = durable
        self.file.refresh(durable)

    def read(self, consumed: int, most: int) -> list[bytes]:
        """Returns the next records, limited in number and bytes; waits for some if following; none at the end."""
        while True:
            batch = self._at_hand(consumed, most)
            if batch or not self._more(consumed):
                return batch

    def _at_hand(self, consumed: int, most: int) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        for record in islice(self.file.record_generator(consumed + 1), most):
            batch.append(record)
            size += len(record)
            if size >= _BYTES_PER_BATCH:
                break
        return batch

    def _more(self, consumed: int) -> bool:
        """Looks for newly committed records, waiting for them if following. Returns whether there are any."""
        follower = self.file.follow(consumed + 1, timeout=self._timeout if self._follow else 0)
        if next(follower, None) is None:
            return False
        # A power cut must not roll back records that have been consumed: nobody would notice.
        self.file.refresh(self._durable)
        return True

    def lag(self, consumed: int) -> int:
        """Returns the number of committed records after the first `consumed`."""
        return self.file.follow(consumed + 1).lag()

    def close(self) -> None:
        self.file.close()
