"""The file formats of `import` and `export`: which there are, and which one a name stands for."""

from __future__ import annotations

import os
from importlib import import_module

from capturefile.cli.exit_codes import WrongUsage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from typing import Any, BinaryIO, Protocol

    class Format(Protocol):
        """A module that knows one file format."""

        def read(self, source: BinaryIO, column: str) -> Iterator[bytes]:
            """The records in a file."""

        def write(self, target: BinaryIO, records: Iterable[tuple[int, bytes]], *, text: bool) -> None:
            """Writes records with their numbers."""


FORMATS = ("jsonl", "csv", "parquet")
"""Each has a module of its name here."""
EXTENSIONS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".parquet": "parquet"}


def add_file_format(command: argparse.ArgumentParser, file: str) -> None:
    """Adds the option that says in which format the argument called `file` is."""
    command.add_argument(
        "--format",
        choices=FORMATS,
        help=f"by default what the name of {file} ends in, and jsonl for a name without an ending; parquet needs the "
        "extra `arrow`",
    )


def file_format(name: str | None, file: str) -> tuple[str, Format]:
    """The format called `name`, or that of the file's extension, and the module that knows it."""
    extension = os.path.splitext(file)[1].lower()
    if name is None and extension and extension not in EXTENSIONS:
        known = ", ".join(EXTENSIONS)
        raise WrongUsage(f"{file}: {extension} stands for no format; say --format, or use a name that ends in {known}")
    name = name or EXTENSIONS.get(extension, "jsonl")
    module: Any = import_module(f"capturefile.cli.formats.{name}")
    return name, module
