"""The command `follow`: records as they are committed, and a file that remembers how far they were printed."""

from __future__ import annotations

import argparse
import time
from contextlib import suppress
from operator import length_hint

import capturefile
from capturefile.cli.arguments import add_command
from capturefile.cli.encoders import add_format, encoder
from capturefile.cli.exit_codes import DONE
from capturefile.cli.messages import counted
from capturefile.cli.records import reading
from capturefile.cli.reports import unreadable
from capturefile.cli.streams import new_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands
    from capturefile.cli.encoders import Encoder

EXAMPLE = """\
capturefile follow log.capture
capturefile follow --from begin --format jsonl log.capture
capturefile follow --cursor-file consumer.cursor --exit-at-end log.capture"""

NEXT = "next_record_number"
"""The one key in a cursor file."""
MOST_AT_RISK = 1.0
"""Seconds of printing that a crash may have printed again, where there is no pause."""
LOOK_EVERY = 256
"""After so many records without a pause the clock is looked at."""


def add_to(commands: Commands) -> None:
    """Describes the command."""
    follow = add_command(
        commands, "follow", _follow, "write records as they are committed, by whatever process", EXAMPLE
    )
    follow.add_argument(
        "--from",
        dest="start",
        type=_start,
        default="end",
        metavar="N|begin|end",
        help="the first record: a number (-5: five before the end), begin, or end for only what is committed "
        "from now on (default)",
    )
    follow.add_argument(
        "--cursor-file",
        metavar="PATH",
        help="keep in this file how far records were written, and go on there when started again, whatever "
        "--from says; a record is written at least once",
    )
    follow.add_argument("--exit-at-end", action="store_true", help="end once all records there are have been written")
    add_format(follow)


def _start(text: str) -> int | str:
    if text in ("begin", "end"):
        return text
    with suppress(ValueError):
        if number := int(text):
            return number
    raise argparse.ArgumentTypeError(f"expected a record number, begin or end, not {text!r}")


def _follow(options: argparse.Namespace, output: BinaryIO) -> int:
    encode = encoder(options)
    cursor = Cursor(options.cursor_file) if options.cursor_file else None
    with reading(options) as cf:
        start = _first_record(options, cf.record_count(), cursor)
        if cursor is not None:
            # Even before the first record, so that a run that is started again does not start at a later end.
            cursor.save(start)
        deliver(cf, start, output, encode, cursor, timeout=0 if options.exit_at_end else None)
    return DONE


def _first_record(options: argparse.Namespace, count: int, cursor: Cursor | None) -> int:
    if cursor is not None and (kept := cursor.load()) is not None:
        if kept > count + 1:
            told = f"it says that record {kept} is the next, but {options.file} has {counted(count, 'record')}"
            raise ValueError(f"{cursor.path}: {told}; is it for another file?")
        return kept
    if options.start == "begin":
        return 1
    if options.start == "end":
        return count + 1
    return int(options.start) if options.start > 0 else max(1, count + 1 + options.start)


def deliver(
    cf: capturefile.CaptureFile[bytes],
    first: int,
    output: BinaryIO,
    encode: Encoder,
    cursor: Cursor | None = None,
    timeout: float | None = None,
) -> None:
    """Writes records from number `first` on as they come, and lets nobody wait for what is in the buffer.

    The cursor moves only after the output has been flushed.
    """
    follower = cf.follow(first, timeout=timeout)
    saved = time.monotonic()
    number = first - 1
    try:
        for number, record in enumerate(follower, first):
            output.write(encode(number, record))
            now = 0.0 if number % LOOK_EVERY else time.monotonic()
            if length_hint(follower) == 0 or now > saved + MOST_AT_RISK:
                output.flush()
                if cursor is not None:
                    cursor.save(number + 1)
                saved = time.monotonic()
    except capturefile.InvalidCaptureFile as error:
        raise unreadable(error, cf.file_name, number + 1) from error


class Cursor:
    """A small file with the number of the next record."""

    def __init__(self, path: str) -> None:
        """The file need not exist yet."""
        self.path = path

    def load(self) -> int | None:
        """The number in it; None without a file."""
        import json

        try:
            with open(self.path, encoding="utf-8") as file:
                number = json.load(file)[NEXT]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, RecursionError):
            number = None
        if type(number) is not int or number < 1:
            raise ValueError(f"{self.path}: it is no cursor file: expected a text such as {self._text(7)!r}")
        return number

    def save(self, number: int) -> None:
        """Replaces the number, so that a crash leaves the old one or the new one."""
        with new_file(self.path, overwrite=True) as file:
            file.write(f"{self._text(number)}\n".encode())

    @staticmethod
    def _text(number: int) -> str:
        return f'{{"{NEXT}": {number}}}'
