"""Records as CSV with the columns `record_number`, `record` and, for bytes that are not text, `record_base64`."""

from __future__ import annotations

import csv
import re
from base64 import b64encode
from contextlib import contextmanager
from io import TextIOWrapper
from json.encoder import encode_basestring as quoted
from math import isfinite
from typing import TYPE_CHECKING

from capturefile.cli.encoders import printable
from capturefile.cli.formats.columns import as_text as cell_text
from capturefile.cli.formats.fields import IN_BASE64, as_json, as_text, decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from capturefile.cli.formats.columns import Rows

COLUMNS = ("record_number", "record", "record_base64")
MAX_FIELD_LENGTH = 2**63 - 1
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
"""A number in the syntax of JSON."""


def read(source: BinaryIO, column: str, delimiter: str = ",") -> Iterator[bytes]:
    """Yields the records in the rows of `source`, after a row with the names of the columns."""

    def check(names: list[str]) -> None:
        if column not in names and column + IN_BASE64 not in names:
            raise ValueError(f"expected the names of the columns, including {column}, not {','.join(names)!r}")

    return _rows(source, delimiter, check, lambda fields: decoded(fields, column))


def read_rows(source: BinaryIO, *, numbers: bool, delimiter: str = ",") -> Iterator[bytes]:
    """Yields the rows of `source` as objects with the names of the columns; with `numbers`, numbers are not text."""

    def check(names: list[str]) -> None:
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"there are several columns with the name {name!r}")

    def as_object(fields: dict[str, str]) -> bytes:
        if not numbers:
            return as_json(fields)
        pairs = (f"{quoted(name)}: {text if NUMBER.fullmatch(text) else quoted(text)}" for name, text in fields.items())
        return f"{{{', '.join(pairs)}}}".encode()

    return _rows(source, delimiter, check, as_object)


def _rows(
    source: BinaryIO,
    delimiter: str,
    check: Callable[[list[str]], None],
    record: Callable[[dict[str, str]], bytes],
) -> Iterator[bytes]:
    csv.field_size_limit(MAX_FIELD_LENGTH)
    with _as_text(source, "utf-8-sig") as lines:
        rows = csv.reader(lines, strict=True, delimiter=delimiter)
        try:
            names = next(rows, [])
            check(names)
            for row in rows:
                if row:
                    yield record(_fields_of(names, row))
        except (csv.Error, ValueError) as error:
            raise ValueError(f"line {max(1, rows.line_num)}: {error}") from error


def _fields_of(names: list[str], row: list[str]) -> dict[str, str]:
    if len(row) != len(names):
        raise ValueError(f"found {len(row)} fields, expected {len(names)}")
    return dict(zip(names, row, strict=True))


def write(target: BinaryIO, records: Iterable[tuple[int, bytes]], *, text: bool, delimiter: str = ",") -> None:
    """Writes the names of the columns and a row for each record."""
    on_terminal = target.isatty()
    with _writer(target, delimiter) as row:
        row(COLUMNS)
        for number, record in records:
            row(_fields(number, record, text=text, on_terminal=on_terminal))


def write_columns(target: BinaryIO, rows: Rows, delimiter: str = ",") -> None:
    """Writes the names of the fields and a row for each record; values that are neither text nor numbers are JSON."""
    names = rows.names()
    on_terminal = target.isatty()
    with _writer(target, delimiter) as write_row:
        write_row(_cell(name, on_terminal=on_terminal) for name in names)
        for row in rows:
            write_row(_cell(row.get(name), on_terminal=on_terminal) for name in names)


def _cell(value: object, *, on_terminal: bool) -> object:
    if type(value) is int or (type(value) is float and isfinite(value)):
        return value
    text = cell_text(value)
    return printable(text.encode()) if on_terminal and text is not None else text


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
def _writer(target: BinaryIO, delimiter: str) -> Iterator[Callable[[Iterable[object]], object]]:
    """Yields a function that writes rows."""
    with _as_text(target, "utf-8") as lines:
        # Quotes around every text preserve carriage returns, which would otherwise be read as line ends.
        yield csv.writer(lines, delimiter=delimiter, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow


@contextmanager
def _as_text(stream: BinaryIO, encoding: str) -> Iterator[TextIOWrapper]:
    """Yields the stream as text, with line ends unchanged; it stays open."""
    wrapper = TextIOWrapper(stream, encoding, newline="")
    try:
        yield wrapper
        wrapper.flush()
    finally:
        wrapper.detach()
