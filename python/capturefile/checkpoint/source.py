"""Reading the source of a consumer, a capture file or a rotated log, from a given record onwards."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from capturefile._capturefile import CaptureFile, file_identity
from capturefile.rotating.manifest import contains
from capturefile.rotating.reader import RotatingReader, files_with

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from capturefile._typing import StrPath

_BYTES_PER_BATCH = 8 << 20


class _Batch:
    """Records that are taken together, limited in number and bytes."""

    def __init__(self, max_records: int) -> None:
        self.records: list[bytes] = []
        self._max_records = max_records
        self._size = 0

    def take(self, records: Iterable[bytes]) -> bool:
        """Takes records as long as there is room; returns whether there is room for more."""
        for record in islice(records, self._max_records - len(self.records)):
            self.records.append(record)
            self._size += len(record)
            if self._size >= _BYTES_PER_BATCH:
                return False
        return len(self.records) < self._max_records


class Source:
    """The records to consume, as bytes."""

    file: CaptureFile[bytes] | RotatingReader[bytes]

    def __init__(self, path: StrPath, *, follow: bool, timeout: float | None, durable: bool) -> None:
        if Path(path).is_dir():
            self.file = RotatingReader(path, encoding=None)
        else:
            self.file = CaptureFile(path, encoding=None)
        self._follow = follow
        self._timeout = timeout
        self._durable = durable
        self.file.refresh(durable)

    def read(self, consumed: int, max_records: int) -> list[bytes]:
        """Returns the next records, limited in number and bytes; waits for them if following; empty at the end.

        Raises:
            RecordsDeleted: The next record was deleted from the log.
        """
        while True:
            batch = self._at_hand(consumed, max_records)
            if batch or not self._more(consumed):
                return batch

    def _at_hand(self, consumed: int, max_records: int) -> list[bytes]:
        first = consumed + 1
        batch = _Batch(max_records)
        if isinstance(self.file, CaptureFile):
            batch.take(self.file.record_generator(first))
            return batch.records
        # Closed here, so that an exception of a signal handler at this point is raised and not only printed.
        with closing(files_with(self.file, first, self.file.record_count())) as files:
            for cf, numbers, _ in files:
                if not batch.take(islice(cf.record_generator(numbers[0]), len(numbers))):
                    break
        return batch.records

    def _more(self, consumed: int) -> bool:
        """Checks for newly committed records, waiting for them if following. Returns whether there are any."""
        follower = self.file.follow(consumed + 1, timeout=self._timeout if self._follow else 0)
        try:
            if next(follower, None) is None:
                return False
        finally:
            follower.close()
        # A power cut must not roll back records that have been consumed: the consumer would not notice.
        self.file.refresh(self._durable)
        return True

    def has(self, results: CaptureFile[Any]) -> bool:
        """Returns whether `results` is the source, or one of its files."""
        if isinstance(self.file, RotatingReader):
            return contains(self.file.folder, Path(results.file_name))
        return file_identity(self.file) == file_identity(results)

    def lag(self, consumed: int) -> int:
        """Returns the number of committed records after the first `consumed`."""
        follower = self.file.follow(consumed + 1)
        try:
            return follower.lag()
        finally:
            follower.close()

    def close(self) -> None:
        self.file.close()
