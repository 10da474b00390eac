"""Streaming reads: the offset of a stream is the number of processed records of each file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.datasource import DataSourceStreamReader

from capturefile._errors import InvalidCaptureFile
from capturefile._remote import without_secrets
from capturefile.spark.batches import Batches
from capturefile.spark.files import find, open_to_read
from capturefile.spark.shares import Extent, Share, plan

try:
    from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadLimit, ReadMaxRows, SupportsTriggerAvailableNow
except ImportError:  # before 4.2
    ReadMaxRows = None
    SupportsTriggerAvailableNow = object

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from pyspark.sql.types import StructType

    from capturefile.spark.options import Options

    Offset = dict[str, int]


class StreamReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Finds new records on the driver, and reads them in tasks.

    The checkpoint of the query is the only state: two readers with the same offsets return the same records, because
    records never change.
    """

    def __init__(self, options: Options, schema: StructType) -> None:
        """Checks the options.

        Raises:
            ValueError: An option does not apply to streams.
        """
        if options.last_record is not None:
            raise ValueError("a stream has no end: lastRecord is for batch reads")
        if options.max_records_per_batch and ReadMaxRows is None:
            raise ValueError("the option maxRecordsPerBatch needs pyspark 4.2 or newer")
        self.options = options
        self.batches = Batches(schema, options.encoding, options.errors)
        self.target: Offset | None = None
        self.seen: Offset = {}

    def initialOffset(self) -> Offset:  # noqa: N802
        """Returns an empty offset: a file without an entry, even a later one, begins at the option firstRecord."""
        return {}

    def getDefaultReadLimit(self) -> ReadLimit:  # noqa: N802
        """Returns the limit of a batch."""
        limit = self.options.max_records_per_batch
        return ReadMaxRows(limit) if limit else ReadAllAvailable()

    def latestOffset(self, start: Offset | None = None, limit: ReadLimit | None = None) -> Offset:  # noqa: N802
        """Returns the end of the next batch. Before 4.2, Spark passes neither its start nor its limit.

        Raises:
            InvalidCaptureFile: A file has fewer records than were read from it.
            FileNotFoundError: A file that was named does not exist.
        """
        begin = self.seen if start is None else start
        ends = self._ends(begin, self._counts(begin) if self.target is None else self.target)
        if ReadMaxRows is not None and isinstance(limit, ReadMaxRows):
            return self._limited(begin, ends, limit.max_rows)
        return ends

    def reportLatestOffset(self) -> Offset:  # noqa: N802
        """Returns the offset of a stream that has read everything, for display."""
        return self._ends(self.seen, self._counts(self.seen))

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802
        """Excludes records that are committed from now on from this query."""
        self.target = self._counts({})

    def partitions(self, start: Offset, end: Offset) -> list[Share]:
        """Returns the shares of a batch.

        Raises:
            InvalidCaptureFile: A file has fewer records than were read from it.
            FileNotFoundError: A file does not exist.
        """
        self.seen = end
        extents = [Extent(path, self._done(start, path) + 1, last) for path, last in end.items()]
        for path, first, last in extents:
            _check_not_shorter(path, last, first - 1 if path in start else 0)
        return plan(extents, self.options.records_per_partition)

    def read(self, partition: Share) -> Iterator[pa.RecordBatch]:
        """Reads the records of a share, with the exceptions of `Batches.of`."""
        return self.batches.of(partition)

    def _done(self, offset: Offset, path: str) -> int:
        return offset.get(path, self.options.first_record - 1)

    def _counts(self, start: Offset) -> Offset:
        """Returns the number of records that each file has now."""
        counts = {}
        for path in find(self.options.paths, may_be_none=True):
            with open_to_read(path) as cf:
                if cf.record_count() > self._done(start, path):
                    # A power cut must not roll back what a checkpoint counts as read.
                    cf.refresh(durable=True)
                counts[path] = cf.record_count()
        return counts

    def _ends(self, start: Offset, counts: Offset) -> Offset:
        """Returns the offset for these numbers of records. A removed file keeps its entry in case it returns."""
        ends = dict(start)
        for path, count in counts.items():
            _check_not_shorter(path, count, start.get(path, 0))
            if count > self._done(start, path):
                ends[path] = count
        # Spark compares offsets as text.
        return dict(sorted(ends.items()))

    def _limited(self, start: Offset, ends: Offset, limit: int) -> Offset:
        """Returns an offset before `ends` with at most `limit` records, in proportion to the new ones of each file."""
        new = {path: end - self._done(start, path) for path, end in ends.items()}
        total = sum(new.values())
        if total <= limit:
            return ends
        given = {path: count * limit // total for path, count in new.items()}
        left = limit - sum(given.values())
        # The rounding remainder goes to small files first, which would otherwise wait while large ones grow.
        for path in sorted(new, key=new.__getitem__):
            more = min(left, new[path] - given[path])
            given[path] += more
            left -= more
        return {path: self._done(start, path) + count for path, count in given.items() if count or path in start}


def _check_not_shorter(path: str, count: int, done: int) -> None:
    if count < done:
        raise InvalidCaptureFile(
            f"{without_secrets(path)!r} has {count} records, of which {done} were read: it is no longer the same file; "
            "start again with another checkpoint"
        )
