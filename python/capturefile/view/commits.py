"""Times of commits, in files and logs of format 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import capturefile
from capturefile._bisect import first_not_below
from capturefile.rotating import RotatingReader
from capturefile.view.reading import UNREADABLE

if TYPE_CHECKING:
    from capturefile import CaptureFile
    from capturefile.view.reading import Reader, Span


MAX_READS = 10_000
"""Maximum number of times that are read to find one; more are necessary only if many records have none."""


class CommitTimes:
    """The commit times of the records of a file or log, in seconds since 1970."""

    def __init__(self, reader: Reader) -> None:
        """Reads nothing yet."""
        self._reader = reader

    def exist(self, span: Span) -> bool:
        """Returns whether the records at both ends of a span have times."""
        return span.size > 0 and self.of(span.first) is not None and self.of(span.last) is not None

    def of(self, number: int) -> float | None:
        """Returns the time of a record, if it has one that can be read."""
        try:
            if not isinstance(self._reader, RotatingReader):
                return _of(self._reader, number)
            for file in self._reader.files():
                if file.first_record <= number <= file.last_record:
                    with capturefile.open(file.path, encoding=None) as cf:
                        return _of(cf, number + 1 - file.first_record)
        except (*UNREADABLE, FileNotFoundError):
            pass
        return None

    def first_at(self, time: float, span: Span) -> int:
        """Returns the first record of a span that was committed at a time or later, or the one after the span.

        Raises:
            ValueError: Too many records have no time.
        """
        reads = 0

        def time_of(number: int) -> float | None:
            nonlocal reads
            reads += 1
            if reads > MAX_READS:
                raise ValueError("Too many records have no commit time; choose a field with times.")
            return self.of(number)

        return first_not_below(lambda number: number, range(span.first, span.last + 1), time, time_of)


def _of(cf: CaptureFile[bytes], number: int) -> float | None:
    if cf.info().version < 3:
        return None
    time = cf.commit_time(number)
    return None if time is None else time.timestamp()
