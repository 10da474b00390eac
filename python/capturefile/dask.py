"""Capture files as Dask data frames and bags, and back: `read_capture`, `read_bag`, `to_capture`.

    from capturefile.dask import read_capture, to_capture

    visits = read_capture("visits/*.capture", text=True)
    print(visits.record.str.len().mean().compute())
    to_capture(visits[visits.record.str.contains("London")], "london")

It takes the extra `dask`. Nothing of Dask is imported before a function is called.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from capturefile._capturefile import CaptureFile
from capturefile._decoder import Decoder
from capturefile._errors import InvalidCaptureFile
from capturefile._files import SUFFIX, replacing
from capturefile._swap import Swap, part_names
from capturefile.rotating import manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from capturefile._typing import StrPath, SyncMode

__all__ = ["read_bag", "read_capture", "to_capture"]


def __dir__() -> list[str]:
    return sorted(__all__)


_BYTES_PER_PARTITION = 16 << 20
"""Of compressed data, roughly."""
_MAX_RECORDS_PER_PARTITION = 1_000_000


@dataclass(frozen=True)
class _Part:
    """Records of one file, which become a partition."""

    path: str
    first: int
    """Number of the first record in the file."""
    last: int
    number: int
    """Number of the first record among all that are read."""
    identity: object
    """Of the file when it was planned, so that another one gets other names in the graph."""

    def opened(self) -> CaptureFile[bytes]:
        """The file where the partition is made, perhaps on another machine."""
        try:
            cf = CaptureFile(self.path, encoding=None)
        except FileNotFoundError as error:
            message = f"{error.strerror}; each worker has to see the files at the same paths"
            raise FileNotFoundError(error.errno, message, self.path) from None
        if cf.record_count() < self.last:
            raise InvalidCaptureFile(
                f"{self.path!r} has {cf.record_count()} records, where there were {self.last} or more when the "
                "partitions were planned"
            )
        return cf


@dataclass(frozen=True)
class _File:
    """A file to read, with the number of its last record, if it is not to be read to its end."""

    path: Path
    last: int | None = None
    number: int | None = None
    """Number of its first record in the log that it is part of."""


def _rotated(folder: Path) -> Iterator[_File]:
    """The files of a rotated log that are there."""
    from capturefile.rotating import RotatingReader

    with RotatingReader(folder) as log:
        yield from (_File(file.path, file.record_count, file.first_record) for file in log.files())


def _in_folder(folder: Path) -> Iterator[_File]:
    if (folder / manifest.NAME).exists():
        return _rotated(folder)
    return _seen(folder.glob(f"*{SUFFIX}"))


def _seen(paths: Iterable[Path]) -> Iterator[_File]:
    """Files in the order of their names, without what is hidden: manifests, and parts that are being written."""
    return (_File(path) for path in sorted(paths) if path.name[0] not in "._")


def _find(paths: StrPath | Iterable[StrPath]) -> Iterator[_File]:
    """The files that are meant, in order."""
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        place = Path(path).absolute()
        if place.exists():
            found = list(_in_folder(place) if place.is_dir() else [_File(place)])
        else:
            found = list(_seen(map(Path, glob.glob(str(place)))))  # noqa: PTH207  # patterns are absolute
        if not found:
            raise FileNotFoundError(f"there are no capture files at {str(path)!r}")
        yield from found


def _plan(paths: StrPath | Iterable[StrPath], records_per_partition: int | None) -> list[_Part]:
    """The partitions: no two files share one, and each has its last record fixed now."""
    if records_per_partition is not None and records_per_partition < 1:
        raise ValueError(
            f"records_per_partition cannot be {records_per_partition}: a partition has at least one record"
        )
    parts: list[_Part] = []
    number = 1
    for file in _find(paths):
        number = max(number, file.number or 1)
        with CaptureFile(file.path, encoding=None) as cf:
            count = cf.record_count() if file.last is None else file.last
            size = records_per_partition or _records_per_partition(cf)
            for first in range(1, count + 1, size):
                last = min(first + size - 1, count)
                parts.append(_Part(str(file.path), first, last, number + first - 1, cf._identity()))
        number += count
    return parts


def _records_per_partition(cf: CaptureFile[bytes]) -> int:
    """As many as have some megabytes in the file."""
    share = cf.record_count() * _BYTES_PER_PARTITION // max(cf.info().file_limit, 1)
    return min(max(share, 1), _MAX_RECORDS_PER_PARTITION)


def _table(part: _Part, text: bool) -> Any:  # noqa: ANN401
    """The records of a part as an Arrow table of one column."""
    import pyarrow

    with part.opened() as cf:
        return pyarrow.table(cf.as_arrow(part.first, part.last, text=text)).select(["record"])


def _frame(part: _Part | None, text: bool, include_path: bool) -> Any:  # noqa: ANN401
    """The partition of a data frame; without a part, an empty one, whose types are those of all."""
    import pandas
    import pyarrow

    kind = pandas.ArrowDtype(pyarrow.string() if text else pyarrow.binary())
    if part is None:
        frame = pandas.DataFrame({"record": pandas.Series([], dtype=kind)}, index=_numbers(0, 0))
    else:
        frame = _table(part, text).to_pandas(types_mapper=pandas.ArrowDtype)
        frame.index = _numbers(part.number, len(frame))
    if include_path:
        first, path = (part.first, part.path) if part else (1, "")
        frame["path"] = pandas.Series([path] * len(frame), dtype=pandas.ArrowDtype(pyarrow.string()), index=frame.index)
        frame["number_in_file"] = pandas.Series(range(first, first + len(frame)), dtype="int64", index=frame.index)
    return frame


def _numbers(first: int, count: int) -> Any:  # noqa: ANN401
    import pandas

    return pandas.RangeIndex(first, first + count, name="record_number")


def read_capture(
    paths: StrPath | Iterable[StrPath],
    *,
    records_per_partition: int | None = None,
    text: bool = False,
    include_path: bool = False,
) -> Any:  # noqa: ANN401
    """A Dask data frame of the records of one or many files, with known divisions.

        visits = read_capture("visits.capture", text=True)
        from_london = visits[visits.record.str.endswith("from London")]

    Its index `record_number` is the number of the record in its file; where several are read, it continues from file
    to file, in their order. The column `record` has Arrow's type `binary`. The last record of each file is fixed
    now: what is committed later is not in it, however late it is computed.

    Arguments:
        paths: a file, a folder, a pattern such as `visits/*.capture`, or several of them. Of a folder, all files
            `*.capture` are read, in the order of their names; or, if it is a rotated log, its files, with the log's own
            record numbers. Names that begin with `_` or a dot are left out. Each worker has to see the files at the
            same paths.
        records_per_partition: by default as many as take some 16 MiB in the file, and at most a million.
        text: make the column `record` strings, of records that are UTF-8.
        include_path: add the columns `path`, and `number_in_file`, the record's number in that file.

    Raises FileNotFoundError if there is no such file, ValueError for less than one record in a partition, ImportError
    without Dask, and what `CaptureFile` raises. Computing raises FileNotFoundError where a worker does not see a file,
    and InvalidCaptureFile if a file is damaged or has lost records.
    """
    import dask.dataframe

    parts = _plan(paths, records_per_partition)
    meta = _frame(None, text, include_path)
    if not parts:
        return dask.dataframe.from_pandas(meta, npartitions=1)
    return dask.dataframe.from_map(
        _frame,
        parts,
        args=[text, include_path],
        meta=meta,
        divisions=[*(part.number for part in parts), parts[-1].number + parts[-1].last - parts[-1].first],
        label="read-capture",
    )


def _records(part: _Part, decoder: Decoder) -> list[Any]:
    """The partition of a bag."""
    with part.opened() as cf:
        return decoder.decode(cf.read_range(part.first, part.last), part.first, part.path)


def read_bag(
    paths: StrPath | Iterable[StrPath],
    *,
    records_per_partition: int | None = None,
    encoding: str | None = "utf_8",
    errors: str | None = None,
) -> Any:  # noqa: ANN401
    """A Dask bag of the records of one or many files, in order, as `str`, or `bytes` if `encoding` is None.

        lengths = read_bag("visits.capture").map(len)

    `errors` is as for `CaptureFile`; without it, computing raises UnicodeDecodeError for a record that is not text in
    the encoding. The other arguments, and what else is raised, are as for `read_capture`.
    """
    import dask
    import dask.bag

    decoder = Decoder(encoding, errors)
    parts = _plan(paths, records_per_partition)
    if not parts:
        return dask.bag.from_sequence([], npartitions=1)
    read = dask.delayed(_records, pure=True)
    return dask.bag.from_delayed([read(part, decoder) for part in parts])


def _write_part(records: Iterable[str | bytes], swap: Swap, name: str, options: dict[str, Any]) -> str:
    """Makes a file of the records aside, which has its name once it is whole; returns its path.

    Once parts are being moved into place, the task is done again only because its result was lost with a worker. What
    it reads may have been overwritten by then.
    """
    path = swap.aside / name
    if swap.has_begun():
        return str(path)
    try:
        path.parent.mkdir(exist_ok=True)
    except FileNotFoundError as error:
        message = f"{error.strerror}; each worker has to see the folder at the same path"
        raise FileNotFoundError(error.errno, message, swap.folder) from None
    with (
        replacing(path, sync=options["sync"] not in ("none", False)) as temporary,
        CaptureFile(temporary, True, force_new_empty_file=True, **options) as cf,
    ):
        cf.add_records(records)
        cf.commit()
    return str(path)


def _parts(folder: str) -> list[str]:
    """The names of the parts that a folder has."""
    return sorted(path.name for path in Path(folder).glob(f"part-*{SUFFIX}"))


def _check_has_no_parts(folder: str) -> None:
    for name in _parts(folder)[:1]:
        raise FileExistsError(f"{folder!r} has parts already, such as {name}")


def _put_in_place(parts: Iterable[str], swap: Swap, overwrite: bool) -> list[str]:
    """Moves the parts into the folder, and those that were there out of it; returns their paths there."""
    if not overwrite and not swap.has_begun():
        _check_has_no_parts(swap.folder)
    new = {path.name: path for path in map(Path, parts)}
    swap.run(new, _parts(swap.folder) if overwrite else ())
    return [str(Path(swap.folder, name)) for name in new]


def _put_in_place_by_a_task(parts: Iterable[str], swap: Swap, overwrite: bool) -> list[str]:
    paths = _put_in_place(parts, swap, overwrite)
    swap.clear_but_trace()
    return paths


def to_capture(
    data: Any,  # noqa: ANN401
    folder: StrPath,
    *,
    column: str = "record",
    overwrite: bool = False,
    compute: bool = True,
    encoding: str | None = "utf_8",
    errors: str | None = None,
    compression_block_size: int = 32768,
    compression_level: int = 6,
    sync: SyncMode = "full",
) -> Any:  # noqa: ANN401
    """Writes a data frame or a bag to a folder, each partition to a file `part-NNNNN.capture` there.

        to_capture(read_bag("visits.capture").map(str.upper), "upper")

    The files are written aside, in a hidden folder inside the folder, and moved into place when all of them are whole
    and, unless `sync` is "none", on the disk. If something fails, the folder is as it was. What is overwritten may be
    what is read.

    Arguments:
        data: a Dask data frame, or a series or bag of `str` or `bytes`.
        folder: where the files are to be, at the same path for each worker. It is created if there is none.
        column: the column of a data frame that has the records, `str` or `bytes` without nulls.
        overwrite: replace the parts that the folder has already, once the new ones are whole.
        compute: write at once. Otherwise the call returns a `Delayed`, to be computed once by the caller.
        encoding: as for `CaptureFile`, like all that follow.
        errors: what becomes of text that cannot be encoded.
        compression_block_size: bytes that are compressed together.
        compression_level: from 1 to 12.
        sync: what a file waits for before it gets its name.

    Returns the paths of the files in order, or the `Delayed` that gives them. Raises FileExistsError if the folder has
    parts already, KeyError if there is no such column, FileNotFoundError where a worker, or this process, does not see
    the folder or a part, and what `CaptureFile.add_records` and `commit` raise, such as TypeError for a null.
    """
    import dask

    place = Path(folder).absolute()
    partitions = (data[column] if getattr(data, "ndim", 1) == 2 else data).to_delayed()
    place.mkdir(parents=True, exist_ok=True)
    if not overwrite:
        _check_has_no_parts(str(place))
    options = {
        "encoding": encoding,
        "errors": errors,
        "compression_block_size": compression_block_size,
        "compression_level": compression_level,
        "sync": sync,
    }
    swap = Swap(str(place), uuid4().hex)
    names = part_names("part-", range(len(partitions)))
    write = dask.delayed(_write_part)
    tasks = [write(partition, swap, names[index], options) for index, partition in enumerate(partitions)]
    if not compute:
        return dask.delayed(_put_in_place_by_a_task)(tasks, swap, overwrite)
    try:
        paths = _put_in_place(dask.compute(*tasks), swap, overwrite)
    except BaseException:
        # What could not be put back stays where it is.
        if not swap.has_begun():
            swap.clear()
        raise
    swap.clear()
    return paths
