"""Batch writes: each task writes a file in a hidden folder, and the driver moves all files into place at the end."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pyspark.sql.datasource import DataSourceArrowWriter, WriterCommitMessage

from capturefile._capturefile import CaptureFile
from capturefile._files import sync_path
from capturefile._swap import Swap, part_names
from capturefile.spark.batches import records_of
from capturefile.spark.files import capture_files
from capturefile.spark.tasks import this_task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from capturefile.spark.options import Options

MARKER = "_SUCCESS"
"""The empty file that marks the last write to the folder as complete."""


@dataclass
class WrittenFile(WriterCommitMessage):
    """The file that a task has written."""

    aside: str
    """Its path until the commit."""
    partition: int


class BatchWriter(DataSourceArrowWriter):
    """Writes in tasks, and commits or aborts on the driver."""

    def __init__(self, options: Options, column: str, *, overwrite: bool) -> None:
        """Creates the folder, and the hidden folder inside it for the parts.

        Raises:
            ValueError: There are several folders.
            OSError: A folder cannot be created.
        """
        self.options = options
        self.folder = folder = options.only_path()
        self.column = column
        self.overwrite = overwrite
        # Starts with the time, so that the parts of later writes sort after those of earlier ones.
        self.swap = Swap(folder, f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid4().hex[:8]}")
        self.is_new = not os.path.exists(folder)
        os.makedirs(self.swap.aside)

    def write(self, iterator: Iterator[pa.RecordBatch]) -> WrittenFile:
        """Writes one part.

        Raises:
            FileNotFoundError: The driver's folder does not exist on this host.
            ValueError: A record is null.
        """
        aside = str(self.swap.aside)
        if not os.path.isdir(aside):
            raise FileNotFoundError(
                f"{aside!r}, which the planning host created, does not exist on {socket.gethostname()}: "
                "all hosts of the cluster need the same folder under the same path"
            )
        task = this_task()
        # Two attempts at the same part may run at the same time.
        part = WrittenFile(os.path.join(aside, f"{task.partition}-{task.attempt}"), task.partition)
        write_file(part.aside, iterator, self.column, self.options, sync="full")
        return part

    def commit(self, messages: list[WrittenFile | None]) -> None:
        """Moves the parts into the folder; when overwriting, previous parts are moved out.

        Raises:
            FileNotFoundError: A part does not exist. Nothing has been moved.
        """
        old = map(os.path.basename, capture_files(self.folder)) if self.overwrite else ()
        self.swap.run(self._named(messages), [MARKER, *old])
        Path(self.folder, MARKER).touch()
        sync_path(self.folder)
        self.swap.clear()

    def abort(self, messages: list[WrittenFile | None]) -> None:
        """Restores the folder, even after a commit that failed half-way."""
        if self.swap.has_begun():
            Path(self.folder, MARKER).unlink(missing_ok=True)
            self.swap.undo(self._named(messages))
        self.swap.clear()
        if self.is_new:
            with suppress(OSError):  # Another process has put something into it.
                os.rmdir(self.folder)

    def _named(self, messages: list[WrittenFile | None]) -> dict[str, Path]:
        """Returns the paths of the parts by their final names, which sort in the order of the partitions."""
        parts = {part.partition: part.aside for part in messages if part is not None}
        names = part_names(f"part-{self.swap.job}-", parts)
        return {names[partition]: Path(aside) for partition, aside in parts.items()}


def write_file(path: str, data: Iterable[Any], column: str, options: Options, *, sync: str) -> int:
    """Writes the records of a task to a new file, and returns their number."""
    # Spark runs as many tasks as there are cores, so that each has one.
    new: CaptureFile[bytes] = CaptureFile(path, True, encoding=None, threads=1, sync=sync, **options.new_file)  # type: ignore[call-overload]
    with new as cf, cf.transaction():
        for records in records_of(data, column, options.encoding, options.errors):
            cf.add_records(records)
        return len(cf)
