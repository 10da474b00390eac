"""Capture files in Apache Spark: the format `capturefile` of its Python data sources, for batches and for streams.

It requires pyspark 4.0 or newer and pyarrow, which the extra `spark` installs. Spark discovers it if this package is
installed; `spark.dataSource.register(CaptureDataSource)` registers it explicitly.

    frame = spark.read.format("capturefile").load("/data/logs/*.capture")
    frame.write.format("capturefile").mode("append").save("/data/copy")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

try:
    from pyspark.sql.datasource import DataSource
except ImportError as error:
    raise ImportError(
        "capturefile.spark needs pyspark 4.0 or newer and pyarrow: pip install 'capturefile-rs[spark]'"
    ) from error

from capturefile.spark.columns import declared, record_column
from capturefile.spark.options import Options

if TYPE_CHECKING:
    from pyspark.sql.datasource import (
        DataSourceReader,
        DataSourceStreamReader,
        DataSourceStreamWriter,
        DataSourceWriter,
    )
    from pyspark.sql.types import StructType

__all__ = ["CaptureDataSource"]


def __dir__() -> list[str]:
    return sorted(__all__)


class CaptureDataSource(DataSource):
    """The data source that Spark calls to read and write capture files; see docs/spark.md for its options."""

    # pyarrow is imported by the modules that process data. Spark also imports this module in sessions that use other
    # formats, to see which formats exist.

    @classmethod
    def name(cls) -> str:
        """Returns the name of the format.

        Returns:
            "capturefile".

        Examples:
            >>> CaptureDataSource.name()
            'capturefile'
        """
        return "capturefile"

    def schema(self) -> StructType:
        """Returns the columns that a read without a schema has.

        Returns:
            `record_number` and `record`, and `path` if several files are read.

        Raises:
            ValueError: An option is invalid.

        Examples:
            >>> CaptureDataSource({"path": "visits.capture"}).schema().names
            ['record_number', 'record']
        """
        return declared(Options.of(self.options))

    def reader(self, schema: StructType) -> DataSourceReader:
        """Returns the object that plans and performs a batch read.

        Args:
            schema: The columns of the data.

        Returns:
            The reader.

        Raises:
            ValueError: An option is invalid.
        """
        from capturefile.spark.reading import BatchReader

        return BatchReader(Options.of(self.options), schema)

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:  # noqa: N802
        """Returns the object that plans and performs a streaming read.

        Args:
            schema: The columns of the data.

        Returns:
            The reader.

        Raises:
            ValueError: An option is invalid.
        """
        from capturefile.spark.streams import StreamReader

        return StreamReader(Options.of(self.options), schema)

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceWriter:
        """Returns the object that writes a batch into a folder.

        Args:
            schema: The columns of the data.
            overwrite: Replace existing data instead of appending.

        Returns:
            The writer.

        Raises:
            ValueError: An option is invalid.
        """
        from capturefile.spark.writing import BatchWriter

        return BatchWriter(Options.of(self.options), record_column(schema), overwrite=overwrite)

    def streamWriter(self, schema: StructType, overwrite: bool) -> DataSourceStreamWriter:  # noqa: N802
        """Returns the object that writes a stream into one capture file.

        Args:
            schema: The columns of the data.
            overwrite: Replace existing data instead of appending.

        Returns:
            The writer.

        Raises:
            ValueError: An option is invalid.
        """
        from capturefile.spark.sinks import StreamWriter

        return StreamWriter(Options.of(self.options), record_column(schema), overwrite=overwrite)
