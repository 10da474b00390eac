"""Read a capture file in Daft, in tasks that each fetch their own records.

Run it as it is, with `pip install daft`: it makes its own file in a temporary folder. Daft's interface for data
sources may change, according to its documentation; this was run with Daft 0.7.26.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import capturefile
import daft
import pyarrow
from daft.io.source import DataSource, DataSourceTask
from daft.recordbatch import RecordBatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daft.io.pushdowns import Pushdowns

SCHEMA = daft.Schema.from_pyarrow_schema(pyarrow.schema({"record_number": pyarrow.int64(), "record": pyarrow.binary()}))
RECORDS_PER_TASK = 20_000


class CaptureTask(DataSourceTask):  # type: ignore[misc]  # its types are not looked at
    """Consecutive records of a capture file."""

    def __init__(self, path: str, first: int, last: int) -> None:
        self._path, self._first, self._last = path, first, last

    @property
    def schema(self) -> daft.Schema:
        """The columns that every capture file has."""
        return SCHEMA

    async def read(self) -> AsyncIterator[RecordBatch]:
        """Opens the file and reads its share, in a worker."""
        with capturefile.open(self._path, encoding=None) as cf:
            batches = pyarrow.RecordBatchReader.from_stream(cf.as_arrow(self._first, self._last))
        for batch in batches:
            yield RecordBatch.from_arrow_record_batches([batch], batch.schema)


class CaptureSource(DataSource):  # type: ignore[misc]  # the same
    """The current records of one capture file. The path must be valid on each worker."""

    def __init__(self, path: Path) -> None:
        self._path = str(path.absolute())
        with capturefile.open(path) as cf:
            self._count = len(cf)

    @property
    def name(self) -> str:
        """The name in Daft's plans."""
        return f"capturefile {self._path}"

    @property
    def schema(self) -> daft.Schema:
        """The columns that every capture file has."""
        return SCHEMA

    async def get_tasks(self, pushdowns: Pushdowns) -> AsyncIterator[DataSourceTask]:
        """Yields a task for each share. Daft itself selects columns and applies filters."""
        for first in range(1, self._count + 1, RECORDS_PER_TASK):
            yield CaptureTask(self._path, first, min(first + RECORDS_PER_TASK - 1, self._count))


def main() -> None:
    """Creates a file of a hundred thousand records and runs some queries on it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "orders.capture"
        with capturefile.open(path, "x", sync="none") as cf:
            cf.add_records(f"order {number}" for number in range(1, 100_001))
            cf.commit()

        records = CaptureSource(path).read()
        print(records.count_rows(), "records")
        print(records.select(daft.col("record").length().sum()).to_pydict()["record"][0], "bytes")
        print(records.where(daft.col("record_number") == 77_777).to_pydict()["record"][0])


if __name__ == "__main__":
    main()
