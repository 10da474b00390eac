"""The commands `import` and `export`: records from and to JSON lines, CSV and Parquet."""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib import import_module
from itertools import islice

import capturefile
from capturefile.cli.appending import reporting
from capturefile.cli.arguments import add_command, add_selection, positive
from capturefile.cli.codes import DONE
from capturefile.cli.messages import counted, say
from capturefile.cli.progress import progress
from capturefile.cli.records import Selection, reading
from capturefile.cli.streams import STANDARD, check_inputs, new_file, open_input, refuse_terminal, shown_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from typing import Any, BinaryIO, Protocol

    from capturefile.cli.arguments import Commands

    class Form(Protocol):
        """A module that knows one form of files."""

        def read(self, source: BinaryIO, column: str) -> Iterator[bytes]:
            """The records in a file."""

        def write(self, target: BinaryIO, records: Iterable[tuple[int, bytes]], *, text: bool) -> None:
            """Writes records with their numbers."""


MODULES = {"jsonl": "as_jsonl", "csv": "as_csv", "parquet": "as_parquet"}
EXTENSIONS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".parquet": "parquet"}
IMPORT_EXAMPLE = """\
capturefile import log.capture records.jsonl
capturefile import --column message log.capture messages.csv
zcat records.jsonl.gz | capturefile import log.capture"""
EXPORT_EXAMPLE = """\
capturefile export log.capture records.csv
capturefile export --text log.capture records.parquet
capturefile export --range -1000- log.capture | jq .record"""
BATCH = 1000
"""Records that are added in one call."""


def add_to(commands: Commands) -> None:
    """Describes the commands."""
    _add_import(commands)
    _add_export(commands)


def _add_import(commands: Commands) -> None:
    importer = add_command(commands, "import", _import, "add records from JSON lines, CSV or Parquet", IMPORT_EXAMPLE)
    importer.add_argument(
        "input", metavar="INPUT", nargs="?", default=STANDARD, help="file to read (default: -, standard input)"
    )
    _add_form(importer, "INPUT")
    importer.add_argument(
        "--column",
        default="record",
        metavar="NAME",
        help="the field or column that has the records (default: %(default)s, and for bytes that are no text "
        "%(default)s_base64)",
    )
    importer.add_argument(
        "--commit-every",
        type=positive,
        metavar="N",
        help="commit after each N records (default: once, at the end, so that all are added or none)",
    )


def _add_export(commands: Commands) -> None:
    exporter = add_command(commands, "export", _export, "write records as JSON lines, CSV or Parquet", EXPORT_EXAMPLE)
    exporter.add_argument(
        "output",
        metavar="OUTPUT",
        nargs="?",
        default=STANDARD,
        help="file to make, which appears when it is whole (default: -, standard output)",
    )
    _add_form(exporter, "OUTPUT")
    exporter.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it exists")
    exporter.add_argument(
        "--text", action="store_true", help="refuse records that are no UTF-8; in Parquet, make them strings"
    )
    exporter.add_argument("--force", action="store_true", help="write Parquet even to a terminal")
    add_selection(exporter)


def _add_form(command: argparse.ArgumentParser, file: str) -> None:
    command.add_argument(
        "--format",
        choices=list(MODULES),
        help=f"by default what the name of {file} ends in, or else jsonl; parquet needs the extra `arrow`",
    )


def _form(name: str | None, file: str) -> tuple[str, Form]:
    extension = os.path.splitext(file)[1].lower()
    name = name or EXTENSIONS.get(extension, "jsonl")
    module: Any = import_module(f"capturefile.cli.{MODULES[name]}")
    return name, module


def _import(options: argparse.Namespace, _output: BinaryIO) -> int:
    _, form = _form(options.format, options.input)
    check_inputs([options.input])
    with (
        open_input(options.input) as source,
        _named(options.input),
        capturefile.open(options.file, "a", encoding=None) as cf,
        reporting(cf),
        progress("import", "bytes", _size(source), position=source.tell if source.seekable() else None) as shown,
    ):
        _add(cf, shown.over(form.read(source, options.column)), options.commit_every)
    return DONE


def _add(cf: capturefile.CaptureFile[bytes], records: Iterator[bytes], commit_every: int | None) -> None:
    """Adds all records, and commits so often, and at the end."""
    before = cf.record_count()
    size = commit_every or BATCH
    while (count := cf.add_records(islice(records, size))) > before:
        if commit_every:
            cf.commit()
        before = count
    cf.commit()


def _size(source: BinaryIO) -> int | None:
    return os.fstat(source.fileno()).st_size if source.seekable() else None


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Names the input in errors that say what is wrong in it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{shown_name(name)}: {error}") from error


def _export(options: argparse.Namespace, output: BinaryIO) -> int:
    name, form = _form(options.format, options.output)
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
