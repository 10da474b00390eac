"""Numbers of records, as callers give them, and in messages."""

from __future__ import annotations

import operator

# `typing` takes longer to import than everything else that a command needs.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, SupportsIndex

_LIMIT = 10**100
"""A number greater than that of any record. Python refuses to print an integer with thousands of digits."""


def integer(number: SupportsIndex) -> int:
    """Returns the number, clamped to the limit in both directions."""
    return max(-_LIMIT, min(operator.index(number), _LIMIT))


def counted(number: int, noun: str) -> str:
    """Formats a number with the noun that is counted."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def first_number(number: SupportsIndex) -> int:
    """Returns the number of a first record, which may be past the last one.

    Raises:
        IndexError: The number is below 1.
    """
    first = integer(number)
    if first < 1:
        raise IndexError(f"record {first} does not exist: records are numbered from 1")
    return first


def numbers_in(part: slice[Any, Any, Any], first: int, last: int) -> range:
    """Returns the numbers that a slice selects from records 1 to `last`, the first of which may have been deleted.

    `first` is the first record that exists. Negative bounds count from the end. Without a bound, the slice begins or
    ends with a record that exists.

    Raises:
        ValueError: The step is 0.
    """
    step = 1 if part.step is None else integer(part.step)
    if step == 0:
        raise ValueError("slice step cannot be zero")
    start, end = (first, last + 1) if step > 0 else (last, first - 1)
    low, high = (1, last + 1) if step > 0 else (0, last)

    def bound(given: SupportsIndex | None, default: int) -> int:
        if given is None:
            return default
        number = integer(given)
        return max(low, min(last + 1 + number if number < 0 else number, high))

    return range(bound(part.start, start), bound(part.stop, end), step)
