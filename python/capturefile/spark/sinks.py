"""Streaming writes into one capture file: the number of a batch is committed together with its records."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pyspark.sql import datasource
from pyspark.sql.datasource import WriterCommitMessage

from capturefile import _metadata
from capturefile._capturefile import CaptureFile
from capturefile._files import replacing
from capturefile._swap import check_is_here
from capturefile.spark.files import open_to_read
from capturefile.spark.tasks import this_task
from capturefile.spark.writing import write_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capturefile.spark.options import Options

KEY = "capturefile.spark"
"""The key in the file's metadata, a JSON object, for the last batch of each query by the query's ID."""

# Before 4.1 a stream's tasks get rows in place of Arrow batches.
_Base: Any = getattr(datasource, "DataSourceStreamArrowWriter", datasource.DataSourceStreamWriter)


@dataclass
class StreamPart(WriterCommitMessage):
    """The temporary file that a task has written."""

    path: str
    partition: int
    query: str


class StreamWriter(_Base):
    """Writes temporary files in tasks, and adds them to the file on the driver."""

    # Spark creates one writer for the tasks of a batch and another one to commit it, so none keeps state.

    def __init__(self, options: Options, column: str, *, overwrite: bool) -> None:
        """Creates the writer; with `overwrite`, Spark's mode "complete", each batch replaces all records.

        Raises:
            ValueError: There are several paths.
        """
        self.options = options
        self.path = options.only_path()
        self.column = column
        self.overwrite = overwrite

    def write(self, iterator: Iterator[Any]) -> StreamPart:
        """Writes one part.

        Raises:
            ValueError: A record is null.
            RuntimeError: The task is not part of a streaming query.
        """
        task = this_task()
        if task.query is None:
            raise RuntimeError("this task is not part of a streaming query")
        folder = self._aside(task.query)
        os.makedirs(folder, exist_ok=True)
        part = StreamPart(os.path.join(folder, uuid4().hex), task.partition, task.query)
        # A power cut makes Spark repeat the batch.
        write_file(part.path, iterator, self.column, self.options, sync="none")
        return part

    def commit(self, messages: list[StreamPart | None], batch_id: int) -> None:
        """Adds the parts to the file, in one commit with the number of the batch; a batch that was added is skipped.

        Raises:
            CaptureFileAlreadyOpen: The file is open for writing elsewhere.
            ValueError: The metadata of the file is not a JSON object.
            FileNotFoundError: A part does not exist.
        """
        parts = sorted((part for part in messages if part is not None), key=attrgetter("partition"))
        if not parts:
            return
        query = parts[0].query
        if self.overwrite:
            self._replace(parts, query, batch_id)
        else:
            self._append(parts, query, batch_id)
        shutil.rmtree(self._aside(query), ignore_errors=True)

    def abort(self, messages: list[StreamPart | None], batch_id: int) -> None:
        """Removes the temporary files; the capture file was not changed."""
        for query in {part.query for part in messages if part is not None}:
            shutil.rmtree(self._aside(query), ignore_errors=True)

    def _aside(self, query: str) -> str:
        folder, name = os.path.split(self.path)
        return os.path.join(folder, f".{name}.spark-{query}")

    def _append(self, parts: list[StreamPart], query: str, batch_id: int) -> None:
        with CaptureFile(self.path, True, encoding=None, **self.options.new_file) as cf:
            metadata = _metadata.load(cf, KEY, "number of a batch")
            if _is_next(metadata, query, batch_id):
                _fill(cf, parts, metadata)

    def _replace(self, parts: list[StreamPart], query: str, batch_id: int) -> None:
        if not _is_next(self._metadata(), query, batch_id):
            return
        with (
            replacing(self.path) as new,
            CaptureFile(new, True, force_new_empty_file=True, encoding=None, **self.options.new_file) as whole,
        ):
            # Read again, because others could write the file until now.
            metadata = self._metadata()
            _is_next(metadata, query, batch_id)
            _fill(whole, parts, metadata)

    def _metadata(self) -> dict[str, Any]:
        if not os.path.exists(self.path):
            return {}
        with CaptureFile(self.path, encoding=None) as cf:
            return _metadata.load(cf, KEY, "number of a batch")


def _is_next(metadata: dict[str, Any], query: str, batch_id: int) -> bool:
    """Records the batch in the metadata. Returns False if it, or a later one, was recorded already."""
    batches = metadata.setdefault(KEY, {})
    is_next: bool = batch_id > batches.get(query, -1)
    batches[query] = max(batch_id, batches.get(query, -1))
    return is_next


def _fill(cf: CaptureFile[bytes], parts: list[StreamPart], metadata: dict[str, Any]) -> None:
    with cf.transaction():
        for part in parts:
            check_is_here(Path(part.path))
            with open_to_read(part.path) as source:
                cf.add_records(source)
        _metadata.save(cf, metadata)
