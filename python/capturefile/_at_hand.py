"""A buffer of records that were taken in advance, which loses none of them to an exception.

A signal handler can raise between any two calls. Records are therefore moved between containers in a single call, and
those that were being handed out when an exception occurred are put back.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_T = TypeVar("_T")


class AtHand(Generic[_T]):
    """A queue of buffered records; many threads may use it."""

    def __init__(self) -> None:
        self.records: deque[_T] = deque()
        """The buffered records."""
        self._pop: Iterator[_T] = iter(self.records.popleft, None)
        self.error: BaseException | None = None
        """The error that follows the records, if any."""

    def __len__(self) -> int:
        return len(self.records)

    def taking(self, source: Iterable[_T]) -> Iterator[None]:
        """Returns an iterator that moves one record from `source` to the end of the buffer per step."""
        return map(self.records.append, source)

    def give(self, count: int, to: list[_T]) -> None:
        """Moves the first `count` records to the end of `to`."""
        to.extend(islice(self._pop, count))

    def put_back(self, given: list[_T]) -> None:
        """Moves records that `give` has handed out back to the beginning."""
        self.records.extendleft(reversed(given))

    def raise_error(self) -> None:
        """Raises the error, once, if there is one."""
        error = self.error
        if error is None:
            return
        try:
            self.error = None
            raise error
        except BaseException as raised:
            if raised is not error:
                self.error = error
            raise


def size_of(record: object) -> int:
    """Returns the size of a record that is text or bytes; the size of an object of a codec is unknown, so 0."""
    return len(record) if isinstance(record, str | bytes) else 0
