"""Batch writes: each task writes a file aside, and the driver moves all of them into the folder when all are done."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
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

MARKER = "_SUCCESS"
"""The empty file that is in the folder when the last write to it is complete."""


@dataclass
class Part(WriterCommitMessage):
    """What a task has written."""

    aside: str
    """Its path until the commit."""
    partition: int


class BatchWriter(DataSourceArrowWriter):
    """Writes in tasks, and commits or aborts on the driver."""

    def __init__(self, folder: str, column: str, encoding: str | None, *, overwrite: bool) -> None:
        """Makes the folder, with one in it where the parts are written aside. Raises OSError if it cannot."""
        self.folder = folder
        self.column = column
        self.encoding = encoding
        self.overwrite = overwrite
        # By time first, so that the parts of later writes stand behind those of earlier ones.
        self.swap = Swap(folder, f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid4().hex[:8]}")
        self.is_new = not os.path.exists(folder)
        os.makedirs(self.swap.aside)

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Part:
        """Writes one part. Raises FileNotFoundError where the folder is not that of the driver, and ValueError for a
        null.
        """
        aside = str(self.swap.aside)
        if not os.path.isdir(aside):
            raise FileNotFoundError(
                f"{aside!r}, which was made where the write is planned, does not exist on {socket.gethostname()}: "
                "all hosts of the cluster need the same folder under the same path"
            )
        task = this_task()
        # Two attempts at the same part may run at the same time.
        part = Part(os.path.join(aside, f"{task.partition}-{task.attempt}"), task.partition)
        write_file(part.aside, records_of(iterator, self.column, self.encoding), sync="full")
        return part

    def commit(self, messages: list[Part | None]) -> None:
        """Moves the parts into the folder; those that were there are moved out if they are to be replaced.

        Raises FileNotFoundError, with nothing moved, if a part is not there.
        """
        old = map(os.path.basename, capture_files(self.folder)) if self.overwrite else ()
        self.swap.run(self._named(messages), [MARKER, *old])
        Path(self.folder, MARKER).touch()
        sync_path(self.folder)
        self.swap.clear()

    def abort(self, messages: list[Part | None]) -> None:
        """Leaves the folder as it was, also after a commit that failed half-way."""
        if self.swap.has_begun():
            Path(self.folder, MARKER).unlink(missing_ok=True)
            self.swap.undo(self._named(messages))
        self.swap.clear()
        if self.is_new:
            with suppress(OSError):  # Somebody else has put something there.
                os.rmdir(self.folder)

    def _named(self, messages: list[Part | None]) -> dict[str, Path]:
        """The paths of the parts by the names that they get, which sort in their order."""
        parts = {part.partition: part.aside for part in messages if part is not None}
        names = part_names(f"part-{self.swap.job}-", parts)
        return {names[partition]: Path(aside) for partition, aside in parts.items()}


def write_file(path: str, batches: Iterable[list[bytes]], *, sync: str) -> int:
    """Makes a file of the records; returns how many there are."""
    # Spark runs as many tasks as there are cores, so that each has one.
    with CaptureFile(path, True, encoding=None, threads=1, sync=sync) as cf, cf.transaction():  # type: ignore[call-overload]
        for records in batches:
            cf.add_records(records)
        return len(cf)
