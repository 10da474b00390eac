"""The commands that print records by their place: `cat`, `head`, `tail`, `get`; and `count`."""

from __future__ import annotations

from capturefile.cli.arguments import Span, add_command, add_number, add_selection, span
from capturefile.cli.codes import DONE
from capturefile.cli.following import deliver
from capturefile.cli.formats import add_format, encoder, write_records
from capturefile.cli.progress import progress
from capturefile.cli.records import Selection, in_span, reading, resolve
from capturefile.cli.streams import write_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

CAT_EXAMPLE = """\
capturefile cat log.capture
capturefile cat --range 1000-2000 --format jsonl log.capture"""
HEAD_EXAMPLE = "capturefile head -n 3 log.capture"
TAIL_EXAMPLE = """\
capturefile tail -n 3 log.capture
capturefile tail --follow log.capture"""
GET_EXAMPLE = """\
capturefile get log.capture 7
capturefile get log.capture 10-20 -1
capturefile get log.capture --format hex -3-"""
COUNT_EXAMPLE = "capturefile count log.capture"


def add_to(commands: Commands) -> None:
    """Describes the commands."""
    cat = add_command(commands, "cat", _cat, "write all records", CAT_EXAMPLE)
    add_selection(cat)
    head = add_command(commands, "head", _head, "write the first records", HEAD_EXAMPLE)
    add_number(head)
    tail = add_command(commands, "tail", _tail, "write the last records", TAIL_EXAMPLE)
    add_number(tail)
    tail.add_argument("-f", "--follow", action="store_true", help="go on with what is committed later")
    get = add_command(
        commands, "get", _get, "write the records with the given numbers, in the order asked", GET_EXAMPLE
    )
    get.add_argument(
        "numbers",
        type=span,
        nargs="+",
        metavar="N",
        help="a number, or a range with both ends in it: 7, 10-20, 10- (to the end); 1 is the first record, "
        "-1 the last, -3--1 and -3- the last three",
    )
    for command in (cat, head, tail, get):
        add_format(command)
    add_command(commands, "count", _count, "write the number of records", COUNT_EXAMPLE)


def _cat(options: argparse.Namespace, output: BinaryIO) -> int:
    encode = encoder(options)
    with reading(options) as cf:
        selection = Selection(cf, options, options.file)
        with progress("cat", "records", len(selection), beside_output=True) as shown:
            write_records(output, encode, shown.over(selection))
        return selection.code


def _head(options: argparse.Namespace, output: BinaryIO) -> int:
    encode = encoder(options)
    with reading(options) as cf:
        write_records(output, encode, in_span(cf, Span(1, min(options.number, cf.record_count()))))
    return DONE


def _tail(options: argparse.Namespace, output: BinaryIO) -> int:
    encode = encoder(options)
    with reading(options) as cf:
        count = cf.record_count()
        write_records(output, encode, in_span(cf, Span(max(1, count + 1 - options.number), count)))
        if options.follow:
            output.flush()
            deliver(cf.follow(), count + 1, output, encode)
    return DONE


def _get(options: argparse.Namespace, output: BinaryIO) -> int:
    encode = encoder(options)
    with reading(options) as cf:
        spans = [resolve(span, cf.record_count(), options.file) for span in options.numbers]
        for each in spans:
            write_records(output, encode, in_span(cf, each))
    return DONE


def _count(options: argparse.Namespace, output: BinaryIO) -> int:
    with reading(options) as cf:
        write_line(output, str(cf.record_count()))
    return DONE
