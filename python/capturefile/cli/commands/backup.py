"""The command `backup`: copies a file or a rotated log that may be being written."""

from __future__ import annotations

import os

import capturefile
from capturefile.cli.arguments import add_bare
from capturefile.cli.exit_codes import DONE
from capturefile.cli.messages import say
from capturefile.cli.progress import progress
from capturefile.cli.streams import ending_cleanly

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
capturefile backup log.capture /backup/log.capture
capturefile backup orders/ /backup/orders"""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    backup = add_bare(commands, "backup", summary, EXAMPLE)
    backup.add_argument("source", metavar="SRC", help="path of a capture file, or of the folder of a rotated log")
    backup.add_argument(
        "target",
        metavar="DST",
        help="path of the copy; an existing copy of a log is updated",
    )
    backup.add_argument("--overwrite", action="store_true", help="replace an existing file, once the copy is complete")
    backup.set_defaults(run=_backup)


def _backup(options: argparse.Namespace, _output: BinaryIO) -> int:
    unit = "files" if os.path.isdir(options.source) else "bytes"
    with ending_cleanly(), progress("backup", unit) as shown:
        last = capturefile.backup(options.source, options.target, overwrite=options.overwrite, progress=shown.at)
    say(f"{options.target} has all records up to {last}" if last else f"{options.target} has no records")
    return DONE
