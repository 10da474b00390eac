"""Times in records."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SUBUNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (float("inf"), 1e9))
"""For each unit of time, the limit below which numbers are in it, and the number of units in a second."""


def field_time(path: list[str], *, utc: bool) -> Callable[[bytes], float | None]:
    """Returns a function that finds the time in a field of a JSON record."""
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


def instant(value: object, *, utc: bool) -> float | None:
    """Converts a value to seconds since the epoch: a number of seconds, milliseconds, microseconds or nanoseconds, or a
    text in ISO 8601. Returns None for anything else.
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
    """Converts a time in ISO 8601 to seconds since the epoch; raises ValueError for other text."""
    from datetime import UTC, datetime

    found = datetime.fromisoformat(text.strip())
    return (found.replace(tzinfo=UTC) if utc and found.tzinfo is None else found).timestamp()
