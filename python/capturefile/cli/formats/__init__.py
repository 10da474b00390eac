"""The file formats of `import` and `export`, and their selection by name."""

from __future__ import annotations

import os
from importlib import import_module
from typing import NamedTuple

from capturefile.cli.compression import KINDS
from capturefile.cli.exit_codes import WrongUsage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from typing import Any, BinaryIO, Protocol

    from capturefile.cli.formats.columns import Rows

    class Format(Protocol):
        """A module for one file format."""

        def read(self, source: BinaryIO, column: str) -> Iterator[bytes]:
            """Yields the records in a file."""

        def read_rows(self, source: BinaryIO, *, numbers: bool) -> Iterator[bytes]:
            """Yields the rows of a file, each as a record of JSON."""

        def write(self, target: BinaryIO, records: Iterable[tuple[int, bytes]], *, text: bool) -> None:
            """Writes records with their numbers."""

        def write_columns(self, target: BinaryIO, rows: Rows) -> None:
            """Writes records of JSON as rows, with a column for each field."""


FORMATS = ("jsonl", "csv", "tsv", "parquet")
"""The formats; each has a module of the same name."""
EXTENSIONS = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}


class Form(NamedTuple):
    """The format and the compression of a file."""

    name: str
    module: Format
    compression: str
    """The extension that indicates the compression of the whole file; empty if it is not compressed."""


def add_file_format(command: argparse.ArgumentParser, file: str) -> None:
    """Adds the option for the format of the argument called `file`."""
    command.add_argument(
        "--format",
        choices=FORMATS,
        help=f"by default the extension of {file}, or jsonl without an extension; parquet needs the "
        f"extra `arrow`. A further extension {', '.join(KINDS)} indicates a compressed file",
    )


def file_format(name: str | None, file: str) -> Form:
    """Returns the format called `name`, or that of the file's extension, with its module."""
    stem, extension = os.path.splitext(file)
    compression = extension.lower() if extension.lower() in KINDS else ""
    if compression:
        extension = os.path.splitext(stem)[1]
    extension = extension.lower()
    if name is None and extension and extension not in EXTENSIONS:
        known = ", ".join(EXTENSIONS)
        raise WrongUsage(
            f"{file}: unknown format {extension}; use --format, or a name that ends in {known}, "
            f"followed, for a compressed file, by {', '.join(KINDS)}"
        )
    name = name or EXTENSIONS.get(extension, "jsonl")
    if name == "parquet" and compression:
        raise WrongUsage(f"{file}: Parquet has its own compression; use a name without {compression}")
    module: Any = import_module(f"capturefile.cli.formats.{name}")
    return Form(name, module, compression)
