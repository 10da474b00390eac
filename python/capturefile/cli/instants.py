"""Times on the command line."""

from __future__ import annotations

import re

from capturefile._fields.instants import iso_time
from capturefile.cli.exit_codes import WrongUsage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime, tzinfo

UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86_400.0),
}
DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?\s*[a-z]+\s*)+", re.ASCII)
TIME_OF_DAY = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}(?:\.[0-9]+)?))?(z|[+-][0-9]{2}:?[0-9]{2})?", re.ASCII)
DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}


def point(text: str, now: float, *, utc: bool) -> float:
    """Parses a time on the command line to seconds since the epoch."""
    try:
        value = _value(text.strip(), now, utc=utc)
        moment(value)
    except (ValueError, OverflowError, OSError):
        raise WrongUsage(
            f"{text.strip()!r} is not a valid time; examples: 2026-11-30T14:05, 14:05, now, today, yesterday, -2h, "
            "'3 days ago' or @SECONDS"
        ) from None
    return value


def _value(text: str, now: float, *, utc: bool) -> float:
    """Does the same as `point`; raises an error if the text is not valid."""
    from datetime import UTC, datetime

    words = text.lower()
    here = UTC if utc else None
    if words == "now":
        return now
    if words in DAYS:
        return time_of_day(now, here, days=DAYS[words])
    if words[:1] in ("-", "+") and (length := duration(words[1:])) is not None:
        return now - length if words[0] == "-" else now + length
    if words.endswith(" ago") and (length := duration(words[:-4])) is not None:
        return now - length
    if found := TIME_OF_DAY.fullmatch(words):
        hours, minutes, rest, zone = found.groups()
        there = datetime.fromisoformat(f"2000-01-01T00:00{zone.upper()}").tzinfo if zone else here
        return time_of_day(now, there, hours=int(hours), minutes=int(minutes)) + float(rest or 0)
    return float(words[1:]) if words.startswith("@") else iso_time(text, utc=utc)


def moment(value: float) -> datetime:
    """Returns the time as an object; earlier times than 1970, when nothing was committed, become the start of 1970."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(max(value, 0.0), UTC)


def time_of_day(now: float, zone: tzinfo | None, *, days: int = 0, hours: int = 0, minutes: int = 0) -> float:
    """Returns a time of today, or of a day this many days later; raises ValueError if it is not a time of day."""
    from datetime import datetime, timedelta

    day = datetime.fromtimestamp(now, zone) + timedelta(days=days)
    return day.replace(hour=hours, minute=minutes, second=0, microsecond=0).timestamp()


def duration(text: str) -> float | None:
    """Parses a duration such as 2h, 1h30min or 3 days to seconds; None if it is not valid."""
    if not DURATION.fullmatch(text.strip()):
        return None
    parts = re.findall(r"([0-9.]+)\s*([a-z]+)", text)
    if any(unit not in UNITS for _, unit in parts):
        return None
    return sum(float(number) * UNITS[unit] for number, unit in parts)
