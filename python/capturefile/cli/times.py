"""Records by the times in them: `--since` and `--until`."""

from __future__ import annotations

import argparse
import re
import time

import capturefile
from capturefile.cli.arguments import Span, seconds
from capturefile.cli.exit_codes import WrongUsage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capturefile.cli.sources import Source

UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86_400.0),
}
DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?\s*[a-z]+\s*)+", re.ASCII)
TIME_OF_DAY = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?", re.ASCII)
DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
SUBUNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (float("inf"), 1e9))
"""Numbers below the first of each are times in units of which the second of each make a second."""


def add_times(command: argparse.ArgumentParser) -> None:
    """The options that choose records by their times."""
    times = "2026-11-30, 2026-11-30T14:05, 14:05, now, today, yesterday, -2h, '3 days ago'"
    command.add_argument("--since", metavar="TIME", help=f"only records from this time on: {times}")
    command.add_argument("--until", metavar="TIME", help="only records before this time")
    command.add_argument(
        "--time-field", metavar="NAME", help="the field of JSON records that has the time; a.b is field b in a"
    )
    command.add_argument(
        "--time-pattern", metavar="REGEX", help="where the time is in records of text: group 1, or the whole match"
    )
    command.add_argument(
        "--time-slack",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="by how much a record may be older than one before it (default: %(default)g)",
    )
    command.add_argument("--utc", action="store_true", help="times without a zone are in UTC, and not in local time")


class Times:
    """The records of a stretch of time; those without a time belong to the one before them."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Finds out from the options what is wanted and where the times are."""
        self.utc: bool = options.utc
        self.slack: float = options.time_slack
        now = time.time()
        self.since = None if options.since is None else point(options.since, now, utc=self.utc)
        self.until = None if options.until is None else point(options.until, now, utc=self.utc)
        self.wanted = self.since is not None or self.until is not None
        given = (options.time_field is not None) + (options.time_pattern is not None)
        if given == 2 or self.wanted != bool(given):
            raise WrongUsage(
                "--since and --until need to know where the time of a record is: in --time-field or --time-pattern, "
                "and these go with --since or --until"
            )
        self.key = self._key(options) if self.wanted else None

    def _key(self, options: argparse.Namespace) -> Callable[[bytes], float | None]:
        if options.time_field is not None:
            return field_time(options.time_field.split("."), utc=self.utc)
        try:
            pattern = re.compile(options.time_pattern)
        except re.error as error:
            raise WrongUsage(f"{options.time_pattern!r} is no regular expression: {error}") from error
        return pattern_time(pattern, utc=self.utc)

    def narrowed(self, source: Source, span: Span, *, lenient: bool) -> Span:
        """The part of a span that has all records of the time."""
        from capturefile._bisect import first_not_below

        if self.key is None:
            return span
        key = self.key
        numbers = range(span.first, span.last + 1)

        def key_of(number: int) -> float | None:
            try:
                return key(source.reader.record_at(number))
            except capturefile.InvalidCaptureFile:
                if lenient:
                    return None
                raise

        def find(value: float) -> int:
            return first_not_below(lambda number: number, numbers, value, key_of, self.slack)

        first = span.first if self.since is None else find(self.since)
        # Behind a time that is later by the slack there is none that is earlier.
        end = span.last + 1 if self.until is None else find(self.until + self.slack)
        return Span(first, max(end, first) - 1)

    def chosen(self, records: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """The records of the time, where some in between may be of another."""
        return self._filtered(records) if self.key is not None and self.slack else records

    def _filtered(self, records: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        assert self.key is not None
        since = float("-inf") if self.since is None else self.since
        until = float("inf") if self.until is None else self.until
        is_in_time = False
        for number, record in records:
            found = self.key(record)
            if found is not None:
                is_in_time = since <= found < until
            if is_in_time:
                yield number, record


def field_time(path: list[str], *, utc: bool) -> Callable[[bytes], float | None]:
    """The time in a field of a record that is a JSON object."""
    import json

    def time_of(record: bytes) -> float | None:
        try:
            value = json.loads(record)
            for name in path:
                value = value[name]
        except (ValueError, TypeError, LookupError, RecursionError):
            return None
        return instant(value, utc=utc)

    return time_of


def pattern_time(pattern: re.Pattern[str], *, utc: bool) -> Callable[[bytes], float | None]:
    """The time in what a pattern finds in a record."""
    group = 1 if pattern.groups else 0

    def time_of(record: bytes) -> float | None:
        found = pattern.search(record.decode(errors="replace"))
        return None if found is None or found[group] is None else instant(found[group], utc=utc)

    return time_of


def instant(value: object, *, utc: bool) -> float | None:
    """The time of a record in seconds since the epoch: a number of seconds, milliseconds, micro- or nanoseconds, or a
    text as in ISO 8601; None for anything else.
    """
    if isinstance(value, str):
        try:
            return iso_time(value, utc=utc)
        except ValueError:
            pass
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return next((value / parts for limit, parts in SUBUNITS if abs(value) < limit), None)


def iso_time(text: str, *, utc: bool) -> float:
    """Seconds since the epoch of a time as in ISO 8601; raises ValueError if it is none."""
    from datetime import UTC, datetime

    found = datetime.fromisoformat(text.strip())
    return (found.replace(tzinfo=UTC) if utc and found.tzinfo is None else found).timestamp()


def point(text: str, now: float, *, utc: bool) -> float:
    """Seconds since the epoch of a time as it is given in the command line."""
    words = text.strip().lower()
    if words == "now":
        return now
    if words in DAYS:
        return time_of_day(now, utc=utc, days=DAYS[words])
    if words[:1] in ("-", "+") and (length := duration(words[1:])) is not None:
        return now - length if words[0] == "-" else now + length
    if words.endswith(" ago") and (length := duration(words[:-4])) is not None:
        return now - length
    if words.startswith("@"):
        words = words[1:]
    try:
        if TIME_OF_DAY.fullmatch(words):
            hours, minutes, *rest = words.split(":")
            return time_of_day(now, utc=utc, hours=int(hours), minutes=int(minutes)) + float((rest or ["0"])[0])
        return float(words) if text.strip().startswith("@") else iso_time(text, utc=utc)
    except ValueError:
        raise WrongUsage(
            f"{text!r} is no time: give one as 2026-11-30T14:05, 14:05, now, today, yesterday, -2h, '3 days ago' or "
            "@SECONDS"
        ) from None


def time_of_day(now: float, *, utc: bool, days: int = 0, hours: int = 0, minutes: int = 0) -> float:
    """Returns a time of today, or of the day that is this many days later; raises ValueError if no day has it."""
    from datetime import UTC, datetime, timedelta

    day = datetime.fromtimestamp(now, UTC if utc else None) + timedelta(days=days)
    return day.replace(hour=hours, minute=minutes, second=0, microsecond=0).timestamp()


def duration(text: str) -> float | None:
    """Seconds of a length of time such as 2h, 1h30min or 3 days; None if it is none."""
    if not DURATION.fullmatch(text.strip()):
        return None
    parts = re.findall(r"([0-9.]+)\s*([a-z]+)", text)
    if any(unit not in UNITS for _, unit in parts):
        return None
    return sum(float(number) * UNITS[unit] for number, unit in parts)
