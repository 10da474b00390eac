"""The command `follow`: records as they are committed, and a file that remembers how far they were printed."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, suppress

from capturefile.cli.arguments import add_bare
from capturefile.cli.encoders import Headers, add_format, add_headers, encoder
from capturefile.cli.exit_codes import WrongUsage
from capturefile.cli.following import Followed, deliver
from capturefile.cli.sources import FOLLOWED, check, refuse_pipe
from capturefile.cli.where import add_where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from capturefile._cursor import CursorFile
    from capturefile.cli.arguments import Commands
    from capturefile.cli.sources import Source

EXAMPLE = """\
capturefile follow log.capture
capturefile follow --from begin --format jsonl log.capture
capturefile follow --cursor-file consumer.cursor --exit-at-end log.capture"""


def add_to(commands: Commands) -> None:
    """Defines the command."""
    follow = add_bare(commands, "follow", "print records as they are committed by any process", EXAMPLE)
    follow.add_argument("files", metavar="FILE", nargs="+", help=FOLLOWED)
    follow.add_argument(
        "--from",
        dest="start",
        type=_start,
        default="end",
        metavar="N|begin|end",
        help="the first record: a number (-5: five before the end), begin, or end for records committed from now on "
        "(default)",
    )
    follow.add_argument(
        "--cursor-file",
        metavar="PATH",
        help="save the position in this file, and resume there when started again, regardless of --from; each record "
        "is printed at least once",
    )
    follow.add_argument("--exit-at-end", action="store_true", help="stop after the last existing record")
    add_where(follow)
    add_headers(follow)
    add_format(follow)
    follow.set_defaults(run=_follow)


def _start(text: str) -> int | str:
    if text in ("begin", "end"):
        return text
    with suppress(ValueError):
        if number := int(text):
            return number
    raise argparse.ArgumentTypeError(f"expected a record number, begin or end, not {text!r}")


def _follow(options: argparse.Namespace, output: BinaryIO) -> int:
    refuse_pipe(options.files)
    check(options.files)
    if len(options.files) > 1:
        return _follow_several(options, output)
    with Followed(options.files[0], encoder(options), options.where) as followed:
        assert followed.source is not None
        Headers(options).write(output, followed.name)
        cursor, start = _cursor(options, followed.source)
        followed.start(start, timeout=0 if options.exit_at_end else None)
        return followed.write_all(output, cursor)


def _follow_several(options: argparse.Namespace, output: BinaryIO) -> int:
    if options.cursor_file:
        raise WrongUsage("--cursor-file goes with one file or log: it says how far that one was written")
    if options.start not in ("begin", "end"):
        raise WrongUsage("--from takes begin or end where there are several files: a number is that of one")
    with ExitStack() as stack:
        every = [stack.enter_context(Followed(name, encoder(options, name), options.where)) for name in options.files]
        for followed in every:
            assert followed.source is not None
            followed.start(_first_record(options, followed.source))
        return deliver(every, output, Headers(options), to_end=options.exit_at_end)


def _cursor(options: argparse.Namespace, source: Source) -> tuple[CursorFile | None, int]:
    """The cursor file, if there is to be one, and the number of the next record."""
    if not options.cursor_file:
        return None, _first_record(options, source)
    from capturefile._cursor import CursorFile, Position

    cursor = CursorFile(options.cursor_file)
    position = cursor.load()
    if position is not None:
        position.check(source.reader)
        return cursor, position.records + 1
    start = _first_record(options, source)
    if start <= source.last + 1:
        # Even before the first record, so that a run that is started again does not start at a later end.
        cursor.save(Position.before(start, source.reader))
    return cursor, start


def _first_record(options: argparse.Namespace, source: Source) -> int:
    if options.start == "begin":
        return source.first
    if options.start == "end":
        return source.last + 1
    return int(options.start) if options.start > 0 else max(source.first, source.last + 1 + options.start)
