"""Messages of the command on standard error."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress

import capturefile
from capturefile._numbers import counted
from capturefile.cli.streams import STANDARD_ERROR, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["counted", "in_the_way", "reporting", "say"]

in_the_way: list[Callable[[], None]] = []
"""Functions that clear temporary content from the terminal's last line."""


def say(message: str) -> None:
    """Writes one line to standard error; a failure is ignored, because there is nowhere to report it."""
    for remove in in_the_way:
        remove()
    if sys.stderr is not None:
        one_line = message.replace("\n", "\\n")
        with suppress(OSError):
            write_all(STANDARD_ERROR, f"capturefile: {one_line}\n".encode(errors="backslashreplace"))


@contextmanager
def reporting(cf: capturefile.CaptureFile[bytes]) -> Iterator[None]:
    """Reports, at the end, how many records were added and committed.

    The file has the exact numbers, whereas an interrupt could occur between a commit and code that counts it. After
    an uncertain commit they are unknown; its own message says so.
    """
    before = cf.record_count()
    try:
        yield
    finally:
        with suppress(capturefile.CaptureFileError):
            cf.rollback()
            say(f"{counted(cf.record_count() - before, 'record')} added")
