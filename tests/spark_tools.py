"""Helpers for the tests of the data source for Spark, with and without an engine."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("pyspark", reason="pyspark is large: `make test-spark` installs it and runs this")
pytest.importorskip("pyarrow")

import pyarrow as pa
from capturefile import CaptureFile
from capturefile.spark import CaptureDataSource
from pyspark import TaskContext
from pyspark.sql.datasource import CaseInsensitiveDict
from pyspark.sql.types import BinaryType, StructField, StructType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

RECORD = StructType([StructField("record", BinaryType())])
"""The columns of the rows that are written."""


def source(path: Path | str | None = None, **options: object) -> CaptureDataSource:
    """The data source as Spark creates it."""
    given = {name: str(value) for name, value in options.items()}
    return CaptureDataSource(CaseInsensitiveDict(given if path is None else {"path": str(path), **given}))


def fill(path: Path, records: Iterable[str | bytes], **options: Any) -> Path:  # noqa: ANN401
    """Adds records to a file, which is created if it does not exist."""
    with CaptureFile(path, True, sync="none", **options) as cf:
        cf.add_records(records)
        cf.commit()
    return path


def varied(count: int, length: int = 100) -> list[bytes]:
    """Records of different lengths that hardly compress, so that they fill many blocks."""
    noise = random.Random(count)
    return [b"%d " % number + noise.randbytes(noise.randrange(length)) for number in range(1, count + 1)]


def read(reader: Any, shares: Sequence[Any] | None = None) -> pa.Table:  # noqa: ANN401
    """The rows of all tasks of a read, in the order of the shares."""
    batches = [batch for share in shares or reader.partitions() for batch in reader.read(share)]
    return pa.Table.from_batches(batches, reader.batches.schema)


def table(path: Path | str | None = None, **options: object) -> pa.Table:
    """The rows of a batch read."""
    made = source(path, **options)
    return read(made.reader(made.schema()))


def records_in(reader: Any, start: dict[str, int], end: dict[str, int]) -> list[bytes]:  # noqa: ANN401
    """The records of a stream between two offsets."""
    found: list[bytes] = []
    for share in reader.partitions(start, end):
        for batch in reader.read(share):
            found += batch.column("record").to_pylist()
    return found


def batches(*values: object, size: int = 2, column: str = "record", kind: pa.DataType | None = None) -> Iterator[Any]:
    """Arrow batches as a task gets them."""
    for start in range(0, len(values), size):
        yield pa.RecordBatch.from_arrays([pa.array(values[start : start + size], kind or pa.binary())], [column])


class FakeTask:
    """Stands in for the context of the running task."""

    def __init__(self, partition: int, attempt: int, query: str | None) -> None:
        """A task of a streaming query, or of none."""
        self.partition, self.attempt, self.query = partition, attempt, query

    def partitionId(self) -> int:  # noqa: N802
        """The number of the partition."""
        return self.partition

    def taskAttemptId(self) -> int:  # noqa: N802
        """A number for each attempt."""
        return self.attempt

    def getLocalProperty(self, name: str) -> str | None:  # noqa: N802
        """A property that Spark passes to tasks."""
        return {"sql.streaming.queryId": self.query}.get(name)


class Tasks:
    """Runs the tasks of writers in this process, one after another."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replaces the task context until the end of the test."""
        self._monkeypatch = monkeypatch
        self._attempts = 0

    def write(self, writer: Any, data: Iterable[Any], partition: int = 0, query: str | None = None) -> Any:  # noqa: ANN401
        """The result of a task that writes `data`."""
        self._attempts += 1
        task = FakeTask(partition, self._attempts, query)
        self._monkeypatch.setattr(TaskContext, "get", lambda: task)
        return writer.write(iter(data))
