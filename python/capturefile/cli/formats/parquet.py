"""Records as a Parquet file with the columns `record_number` and `record`; pyarrow reads and writes it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from capturefile.cli.exit_codes import WrongUsage
from capturefile.cli.formats.columns import as_text as cell_text
from capturefile.cli.formats.columns import kinds
from capturefile.cli.formats.fields import as_json, as_text, without_bytes

try:
    import pyarrow as arrow
    import pyarrow.parquet as parquet
except ImportError as error:
    message = "Parquet needs pyarrow, which comes with the extra `arrow`: pip install 'capturefile-rs[arrow]'"
    raise WrongUsage(message) from error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, BinaryIO

    from capturefile.cli.formats.columns import Row, Rows

MAX_ROWS = 65_536
MAX_BYTES = 16 * 1024 * 1024
"""Maximum number of bytes in memory and in a row group, plus one record."""


def read(source: BinaryIO, column: str) -> Iterator[bytes]:
    """Yields the records in a column of text or bytes."""
    with _named_errors(), _opened(source) as file:
        names = file.schema_arrow.names
        if column not in names:
            raise ValueError(f"there is no column {column}, only {', '.join(names)}")
        row = 0
        for batch in file.iter_batches(batch_size=1024, columns=[column]):
            for value in batch.column(0).to_pylist():
                row += 1
                yield _record(value, row, column)


def read_rows(source: BinaryIO, *, numbers: bool) -> Iterator[bytes]:
    """Yields the rows as objects with the names of the columns."""
    del numbers  # Parquet has types, so `numbers` has no effect.
    with _named_errors(), _opened(source) as file:
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise ValueError(f"several columns have the same name: {', '.join(names)}")
        for batch in file.iter_batches(batch_size=1024):
            for row in zip(*(_plain(column) for column in batch.columns), strict=True):
                yield as_json(without_bytes(dict(zip(names, row, strict=True))))


def _plain(column: arrow.Array) -> list[Any]:
    """Returns values that JSON supports, or bytes."""
    kind = column.type
    if arrow.types.is_temporal(kind) or arrow.types.is_decimal(kind):
        column = column.cast(arrow.string())
    values: list[Any] = column.to_pylist()
    return values


def _record(value: object, row: int, column: str) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    found = "null" if value is None else type(value).__name__
    raise ValueError(f"row {row}: {column} is {found}, expected text or bytes")


@contextmanager
def _opened(source: BinaryIO) -> Iterator[parquet.ParquetFile]:
    if not source.seekable():
        raise WrongUsage("a Parquet file cannot be read from a pipe, because its index is at the end")
    with parquet.ParquetFile(source) as file:
        yield file


def write(target: BinaryIO, records: Iterable[tuple[int, bytes]], *, text: bool) -> None:
    """Writes all records; with `text` as strings, otherwise as bytes."""
    kind = arrow.string() if text else arrow.binary()
    fields = [arrow.field("record_number", arrow.int64(), nullable=False), arrow.field("record", kind, nullable=False)]
    schema = arrow.schema(fields)
    with _named_errors(), parquet.ParquetWriter(target, schema, compression="zstd") as writer:
        for numbers, values in _batches(records, text=text):
            columns = [arrow.array(numbers, arrow.int64()), arrow.array(values, kind)]
            writer.write_batch(arrow.record_batch(columns, schema=schema))


def write_columns(target: BinaryIO, rows: Rows) -> None:
    """Writes a column for each field, of the type of its values; values of several types become JSON text."""
    columns = {name: kind.name for name, kind in kinds(rows).items()}
    schema = arrow.schema([arrow.field(cell_text(name), arrow.type_for_alias(kind)) for name, kind in columns.items()])
    with _named_errors(), parquet.ParquetWriter(target, schema, compression="zstd") as writer:
        for batch in rows.batches(MAX_ROWS, MAX_BYTES):
            values = [_values(name, kind, batch) for name, kind in columns.items()]
            writer.write_batch(arrow.record_batch(values, schema=schema))


def _values(name: str, kind: str, rows: list[Row]) -> arrow.Array:
    values = (row.get(name) for row in rows)
    texts = map(cell_text, values) if kind == "string" else values
    return arrow.array(texts, arrow.type_for_alias(kind), size=len(rows))


def _batches(records: Iterable[tuple[int, bytes]], *, text: bool) -> Iterator[tuple[list[int], list[str | bytes]]]:
    numbers: list[int] = []
    values: list[str | bytes] = []
    room = MAX_BYTES
    for number, record in records:
        numbers.append(number)
        values.append(as_text(number, record) if text else record)
        room -= len(record)
        if room <= 0 or len(numbers) == MAX_ROWS:
            yield numbers, values
            numbers, values, room = [], [], MAX_BYTES
    if numbers:
        yield numbers, values


@contextmanager
def _named_errors() -> Iterator[None]:
    """Converts errors of pyarrow to the usual ones."""
    try:
        yield
    except arrow.ArrowException as error:
        raise ValueError(f"Parquet: {error}") from error
