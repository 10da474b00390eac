"""Records as sequences counted from 0 that never change: views, many files as one, shares of the work.

`CaptureFile.as_sequence` makes one of a file, and `concat` one of many.
"""

from __future__ import annotations

import operator
import os
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from typing import TYPE_CHECKING, Any, cast, overload

from capturefile._capturefile import CaptureFile
from capturefile._errors import CaptureFileError
from capturefile._numbers import integer
from capturefile._runs import File, Run, as_table, simplified
from capturefile._typing import RecordT, RecordT_co

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import SupportsIndex

    from capturefile._capturefile import ArrowRecords
    from capturefile._typing import StrPath

__all__ = ["RecordSequence", "concat"]


def __dir__() -> list[str]:
    return sorted(__all__)


class RecordSequence(Sequence[RecordT_co]):
    """Records of one capture file or of several, as a sequence counted from 0 whose length never changes.

    `CaptureFile.as_sequence()` makes one of a file: `records[0]` is the file's record 1. What is committed later is
    not in it. `concat` makes one of many files. Negative indices count from the end, and slices are sequences of the
    same kind, which copy nothing:

        records = capturefile.open("log.capture").as_sequence()
        every_tenth = records[::10]
        last_thousand = records[-1000:]

    It can be pickled, and used in a forked child. Another process opens the files again when it first reads from
    them, and raises CaptureFileReplaced if another file stands there by then, or InvalidCaptureFile if records are
    missing. A file that records are fetched from stays open for the next ones, up to 256 files in a process; iterating
    keeps open none but the one that it is in.

    Two sequences are equal if they are of the same records of the same files; what is in the records is not looked
    at. Reading raises what `CaptureFile.record_at` raises, and IndexError past both ends.
    """

    __slots__ = ("_length", "_runs", "_starts")

    def __init__(self, _runs: Iterable[Run] = ()) -> None:
        """An empty sequence; others come from `CaptureFile.as_sequence`, `concat`, and from other sequences."""
        self._runs = simplified(_runs)
        ends = list(accumulate((len(run.numbers) for run in self._runs), initial=0))
        self._length = ends.pop()
        self._starts = ends

    def __len__(self) -> int:
        """How many records there are."""
        return self._length

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> RecordT_co: ...
    @overload
    def __getitem__(self, index: slice[Any, Any, Any], /) -> RecordSequence[RecordT_co]: ...
    def __getitem__(self, index: SupportsIndex | slice[Any, Any, Any], /) -> RecordT_co | RecordSequence[RecordT_co]:
        """The record at `index`, counted from 0, or a view of the records of a slice."""
        if isinstance(index, slice):
            return self._view(range(self._length)[index])
        file, number = self._locate(self._position(index))
        return cast("RecordT_co", file.reader().record_at(number))

    def __getitems__(self, indices: Iterable[SupportsIndex], /) -> list[RecordT_co]:
        """A list of the records at `indices`, in the order asked; each block is inflated once.

        PyTorch's DataLoader fetches its batches by it.
        """
        places = [self._locate(self._position(index)) for index in indices]
        wanted: dict[File[Any], list[int]] = {}
        for file, number in places:
            wanted.setdefault(file, []).append(number)
        found = {file: iter(file.reader().records_at(numbers)) for file, numbers in wanted.items()}
        return [next(found[file]) for file, _ in places]

    def __iter__(self) -> Iterator[RecordT_co]:
        """Iterates over the records, as fast as over the files themselves."""
        return chain.from_iterable(run.records() for run in self._runs)

    def __reversed__(self) -> Iterator[RecordT_co]:
        """Iterates from the last record to the first."""
        return iter(self[::-1])

    def as_arrow(self, *, text: bool = False) -> ArrowRecords:
        """Returns the records as a table for whatever takes Arrow data, however many files they are in.

        `record_number` is the position in this sequence counted from 1: row n is `records[n - 1]`. Nothing is read
        yet; a file is opened when a stream comes to it, and closed behind it.

        Args:
            text: Make the records strings, which have to be UTF-8; otherwise they are bytes.

        Returns:
            The table; see `ArrowRecords`.

        Raises:
            ValueError: There is to be text of a file whose encoding is another than UTF-8 or None.

        Examples:
            >>> import duckdb
            >>> week = capturefile.concat(["monday.capture", "tuesday.capture"]).as_arrow(text=True)
            >>> duckdb.execute("SELECT count(*) FROM week WHERE record LIKE '%error%'").fetchall()
        """
        return as_table(self._runs, 1, text=text)

    def split(self, n: SupportsIndex, /) -> list[RecordSequence[RecordT_co]]:
        """Cuts the sequence into `n` views that follow each other and have each record once, for `n` workers.

            with ProcessPoolExecutor() as workers:
                counts = list(workers.map(Counter, records.split(8)))

        They are about equally long. A cut is moved to the border of a compressed block, so that no two workers have
        to inflate the same one, if that is no farther away than a quarter of a view's length: the longest view is at
        most about three times as long as the shortest. With more views than records some are empty. Raises
        ValueError for less than one view.
        """
        count = operator.index(n)
        if count < 1:
            raise ValueError(f"a sequence cannot be split into {count} views: there must be at least one")
        # Less than half of what lies between two cuts, so that they never pass each other.
        reach = self._length // count // 4
        inner = [self._aligned(self._length * share // count, reach) for share in range(1, count)]
        cuts = [0, *inner, self._length]
        return [self._view(range(start, end)) for start, end in pairwise(cuts)]

    def __eq__(self, other: object) -> bool:
        """Whether `other` is a sequence of the same records of the same files."""
        if not isinstance(other, RecordSequence):
            return NotImplemented
        return self._runs == other._runs

    def __hash__(self) -> int:
        """A hash that equal sequences share."""
        return hash(self._runs)

    def __repr__(self) -> str:
        """Its length, and where its records are."""
        files = {run.file for run in self._runs}
        place = f" of {next(iter(files))!r}" if len(files) == 1 else f" of {len(files)} files" if files else ""
        return f"<RecordSequence: {self._length} record{'' if self._length == 1 else 's'}{place}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: a table of the first records, with their numbers in their files."""
        from capturefile._html import MAX_BYTES, MAX_ROWS, table

        rows: list[tuple[int, int, bytes]] = []
        problem, encoding = None, None
        try:
            for position in range(min(MAX_ROWS, self._length)):
                file, number = self._locate(position)
                encoding = file.reader().encoding
                _, record = file.reader().read_range_buffers(number, number)
                rows.append((number, len(record), bytes(record[:MAX_BYTES])))
        except (CaptureFileError, OSError) as error:
            problem = str(error)
        return table(repr(self), rows, self._length, encoding, problem)

    def __reduce__(self) -> tuple[Any, ...]:
        """The files' paths, how they were opened, and which records these are; no record itself."""
        return RecordSequence, (self._runs,)

    def _position(self, index: SupportsIndex) -> int:
        position = integer(index)
        found = position + self._length if position < 0 else position
        if 0 <= found < self._length:
            return found
        raise IndexError(f"there is no record at index {position} of a sequence of {self._length}, counted from 0")

    def _run_at(self, position: int) -> int:
        return bisect_right(self._starts, position) - 1

    def _locate(self, position: int) -> tuple[File[Any], int]:
        """The file with the record at `position`, and its number there."""
        index = self._run_at(position)
        file, numbers = self._runs[index]
        return file, numbers[position - self._starts[index]]

    def _view(self, positions: range) -> RecordSequence[RecordT_co]:
        if not positions:
            return RecordSequence()
        if positions.step < 0:
            runs = self._view(positions[::-1])._runs
            return RecordSequence(Run(file, numbers[::-1]) for file, numbers in reversed(runs))
        touched = range(self._run_at(positions[0]), self._run_at(positions[-1]) + 1)
        return RecordSequence(self._part(index, positions) for index in touched)

    def _part(self, index: int, positions: range) -> Run:
        """What the ascending `positions` take of the run at `index`."""
        file, numbers = self._runs[index]
        start = self._starts[index]
        first = bisect_left(positions, start)
        inside = positions[first : bisect_left(positions, start + len(numbers))]
        return Run(file, numbers[inside.start - start : inside.stop - start : inside.step])

    def _aligned(self, position: int, reach: int) -> int:
        """The border of a block that is nearest to `position`, if one is within `reach`, else `position`."""
        if not reach:
            return position
        index = self._run_at(position)
        start = self._starts[index]
        borders = [start + border for border in self._runs[index].block_around(position - start)]
        nearest = min(borders, key=lambda border: abs(border - position))
        return nearest if abs(nearest - position) <= reach else position


def _sequence_of(cf: CaptureFile[RecordT]) -> RecordSequence[RecordT]:
    """What `CaptureFile.as_sequence` returns."""
    file = File.of(cf, keep_open=True)
    return RecordSequence([Run(file, range(1, file.count + 1))])


@overload
def concat(parts: Iterable[RecordSequence[RecordT] | CaptureFile[RecordT]], /) -> RecordSequence[RecordT]: ...
@overload
def concat(
    parts: Iterable[StrPath], /, *, encoding: str = "utf_8", errors: str | None = None, cache_size: int | None = None
) -> RecordSequence[str]: ...
@overload
def concat(
    parts: Iterable[StrPath], /, *, encoding: None, errors: None = None, cache_size: int | None = None
) -> RecordSequence[bytes]: ...
def concat(
    parts: Iterable[RecordSequence[Any] | CaptureFile[Any] | StrPath],
    /,
    *,
    encoding: str | None = "utf_8",
    errors: str | None = None,
    cache_size: int | None = None,
) -> RecordSequence[Any]:
    """One sequence of the records of many files or sequences, one after another.

        week = concat(["monday.capture", "tuesday.capture"])
        first, last = week[0], week[-1]

    Arguments:
        parts: sequences, reading or writing objects, or paths. A path is opened to see how many records there are,
            and again when a record of it is read for the first time.
        encoding: as for `CaptureFile`, for the files given by path.
        errors: as for `CaptureFile`, likewise.
        cache_size: as for `CaptureFile`, likewise. Each open file has a cache of its own, so that many files want small
            ones.

    Raises what `CaptureFile` raises for a path, and TypeError for a single path in place of a list.
    """
    if isinstance(parts, str | bytes | os.PathLike):
        raise TypeError(f"parts must be several sequences, files or paths, not one: use [{parts!r}]")
    options: dict[str, Any] = {} if cache_size is None else {"cache_size": cache_size}
    sequences = [_sequence(part, encoding=encoding, errors=errors, **options) for part in parts]
    return RecordSequence(chain.from_iterable(sequence._runs for sequence in sequences))


def _sequence(part: RecordSequence[Any] | CaptureFile[Any] | StrPath, **options: Any) -> RecordSequence[Any]:  # noqa: ANN401
    if isinstance(part, RecordSequence):
        return part
    if isinstance(part, CaptureFile):
        return _sequence_of(part)
    with CaptureFile(part, **options) as cf:
        file = File.of(cf, keep_open=False)
    return RecordSequence([Run(file, range(1, file.count + 1))])
