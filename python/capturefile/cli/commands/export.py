"""The command `export`: writes records as JSON lines, CSV, TSV and Parquet."""

from __future__ import annotations

from contextlib import ExitStack

from capturefile.cli.arguments import add_bare, add_selection
from capturefile.cli.compression import compressing
from capturefile.cli.exit_codes import DONE
from capturefile.cli.formats import add_file_format, file_format
from capturefile.cli.messages import counted, say
from capturefile.cli.progress import progress
from capturefile.cli.records import Selection, check_range
from capturefile.cli.sources import SEVERAL, check, each_of, opened
from capturefile.cli.streams import STANDARD, new_file, refuse_same_file, refuse_terminal
from capturefile.cli.times import add_times
from capturefile.cli.where import add_fields, add_where

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands
    from capturefile.cli.progress import Progress
    from capturefile.cli.sources import Source

EXAMPLE = """\
capturefile export log.capture records.csv
capturefile export --text log.capture records.parquet
capturefile export monday.capture orders/ week.parquet
capturefile export --columns log.capture table.parquet
capturefile export --where 'level == "error"' --field time,message log.capture errors.csv.gz
capturefile export --range -1000- log.capture | jq .record"""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    exporter = add_bare(commands, "export", summary, EXAMPLE)
    exporter.set_defaults(run=_export)
    exporter.add_argument("file", metavar="FILE", help=SEVERAL)
    exporter.add_argument(
        "others",
        metavar="[[FILE ...] OUTPUT]",
        nargs="*",
        default=[],
        help="further inputs, whose records are numbered consecutively, and finally the output, which appears once it "
        "is complete; - is standard output, which is also the default",
    )
    add_file_format(exporter, "OUTPUT")
    exporter.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it exists")
    exporter.add_argument(
        "--text", action="store_true", help="refuse records that are not UTF-8; in Parquet, use a string column"
    )
    exporter.add_argument(
        "--columns",
        action="store_true",
        help="write JSON objects as rows with a column for each of their fields, or each --field",
    )
    exporter.add_argument("--force", action="store_true", help="write Parquet even to a terminal")
    add_selection(exporter)
    add_times(exporter)
    add_where(exporter)
    add_fields(exporter)


def _export(options: argparse.Namespace, output: BinaryIO) -> int:
    *others, target = options.others or [STANDARD]
    sources = [options.file, *others]
    check_range(options, sources)
    if target != STANDARD:
        for source in sources:
            refuse_same_file(target, source)
    form = file_format(options.format, target)
    with progress("export", "records", beside_output=target == STANDARD) as shown, ExitStack() as stack:
        records = Records(options, sources, shown)
        if target == STANDARD:
            refuse_terminal(f"the format {form.name}", force=options.force or form.name != "parquet")
            file = output
        else:
            file = stack.enter_context(new_file(target, overwrite=options.overwrite))
        with compressing(file, form.compression) as content:
            if options.columns or options.fields:
                from capturefile.cli.formats.columns import Rows

                records.keep_open(stack)
                form.module.write_columns(content, Rows(records, options.fields))
            else:
                form.module.write(content, records, text=options.text)
    if target != STANDARD:
        say(f"{counted(records.count, 'record')} written to {target}")
    return records.code


class Records:
    """The records of all sources, numbered consecutively."""

    def __init__(self, options: argparse.Namespace, sources: list[str], shown: Progress) -> None:
        """Reads nothing yet."""
        self.options = options
        self.sources = sources
        self.shown = shown
        self.count = 0
        self.code = DONE
        self._open: list[Source] = []

    def keep_open(self, stack: ExitStack) -> None:
        """Opens all sources, so that each iteration returns the same records."""
        check(self.sources)
        self._open = [stack.enter_context(opened(name)) for name in self.sources]

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Iterates over the sources; unreadable records are reported only the first time."""
        before, is_again = 0, self.count > 0
        self.count = self.shown.count = 0
        for source in self._open or each_of(self.sources):
            selection = Selection.of(source, self.options)
            selection.is_silent = is_again
            self.shown.expect(len(selection), alone=len(self.sources) == 1)
            for number, record in selection.records(self.shown):
                yield before + number, record
                self.count += 1
            self.code = self.code or selection.code
            before += source.last
