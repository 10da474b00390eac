"""Times, as they are found in records."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SUBUNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (float("inf"), 1e9))
"""Numbers below the first of each are times in units of which the second of each make a second."""


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
