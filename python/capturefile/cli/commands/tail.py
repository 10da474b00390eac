"""The command `tail`: the last records, and those that are committed later."""

from __future__ import annotations

from contextlib import ExitStack

from capturefile.cli.arguments import Span, add_bare, number_or_start
from capturefile.cli.encoders import Headers, add_format, add_headers, encoder, write_records
from capturefile.cli.exit_codes import DONE
from capturefile.cli.following import Followed, deliver
from capturefile.cli.records import Selection, last_records
from capturefile.cli.sources import add_sources, each_of, refuse_pipe
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
capturefile tail -F monday.capture orders/"""


def add_to(commands: Commands) -> None:
    """Defines the command."""
    tail = add_bare(commands, "tail", "print the last records", EXAMPLE)
    add_sources(tail)
    tail.add_argument(
        "-n",
        "--number",
        type=number_or_start,
        default="10",
        metavar="N",
        help="number of records, or +N: from record N to the end (default: %(default)s)",
    )
    tail.add_argument("-f", "--follow", action="store_true", help="continue with records that are committed later")
    tail.add_argument(
        "-F",
        "--follow-name",
        action="store_true",
        help="like -f, and also wait for a file that does not exist yet, and continue with a file that replaces it",
    )
    add_where(tail)
    add_headers(tail)
    add_format(tail)
    tail.set_defaults(run=_tail)


def _tail(options: argparse.Namespace, output: BinaryIO) -> int:
    headers = Headers(options)
    if not (options.follow or options.follow_name):
        for source in each_of(options.files):
            headers.write(output, source.name)
            _write_end(options, output, source)
        return DONE
    refuse_pipe(options.files)
    alone = len(options.files) == 1 and not options.follow_name
    with ExitStack() as stack:
        followed = []
        for name in options.files:
            followed_by_name = Followed(name, encoder(options, name), options.where, by_name=options.follow_name)
            each = stack.enter_context(followed_by_name)
            followed.append(each)
            if each.source is not None:
                headers.write(output, name)
                _write_end(options, output, each.source)
                each.start(each.source.last + 1, timeout=None if alone else 0)
        output.flush()
        return followed[0].write_all(output) if alone else deliver(followed, output, headers)


def _write_end(options: argparse.Namespace, output: BinaryIO, source: Source) -> None:
    number, is_start = options.number
    if is_start:
        records = Selection(source, Span(max(source.first, number), source.last), options.where).records()
    else:
        records = last_records(source, number, options.where)
    write_records(output, encoder(options, source.name), records)
