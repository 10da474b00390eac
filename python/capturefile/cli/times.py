"""Selecting records by time, of their commits or in their contents: `--since`, `--until` and `get --time`."""

from __future__ import annotations

import time

import capturefile
from capturefile.cli.arguments import Span, seconds
from capturefile.cli.exit_codes import WrongUsage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from capturefile.cli.sources import Source

FORMS = "2026-11-30, 2026-11-30T14:05, 14:05Z, now, today, yesterday, -2h, '3 days ago'"


def add_times(command: argparse.ArgumentParser) -> None:
    """Adds the options that select records by time."""
    command.add_argument(
        "--since",
        metavar="TIME",
        help=f"only records committed at this time or later, in files of format 3: {FORMS}",
    )
    command.add_argument("--until", metavar="TIME", help="only records committed before this time")
    add_time_places(command)


def add_time_places(command: argparse.ArgumentParser) -> None:
    """Adds the options that find times in records, in place of commit times."""
    command.add_argument(
        "--time-field",
        metavar="NAME",
        help="take the time from this field of JSON records, in files of any format; a.b is field b in a",
    )
    command.add_argument(
        "--time-pattern",
        metavar="REGEX",
        help="take it from the match of this pattern in text records: group 1, or the whole match",
    )
    command.add_argument(
        "--time-slack",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="how many seconds such a time may be before that of an earlier record (default: %(default)g)",
    )
    command.add_argument("--utc", action="store_true", help="times without a zone are in UTC, not local time")


class Times:
    """The records of a period; a record without a time belongs to the one before it."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Determines the period and the place of the times from the options."""
        self.utc: bool = options.utc
        self.slack: float = options.time_slack
        now = time.time()
        self.since, self.until = self._point(options.since, now), self._point(options.until, now)
        self.wanted = self.since is not None or self.until is not None
        given = (options.time_field is not None) + (options.time_pattern is not None)
        if given == 2:
            raise WrongUsage("--time-field and --time-pattern cannot be combined: each determines where the times are")
        if given and not self.wanted:
            raise WrongUsage("--time-field and --time-pattern require a time, such as with --since")
        if self.slack and not given:
            raise WrongUsage("--time-slack requires --time-field or --time-pattern, because commit times are in order")
        self.key = self._key(options) if given else None

    def _point(self, given: str | None, now: float) -> float | None:
        if given is None:
            return None
        from capturefile.cli.instants import point

        return point(given, now, utc=self.utc)

    def _key(self, options: argparse.Namespace) -> Callable[[bytes], float | None]:
        from capturefile._fields.instants import field_time, instant

        if options.time_field is not None:
            return field_time(options.time_field, utc=self.utc)
        from capturefile.cli.patterns import part_of

        part, utc = part_of(options.time_pattern), self.utc
        return lambda record: instant(part(record), utc=utc)

    def narrowed(self, source: Source, span: Span, *, lenient: bool = False) -> Span:
        """Returns the part of a span that contains all records of the period.

        Raises WrongUsage if commit times are requested and the source has none.
        """
        if not self.wanted:
            return span
        first_at = (
            self._first_committed(source, span)
            if self.key is None
            else self._first_keyed(source, span, lenient=lenient)
        )
        first = span.first if self.since is None else first_at(self.since)
        # After a time that is later by the slack, no earlier time can follow.
        end = span.last + 1 if self.until is None else first_at(self.until + self.slack)
        return Span(first, max(end, first) - 1)

    def _first_committed(self, source: Source, span: Span) -> Callable[[float], int]:
        from capturefile.cli.instants import moment

        return lambda value: min(max(source.first_committed(moment(value)), span.first), span.last + 1)

    def _first_keyed(self, source: Source, span: Span, *, lenient: bool) -> Callable[[float], int]:
        from capturefile._bisect import first_not_below

        numbers = range(span.first, span.last + 1)
        key = self.key
        assert key is not None

        def key_of(number: int) -> float | None:
            try:
                return key(source.reader.record_at(number))
            except capturefile.InvalidCaptureFile:
                if lenient:
                    return None
                raise

        return lambda value: first_not_below(lambda number: number, numbers, value, key_of, self.slack)

    def chosen(self, records: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """Yields the records of the period, leaving out others in between."""
        if not self.slack:
            return records
        belongs = self.test()
        return (pair for pair in records if belongs(pair[1]))

    def test(self) -> Callable[[bytes], bool]:
        """Returns a function that determines for consecutive records whether they belong to the period."""
        key = self.key
        assert key is not None
        since = float("-inf") if self.since is None else self.since
        until = float("inf") if self.until is None else self.until
        belongs = False

        def test(record: bytes) -> bool:
            nonlocal belongs
            if (found := key(record)) is not None:
                belongs = since <= found < until
            return belongs

        return test

    @property
    def deadline(self) -> float | None:
        """Returns when no more records of the period can arrive; None if unknown."""
        return self.until if self.key is None else None


class Watch:
    """Determines which new records of a source belong to the period."""

    def __init__(self, times: Times, source: Source) -> None:
        """Watches an open source from its present end, or an earlier record, on."""
        self.times = times
        self.source = source
        self._belongs = times.test() if times.slack else None
        self._known = self._end = 0
        if times.wanted and times.key is None:
            self._look()

    def _look(self) -> None:
        """Finds the end of the period in the existing records."""
        from capturefile.cli.instants import moment

        self._known = self.source.last
        until = self.times.until
        self._end = self._known + 1 if until is None else self.source.first_committed(moment(until))

    def is_over(self, number: int, record: bytes) -> bool:
        """Returns whether this record, and so all after it, is too late."""
        until, key = self.times.until, self.times.key
        if until is None:
            return False
        if key is not None:
            found = key(record)
            return found is not None and found >= until + self.times.slack
        if number > self._known:
            self.source.refresh()
            self._look()
        return number >= self._end

    def belongs(self, record: bytes) -> bool:
        """Returns whether this record, which is not too late, belongs to the period."""
        return self._belongs is None or self._belongs(record)
