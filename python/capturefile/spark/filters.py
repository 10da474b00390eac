"""Filters that Spark hands over (from 4.1 on): record numbers become narrower ranges, a path becomes one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.datasource import EqualTo, GreaterThan, GreaterThanOrEqual, In, LessThan, LessThanOrEqual

from capturefile.spark.reading import BatchReader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyspark.sql.datasource import Filter


class FilteringReader(BatchReader):
    """A batch reader that reads only what the filters leave."""

    def pushFilters(self, filters: list[Filter]) -> Iterable[Filter]:  # noqa: N802
        """Takes what it can, and returns what Spark still has to check."""
        return [each for each in filters if not self._takes(each)]

    def _takes(self, condition: Filter) -> bool:
        """Whether exactly the records that fulfil the condition are left."""
        match condition:
            case EqualTo(("record_number",), int(number)):
                return self._narrow(number, number)
            case GreaterThan(("record_number",), int(number)):
                return self._narrow(number + 1, None)
            case GreaterThanOrEqual(("record_number",), int(number)):
                return self._narrow(number, None)
            case LessThan(("record_number",), int(number)):
                return self._narrow(1, number - 1)
            case LessThanOrEqual(("record_number",), int(number)):
                return self._narrow(1, number)
            case In(("record_number",), numbers) if numbers and all(isinstance(number, int) for number in numbers):
                self._narrow(min(numbers), max(numbers))
            case EqualTo(("path",), str(path)) if self.only_file is None:
                self.only_file = path
                return True
        return False

    def _narrow(self, first: int, last: int | None) -> bool:
        self.first = max(self.first, first)
        if last is not None:
            self.last = last if self.last is None else min(self.last, last)
        return True
