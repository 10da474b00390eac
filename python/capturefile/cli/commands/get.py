"""The command `get`: records by their numbers."""

from __future__ import annotations

from capturefile.cli.arguments import add_bare, span
from capturefile.cli.encoders import add_format, encoder, write_records
from capturefile.cli.exit_codes import DONE
from capturefile.cli.sources import add_source, opened

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
capturefile get log.capture 7
capturefile get log.capture 10-20 -1
capturefile get log.capture --format hex -3-"""


def add_to(commands: Commands) -> None:
    """Defines the command."""
    get = add_bare(commands, "get", "print the records with the given numbers, in the given order", EXAMPLE)
    add_source(get)
    get.add_argument(
        "numbers",
        type=span,
        nargs="+",
        metavar="N",
        help="a number, or a range that includes both ends: 7, 10-20, 10- (to the end); 1 is the first record, "
        "-1 the last, -3--1 and -3- the last three",
    )
    add_format(get)
    get.set_defaults(run=_get)


def _get(options: argparse.Namespace, output: BinaryIO) -> int:
    encode = encoder(options)
    with opened(options.file) as source:
        spans = [source.resolve(span) for span in options.numbers]
        for each in spans:
            write_records(output, encode, source.records(each))
    return DONE
