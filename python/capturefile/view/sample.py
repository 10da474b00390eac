"""The results of a query, or those of a sample if there are many records to examine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from capturefile.view.reading import MAX_SAMPLED, MAX_WHOLE, sampled, stretches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capturefile.view.query import Query
    from capturefile.view.reading import Reader, Span

REPORT_EVERY = 0.2
"""Seconds between two reports of progress."""


class Sample:
    """A span of records; all candidates are examined if they are few or `whole` is true, otherwise a sample."""

    def __init__(self, reader: Reader, query: Query, span: Span, *, whole: bool = False) -> None:
        """Reads nothing yet."""
        self._query, self._span = query, span
        spans = query.spans(reader, span)
        self._is_whole = whole or sum(each.size for each in spans) <= MAX_WHOLE
        self._stretches = stretches(reader, spans, query.pattern) if self._is_whole else sampled(reader, span)
        self._looked = self._unreadable = 0

    def passed_to(self, add: Callable[[int, bytes], object]) -> Iterator[dict[str, Any]]:
        """Passes the number and the bytes of each result to `add`, and yields progress."""
        total = self._span.size if self._is_whole else MAX_SAMPLED
        last_report = time.monotonic()
        for stretch in self._stretches:
            for number, record in stretch.records:
                if self._query.finds(record):
                    add(number, record)
            self._unreadable += stretch.unreadable
            self._looked = stretch.end + 1 - self._span.first if self._is_whole else self._looked + len(stretch.records)
            if (now := time.monotonic()) > last_report + REPORT_EVERY:
                last_report = now
                yield {"progress": {"at": str(self._looked), "of": str(total)}}
        if self._is_whole:
            self._looked = self._span.size

    def counts(self) -> dict[str, Any]:
        """Returns the numbers of all records, of examined ones, and of those that could not be read."""
        looked, count = str(self._looked), str(self._span.size)
        return {"looked": looked, "count": count, "is_whole": self._is_whole, "unreadable": self._unreadable}
