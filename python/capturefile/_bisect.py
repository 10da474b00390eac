"""Finding records by keys that ascend from record to record."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from capturefile._capturefile import CaptureFile

    _T = TypeVar("_T")


def first_not_below(
    record_at: Callable[[int], _T],
    numbers: range,
    value: Any,  # noqa: ANN401 - anything that the keys can be compared with
    key: Callable[[_T], Any] | None = None,
    slack: Any = None,  # noqa: ANN401 - anything that can be subtracted from it
) -> int:
    """Returns the first of `numbers` whose record has a key that is not below `value`, or the number after them.

    The number of records read is logarithmic, plus some around the result: those without a key, and those whose keys
    differ from it by at most `slack`.
    """

    def key_of(number: int) -> Any:  # noqa: ANN401
        record = record_at(number)
        return record if key is None else key(record)

    least = value if slack is None else value - slack
    low, end = numbers.start, numbers.stop
    while low < end:
        middle = (low + end) // 2
        # A record without a key counts like the next one that has one.
        keyed = ((number, found) for number in range(middle, end) if (found := key_of(number)) is not None)
        number, found = next(keyed, (None, None))
        if number is None or not found < least:
            end = middle
        else:
            low = number + 1
    # No earlier key reaches the value, since only larger keys could follow it.
    return next(
        (number for number in range(low, numbers.stop) if (found := key_of(number)) is not None and not found < value),
        numbers.stop,
    )


def find_in_file(
    cf: CaptureFile[Any],
    value: Any,  # noqa: ANN401
    key: Callable[[Any], Any] | None,
    slack: Any,  # noqa: ANN401
) -> int:
    """Implements `CaptureFile.find`."""
    return first_not_below(cf.record_at, range(1, cf.record_count() + 1), value, key, slack)
