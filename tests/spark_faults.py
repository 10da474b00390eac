"""A data source whose processes are killed at chosen moments, for the tests with a real Spark.

Each fault is a file in the folder of faults, and occurs once.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capturefile.spark import CaptureDataSource
from capturefile.spark.columns import record_column
from capturefile.spark.options import Options
from capturefile.spark.sinks import StreamWriter
from capturefile.spark.writing import BatchWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql.types import StructType

FAULTS = "CAPTUREFILE_FAULTS"
"""The environment variable that names the folder."""
WRITING, BEFORE_COMMIT, AFTER_COMMIT = "writing", "before-commit", "after-commit"


def die_once(fault: str) -> None:
    """Ends this process as a crash would, if the fault is requested."""
    try:
        Path(os.environ[FAULTS], fault).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def dying_after_the_first(items: Iterable[Any]) -> Iterator[Any]:
    """The items; the fault occurs after the first was taken."""
    for item in items:
        yield item
        die_once(WRITING)


class MortalBatchWriter(BatchWriter):
    """Dies while it writes a part."""

    def write(self, iterator: Iterator[Any]) -> Any:  # noqa: ANN401
        """Writes as usual, unless it dies."""
        return super().write(dying_after_the_first(iterator))


class MortalStreamWriter(StreamWriter):
    """Dies before or after its commit."""

    def commit(self, messages: list[Any], batch_id: int) -> None:
        """Commits as usual, unless it dies."""
        die_once(BEFORE_COMMIT)
        super().commit(messages, batch_id)
        die_once(AFTER_COMMIT)


class MortalDataSource(CaptureDataSource):
    """Capture files with faults."""

    @classmethod
    def name(cls) -> str:
        """The name of the format."""
        return "mortal"

    def writer(self, schema: StructType, overwrite: bool) -> Any:  # noqa: ANN401
        """Writes a batch."""
        return MortalBatchWriter(Options.of(self.options), record_column(schema), overwrite=overwrite)

    def streamWriter(self, schema: StructType, overwrite: bool) -> Any:  # noqa: ANN401, N802
        """Writes a stream."""
        return MortalStreamWriter(Options.of(self.options), record_column(schema), overwrite=overwrite)
