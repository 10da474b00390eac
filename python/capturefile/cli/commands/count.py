"""The command `count`: prints the number of records."""

from __future__ import annotations

from capturefile.cli.arguments import add_bare
from capturefile.cli.exit_codes import DONE
from capturefile.cli.progress import progress
from capturefile.cli.records import Selection
from capturefile.cli.sources import add_sources, each_of
from capturefile.cli.streams import write_line
from capturefile.cli.times import Times, add_times
from capturefile.cli.where import add_where

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands
    from capturefile.cli.progress import Progress

EXAMPLE = """\
capturefile count log.capture
capturefile count monday.capture tuesday.capture
capturefile count --where 'status >= 500' log.capture"""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    count = add_bare(commands, "count", summary, EXAMPLE)
    add_sources(count)
    add_times(count)
    add_where(count)
    count.set_defaults(run=_count)


def _count(options: argparse.Namespace, output: BinaryIO) -> int:
    times = Times(options)
    with progress("count", "records", beside_output=True) as shown:
        counts = []
        for source in each_of(options.files):
            selection = Selection(source, source.everything(), options.where, times=times)
            shown.expect(len(selection), alone=len(options.files) == 1)
            counts.append((_counted(selection, shown), source.name))
    if len(counts) == 1:
        write_line(output, str(counts[0][0]))
        return DONE
    counts.append((sum(count for count, _ in counts), "total"))
    width = len(str(counts[-1][0]))
    for count, name in counts:
        write_line(output, f"{count:{width}} {name}")
    return DONE


def _counted(selection: Selection, shown: Progress) -> int:
    return len(selection) if selection.is_whole else sum(1 for _ in selection.records(shown))
