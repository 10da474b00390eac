"""The command `index`: creates the index of a file or a rotated log, or brings it up to date."""

from __future__ import annotations

import os

import capturefile
from capturefile.cli.arguments import add_bare
from capturefile.cli.exit_codes import DONE, WrongUsage
from capturefile.cli.messages import counted, say
from capturefile.cli.progress import progress
from capturefile.cli.records import report_no_json
from capturefile.cli.reports import quoted
from capturefile.cli.sources import check_folder, opened
from capturefile.cli.streams import ending_cleanly

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
capturefile index log.capture --key order --key http.status
capturefile index log.capture"""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    index = add_bare(commands, "index", summary, EXAMPLE)
    index.add_argument("file", metavar="FILE", help="capture file, or folder of a rotated log")
    index.add_argument(
        "--key",
        dest="keys",
        action="extend",
        type=lambda text: text.split(","),
        metavar="NAME[,NAME...]",
        default=[],
        help="a field of JSON records; a.b is field b in a (default: those that the index has)",
    )
    index.set_defaults(run=_index)


def _index(options: argparse.Namespace, _output: BinaryIO) -> int:
    from capturefile._index.place import place_of

    os.stat(options.file)
    if os.path.isdir(options.file):
        check_folder(options.file)
    place = place_of(options.file)
    if not options.keys and not os.path.exists(place):
        command = f"capturefile index --key NAME {quoted(options.file)}"
        raise WrongUsage(f"{options.file} has no index yet: name its keys, as in {command}")
    with ending_cleanly(), progress("index", "records") as shown:
        last = capturefile.index(options.file, *options.keys, progress=shown.at)
    say(f"{place} covers {counted(last, 'record')}")
    if options.keys:
        with opened(options.file) as source:
            report_no_json(source, source.everything(), "an index finds")
    return DONE
