"""The command `export`: records as JSON lines, CSV and Parquet."""

from __future__ import annotations

from capturefile.cli.arguments import add_bare, add_selection
from capturefile.cli.exit_codes import DONE
from capturefile.cli.formats import add_file_format, file_format
from capturefile.cli.messages import counted, say
from capturefile.cli.progress import progress
from capturefile.cli.records import Selection, check_range
from capturefile.cli.sources import SEVERAL, each_of
from capturefile.cli.streams import STANDARD, new_file, refuse_same_file, refuse_terminal
from capturefile.cli.times import add_times
from capturefile.cli.where import add_where

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands
    from capturefile.cli.progress import Progress

EXAMPLE = """\
capturefile export log.capture records.csv
capturefile export --text log.capture records.parquet
capturefile export monday.capture orders/ week.parquet
capturefile export --range -1000- log.capture | jq .record"""


def add_to(commands: Commands) -> None:
    """Defines the command."""
    exporter = add_bare(commands, "export", "write records as JSON lines, CSV or Parquet", EXAMPLE)
    exporter.set_defaults(run=_export)
    exporter.add_argument("file", metavar="FILE", help=SEVERAL)
    exporter.add_argument(
        "others",
        metavar="[[FILE ...] OUTPUT]",
        nargs="*",
        help="further inputs, whose records are numbered consecutively, and last the output, which appears once it is "
        "complete; - is standard output, which is also the default",
    )
    add_file_format(exporter, "OUTPUT")
    exporter.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it exists")
    exporter.add_argument(
        "--text", action="store_true", help="refuse records that are not UTF-8; in Parquet, use a string column"
    )
    exporter.add_argument("--force", action="store_true", help="write Parquet even to a terminal")
    add_selection(exporter)
    add_times(exporter)
    add_where(exporter)


def _export(options: argparse.Namespace, output: BinaryIO) -> int:
    *others, target = options.others or [STANDARD]
    sources = [options.file, *others]
    check_range(options, sources)
    if target != STANDARD:
        for source in sources:
            refuse_same_file(target, source)
    name, form = file_format(options.format, target)
    with progress("export", "records", beside_output=target == STANDARD) as shown:
        records = Records(options, sources, shown)
        if target == STANDARD:
            refuse_terminal(f"the format {name}", force=options.force or name != "parquet")
            form.write(output, records, text=options.text)
        else:
            with new_file(target, overwrite=options.overwrite) as file:
                form.write(file, records, text=options.text)
            say(f"{counted(records.count, 'record')} written to {target}")
    return records.code


class Records:
    """The records of all sources; those of several are numbered through."""

    def __init__(self, options: argparse.Namespace, sources: list[str], shown: Progress) -> None:
        """Reads nothing yet."""
        self.options = options
        self.sources = sources
        self.shown = shown
        self.count = 0
        self.code = DONE

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Goes through the sources once."""
        before = 0
        for source in each_of(self.sources):
            selection = Selection.of(source, self.options)
            self.shown.expect(len(selection), alone=len(self.sources) == 1)
            for number, record in selection.records(self.shown):
                yield before + number, record
                self.count += 1
            self.code = self.code or selection.code
            before += source.last
