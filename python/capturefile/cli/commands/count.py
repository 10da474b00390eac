"""The command `count`: the number of records."""

from __future__ import annotations

from capturefile.cli.arguments import add_command
from capturefile.cli.exit_codes import DONE
from capturefile.cli.records import reading
from capturefile.cli.streams import write_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = "capturefile count log.capture"


def add_to(commands: Commands) -> None:
    """Describes the command."""
    add_command(commands, "count", _count, "write the number of records", EXAMPLE)


def _count(options: argparse.Namespace, output: BinaryIO) -> int:
    with reading(options) as cf:
        write_line(output, str(cf.record_count()))
    return DONE
