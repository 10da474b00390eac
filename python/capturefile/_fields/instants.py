"""Times in records."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SUBUNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (float("inf"), 1e9))
"""For each unit of time, the limit below which numbers are in it, and the number of units in a second."""
MAX_TIME = 253_402_300_800.0
"""The end of the year 9999, in seconds since 1970; greater values are not times."""


def field_time(name: str, *, utc: bool) -> Callable[[bytes], float | None]:
    """Returns a function that finds the time in a field of a JSON record, in seconds since 1970; see `named_field`."""
    # Not at the top, because parsing times of the command line does not need it, and importing it takes long.
    from capturefile._fields.expressions import document, named_field

    value = named_field(name)
    return lambda record: instant(value(document(record)), utc=utc)


def instant(value: object, *, utc: bool) -> float | None:
    """Converts a value to seconds since the epoch: a number of seconds, milliseconds, microseconds or nanoseconds, or a
    text in ISO 8601. Returns None for anything else, and for times after the year 9999.
    """
    try:
        time = _seconds(value, utc=utc)
    except (OverflowError, OSError):
        return None
    return time if time is not None and abs(time) < MAX_TIME else None


def _seconds(value: object, *, utc: bool) -> float | None:
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
    """Converts a time in ISO 8601 to seconds since the epoch; raises ValueError for other text."""
    from datetime import UTC, datetime

    found = datetime.fromisoformat(text.strip())
    return (found.replace(tzinfo=UTC) if utc and found.tzinfo is None else found).timestamp()
