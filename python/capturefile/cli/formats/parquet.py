"""Records as a Parquet file with the columns `record_number` and `record`; pyarrow reads and writes it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from capturefile.cli.exit_codes import WrongUsage
from capturefile.cli.formats.fields import as_text

try:
    import pyarrow as arrow
    import pyarrow.parquet as parquet
except ImportError as error:
    message = "Parquet needs pyarrow, which comes with the extra `arrow`: pip install 'capturefile-rs[arrow]'"
    raise WrongUsage(message) from error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

MAX_ROWS = 65_536
MAX_BYTES = 16 * 1024 * 1024
"""This much is in memory, and in a row group, at most, and one record."""


def read(source: BinaryIO, column: str) -> Iterator[bytes]:
    """The records in a column of text or bytes."""
    if not source.seekable():
        raise WrongUsage("a Parquet file cannot be read from a pipe, since it begins with its end")
    with _named_errors():
        file = parquet.ParquetFile(source)
        names = file.schema_arrow.names
        if column not in names:
            raise ValueError(f"there is no column {column}, only {', '.join(names)}")
        row = 0
        for batch in file.iter_batches(batch_size=1024, columns=[column]):
            for value in batch.column(0).to_pylist():
                row += 1
                yield _record(value, row, column)


def _record(value: object, row: int, column: str) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    found = "null" if value is None else type(value).__name__
    raise ValueError(f"row {row}: {column} is {found}, expected text or bytes")


def write(target: BinaryIO, records: Iterable[tuple[int, bytes]], *, text: bool) -> None:
    """Writes all records; with `text` as strings, otherwise as bytes."""
    kind = arrow.string() if text else arrow.binary()
    fields = [arrow.field("record_number", arrow.int64(), nullable=False), arrow.field("record", kind, nullable=False)]
    schema = arrow.schema(fields)
    with _named_errors(), parquet.ParquetWriter(target, schema, compression="zstd") as writer:
        for numbers, values in _batches(records, text=text):
            columns = [arrow.array(numbers, arrow.int64()), arrow.array(values, kind)]
            writer.write_batch(arrow.record_batch(columns, schema=schema))


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
    """Lets what pyarrow refuses be an error like any other."""
    try:
        yield
    except arrow.ArrowException as error:
        raise ValueError(f"Parquet: {error}") from error
