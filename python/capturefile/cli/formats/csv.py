"""Records as CSV with the columns `record_number`, `record` and, for bytes that are no text, `record_base64`."""

from __future__ import annotations

import csv
from base64 import b64encode
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING

from capturefile.cli.encoders import printable
from capturefile.cli.formats.fields import IN_BASE64, as_text, decoded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

COLUMNS = ("record_number", "record", "record_base64")
MAX_FIELD_LENGTH = 2**63 - 1


def read(source: BinaryIO, column: str) -> Iterator[bytes]:
    """The records in the rows of `source`, below a row with the names of the columns."""
    csv.field_size_limit(MAX_FIELD_LENGTH)
    with _as_text(source, "utf-8-sig") as lines:
        rows = csv.reader(lines, strict=True)
        try:
            names = next(rows, [])
            _check_names(names, column)
            for row in rows:
                if row:
                    yield _record(names, row, column)
        except (csv.Error, ValueError) as error:
            raise ValueError(f"line {max(1, rows.line_num)}: {error}") from error


def _check_names(names: list[str], column: str) -> None:
    if column not in names and column + IN_BASE64 not in names:
        raise ValueError(f"expected the names of the columns, and {column} among them, not {','.join(names)!r}")


def _record(names: list[str], row: list[str], column: str) -> bytes:
    if len(row) != len(names):
        raise ValueError(f"found {len(row)} fields, expected {len(names)}")
    return decoded(dict(zip(names, row, strict=True)), column)


def write(target: BinaryIO, records: Iterable[tuple[int, bytes]], *, text: bool) -> None:
    """Writes the names of the columns and a row for each record."""
    on_terminal = target.isatty()
    with _as_text(target, "utf-8") as lines:
        # Quotes around every text keep a carriage return in one, which would else be taken for a line's end.
        row = csv.writer(lines, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow
        row(COLUMNS)
        for number, record in records:
            row(_fields(number, record, text=text, on_terminal=on_terminal))


def _fields(number: int, record: bytes, *, text: bool, on_terminal: bool) -> tuple[int, str, str]:
    if on_terminal:
        return number, printable(record), ""
    if text:
        return number, as_text(number, record), ""
    try:
        return number, record.decode(), ""
    except UnicodeDecodeError:
        return number, "", b64encode(record).decode()


@contextmanager
def _as_text(stream: BinaryIO, encoding: str) -> Iterator[TextIOWrapper]:
    """The stream as text, with all line ends as they are; it stays open."""
    wrapper = TextIOWrapper(stream, encoding, newline="")
    try:
        yield wrapper
        wrapper.flush()
    finally:
        wrapper.detach()
