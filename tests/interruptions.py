"""Exceptions at any moment: a driver that raises one at every boundary in the library's Python code in turn.

A signal handler that raises does so between two calls, at the beginning of a function or when a call returns. The
driver raises at the beginning of each line as well, and between a call and the assignment of its result.
"""

from __future__ import annotations

import dis
import itertools
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import capturefile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

PACKAGE = Path(capturefile.__file__).parent

DELIVERING = {"__next__", "__anext__", "_given", "give"}
"""Functions whose results reach the caller when they return, as those of functions in C do."""

COROUTINE = 0x20 | 0x80 | 0x200
"""Flags of code that also "returns" when it suspends: generators, coroutines, and async generators."""


class TickError(Exception):
    """Raised as if by a user's signal handler."""


class InterruptError(KeyboardInterrupt):
    """Raised as if by the handler of Ctrl-C."""


class Interruption:
    """A context manager that raises `error` at boundary number `at` of the code in some files of the package."""

    def __init__(self, at: int, error: type[BaseException], files: tuple[str, ...]) -> None:
        self.at = at
        self.error = error
        self.files = {str(PACKAGE / file) for file in files}
        self.boundaries = itertools.count()
        self.raised = ""

    def __enter__(self) -> None:
        """Starts counting boundaries, unless it has raised already."""
        if not self.raised:
            sys.setprofile(self._profile)
            sys.settrace(self._trace)

    def __exit__(self, *exception: object) -> None:
        """Stops counting."""
        sys.settrace(None)
        sys.setprofile(None)

    def _pass(self, frame: FrameType, event: str) -> None:
        if not self.raised and next(self.boundaries) == self.at:
            self.raised = f"{event} in {frame.f_code.co_qualname}, {frame.f_code.co_filename}:{frame.f_lineno}"
            sys.settrace(None)
            sys.setprofile(None)
            raise self.error(self.raised)

    def _profile(self, frame: FrameType, event: str, function: Any) -> None:  # noqa: ANN401
        if event == "c_return" and frame.f_code.co_filename in self.files:
            self._pass(frame, f"return of {function.__name__}")

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401
        # An exception in a generator expression that is discarded half-way is not reported.
        if frame.f_code.co_filename not in self.files or frame.f_code.co_name == "<genexpr>":
            return None
        if event == "call" or (event == "line" and frame.f_lasti not in quiet(frame.f_code)):
            self._pass(frame, event)
        code = frame.f_code
        if event == "return" and code.co_name not in DELIVERING and not code.co_flags & COROUTINE:
            self._pass(frame, event)
        return self._trace


@cache
def quiet(code: CodeType) -> set[int]:
    """The places where a `with` statement ends or a `try` begins: a line starts there, but Python checks no signals.

    An exception from there would leave a lock locked, which no signal handler can cause.
    """
    instructions = list(dis.get_instructions(code))
    found = set()
    for index, instruction in enumerate(instructions):
        ahead = [(each.opname, each.argval) for each in instructions[index : index + 5]]
        without_error = any(ahead[start : start + 3] == [("LOAD_CONST", None)] * 3 for start in range(3))
        names = [name for name, _ in ahead[:2]]
        if without_error or "WITH_EXCEPT_START" in names or names[0] == "NOP":
            found.add(instruction.offset)
    return found


def at_each_boundary(scenario: Callable[[Interruption, Path], object], folder: Path, *files: str) -> int:
    """Runs `scenario` in a new folder for each boundary, with an exception there; returns how many there are."""
    for at in itertools.count():
        interruption = Interruption(at, InterruptError if at % 2 else TickError, files)
        place = folder / str(at)
        place.mkdir()
        try:
            scenario(interruption, place)
        except BaseException as failure:
            failure.add_note(f"after boundary {at}: {interruption.raised}")
            raise
        if not interruption.raised:
            return at
    raise AssertionError


def each_interruption(interruption: Interruption, action: Callable[[], object]) -> Iterator[None]:
    """Repeats `action` until it completes, and yields after each interruption."""
    while True:
        try:
            with interruption:
                action()
        except (TickError, InterruptError):
            yield
        else:
            return


def until_done(interruption: Interruption, action: Callable[[], object]) -> None:
    """Repeats `action` until it completes."""
    for _ in each_interruption(interruption, action):
        """It is retried immediately."""
