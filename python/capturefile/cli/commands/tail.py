"""The command `tail`: the last records, and those that are committed later."""

from __future__ import annotations

from capturefile.cli.arguments import Span, add_command, number_or_start
from capturefile.cli.commands.follow import deliver
from capturefile.cli.encoders import add_format, encoder, write_records
from capturefile.cli.exit_codes import DONE
from capturefile.cli.records import in_span, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
capturefile tail -n 3 log.capture
capturefile tail -n +1000 log.capture
capturefile tail --follow log.capture"""


def add_to(commands: Commands) -> None:
    """Describes the command."""
    tail = add_command(commands, "tail", _tail, "write the last records", EXAMPLE)
    tail.add_argument(
        "-n",
        "--number",
        type=number_or_start,
        default="10",
        metavar="N",
        help="how many, or +N: from record N to the end (default: %(default)s)",
    )
    tail.add_argument("-f", "--follow", action="store_true", help="continue with what is committed later")
    add_format(tail)


def _tail(options: argparse.Namespace, output: BinaryIO) -> int:
    encode = encoder(options)
    with reading(options) as cf:
        count = cf.record_count()
        number, is_start = options.number
        first = number if is_start else count + 1 - number
        write_records(output, encode, in_span(cf, Span(max(1, first), count)))
        if options.follow:
            output.flush()
            deliver(cf, count + 1, output, encode)
    return DONE
