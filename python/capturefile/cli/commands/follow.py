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
from capturefile.cli.records import reading
from capturefile.cli.reports import unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from capturefile._cursor import CursorFile
    from capturefile.cli.arguments import Commands
    from capturefile.cli.encoders import Encoder

EXAMPLE = """\
capturefile follow log.capture
capturefile follow --from begin --format jsonl log.capture
capturefile follow --cursor-file consumer.cursor --exit-at-end log.capture"""

MOST_AT_RISK = 1.0
"""Seconds of printing that a crash may have printed again, where there is no pause."""
LOOK_EVERY = 256
"""After this many records without a pause the clock is looked at."""


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
        help="keep in this file how far records were written, and continue there when started again, whatever "
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
    with reading(options) as cf:
        timeout = 0 if options.exit_at_end else None
        if options.cursor_file:
            cursor, start = _cursor(options, cf)
            deliver(cf, start, output, encode, cursor, timeout)
        else:
            start = _first_record(options, cf.record_count())
            deliver(cf, start, output, encode, timeout=timeout)
    return DONE


def _cursor(options: argparse.Namespace, cf: capturefile.CaptureFile[bytes]) -> tuple[CursorFile, int]:
    """The cursor file, and the number of the record that it says is the next."""
    from capturefile._cursor import CursorFile, Position

    cursor = CursorFile(options.cursor_file)
    position = cursor.load()
    if position is not None:
        position.check(cf)
        return cursor, position.records + 1
    count = cf.record_count()
    start = _first_record(options, count)
    if start <= count + 1:
        # Even before the first record, so that a run that is started again does not start at a later end.
        cursor.save(Position.before(start, cf))
    return cursor, start


def _first_record(options: argparse.Namespace, count: int) -> int:
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
    cursor: CursorFile | None = None,
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
                    cursor.save_behind(number, record)
                saved = time.monotonic()
    except capturefile.InvalidCaptureFile as error:
        raise unreadable(error, cf.file_name, number + 1) from error
