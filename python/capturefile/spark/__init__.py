"""Capture files in Apache Spark: the format `capturefile` of its Python data sources, for batches and for streams.

It needs pyspark 4.0 or newer and pyarrow, which the extra `spark` installs. Spark finds it by itself where this package
is installed; `spark.dataSource.register(CaptureDataSource)` makes sure.

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
    """What Spark calls to read and write capture files; see docs/spark.md for the options and what is promised."""

    # pyarrow is imported with the modules that work with data. Spark imports this one to see which formats there are,
    # for sessions that want something else, too.

    @classmethod
    def name(cls) -> str:
        """The name of the format."""
        return "capturefile"

    def schema(self) -> StructType:
        """The columns `record_number` and `record`, with `path` where several files are read, or those asked for.

        Raises ValueError for options that do not fit.
        """
        return declared(Options.of(self.options))

    def reader(self, schema: StructType) -> DataSourceReader:
        """What plans and does a batch read."""
        from capturefile.spark.reading import BatchReader

        return BatchReader(Options.of(self.options), schema)

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:  # noqa: N802
        """What plans and does a streaming read."""
        from capturefile.spark.streams import StreamReader

        return StreamReader(Options.of(self.options), schema)

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceWriter:
        """What writes a batch into a folder."""
        from capturefile.spark.writing import BatchWriter

        options = Options.of(self.options)
        return BatchWriter(options.only_path(), record_column(schema), options.encoding, overwrite=overwrite)

    def streamWriter(self, schema: StructType, overwrite: bool) -> DataSourceStreamWriter:  # noqa: N802
        """What writes a stream into one capture file."""
        from capturefile.spark.sinks import StreamWriter

        options = Options.of(self.options)
        return StreamWriter(options.only_path(), record_column(schema), options.encoding, overwrite=overwrite)
