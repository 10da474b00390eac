"""The command `import`: adds records from JSON lines, CSV, TSV and Parquet."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from itertools import islice

import capturefile
from capturefile.cli.arguments import add_command, add_format_version, positive
from capturefile.cli.compression import decompressed
from capturefile.cli.exit_codes import DONE, WrongUsage
from capturefile.cli.formats import add_file_format, file_format
from capturefile.cli.messages import reporting
from capturefile.cli.progress import progress
from capturefile.cli.sources import refuse_folder
from capturefile.cli.streams import STANDARD, check_inputs, open_input, shown_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import BinaryIO, Literal

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
capturefile import log.capture records.jsonl
capturefile import --column message log.capture messages.csv
capturefile import --rows log.capture table.parquet
capturefile import --rows --numbers log.capture table.csv.gz"""
BATCH = 1000
"""Number of records that are added in one call."""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    importer = add_command(commands, "import", _import, summary, EXAMPLE)
    importer.add_argument(
        "input", metavar="INPUT", nargs="?", default=STANDARD, help="file to read (default: -, standard input)"
    )
    add_file_format(importer, "INPUT")
    add_format_version(importer)
    whole = importer.add_mutually_exclusive_group()
    whole.add_argument(
        "--column",
        default="record",
        metavar="NAME",
        help="the field or column with the records (default: %(default)s, and %(default)s_base64 for bytes that are "
        "not text)",
    )
    whole.add_argument(
        "--rows",
        action="store_true",
        help="convert each row to a record: a JSON object of its columns; lines of JSON are records as they are",
    )
    importer.add_argument(
        "--numbers",
        action="store_true",
        help="with --rows, values in CSV and TSV that are valid JSON numbers become numbers instead of text",
    )
    importer.add_argument(
        "--commit-every",
        type=positive,
        metavar="N",
        help="commit after every N records (default: once, at the end, so that all are added or none)",
    )


def _import(options: argparse.Namespace, _output: BinaryIO) -> int:
    check_inputs([options.input], options.file)
    refuse_folder(options.file)
    if options.numbers and not options.rows:
        raise WrongUsage("--numbers requires --rows: it determines how values in rows are converted")
    form = file_format(options.format, options.input)
    with (
        open_input(options.input) as source,
        _named(options.input),
        _target(options.file, options.file_format) as cf,
        reporting(cf),
        progress("import", "bytes", _size(source), position=source.tell if source.seekable() else None) as shown,
        decompressed(source, form.compression) as content,
    ):
        if options.rows:
            records = form.module.read_rows(content, numbers=options.numbers)
        else:
            records = form.module.read(content, options.column)
        _add(cf, shown.over(records), options.commit_every)
    return DONE


@contextmanager
def _target(path: str, version: Literal[2, 3]) -> Iterator[capturefile.CaptureFile[bytes]]:
    """Yields the file to add to; a new one is deleted again if it remains empty."""
    try:
        cf, is_new = capturefile.open(path, "x", encoding=None, format=version), True
    except FileExistsError:
        cf, is_new = capturefile.open(path, "a", encoding=None), False
    with cf:
        try:
            yield cf
        except BaseException:
            with suppress(capturefile.CaptureFileError, OSError):
                cf.rollback()
                if is_new and cf.record_count() == 0:
                    os.unlink(path)
            raise


def _add(cf: capturefile.CaptureFile[bytes], records: Iterator[bytes], commit_every: int | None) -> None:
    """Adds all records, and commits after every `commit_every` of them and at the end."""
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
    """Adds the name of the input to errors about its content."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{shown_name(name)}: {error}") from error
