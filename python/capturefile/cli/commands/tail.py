"""The command `tail`: prints the last records, and those that are committed later."""

from __future__ import annotations

from contextlib import ExitStack

from capturefile.cli.arguments import Span, add_bare, number_or_start
from capturefile.cli.encoders import Headers, add_format, add_headers, encoder, write_records
from capturefile.cli.exit_codes import DONE
from capturefile.cli.following import Followed, deliver
from capturefile.cli.records import Selection, last_records
from capturefile.cli.sources import add_sources, each_of, refuse_pipe
from capturefile.cli.times import Times, add_times
from capturefile.cli.where import add_where

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands
    from capturefile.cli.sources import Source

EXAMPLE = """\
capturefile tail -n 3 log.capture
capturefile tail -n +1000 log.capture
capturefile tail --follow log.capture
capturefile tail --since 14:05 --follow log.capture
capturefile tail -F monday.capture orders/"""
DEFAULT = 10
"""The default number of records."""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    tail = add_bare(commands, "tail", summary, EXAMPLE)
    add_sources(tail)
    tail.add_argument(
        "-n",
        "--number",
        type=number_or_start,
        metavar="N",
        help="number of records, or +N: from record N to the end (default: 10, or all with --since or --until)",
    )
    tail.add_argument("-f", "--follow", action="store_true", help="continue with records that are committed later")
    tail.add_argument(
        "-F",
        "--follow-name",
        action="store_true",
        help="like -f, and also wait for a file that does not exist yet, and continue with a file that replaces it",
    )
    add_where(tail)
    add_times(tail)
    add_headers(tail)
    add_format(tail)
    tail.set_defaults(run=_tail)


def _tail(options: argparse.Namespace, output: BinaryIO) -> int:
    headers, times = Headers(options), Times(options)
    if not (options.follow or options.follow_name):
        for source in each_of(options.files):
            headers.write(output, source.name)
            _write_end(options, output, source, times)
        return DONE
    refuse_pipe(options.files)
    alone = len(options.files) == 1 and not options.follow_name
    with ExitStack() as stack:
        followed = []
        for name in options.files:
            each = Followed(name, encoder(options, name), options.where, times, by_name=options.follow_name)
            followed.append(stack.enter_context(each))
            if each.source is not None:
                headers.write(output, name)
                each.start(_write_end(options, output, each.source, times), waits=alone)
        output.flush()
        return followed[0].write_all(output) if alone else deliver(followed, output, headers)


def _write_end(options: argparse.Namespace, output: BinaryIO, source: Source, times: Times) -> int:
    """Writes the last records of the period, and returns the number of the next one."""
    found = times.narrowed(source, source.everything())
    number, is_start = options.number or ((found.first, True) if times.wanted else (DEFAULT, False))
    if is_start:
        span = Span(max(found.first, number), found.last)
        records = Selection(source, span, options.where, times=times).records()
    else:
        records = last_records(source, found, number, options.where, times)
    write_records(output, encoder(options, source.name), records)
    return found.last + 1
