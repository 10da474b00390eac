"""The command `head`: the first records."""

from __future__ import annotations

from capturefile.cli.arguments import Span, add_command, natural
from capturefile.cli.encoders import add_format, encoder, write_records
from capturefile.cli.exit_codes import DONE
from capturefile.cli.records import in_span, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = "capturefile head -n 3 log.capture"


def add_to(commands: Commands) -> None:
    """Describes the command."""
    head = add_command(commands, "head", _head, "write the first records", EXAMPLE)
    head.add_argument("-n", "--number", type=natural, default=10, metavar="N", help="how many (default: %(default)s)")
    add_format(head)


def _head(options: argparse.Namespace, output: BinaryIO) -> int:
    encode = encoder(options)
    with reading(options) as cf:
        write_records(output, encode, in_span(cf, Span(1, min(options.number, cf.record_count()))))
    return DONE
