"""The command `cat`: all records, or a range of them."""

from __future__ import annotations

from capturefile.cli.arguments import add_command, add_selection
from capturefile.cli.encoders import add_format, encoder, write_records
from capturefile.cli.progress import progress
from capturefile.cli.records import Selection, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
capturefile cat log.capture
capturefile cat --range 1000-2000 --format jsonl log.capture"""


def add_to(commands: Commands) -> None:
    """Describes the command."""
    cat = add_command(commands, "cat", _cat, "write all records", EXAMPLE)
    add_selection(cat)
    add_format(cat)


def _cat(options: argparse.Namespace, output: BinaryIO) -> int:
    encode = encoder(options)
    with reading(options) as cf:
        selection = Selection(cf, options, options.file)
        with progress("cat", "records", len(selection), beside_output=True) as shown:
            write_records(output, encode, shown.over(selection))
        return selection.code
