"""The file formats of `import` and `export`: which there are, and which one a name stands for."""

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
        """A module that knows one file format."""

        def read(self, source: BinaryIO, column: str) -> Iterator[bytes]:
            """The records in a file."""

        def read_rows(self, source: BinaryIO, *, numbers: bool) -> Iterator[bytes]:
            """The rows of a file, each as a record of JSON."""

        def write(self, target: BinaryIO, records: Iterable[tuple[int, bytes]], *, text: bool) -> None:
            """Writes records with their numbers."""

        def write_columns(self, target: BinaryIO, rows: Rows) -> None:
            """Writes records of JSON as rows, with a column for each field."""


FORMATS = ("jsonl", "csv", "tsv", "parquet")
"""Each has a module of its name here."""
EXTENSIONS = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}


class Form(NamedTuple):
    """How the content of a file is to be understood."""

    name: str
    module: Format
    compression: str
    """The ending of a name that says how the file is compressed as a whole; empty if it is not."""


def add_file_format(command: argparse.ArgumentParser, file: str) -> None:
    """Adds the option that says in which format the argument called `file` is."""
    command.add_argument(
        "--format",
        choices=FORMATS,
        help=f"by default what the name of {file} ends in, and jsonl for a name without an ending; parquet needs the "
        f"extra `arrow`. A name that ends in {', '.join(KINDS)} is that of a compressed file",
    )


def file_format(name: str | None, file: str) -> Form:
    """The format called `name`, or that of the file's extension, and the module that knows it."""
    stem, extension = os.path.splitext(file)
    compression = extension.lower() if extension.lower() in KINDS else ""
    if compression:
        extension = os.path.splitext(stem)[1]
    extension = extension.lower()
    if name is None and extension and extension not in EXTENSIONS:
        known = ", ".join(EXTENSIONS)
        raise WrongUsage(
            f"{file}: {extension} stands for no format; say --format, or use a name that ends in {known}, and behind "
            f"that, if it is to be compressed, {', '.join(KINDS)}"
        )
    name = name or EXTENSIONS.get(extension, "jsonl")
    if name == "parquet" and compression:
        raise WrongUsage(f"{file}: a Parquet file is compressed by itself; use a name without {compression}")
    module: Any = import_module(f"capturefile.cli.formats.{name}")
    return Form(name, module, compression)
