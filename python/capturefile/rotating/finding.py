"""Finding records of a rotated log: what `RotatingReader` has for that."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic

from capturefile._bisect import first_not_below
from capturefile._capturefile import _find_all
from capturefile._typing import RecordT_co

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import SupportsIndex


class Finding(ABC, Generic[RecordT_co]):
    """Finds records by keys."""

    @property
    @abstractmethod
    def first_record(self) -> int:
        """The number of the first record whose file exists."""

    @abstractmethod
    def record_count(self) -> int:
        """Returns the number of records that this object sees."""

    @abstractmethod
    def record_at(self, record_number: SupportsIndex) -> RecordT_co:
        """Reads one record by its number in the log."""

    def find(
        self,
        value: Any,  # noqa: ANN401 - whatever keys are compared with
        /,
        key: Callable[[RecordT_co], Any] | None = None,
        *,
        slack: Any = None,  # noqa: ANN401 - whatever is subtracted from it
    ) -> int:
        """Returns the number of the first record whose key is not below a value, by bisection; see `CaptureFile.find`.

        Only records that were not deleted count.

        Args:
            value: The least key to find.
            key: As for `CaptureFile.find`.
            slack: As for `CaptureFile.find`.

        Returns:
            The number of the record in the log, or one more than that of the last if every key is below the value.

        Raises:
            CaptureFileError: As for `record_at`.

        Examples:
            >>> reader.find("second")
            2
        """
        return first_not_below(self.record_at, range(self.first_record, self.record_count() + 1), value, key, slack)

    def find_all(self, key: str, value: object) -> Iterator[tuple[int, RecordT_co]]:
        """Iterates over the JSON records in which a field has a value, with their numbers; see `CaptureFile.find_all`.

        Args:
            key: Name of the field; `a.b` is field `b` in `a`, or else the field `a.b`.
            value: The value, compared by `==`.

        Returns:
            An iterator over pairs of the record's number in the log and the record, in order.

        Raises:
            CaptureFileError: As for `record_at`.

        Examples:
            >>> list(reader.find_all("order", "A17"))
            []
        """
        return _find_all(self, key, value)
