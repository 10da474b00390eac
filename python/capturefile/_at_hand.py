"""Records at hand: taken before they are asked for, and given without losing any to an exception.

A signal handler can raise between any two calls. So records are moved from one container to another within a single
call, and what was on its way out when an exception came is put back.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_T = TypeVar("_T")


class AtHand(Generic[_T]):
    """A queue; many threads may use it."""

    def __init__(self) -> None:
        self.records: deque[_T] = deque()
        """Those that are at hand."""
        self._pop: Iterator[_T] = iter(self.records.popleft, None)
        self.error: BaseException | None = None
        """What comes behind them, if anything."""

    def __len__(self) -> int:
        return len(self.records)

    def taking(self, source: Iterable[_T]) -> Iterator[None]:
        """An iterator that moves one from `source` to the end with each step."""
        return map(self.records.append, source)

    def give(self, count: int, to: list[_T]) -> None:
        """Moves the first `count` to the end of `to`."""
        to.extend(islice(self._pop, count))

    def put_back(self, given: list[_T]) -> None:
        """Moves what `give` has given back to the beginning."""
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
