"""Batch reads: the records that exist when the read is planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.datasource import DataSourceReader

from capturefile.spark.batches import Batches
from capturefile.spark.files import find, open_to_read
from capturefile.spark.shares import Extent, Share, plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from pyspark.sql.types import StructType

    from capturefile.spark.options import Options


class BatchReader(DataSourceReader):
    """Plans a read on the driver, and reads the shares in tasks."""

    def __init__(self, options: Options, schema: StructType) -> None:
        """Checks the schema.

        Raises:
            ValueError: It has columns that capture files do not have.
        """
        self.options = options
        self.batches = Batches(schema, options.encoding, options.errors)

    def partitions(self) -> list[Share]:
        """Returns the shares. Records that are committed from now on are not part of the read.

        Raises:
            FileNotFoundError: There is nothing to read.
        """
        shares = plan(map(self._extent, find(self.options.paths)), self.options.records_per_partition)
        # Spark would treat an empty list as one share whose value is None.
        return shares or [Share([])]

    def _extent(self, path: str) -> Extent:
        with open_to_read(path) as cf:
            count = cf.record_count()
        last = self.options.last_record
        return Extent(path, self.options.first_record, count if last is None else min(count, last))

    def read(self, partition: Share) -> Iterator[pa.RecordBatch]:
        """Reads the records of a share, with the exceptions of `Batches.of`."""
        return self.batches.of(partition)
