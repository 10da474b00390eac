"""Read a capture file in Ray Data, in blocks of records that any number of workers fetch themselves.

Run it as it is, with `pip install 'ray[data]'`: it makes its own file in a temporary folder. Ray's interface for data
sources is a developer API, which may change; this was run with Ray 2.60.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import capturefile
import pyarrow
import pyarrow.compute
import ray
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata
from ray.data.expressions import col

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def tables(path: str, first: int, last: int) -> Iterator[pyarrow.Table]:
    """Opens the file and reads a share of it, in a worker."""
    with capturefile.open(path, encoding=None) as cf:
        for batch in pyarrow.RecordBatchReader.from_stream(cf.as_arrow(first, last)):
            yield pyarrow.Table.from_batches([batch])


class CaptureSource(Datasource):  # type: ignore[misc]  # its types are not looked at
    """The current records of one capture file. The path must be valid on each worker."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = str(path.absolute())
        with capturefile.open(path) as cf:
            self._count = len(cf)
            self._bytes_each = cf.info().file_limit / max(self._count, 1)

    def estimate_inmemory_data_size(self) -> int:
        """Returns a rough estimate: records are about three times as large in memory as in the file."""
        return int(3 * self._count * self._bytes_each)

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:  # noqa: ANN401
        """Returns tasks for at most this many shares, in order."""
        size = max(-(-self._count // parallelism), 1)
        return [self._task(first, min(first + size - 1, self._count)) for first in range(1, self._count + 1, size)]

    def _task(self, first: int, last: int) -> ReadTask:
        count = last - first + 1
        metadata = BlockMetadata(
            num_rows=count, size_bytes=int(3 * count * self._bytes_each), input_files=(self._path,), exec_stats=None
        )
        return ReadTask(reading(self._path, first, last), metadata)


def reading(path: str, first: int, last: int) -> Callable[[], Iterator[pyarrow.Table]]:
    """Returns a function that reads a share, to be called in a worker."""
    return lambda: tables(path, first, last)


def lengths(batch: pyarrow.Table) -> pyarrow.Table:
    """Returns the length of each record, with its number."""
    return batch.append_column("length", pyarrow.compute.binary_length(batch["record"]))


def main() -> None:
    """Creates a file of a hundred thousand records, and adds up their lengths in two workers."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "orders.capture"
        with capturefile.open(path, "x", sync="none") as cf:
            cf.add_records(f"order {number}" for number in range(1, 100_001))
            cf.commit()

        records = ray.data.read_datasource(CaptureSource(path), override_num_blocks=8)
        print(records.count(), "records")
        print(records.map_batches(lengths, batch_format="pyarrow").sum("length"), "bytes")
        print(records.filter(expr=col("record_number") == 77_777).take(1)[0]["record"])
    ray.shutdown()


if __name__ == "__main__":
    main()
