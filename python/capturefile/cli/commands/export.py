"""The command `export`: records as JSON lines, CSV and Parquet."""

from __future__ import annotations

from capturefile.cli.arguments import add_command, add_selection
from capturefile.cli.formats import add_file_format, file_format
from capturefile.cli.messages import counted, say
from capturefile.cli.progress import progress
from capturefile.cli.records import Selection, reading
from capturefile.cli.streams import STANDARD, new_file, refuse_same_file, refuse_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
capturefile export log.capture records.csv
capturefile export --text log.capture records.parquet
capturefile export --range -1000- log.capture | jq .record"""


def add_to(commands: Commands) -> None:
    """Describes the command."""
    exporter = add_command(commands, "export", _export, "write records as JSON lines, CSV or Parquet", EXAMPLE)
    exporter.add_argument(
        "output",
        metavar="OUTPUT",
        nargs="?",
        default=STANDARD,
        help="file to make, which appears when it is whole (default: -, standard output)",
    )
    add_file_format(exporter, "OUTPUT")
    exporter.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it exists")
    exporter.add_argument(
        "--text", action="store_true", help="refuse records that are no UTF-8; in Parquet, make them strings"
    )
    exporter.add_argument("--force", action="store_true", help="write Parquet even to a terminal")
    add_selection(exporter)


def _export(options: argparse.Namespace, output: BinaryIO) -> int:
    if options.output != STANDARD:
        refuse_same_file(options.output, options.file)
    name, form = file_format(options.format, options.output)
    with reading(options) as cf:
        selection = Selection(cf, options, options.file)
        with progress("export", "records", len(selection), beside_output=options.output == STANDARD) as shown:
            records = shown.over(selection)
            if options.output == STANDARD:
                refuse_terminal(f"the format {name}", force=options.force or name != "parquet")
                form.write(output, records, text=options.text)
            else:
                with new_file(options.output, overwrite=options.overwrite) as target:
                    form.write(target, records, text=options.text)
                say(f"{counted(len(selection) - selection.skipped, 'record')} written to {options.output}")
        return selection.code
