"""The command `get`: prints records by their numbers."""

from __future__ import annotations

from capturefile.cli.arguments import Span, add_bare, span
from capturefile.cli.encoders import add_format, encoder, write_records
from capturefile.cli.exit_codes import DONE
from capturefile.cli.sources import add_source, opened
from capturefile.cli.times import FORMS, Times, add_time_places

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands
    from capturefile.cli.sources import Source

EXAMPLE = """\
capturefile get log.capture 7
capturefile get log.capture 10-20 -1
capturefile get log.capture --format hex -3-
capturefile get log.capture --time 2026-11-30T14:05"""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    get = add_bare(commands, "get", summary, EXAMPLE)
    add_source(get)
    numbers = get.add_argument(
        "numbers",
        type=span,
        nargs="+",
        default=[],
        metavar="[N ...]",
        help="a number, or a range that includes both ends: 7, 10-20, 10- (to the end); 1 is the first record, "
        "-1 the last, -3--1 and -3- the last three",
    )
    # With "*" instead, argparse would accept no numbers after an option that follows FILE.
    numbers.required = False
    get.add_argument(
        "--time",
        dest="since",
        metavar="TIME",
        help=f"instead of numbers: the first record committed at this time or later, in files of format 3: {FORMS}",
    )
    add_time_places(get)
    add_format(get)
    get.complaint = lambda options: (
        None if bool(options.numbers) != bool(options.since) else "either numbers are required, or --time"
    )
    get.set_defaults(run=_get, until=None)


def _get(options: argparse.Namespace, output: BinaryIO) -> int:
    encode, times = encoder(options), Times(options)
    with opened(options.file) as source:
        spans = [source.resolve(span) for span in options.numbers] or [_first(source, times, options.since)]
        for each in spans:
            write_records(output, encode, source.records(each))
    return DONE


def _first(source: Source, times: Times, wanted: str) -> Span:
    """Returns the first record at or after the time."""
    found = times.narrowed(source, source.everything())
    if found.first > found.last:
        raise IndexError(f"{source.name}: there is no record from {wanted.strip()} or later")
    return Span(found.first, found.first)
