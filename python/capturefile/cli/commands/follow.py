"""The command `follow`: prints records as they are committed, and saves the position in a file."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, suppress

from capturefile.cli.arguments import add_bare
from capturefile.cli.encoders import Headers, add_format, add_headers, encoder
from capturefile.cli.exit_codes import WrongUsage
from capturefile.cli.following import Followed, deliver
from capturefile.cli.sources import NAMED, check, refuse_pipe
from capturefile.cli.times import Times, add_times
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
capturefile follow --since -10min log.capture
capturefile follow --cursor-file consumer.cursor --exit-at-end log.capture"""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    follow = add_bare(commands, "follow", summary, EXAMPLE)
    follow.add_argument("files", metavar="FILE", nargs="+", help=NAMED)
    follow.add_argument(
        "--from",
        dest="start",
        type=_start,
        metavar="N|begin|end",
        help="the first record: a number (-5: five before the end), begin, or end for records committed from now on "
        "(default, without --since)",
    )
    follow.add_argument(
        "--cursor-file",
        metavar="PATH",
        help="save the position in this file, and resume there when started again, regardless of --from and --since; "
        "each record is printed at least once",
    )
    follow.add_argument("--exit-at-end", action="store_true", help="stop after the last existing record")
    add_where(follow)
    add_times(follow)
    add_headers(follow)
    add_format(follow)
    follow.complaint = lambda options: (
        "--from and --since cannot be combined: each determines where to begin"
        if options.start and options.since
        else None
    )
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
    times = Times(options)
    if len(options.files) > 1:
        return _follow_several(options, output, times)
    with Followed(options.files[0], encoder(options), options.where, times) as followed:
        assert followed.source is not None
        Headers(options).write(output, followed.name)
        cursor, start = _cursor(options, followed.source, times)
        followed.start(start, waits=not options.exit_at_end)
        return followed.write_all(output, cursor)


def _follow_several(options: argparse.Namespace, output: BinaryIO, times: Times) -> int:
    if options.cursor_file:
        raise WrongUsage("--cursor-file requires a single file or log: it contains the position in that one")
    if options.start not in (None, "begin", "end"):
        raise WrongUsage("--from with several files must be begin or end: a record number refers to a single file")
    with ExitStack() as stack:
        every = [
            stack.enter_context(Followed(name, encoder(options, name), options.where, times)) for name in options.files
        ]
        for followed in every:
            assert followed.source is not None
            followed.start(_first_record(options, followed.source, times))
        return deliver(every, output, Headers(options), to_end=options.exit_at_end)


def _cursor(options: argparse.Namespace, source: Source, times: Times) -> tuple[CursorFile | None, int]:
    """Returns the cursor file, if one was requested, and the number of the next record."""
    if not options.cursor_file:
        return None, _first_record(options, source, times)
    from capturefile._cursor import CursorFile

    cursor = CursorFile(options.cursor_file)
    position = cursor.load()
    if position is not None:
        position.check(source.reader)
        return cursor, position.records + 1
    start = _first_record(options, source, times)
    if start <= source.last + 1:
        # Saved even before the first record, so that a restarted run does not start at a later end.
        cursor.save_before(start, source.reader)
    return cursor, start


def _first_record(options: argparse.Namespace, source: Source, times: Times) -> int:
    if times.since is not None:
        return times.narrowed(source, source.everything()).first
    if options.start == "begin":
        return source.first
    if options.start in (None, "end"):
        return source.last + 1
    return int(options.start) if options.start > 0 else max(source.first, source.last + 1 + options.start)
