"""The distribution of records over time: exact numbers from commit times, others from a sample."""

from __future__ import annotations

from datetime import UTC, datetime
from math import floor, ulp
from typing import TYPE_CHECKING, Any

from capturefile._fields.instants import field_time
from capturefile.view.commits import CommitTimes
from capturefile.view.query import Query
from capturefile.view.reading import Span, opened
from capturefile.view.sample import Sample

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
"""The possible widths of a bar in seconds; wider bars are a number of years."""
YEAR = 365.25 * 86_400


def timeline(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields progress, and the number of records in each of at most MAX_BARS intervals of time."""
    query = Query(task)
    with opened(task["path"]) as reader:
        span = query.span(reader)
        if not task["time"] and query.is_everything:
            yield {"done": _exact(CommitTimes(reader), span)}
            return
        times, sample = Times(reader, task["time"]), Sample(reader, query, span)
        yield from sample.passed_to(times.add)
        yield {"done": {**times.result(), **sample.counts()}}


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


class Times:
    """Collects the times of the results."""

    def __init__(self, reader: Reader, field: str) -> None:
        """Uses the times in a field, or commit times if `field` is empty."""
        self._time_of = _committed(reader) if not field else _in_field(field)
        self._times: list[float] = []
        self._found = 0

    def add(self, number: int, record: bytes) -> None:
        """Counts a record."""
        self._found += 1
        found = self._time_of(number, record)
        if found is not None:
            self._times.append(found)

    def result(self) -> dict[str, Any]:
        """Returns the bars."""
        counts = {"found": self._found, "timed": len(self._times), "firsts": []}
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
    time_of = field_time(name, utc=False)
    return lambda _, record: time_of(record)


def scale(low: float, high: float) -> tuple[float, float, int]:
    """Returns the start of the first bar, the width of the bars, and their number, so that they contain both times."""
    length = high - low
    # Floats of times far from 1970 are less precise than a microsecond.
    least = max(length / (MAX_BARS - 1), 8 * ulp(max(abs(low), abs(high))))
    width = next((width for width in WIDTHS if width > least), None)
    if width is None:
        width = YEAR * (floor(length / YEAR / (MAX_BARS - 1)) + 1)
    # Days begin at midnight in the time zone of this machine.
    zone = _offset(low) if width >= 3600 else 0.0
    start = min(low, floor((low + zone) / width) * width - zone)
    return start, float(width), min(MAX_BARS, floor((high - start) / width) + 1)


def _offset(moment: float) -> float:
    """Returns the offset of local time from UTC in seconds."""
    try:
        offset = datetime.fromtimestamp(moment, UTC).astimezone().utcoffset()
    except (OverflowError, OSError, ValueError):
        return 0.0
    return 0.0 if offset is None else offset.total_seconds()
