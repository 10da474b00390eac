"""The progress line on a terminal, with the speed and the remaining time."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, suppress

from capturefile.cli.messages import in_the_way
from capturefile.cli.streams import STANDARD_ERROR, STANDARD_OUTPUT, is_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeVar

    T = TypeVar("T")

SILENCE = 1.0
"""Seconds before the line is first shown."""
PAUSE = 0.2
"""Seconds between two updates."""
CLEARED = "\r\x1b[K"


class Progress:
    """Counts the items that pass through it. Without a terminal on standard error, it does nothing."""

    def __init__(
        self, doing: str, unit: str, total: int | None, position: Callable[[], int] | None, *, visible: bool
    ) -> None:
        """Shows progress of `total` items; `position` returns how many are done, by default those counted."""
        self.doing = doing
        self.unit = unit
        self.total = total
        self.position = position
        self.visible = visible
        self.count = 0
        self.started = time.monotonic()
        self.due = self.started + SILENCE
        self.shown = False

    def expect(self, total: int, *, alone: bool) -> None:
        """Sets the number of items, unless those of other sources will follow."""
        self.total = total if alone else None

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """Iterates over the items and counts them."""
        return self._counted(items) if self.visible else iter(items)

    def _counted(self, items: Iterable[T]) -> Iterator[T]:
        for item in items:
            yield item
            self.count += 1
            self.look()

    def at(self, done: int, total: int) -> None:
        """Sets the progress, if the caller knows it, instead of counting."""
        self.count, self.total = done, total
        self.look()

    def look(self) -> None:
        """Shows the line if an update is due."""
        now = time.monotonic()
        if self.visible and now >= self.due:
            done = self.count if self.position is None else self.position()
            self._show(line(self.doing, self.unit, done, self.total, now - self.started))
            self.due = now + PAUSE

    def clear(self) -> None:
        """Clears the line until the next update is due."""
        if self.shown:
            self._show("")
            self.shown = False

    def _show(self, text: str) -> None:
        self.shown = True
        with suppress(OSError):  # It does not matter if the terminal is gone or busy.
            os.write(STANDARD_ERROR, f"{CLEARED}{text}".encode())


def line(doing: str, unit: str, done: int, total: int | None, seconds: float) -> str:
    """Returns the progress line after this many seconds."""
    rate = done / seconds
    if total is None or done > total:
        return f"{doing}: {done:,} {unit}, {rate:,.0f} a second"
    share = f"{done:,} of {total:,} {unit}, {100 * done // max(1, total)} %, {rate:,.0f} a second"
    return f"{doing}: {share}, {duration((total - done) / rate)} left" if done else f"{doing}: {share}"


def duration(seconds: float) -> str:
    """Formats a duration in seconds, minutes or hours."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@contextmanager
def progress(
    doing: str,
    unit: str,
    total: int | None = None,
    *,
    position: Callable[[], int] | None = None,
    beside_output: bool = False,
) -> Iterator[Progress]:
    """Yields the progress of long work. With `beside_output`, nothing is shown if the terminal displays results."""
    visible = sys.stderr is not None and is_terminal(STANDARD_ERROR)
    if beside_output and is_terminal(STANDARD_OUTPUT):
        visible = False
    shown = Progress(doing, unit, total, position, visible=visible)
    in_the_way.append(shown.clear)
    try:
        yield shown
    finally:
        in_the_way.remove(shown.clear)
        shown.clear()
