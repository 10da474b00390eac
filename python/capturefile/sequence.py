"""Immutable sequences of records, counted from 0: views, several files as one, shares for parallel workers.

`CaptureFile.as_sequence` creates one from a file, and `concat` one from many files.
"""

from __future__ import annotations

import operator
import os
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from typing import TYPE_CHECKING, Any, cast, overload

from capturefile._bisect import first_not_below
from capturefile._capturefile import CaptureFile
from capturefile._errors import CaptureFileError
from capturefile._numbers import integer
from capturefile._runs import File, Run, as_table, simplified
from capturefile._typing import RecordT, RecordT_co

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import SupportsIndex

    from capturefile._capturefile import ArrowRecords
    from capturefile._typing import StrPath
    from capturefile.codecs import Codec

__all__ = ["RecordSequence", "concat"]


def __dir__() -> list[str]:
    return sorted(__all__)


class RecordSequence(Sequence[RecordT_co]):
    """Records of one or several capture files, as a sequence counted from 0 whose length never changes.

    `CaptureFile.as_sequence()` creates a sequence from one file, whose record 1 is `records[0]`, and `concat` one from
    many files. Records that are committed later are not part of it. Negative indices count from the end, and slices
    are sequences of the same kind, which copy nothing.

    A sequence can be pickled and used in a forked child. Another process opens the files again when it first reads
    from them; reading raises CaptureFileReplaced if a file has been replaced by then, and InvalidCaptureFile if records
    are missing. A file from which records are fetched stays open for the next ones, up to 256 files in a process;
    iterating keeps only the current file open.

    Two sequences are equal if they consist of the same records of the same files; the content of the records is not
    compared. Reading raises the exceptions of `CaptureFile.record_at`, and IndexError past either end.

    Examples:
        >>> records = cf.as_sequence()
        >>> records[-1], list(records[::2])
        ('third', ['first', 'third'])
    """

    __slots__ = ("_length", "_runs", "_starts")

    def __init__(self, _runs: Iterable[Run] = ()) -> None:
        """Creates an empty sequence; use `CaptureFile.as_sequence` or `concat` for others."""
        self._runs = simplified(_runs)
        ends = list(accumulate((len(run.numbers) for run in self._runs), initial=0))
        self._length = ends.pop()
        self._starts = ends

    def __len__(self) -> int:
        """Returns the number of records."""
        return self._length

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> RecordT_co: ...
    @overload
    def __getitem__(self, index: slice[Any, Any, Any], /) -> RecordSequence[RecordT_co]: ...
    def __getitem__(self, index: SupportsIndex | slice[Any, Any, Any], /) -> RecordT_co | RecordSequence[RecordT_co]:
        """Returns the record at `index`, counted from 0, or a view of the records of a slice."""
        if isinstance(index, slice):
            return self._view(range(self._length)[index])
        file, number = self._locate(self._position(index))
        return cast("RecordT_co", file.reader().record_at(number))

    def __getitems__(self, indices: Iterable[SupportsIndex], /) -> list[RecordT_co]:
        """Returns a list of the records at `indices`, in that order, inflating each block once.

        PyTorch's DataLoader fetches its batches through this method.
        """
        places = [self._locate(self._position(index)) for index in indices]
        wanted: dict[File[Any], list[int]] = {}
        for file, number in places:
            wanted.setdefault(file, []).append(number)
        found = {file: iter(file.reader().records_at(numbers)) for file, numbers in wanted.items()}
        return [next(found[file]) for file, _ in places]

    def __iter__(self) -> Iterator[RecordT_co]:
        """Iterates over the records, as fast as iterating over the files themselves."""
        return chain.from_iterable(run.records() for run in self._runs)

    def __reversed__(self) -> Iterator[RecordT_co]:
        """Iterates from the last record to the first."""
        return iter(self[::-1])

    def as_arrow(self, *, text: bool = False) -> ArrowRecords:
        """Returns the records of all files as a table for any consumer of Arrow data.

        `record_number` is the position in this sequence counted from 1: row n is `records[n - 1]`. Nothing is read
        yet; a file is opened when a stream reaches it, and closed after its last record.

        Args:
            text: Return the records as strings, which requires them to be UTF-8, instead of bytes.

        Returns:
            The table; see `ArrowRecords`.

        Raises:
            ValueError: `text` is true, and the encoding of a file is neither UTF-8 nor None.

        Examples:
            >>> import duckdb
            >>> week = capturefile.concat(["monday.capture", "tuesday.capture"]).as_arrow(text=True)
            >>> duckdb.execute("SELECT count(*) FROM week WHERE record LIKE '%London'").fetchall()
            [(1,)]
        """
        return as_table(self._runs, 1, text=text)

    def find(
        self,
        value: Any,  # noqa: ANN401 - anything that keys can be compared with
        /,
        key: Callable[[RecordT_co], Any] | None = None,
        *,
        slack: Any = None,  # noqa: ANN401 - anything that can be subtracted from it
    ) -> int:
        """Returns the index of the first record whose key is not below a value, by bisection; see `CaptureFile.find`.

        Args:
            value: The minimum key to find.
            key: As for `CaptureFile.find`.
            slack: As for `CaptureFile.find`.

        Returns:
            The index, or the length of the sequence if every key is below the value.

        Raises:
            CaptureFileError: As for indexing.

        Examples:
            >>> cf.as_sequence().find("second")
            1
        """
        return first_not_below(self.__getitem__, range(self._length), value, key, slack)

    def split(self, n: SupportsIndex, /) -> list[RecordSequence[RecordT_co]]:
        """Splits the sequence into consecutive views that contain each record once, for parallel workers.

        The views are about equally long. A cut is moved to the boundary of a compressed block, so that no two workers
        have to inflate the same block, if that boundary is at most a quarter of a view's length away. The longest view
        is therefore at most about three times as long as the shortest. If there are more views than records, some are
        empty.

        Args:
            n: Number of views.

        Returns:
            A list of `n` views.

        Raises:
            ValueError: `n` is below 1.

        Examples:
            >>> from concurrent.futures import ThreadPoolExecutor
            >>> with ThreadPoolExecutor() as workers:
            ...     list(workers.map(list, cf.as_sequence().split(2)))
            [['first'], ['second', 'third']]
        """
        count = operator.index(n)
        if count < 1:
            raise ValueError(f"a sequence cannot be split into {count} views: there must be at least one")
        # Less than half the distance between two cuts, so that they never pass each other.
        reach = self._length // count // 4
        inner = [self._aligned(self._length * share // count, reach) for share in range(1, count)]
        cuts = [0, *inner, self._length]
        return [self._view(range(start, end)) for start, end in pairwise(cuts)]

    def __eq__(self, other: object) -> bool:
        """Returns whether `other` is a sequence of the same records of the same files."""
        if not isinstance(other, RecordSequence):
            return NotImplemented
        return self._runs == other._runs

    def __hash__(self) -> int:
        """Returns a hash that is the same for equal sequences."""
        return hash(self._runs)

    def __repr__(self) -> str:
        """Shows its length and its files."""
        files = {run.file for run in self._runs}
        place = f" of {next(iter(files))!r}" if len(files) == 1 else f" of {len(files)} files" if files else ""
        return f"<RecordSequence: {self._length} record{'' if self._length == 1 else 's'}{place}>"

    def _repr_html_(self) -> str:
        """Returns a table of the first records, with their numbers in their files, for notebooks."""
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
        """Pickles the paths, settings and record numbers, but no records."""
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
        """Returns the file with the record at `position`, and the record's number in it."""
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
        """Returns the part of the run at `index` that the ascending `positions` select."""
        file, numbers = self._runs[index]
        start = self._starts[index]
        first = bisect_left(positions, start)
        inside = positions[first : bisect_left(positions, start + len(numbers))]
        return Run(file, numbers[inside.start - start : inside.stop - start : inside.step])

    def _aligned(self, position: int, reach: int) -> int:
        """Returns the block boundary nearest to `position` if one is within `reach`, else `position`."""
        if not reach:
            return position
        index = self._run_at(position)
        start = self._starts[index]
        borders = [start + border for border in self._runs[index].block_around(position - start)]
        nearest = min(borders, key=lambda border: abs(border - position))
        return nearest if abs(nearest - position) <= reach else position


def runs_of(sequence: RecordSequence[Any]) -> tuple[Run, ...]:
    """Returns the runs of records that a sequence consists of."""
    return sequence._runs


def sequence_of(cf: CaptureFile[RecordT]) -> RecordSequence[RecordT]:
    """Returns the sequence for `CaptureFile.as_sequence`."""
    file = File.of(cf, keep_open=True)
    return RecordSequence([Run(file, range(1, file.count + 1))])


@overload
def concat(parts: Iterable[RecordSequence[RecordT] | CaptureFile[RecordT]], /) -> RecordSequence[RecordT]: ...
@overload
def concat(
    parts: Iterable[StrPath],
    /,
    *,
    encoding: str = "utf_8",
    errors: str | None = None,
    codec: None = None,
    cache_size: int | None = None,
    store: object = None,
) -> RecordSequence[str]: ...
@overload
def concat(
    parts: Iterable[StrPath],
    /,
    *,
    encoding: None,
    errors: None = None,
    codec: None = None,
    cache_size: int | None = None,
    store: object = None,
) -> RecordSequence[bytes]: ...
@overload
def concat(
    parts: Iterable[StrPath], /, *, codec: Codec[RecordT], cache_size: int | None = None, store: object = None
) -> RecordSequence[RecordT]: ...
def concat(
    parts: Iterable[RecordSequence[Any] | CaptureFile[Any] | StrPath],
    /,
    *,
    encoding: str | None = "utf_8",
    errors: str | None = None,
    codec: Codec[Any] | None = None,
    cache_size: int | None = None,
    store: object = None,
) -> RecordSequence[Any]:
    """Concatenates the records of many files or sequences into one sequence.

    Args:
        parts: Sequences, open capture files, or paths. The file at a path is opened to count its records, and again
            when the first of them is read.
        encoding: As for `CaptureFile`, for files that are given by their paths.
        errors: As for `CaptureFile`, for files that are given by their paths.
        codec: As for `CaptureFile`, for files that are given by their paths.
        cache_size: As for `CaptureFile`, for files that are given by their paths. Each open file has its own cache,
            so choose a small size for many files.
        store: As for `CaptureFile`, for files that are given by their paths.

    Returns:
        The sequence.

    Raises:
        TypeError: `parts` is a single path instead of a list.
        OSError: As for `CaptureFile`.
        CaptureFileError: As for `CaptureFile`.

    Examples:
        >>> week = capturefile.concat(["monday.capture", "tuesday.capture"])
        >>> week[0], week[-1]
        ('Ada, from London', 'Grace, from New York')
    """
    if isinstance(parts, str | bytes | os.PathLike):
        raise TypeError(f"parts must be a list of sequences, files or paths, not a single one: use [{parts!r}]")
    options: dict[str, Any] = {"encoding": encoding, "errors": errors, "codec": codec, "store": store}
    if cache_size is not None:
        options["cache_size"] = cache_size
    sequences = [_sequence(part, options) for part in parts]
    return RecordSequence(chain.from_iterable(map(runs_of, sequences)))


def _sequence(part: RecordSequence[Any] | CaptureFile[Any] | StrPath, options: dict[str, Any]) -> RecordSequence[Any]:
    if isinstance(part, RecordSequence):
        return part
    if isinstance(part, CaptureFile):
        return sequence_of(part)
    return sequence_at(part, **options)


def sequence_at(part: StrPath, **options: Any) -> RecordSequence[Any]:  # noqa: ANN401
    """Returns the records of a file, which is opened with options of `CaptureFile` to count them."""
    with CaptureFile(part, **options) as cf:
        file = File.of(cf, keep_open=False)
    return RecordSequence([Run(file, range(1, file.count + 1))])
