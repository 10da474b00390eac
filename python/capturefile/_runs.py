"""Runs of records in files, of which sequences consist."""

from __future__ import annotations

import codecs
import weakref
from bisect import bisect_left, bisect_right
from collections import deque
from itertools import islice
from operator import neg
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias

from capturefile._capturefile import CaptureFile, _arrow_of, block_range, file_identity, reader_of
from capturefile._errors import CaptureFileReplaced, InvalidCaptureFile
from capturefile._typing import RecordT_co

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from capturefile._capturefile import ArrowRecords

    _Identity: TypeAlias = tuple[int, int, int | None] | None

_RECORDS_PER_FETCH = 256
"""Number of records that are fetched at once if they are not consecutive."""
_MAX_OPEN = 256
"""Maximum number of files that remain open in a process for fetching records from sequences."""


class File(Generic[RecordT_co]):
    """A capture file with the records that it had at some time; each process opens it at the first read."""

    __slots__ = ("__weakref__", "_identity", "_options", "_path", "_reader", "count")

    def __init__(
        self,
        path: str,
        options: dict[str, Any],
        identity: _Identity,
        count: int,
        reader: CaptureFile[RecordT_co] | None = None,
    ) -> None:
        self._path = path
        self._options = options
        self._identity = identity
        self._reader = reader
        self.count = count

    @classmethod
    def of(cls, cf: CaptureFile[RecordT_co], *, keep_open: bool) -> File[RecordT_co]:
        """Creates the object for the file of `cf`, with the committed records that `cf` sees."""
        count = cf.record_count()
        reader = reader_of(cf)
        _, (_, path, options, _), _ = reader.__reduce__()
        identity = file_identity(reader)
        # A writer also counts uncommitted records.
        count = min(count, reader.record_count())
        return cls(path, options, identity, count, reader if keep_open else None)

    def reader(self) -> CaptureFile[RecordT_co]:
        """Returns the file, open for reading. It remains open until many others have been opened."""
        reader = self._reader
        if reader is None:
            # Two threads may both open it; either object can be kept.
            self._reader = reader = self._open()
            _opened.append(weakref.ref(self))
            if len(_opened) > _MAX_OPEN:
                self._close_oldest()
        return reader

    def passed_once(self) -> CaptureFile[RecordT_co]:
        """Returns the file for one iteration, which does not keep it open."""
        return self._reader or self._open()

    def _close_oldest(self) -> None:
        oldest = _opened.popleft()()
        if oldest is not None and oldest is not self:
            # A thread that is reading from it holds a reference to the reader.
            oldest._reader = None

    def _open(self) -> CaptureFile[RecordT_co]:
        cf: CaptureFile[RecordT_co] = CaptureFile(self._path, **self._options)
        if file_identity(cf) != self._identity:
            raise CaptureFileReplaced(
                f"{self._path!r} is not the file that this sequence was created from; create a new sequence"
            )
        if cf.record_count() < self.count:
            raise InvalidCaptureFile(
                f"{self._path!r} has {cf.record_count()} records, but had {self.count} when this sequence was created"
            )
        return cf

    def is_utf_8(self) -> bool:
        """Returns whether its records may be regarded as text in UTF-8."""
        encoding = self._options["encoding"]
        return encoding is None or codecs.lookup(encoding).name == "utf-8"

    def in_table(self, numbers: range) -> ArrowRun:
        """Returns some of its records for a table."""
        first, step = (numbers.start, numbers.step) if numbers else (1, 1)
        return ArrowRun(self._reader, self._path, self._options, self._identity, self.count, first, step, len(numbers))

    def _key(self) -> tuple[object, ...]:
        settings = (self._options.get(name) for name in ("encoding", "errors", "codec"))
        return (self._identity or self._path, *settings)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, File) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return repr(self._path)

    def __reduce__(self) -> tuple[Any, ...]:
        return File, (self._path, self._options, self._identity, self.count)


class ArrowRun(NamedTuple):
    """A run in the form that the extension needs for a table."""

    open: CaptureFile[Any] | None
    path: str
    options: dict[str, Any]
    identity: _Identity
    records: int
    first: int
    step: int
    length: int


_opened: deque[weakref.ref[File[Any]]] = deque()
"""The files that were opened for fetching records, oldest first."""


class Run(NamedTuple):
    """Records of one file, by their numbers there."""

    file: File[Any]
    numbers: range

    def records(self) -> Iterator[Any]:
        """Iterates over its records in order."""
        if self.numbers.step == 1:
            return islice(self.file.passed_once().record_generator(self.numbers.start), len(self.numbers))
        return self._fetched()

    def _fetched(self) -> Iterator[Any]:
        for start in range(0, len(self.numbers), _RECORDS_PER_FETCH):
            yield from self.file.reader().records_at(self.numbers[start : start + _RECORDS_PER_FETCH])

    def block_around(self, index: int) -> tuple[int, int]:
        """Returns the range in `numbers` of those that are compressed together with the one at `index`."""
        first, last = block_range(self.file.reader(), self.numbers[index])
        if self.numbers.step > 0:
            return bisect_left(self.numbers, first), bisect_right(self.numbers, last)
        return bisect_left(self.numbers, -last, key=neg), bisect_right(self.numbers, -first, key=neg)

    def continues(self, other: Run) -> bool:
        """Returns whether `other` continues where this one ends."""
        step = self.numbers.step
        return self.file == other.file and step == other.numbers.step and self.numbers[-1] + step == other.numbers[0]


def simplified(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Returns the same records in as few runs as possible, so that equal sequences have equal runs."""
    simple: list[Run] = []
    for run in runs:
        if not run.numbers:
            continue
        if simple and simple[-1].continues(run):
            first = simple.pop().numbers
            run = Run(run.file, range(first.start, run.numbers.stop, first.step))
        simple.append(run)
    return tuple(simple)


def as_table(runs: Iterable[Run], first: int, *, text: bool, place: str | None = None) -> ArrowRecords:
    """Returns runs as a table, numbered from `first`; `place` describes a source other than a sequence."""
    files = {run.file for run in runs}
    where = place or (repr(next(iter(files))) if len(files) == 1 else f"{len(files)} files")
    is_utf_8 = all(file.is_utf_8() for file in files)
    return _arrow_of([run.file.in_table(run.numbers) for run in runs], first, where, text, is_utf_8)
