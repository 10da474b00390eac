"""Batch reads: the records that there are when the read is planned."""

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
        """Raises ValueError for columns that capture files do not have."""
        self.options = options
        self.batches = Batches(schema, options.encoding)

    def partitions(self) -> list[Share]:
        """The shares. What is committed from now on is not part of the read.

        Raises FileNotFoundError if there is nothing to read.
        """
        shares = plan(map(self._extent, find(self.options.paths)), self.options.records_per_partition)
        # Spark takes no shares at all for one whose value is None.
        return shares or [Share([])]

    def _extent(self, path: str) -> Extent:
        with open_to_read(path) as cf:
            count = cf.record_count()
        last = self.options.last_record
        return Extent(path, self.options.first_record, count if last is None else min(count, last))

    def read(self, partition: Share) -> Iterator[pa.RecordBatch]:
        """The records of a share; see `Batches.of` for what it raises."""
        return self.batches.of(partition)
