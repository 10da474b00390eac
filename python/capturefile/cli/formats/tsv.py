"""Records as CSV with tabs instead of commas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capturefile.cli.formats import csv

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from capturefile.cli.formats.columns import Rows


def read(source: BinaryIO, column: str) -> Iterator[bytes]:
    """Yields the records in the rows of `source`, after a row with the names of the columns."""
    return csv.read(source, column, "\t")


def read_rows(source: BinaryIO, *, numbers: bool) -> Iterator[bytes]:
    """Yields the rows of `source` as objects with the names of the columns."""
    return csv.read_rows(source, numbers=numbers, delimiter="\t")


def write(target: BinaryIO, records: Iterable[tuple[int, bytes]], *, text: bool) -> None:
    """Writes the names of the columns and a row for each record."""
    csv.write(target, records, text=text, delimiter="\t")


def write_columns(target: BinaryIO, rows: Rows) -> None:
    """Writes the names of the fields and a row for each record."""
    csv.write_columns(target, rows, "\t")
