"""Batch writes: each task writes a file aside, and the driver moves all of them into the folder when all are done."""

from __future__ import annotations

import os
import shutil
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from pyspark.sql.datasource import DataSourceArrowWriter, WriterCommitMessage

from capturefile._capturefile import CaptureFile
from capturefile._files import SUFFIX, sync_path
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
    name: str
    """Its name in the folder."""


class BatchWriter(DataSourceArrowWriter):
    """Writes in tasks, and commits or aborts on the driver."""

    def __init__(self, folder: str, column: str, encoding: str | None, *, overwrite: bool) -> None:
        """Makes the folder, with one in it where the parts are written aside. Raises OSError if it cannot."""
        self.folder = folder
        self.column = column
        self.encoding = encoding
        self.overwrite = overwrite
        # By time first, so that the parts of later writes stand behind those of earlier ones.
        self.job = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid4().hex[:8]}"
        self.aside = os.path.join(folder, f"_temporary-{self.job}")
        self.is_new = not os.path.exists(folder)
        os.makedirs(self.aside)

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Part:
        """Writes one part. Raises FileNotFoundError where the folder is not that of the driver, and ValueError for a
        null.
        """
        if not os.path.isdir(self.aside):
            raise FileNotFoundError(
                f"{self.aside!r}, which was made where the write is planned, does not exist on {socket.gethostname()}: "
                "all hosts of the cluster need the same folder under the same path"
            )
        task = this_task()
        name = f"part-{self.job}-{task.partition:05}{SUFFIX}"
        # Two attempts at the same part may run at the same time.
        aside = os.path.join(self.aside, f"{task.attempt}-{name}")
        write_file(aside, records_of(iterator, self.column, self.encoding), sync="full")
        return Part(aside, name)

    def commit(self, messages: list[Part | None]) -> None:
        """Moves the parts into the folder; those that were there are moved out if they are to be replaced.

        Raises FileNotFoundError, with nothing moved, if a part is not there.
        """
        parts = [part for part in messages if part is not None]
        for part in parts:
            check_is_here(part.aside)
        old = capture_files(self.folder) if self.overwrite else []
        self._replace(MARKER)
        for part in parts:
            os.rename(part.aside, os.path.join(self.folder, part.name))
        for path in old:
            self._replace(os.path.basename(path))
        sync_path(self.folder)
        Path(self.folder, MARKER).touch()
        sync_path(self.folder)
        shutil.rmtree(self.aside, ignore_errors=True)

    def abort(self, messages: list[Part | None]) -> None:
        """Leaves the folder as it was, also after a commit that failed half-way."""
        for part in messages:
            if part is not None:
                Path(self.folder, part.name).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            for name in os.listdir(self._replaced()):
                os.rename(os.path.join(self._replaced(), name), os.path.join(self.folder, name))
        shutil.rmtree(self.aside, ignore_errors=True)
        if self.is_new:
            with suppress(OSError):  # Somebody else has put something there.
                os.rmdir(self.folder)

    def _replaced(self) -> str:
        return os.path.join(self.aside, "replaced")

    def _replace(self, name: str) -> None:
        """Moves a file out of the folder, so that an abort can move it back."""
        os.makedirs(self._replaced(), exist_ok=True)
        with suppress(FileNotFoundError):
            os.rename(os.path.join(self.folder, name), os.path.join(self._replaced(), name))


def write_file(path: str, batches: Iterable[list[bytes]], *, sync: str) -> int:
    """Makes a file of the records; returns how many there are."""
    # Spark runs as many tasks as there are cores, so that each has one.
    with CaptureFile(path, True, encoding=None, threads=1, sync=sync) as cf, cf.transaction():  # type: ignore[call-overload]
        for records in batches:
            cf.add_records(records)
        return len(cf)


def check_is_here(path: str) -> None:
    """Raises FileNotFoundError for a part that a task has written, but not where the driver can see it."""
    if not os.path.exists(path):
        raise FileNotFoundError(
            f"{path!r} was written by a task, but does not exist on {socket.gethostname()}, where the write is "
            "committed: all hosts of the cluster need the same folder under the same path"
        )
