"""The command `head`: prints the first records."""

from __future__ import annotations

from itertools import islice

from capturefile.cli.arguments import Span, add_bare, natural
from capturefile.cli.encoders import Headers, add_format, add_headers, encoder, write_records
from capturefile.cli.exit_codes import DONE
from capturefile.cli.records import Selection
from capturefile.cli.sources import add_sources, each_of
from capturefile.cli.where import add_where

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import BinaryIO

    from capturefile._fields.conditions import Condition
    from capturefile.cli.arguments import Commands
    from capturefile.cli.sources import Source

EXAMPLE = """\
capturefile head -n 3 log.capture
capturefile head -q monday.capture tuesday.capture"""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    head = add_bare(commands, "head", summary, EXAMPLE)
    add_sources(head)
    head.add_argument(
        "-n", "--number", type=natural, default=10, metavar="N", help="number of records (default: %(default)s)"
    )
    add_where(head)
    add_headers(head)
    add_format(head)
    head.set_defaults(run=_head)


def _head(options: argparse.Namespace, output: BinaryIO) -> int:
    headers = Headers(options)
    for source in each_of(options.files):
        headers.write(output, source.name)
        write_records(output, encoder(options, source.name), _first_records(source, options.number, options.where))
    return DONE


def _first_records(source: Source, number: int, where: Condition | None) -> Iterator[tuple[int, bytes]]:
    if where is None:
        return source.records(Span(source.first, min(source.first - 1 + number, source.last)))
    return islice(Selection(source, source.everything(), where).records(), number)
