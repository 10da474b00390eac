"""The command `cat`: prints all records, or a range of them."""

from __future__ import annotations

from capturefile.cli.arguments import add_bare, add_selection
from capturefile.cli.encoders import add_format, encoder, write_records
from capturefile.cli.exit_codes import DONE
from capturefile.cli.progress import progress
from capturefile.cli.records import Selection, check_range
from capturefile.cli.sources import add_sources, each_of
from capturefile.cli.times import add_times
from capturefile.cli.where import add_where

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
capturefile cat log.capture
capturefile cat monday.capture tuesday.capture orders/
capturefile cat --range 1000-2000 --format jsonl log.capture
capturefile cat --where 'level == "error" and ms > 100' --field time,message log.capture"""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    cat = add_bare(commands, "cat", summary, EXAMPLE)
    add_sources(cat)
    add_selection(cat)
    add_times(cat)
    add_where(cat)
    add_format(cat)
    cat.set_defaults(run=_cat)


def _cat(options: argparse.Namespace, output: BinaryIO) -> int:
    check_range(options, options.files)
    code = DONE
    with progress("cat", "records", beside_output=True) as shown:
        for source in each_of(options.files):
            selection = Selection.of(source, options)
            shown.expect(len(selection), alone=len(options.files) == 1)
            write_records(output, encoder(options, source.name), selection.records(shown))
            code = code or selection.code
    return code
