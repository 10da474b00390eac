"""Queries for records of a file: by a text, a condition on their fields, and a range of time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from capturefile._bisect import first_not_below
from capturefile._capturefile import _Pattern
from capturefile._fields.conditions import Condition
from capturefile._fields.instants import field_time
from capturefile._fields.patterns import for_rust
from capturefile._index.conditions import possible
from capturefile._index.ranges import intersection
from capturefile.view.commits import CommitTimes
from capturefile.view.reading import UNREADABLE, Span, everything

if TYPE_CHECKING:
    from collections.abc import Callable

    from capturefile.view.reading import Reader

SLACK = 60.0
"""Seconds by which a record may be older than an earlier one in files whose times count as ascending."""
CHECKED = 200
"""Number of records that are examined to determine whether times ascend."""
MAX_READS = 100_000
"""Maximum number of records that are read to find those of a time; if more are necessary, all records are searched."""


class Query:
    """The compiled form of a task."""

    def __init__(self, task: dict[str, Any]) -> None:
        """Compiles the task.

        Raises:
            re.error: The regular expression is invalid.
            ValueError: The condition is invalid.
        """
        self._task = task
        text: str = task["text"]
        is_plain = not (task["pattern"] or task["any_case"])
        self.find = finder(text, is_pattern=task["pattern"], any_case=task["any_case"]) if text else None
        """Finds the text in a record; None if the task has no text."""
        self._condition = Condition(task["where"]) if task["where"] else None
        self.since, self.until = task["since"], task["until"]
        is_timed = self.since is not None or self.until is not None
        self._time_of = field_time(task["time"], utc=False) if is_timed and task["time"] else None
        self.pattern = None if self._condition is None else self._condition.pattern
        """A pattern that each matching record contains, so that others need not be examined; None if there is none."""
        if text and is_plain:
            self.pattern = _Pattern(for_rust(text, fixed=True), ignore_case=False)

    @property
    def is_everything(self) -> bool:
        """Whether it matches every record of its span."""
        return self.find is None and self._condition is None and self._time_of is None

    def finds(self, record: bytes) -> bool:
        """Returns whether it matches a record of its span."""
        return (self.find is None or self.find(record) is not None) and self.allows(record)

    def allows(self, record: bytes) -> bool:
        """Returns whether it matches a record, if the record contains the text."""
        if self._condition is not None and not self._condition.holds(record):
            return False
        return self._time_of is None or self.is_in_time(self._time_of(record))

    def is_in_time(self, time: float | None) -> bool:
        """Returns whether a time is in its range."""
        return (
            time is not None
            and (self.since is None or self.since <= time)
            and (self.until is None or time < self.until)
        )

    def span(self, reader: Reader) -> Span:
        """Returns the span of records that have to be examined."""
        every = everything(reader)
        first = max(every.first, self._task["first"])
        last = min(every.last, self._task["last"] or every.last)
        return self._in_time(reader, Span(first, last))

    def spans(self, reader: Reader, span: Span) -> list[Span]:
        """Returns the parts of a span that have all records that it finds there; fewer than all if an index says so.

        An index that is behind is used as it is, because the viewer writes nothing.
        """
        found = None if self._condition is None else possible(reader, self._condition, updates=False)
        return [span] if found is None else [Span(*part) for part in intersection(found, [span])]

    def _in_time(self, reader: Reader, span: Span) -> Span:
        if (self.since is None and self.until is None) or not span.size:
            return span
        if self._time_of is not None:
            return narrowed(reader, span, self._time_of, self.since, self.until)
        times = CommitTimes(reader)
        if not times.exist(span):
            raise ValueError("The file has no commit times; choose a field with times.")
        first = span.first if self.since is None else times.first_at(self.since, span)
        last = span.last if self.until is None else times.first_at(self.until, span) - 1
        return Span(first, last)


def narrowed(
    reader: Reader, span: Span, time_of: Callable[[bytes], float | None], since: float | None, until: float | None
) -> Span:
    """Returns the part of a span with all records of a range of time, if times ascend; otherwise the whole span."""
    reads = 0

    def key_of(number: int) -> float | None:
        nonlocal reads
        reads += 1
        if reads > MAX_READS:
            raise TooManyReadsError
        try:
            return time_of(reader.record_at(number))
        except UNREADABLE:
            return None

    def first_at(time: float) -> int:
        return first_not_below(lambda number: number, range(span.first, span.last + 1), time, key_of, SLACK)

    if not _rise(span, key_of):
        return span
    try:
        first = span.first if since is None else first_at(since)
        last = span.last if until is None else first_at(until + SLACK) - 1
    except TooManyReadsError:
        return span
    return Span(first, last)


class TooManyReadsError(Exception):
    """Finding the records of a time requires too many reads."""


def _rise(span: Span, key_of: Callable[[int], float | None]) -> bool:
    """Returns whether, in a sample, most records have times, and the times ascend."""
    numbers = range(span.first, span.last + 1, max(1, span.size // CHECKED))
    times = [time for number in numbers if (time := key_of(number)) is not None]
    highest = float("-inf")
    for time in times:
        if time < highest - SLACK:
            return False
        highest = max(highest, time)
    return 2 * len(times) > len(numbers)


def finder(text: str, *, is_pattern: bool, any_case: bool) -> Callable[[bytes], tuple[str, int, int] | None]:
    """Returns a function that finds the first hit in a record: its text, and the start and end in it.

    Raises:
        re.error: The pattern is invalid.
    """
    wanted = text.encode(errors="surrogateescape")
    compiled = re.compile(text if is_pattern else re.escape(text), re.IGNORECASE if any_case else re.NOFLAG)
    plain = not (is_pattern or any_case)

    def find(record: bytes) -> tuple[str, int, int] | None:
        if plain and wanted not in record:
            return None
        decoded = record.decode(errors="surrogateescape")
        found = compiled.search(decoded)
        return None if found is None else (decoded, *found.span())

    return find
