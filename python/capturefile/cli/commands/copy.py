"""The command `copy`: copies records to new files, recompressed, joined, or split."""

from __future__ import annotations

import os
from contextlib import ExitStack

from capturefile.cli.arguments import add_bare, add_selection, positive
from capturefile.cli.copying import add_new_file, write_files
from capturefile.cli.exit_codes import DONE, WrongUsage
from capturefile.cli.messages import counted, say
from capturefile.cli.progress import progress
from capturefile.cli.records import Selection, check_range
from capturefile.cli.sources import SEVERAL, check, opened
from capturefile.cli.streams import write_line
from capturefile.cli.times import add_times
from capturefile.cli.where import add_where

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
capturefile copy --level 12 --block-size 256K log.capture small.capture
capturefile copy monday.capture tuesday.capture both.capture
capturefile copy orders/ orders.capture
capturefile copy --split 1000000 log.capture part.capture
capturefile copy --format 3 log.capture fast.capture
capturefile copy --range -1000- log.capture last.capture"""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    copy = add_bare(commands, "copy", summary, EXAMPLE)
    copy.add_argument("sources", metavar="SRC", nargs="+", help=SEVERAL)
    copy.add_argument("target", metavar="DST", help="path of the new file")
    add_new_file(copy)
    copy.add_argument(
        "--split",
        type=positive,
        metavar="N",
        help="create numbered files of N records each, and print their names: DST-1.capture, ...",
    )
    add_selection(copy)
    add_times(copy)
    add_where(copy)
    copy.set_defaults(run=_copy)


def _copy(options: argparse.Namespace, output: BinaryIO) -> int:
    with ExitStack() as stack:
        check_range(options, options.sources)
        if options.split and (options.time_slack or options.where):
            raise WrongUsage(
                "--split needs the number of records to name the parts, which is unknown with --time-slack and --where"
            )
        check(options.sources)
        sources = [stack.enter_context(opened(name)) for name in options.sources]
        selections = [Selection.of(source, options) for source in sources]
        total = sum(map(len, selections))
        shown = stack.enter_context(progress("copy", "records", total))
        records = (record for selection in selections for _, record in selection.records(shown))
        names = part_names(options.target, total, options.split) if options.split else [options.target]
        copied = write_files(options, names, sources, records, options.split)
    if options.split:
        for name in names:
            write_line(output, name)
        output.flush()
    say(f"{counted(copied, 'record')} copied")
    return max(selection.code for selection in selections) or DONE


def part_names(target: str, total: int, size: int) -> list[str]:
    """Returns names for parts of `size` records, which sort by their numbers."""
    parts = max(1, -(-total // size))
    stem, extension = os.path.splitext(target)
    return [f"{stem}-{number:0{len(str(parts))}}{extension}" for number in range(1, parts + 1)]
