"""Converting records to Arrow batches for Spark, and back."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema

from capturefile._errors import InvalidCaptureFile
from capturefile._remote import without_secrets
from capturefile.spark.columns import check
from capturefile.spark.files import open_to_read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql.types import StructType

    from capturefile._capturefile import CaptureFile
    from capturefile.spark.shares import Extent, Share

MAX_RECORD_BYTES = 2**31 - 2**16
"""Size of the largest record that fits, with the other columns, into a row of Spark, which is one JVM array."""
_ROWS_WITHOUT_RECORDS = 65_536
_ROWS_AT_ONCE = 1000


class Batches:
    """The columns and the encoding for reading shares. It is small, because it is sent to the tasks."""

    def __init__(self, schema: StructType, encoding: str | None, errors: str) -> None:
        """Checks the schema.

        Raises:
            ValueError: It has columns that capture files do not have.
        """
        check(schema)
        self.schema = to_arrow_schema(schema)
        self.encoding = encoding or "utf-8"
        self.errors = errors

    def of(self, share: Share) -> Iterator[pa.RecordBatch]:
        """Reads the records of a share, as batches whose schema is exactly the declared one.

        Raises:
            FileNotFoundError: A file does not exist; the message names the host.
            InvalidCaptureFile: A file has fewer records than when the read was planned.
            ValueError: A record is too large, or is not text.
        """
        for extent in share.extents:
            with open_to_read(extent.path) as cf:
                if cf.record_count() < extent.last:
                    raise InvalidCaptureFile(
                        f"{without_secrets(extent.path)!r} has {cf.record_count()} records, but had at least "
                        f"{extent.last} when the read was planned: it is not the same file any more, or not on all "
                        "hosts"
                    )
                yield from self._of(cf, extent)

    def _of(self, cf: CaptureFile[bytes], extent: Extent) -> Iterator[pa.RecordBatch]:
        for numbers, records in self._chunks(cf, extent):
            values = {"record_number": numbers, "record": records}
            if "path" in self.schema.names:
                values["path"] = pa.repeat(pa.scalar(without_secrets(extent.path)), len(numbers))
            yield pa.RecordBatch.from_arrays([values[name] for name in self.schema.names], schema=self.schema)

    def _chunks(self, cf: CaptureFile[bytes], extent: Extent) -> Iterator[tuple[pa.Array, pa.Array | None]]:
        if "record" not in self.schema.names:
            for first in range(extent.first, extent.last + 1, _ROWS_WITHOUT_RECORDS):
                yield pa.array(range(first, min(first + _ROWS_WITHOUT_RECORDS, extent.last + 1)), pa.int64()), None
            return
        as_text = self.schema.field("record").type == pa.string()
        as_it_is = self.encoding == "utf-8" and self.errors == "strict"
        stream = cf.as_arrow(extent.first, extent.last, text=as_text and as_it_is)
        for batch in pa.RecordBatchReader.from_stream(stream):
            numbers, records = batch.columns
            name = without_secrets(extent.path)
            _check_size(numbers, records, name)
            yield numbers, self._decoded(numbers, records, name) if as_text and not as_it_is else records

    def _decoded(self, numbers: pa.Array, records: pa.Array, name: str) -> pa.Array:
        texts = []
        for number, record in zip(numbers.to_pylist(), records.to_pylist(), strict=True):
            try:
                # Encoded right away, since a handler such as surrogateescape produces text that a column of strings
                # cannot hold.
                texts.append(record.decode(self.encoding, self.errors).encode())
            except UnicodeError as error:
                raise ValueError(f"record {number} of {name!r} is not text in {self.encoding}: {error}") from error
        return pa.array(texts, pa.binary()).cast(pa.string())


def _check_size(numbers: pa.Array, records: pa.Array, name: str) -> None:
    # A record larger than the usual batch gets a batch of its own.
    size = len(records[0].as_buffer()) if len(records) == 1 else 0
    if size > MAX_RECORD_BYTES:
        raise ValueError(
            f"record {numbers[0]} of {name!r} has {size:,} bytes, and a row of Spark holds at most "
            f"{MAX_RECORD_BYTES:,}; "
            "exclude it with the options firstRecord and lastRecord, or leave out the column record"
        )


def records_of(data: Iterable[Any], column: str, encoding: str | None, errors: str) -> Iterator[list[bytes]]:
    """Extracts lists of records from Arrow batches, or from the rows that older versions of Spark pass.

    Raises:
        ValueError: A record is null.
    """
    items = iter(data)
    for item in items:
        if isinstance(item, pa.RecordBatch):
            yield _encoded(item.column(column), column, encoding, errors)
        else:
            rows = [item, *islice(items, _ROWS_AT_ONCE - 1)]
            yield _encoded(pa.array([row[column] for row in rows]), column, encoding, errors)


def _encoded(values: pa.Array, column: str, encoding: str | None, errors: str) -> list[bytes]:
    if values.null_count:
        raise ValueError(f"the column {column!r} has a null, which is not a record: filter it out, or replace it")
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        if encoding not in {None, "utf-8"}:
            return [text.encode(encoding, errors) for text in values.to_pylist()]
        values = values.cast(pa.large_binary())
    records: list[bytes] = values.to_pylist()
    return records
