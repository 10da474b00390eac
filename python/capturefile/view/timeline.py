"""The records of a file over time: exact numbers from the times of commits, others from a sample."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from math import floor, ulp
from typing import TYPE_CHECKING, Any

from capturefile._fields.expressions import MISSING, document, named_field
from capturefile.view.commits import CommitTimes
from capturefile.view.query import Query, as_time
from capturefile.view.reading import MAX_SAMPLED, MAX_WHOLE, Span, opened, sampled, stretches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capturefile.view.reading import Reader

MAX_BARS = 120
WIDTHS = (
    *(digit * 10.0**power for power in range(-6, 0) for digit in (1, 2, 5)),
    *(1, 2, 5, 10, 15, 30),
    *(60 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(3600 * hours for hours in (1, 2, 3, 6, 12)),
    *(86_400 * days for days in (1, 2, 7, 14, 28)),
)
"""Seconds that a bar may stand for; above these, a number of years."""
YEAR = 365.25 * 86_400
REPORT_EVERY = 0.2


def timeline(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields progress, and how many records there are in each of at most MAX_BARS stretches of time."""
    query = Query(task)
    with opened(task["path"]) as reader:
        span = query.span(reader)
        if not task["time"] and query.is_everything:
            yield {"done": _exact(CommitTimes(reader), span)}
            return
        sample = Sample(reader, query, span, task["time"])
        yield from sample.take()
        yield {"done": sample.result()}


def _exact(commits: CommitTimes, span: Span) -> dict[str, Any]:
    """Finds where each bar begins by bisection."""
    low, high = (commits.of(span.first), commits.of(span.last)) if span.size else (None, None)
    counts = {"looked": str(span.size), "count": str(span.size), "is_whole": True, "unreadable": 0}
    if low is None or high is None:
        return {"start": None, "width": None, "counts": [], "firsts": [], "found": 0, "timed": 0, **counts}
    start, width, number = scale(low, high)
    firsts = [span.first]
    for bar in range(1, number):
        firsts.append(commits.first_at(start + bar * width, Span(firsts[-1], span.last)))
    numbers = [end - first for first, end in zip(firsts, [*firsts[1:], span.last + 1], strict=True)]
    shown = {"start": start, "width": width, "counts": numbers, "firsts": [str(first) for first in firsts]}
    return {**shown, "found": span.size, "timed": span.size, **counts}


class Sample:
    """The times of the records that a query finds; of those in a sample, if they are many."""

    def __init__(self, reader: Reader, query: Query, span: Span, field: str) -> None:
        """The times are those of commits if no field is named."""
        self._query, self._span = query, span
        self._time_of = _committed(reader) if not field else _in_field(field)
        self._is_whole = span.size <= MAX_WHOLE
        self._stretches = stretches(reader, span, query.pattern) if self._is_whole else sampled(reader, span)
        self._times: list[float] = []
        self._looked = self._found = self._unreadable = 0

    def take(self) -> Iterator[dict[str, Any]]:
        """Reads the records, and yields progress."""
        total = self._span.size if self._is_whole else MAX_SAMPLED
        last_report = time.monotonic()
        for stretch in self._stretches:
            for number, record in stretch.records:
                if self._query.finds(record):
                    self._found += 1
                    found = self._time_of(number, record)
                    if found is not None:
                        self._times.append(found)
            self._unreadable += stretch.unreadable
            self._looked = stretch.end + 1 - self._span.first if self._is_whole else self._looked + len(stretch.records)
            if (now := time.monotonic()) > last_report + REPORT_EVERY:
                last_report = now
                yield {"progress": {"at": str(self._looked), "of": str(total)}}

    def result(self) -> dict[str, Any]:
        """Returns the bars."""
        looked, count = str(self._looked), str(self._span.size)
        counts = {"looked": looked, "count": count, "is_whole": self._is_whole, "unreadable": self._unreadable}
        counts |= {"found": self._found, "timed": len(self._times), "firsts": []}
        if not self._times:
            return {"start": None, "width": None, "counts": [], **counts}
        start, width, number = scale(min(self._times), max(self._times))
        numbers = [0] * number
        for each in self._times:
            numbers[min(number - 1, int((each - start) / width))] += 1
        return {"start": start, "width": width, "counts": numbers, **counts}


def _committed(reader: Reader) -> Callable[[int, bytes], float | None]:
    commits = CommitTimes(reader)
    return lambda number, _: commits.of(number)


def _in_field(name: str) -> Callable[[int, bytes], float | None]:
    field = named_field(name)

    def time_of(_: int, record: bytes) -> float | None:
        value = field(document(record))
        return None if value is MISSING else as_time(value)

    return time_of


def scale(low: float, high: float) -> tuple[float, float, int]:
    """Returns the start of the first bar, what each stands for, and how many there are, to cover both times."""
    length = high - low
    # Times of other centuries are less exact than a microsecond.
    least = max(length / (MAX_BARS - 1), 8 * ulp(max(abs(low), abs(high))))
    width = next((width for width in WIDTHS if width > least), None)
    if width is None:
        width = YEAR * (floor(length / YEAR / (MAX_BARS - 1)) + 1)
    # Days begin at midnight in the time zone of this machine.
    zone = _offset(low) if width >= 3600 else 0.0
    start = min(low, floor((low + zone) / width) * width - zone)
    return start, float(width), min(MAX_BARS, floor((high - start) / width) + 1)


def _offset(moment: float) -> float:
    """Returns by how many seconds local time is ahead of UTC."""
    try:
        offset = datetime.fromtimestamp(moment, UTC).astimezone().utcoffset()
    except (OverflowError, OSError, ValueError):
        return 0.0
    return 0.0 if offset is None else offset.total_seconds()
