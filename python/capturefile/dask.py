"""Capture files as Dask data frames and bags, and back: `read_capture`, `read_bag`, `to_capture`.

    from capturefile.dask import read_capture, to_capture

    visits = read_capture("visits/*.capture", text=True)
    print(visits.record.str.len().mean().compute())
    to_capture(visits[visits.record.str.contains("London")], "london")

It requires the extra `dask`. Dask is not imported before a function is called.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from capturefile import _folders, _remote
from capturefile._capturefile import CaptureFile, file_identity
from capturefile._decoder import Decoder
from capturefile._errors import InvalidCaptureFile
from capturefile._files import SUFFIX, is_hidden, replacing
from capturefile._swap import Swap, part_names
from capturefile.rotating import manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from capturefile._typing import Compression, StrPath, SyncMode

__all__ = ["read_bag", "read_capture", "to_capture"]


def __dir__() -> list[str]:
    return sorted(__all__)


def _require_dask() -> None:
    """Raises ImportError if Dask is not installed."""
    if find_spec("dask") is None:
        raise ImportError("capturefile.dask requires Dask: pip install 'capturefile-rs[dask]'", name="dask")


_BYTES_PER_PARTITION = 16 << 20
"""Approximate size of the compressed data."""
_MAX_RECORDS_PER_PARTITION = 1_000_000


@dataclass(frozen=True)
class _Partition:
    """Records of one file that form a partition."""

    path: str
    first: int
    """Number of the first record in the file."""
    last: int
    number: int
    """Number of the first record among all records that are read."""
    identity: object
    """Identity of the file at planning time, so that a replaced file gets other names in the task graph."""

    def opened(self) -> CaptureFile[bytes]:
        """Opens the file where the partition is computed, possibly on another machine."""
        try:
            cf = CaptureFile(self.path, encoding=None)
        except FileNotFoundError as error:
            if _remote.is_url(self.path):
                raise
            message = f"{error.strerror}; each worker must see the files at the same paths"
            raise FileNotFoundError(error.errno, message, self.path) from None
        if cf.record_count() < self.last:
            raise InvalidCaptureFile(
                f"{_remote.without_secrets(self.path)!r} has {cf.record_count()} records, but there were {self.last} "
                "or more when the partitions were planned"
            )
        return cf


@dataclass(frozen=True)
class _SourceFile:
    """A file to read, with the number of its last record unless it is read to its end."""

    path: str
    last: int | None = None
    number: int | None = None
    """Number of its first record in the log to which it belongs."""


def _rotated(folder: str) -> Iterator[_SourceFile]:
    """Lists the existing files of a rotated log."""
    from capturefile.rotating import RotatingReader

    with RotatingReader(folder) as log:
        yield from (_SourceFile(file.location, file.record_count, file.first_record) for file in log.files())


def _in_folder(folder: Path) -> Iterator[_SourceFile]:
    if (folder / manifest.NAME).exists():
        return _rotated(str(folder))
    return _seen(folder.glob(f"*{SUFFIX}"))


def _seen(paths: Iterable[Path]) -> Iterator[_SourceFile]:
    """Sorts files by name, and drops hidden ones."""
    return (_SourceFile(str(path)) for path in sorted(paths) if not is_hidden(path.name))


def _in_store(url: str) -> Iterator[_SourceFile]:
    """Lists the objects to which a URL refers."""
    if _folders.has_pattern(url):
        return map(_SourceFile, _folders.matching(url))
    if not _folders.is_folder(url):
        return iter([_SourceFile(url)])
    if _folders.folder_at(url).has(manifest.NAME):
        return _rotated(url)
    return map(_SourceFile, _folders.captures_in(url))


def _at(path: StrPath) -> Iterator[_SourceFile]:
    """Lists the files to which a path refers."""
    if _remote.is_url(path):
        return _in_store(os.fspath(path))
    place = Path(_remote.local(os.fspath(path))).absolute()
    if place.exists():
        return _in_folder(place) if place.is_dir() else iter([_SourceFile(str(place))])
    return _seen(map(Path, glob.glob(str(place))))  # noqa: PTH207  # patterns are absolute


def _find(paths: StrPath | Iterable[StrPath]) -> Iterator[_SourceFile]:
    """Lists the files to which the paths refer, in order."""
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        found = list(_at(path))
        if not found:
            raise FileNotFoundError(f"there are no capture files at {_remote.without_secrets(os.fspath(path))!r}")
        yield from found


def _plan(paths: StrPath | Iterable[StrPath], records_per_partition: int | None) -> list[_Partition]:
    """Plans the partitions: none spans two files, and the last record of each is fixed now."""
    if records_per_partition is not None and records_per_partition < 1:
        raise ValueError(
            f"records_per_partition cannot be {records_per_partition}: a partition has at least one record"
        )
    parts: list[_Partition] = []
    number = 1
    for file in _find(paths):
        number = max(number, file.number or 1)
        with CaptureFile(file.path, encoding=None) as cf:
            count = cf.record_count() if file.last is None else file.last
            size = records_per_partition or _records_per_partition(cf)
            for first in range(1, count + 1, size):
                last = min(first + size - 1, count)
                parts.append(_Partition(file.path, first, last, number + first - 1, file_identity(cf)))
        number += count
    return parts


def _records_per_partition(cf: CaptureFile[bytes]) -> int:
    """Returns the number of records that take about `_BYTES_PER_PARTITION` in the file."""
    share = cf.record_count() * _BYTES_PER_PARTITION // max(cf.info().file_limit, 1)
    return min(max(share, 1), _MAX_RECORDS_PER_PARTITION)


def _table(part: _Partition, text: bool) -> Any:  # noqa: ANN401
    """Returns the records of a part as an Arrow table of one column."""
    import pyarrow

    with part.opened() as cf:
        return pyarrow.table(cf.as_arrow(part.first, part.last, text=text)).select(["record"])


def _frame(part: _Partition | None, text: bool, include_path: bool) -> Any:  # noqa: ANN401
    """Returns a partition of a data frame; without a part, an empty one with the types of all partitions."""
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
    """Reads one or many files as a Dask data frame with known divisions.

    Its index `record_number` is the number of the record in its file; with several files, the numbers continue from
    file to file, in their order. The column `record` has Arrow's type `binary`. The last record of each file is fixed
    now: records that are committed later are not included, however late the data frame is computed.

    Args:
        paths: A file, a folder, a pattern such as `visits/*.capture`, or several of these. In a folder, all files
            `*.capture` are read in the order of their names; in a rotated log, its files are read with the log's record
            numbers. Names that start with an underscore or a dot are skipped. Each worker must see the files at the
            same paths. All of these can also be URLs in an object store, where that of a folder ends with a slash.
        records_per_partition: Maximum number of records in a partition; by default as many as take about 16 MiB in the
            file, and at most a million.
        text: Return strings in the column `record`, which requires the records to be UTF-8.
        include_path: Add the columns `path` and `number_in_file`, the record's number in that file.

    Returns:
        The data frame. Computing it raises FileNotFoundError if a worker does not see a file, and InvalidCaptureFile if
        a file is damaged or has lost records.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: `records_per_partition` is below 1.
        ImportError: Dask is not installed.
        CaptureFileError: As for `CaptureFile`.
        OSError: As for `CaptureFile`.

    Examples:
        >>> visits = read_capture("visits.capture", text=True)
        >>> int(visits.record.str.endswith("from London").sum().compute())
        1
    """
    _require_dask()
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


def _records(part: _Partition, decoder: Decoder) -> list[Any]:
    """Returns a partition of a bag."""
    with part.opened() as cf:
        return decoder.decode(cf.read_range(part.first, part.last), part.first, part.path)


def read_bag(
    paths: StrPath | Iterable[StrPath],
    *,
    records_per_partition: int | None = None,
    encoding: str | None = "utf_8",
    errors: str | None = None,
) -> Any:  # noqa: ANN401
    """Reads one or many files as a Dask bag of their records, in order.

    Args:
        paths: As for `read_capture`.
        records_per_partition: As for `read_capture`.
        encoding: Encoding of the records, which become `str`; None for `bytes`.
        errors: As for `CaptureFile`.

    Returns:
        The bag. Computing it raises the exceptions of `read_capture`, and UnicodeDecodeError if a record is not text in
        the encoding and no `errors` were given.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: `records_per_partition` is below 1.
        LookupError: There is no such encoding or error handler.
        ImportError: Dask is not installed.
        CaptureFileError: As for `CaptureFile`.
        OSError: As for `CaptureFile`.

    Examples:
        >>> read_bag("visits.capture").map(len).compute(scheduler="synchronous")
        [16, 20]
    """
    _require_dask()
    import dask
    import dask.bag

    decoder = Decoder(encoding, errors)
    parts = _plan(paths, records_per_partition)
    if not parts:
        return dask.bag.from_sequence([], npartitions=1)
    read = dask.delayed(_records, pure=True)
    return dask.bag.from_delayed([read(part, decoder) for part in parts])


def _write_part(records: Iterable[str | bytes], swap: Swap, name: str, options: dict[str, Any]) -> str:
    """Writes the records to a file in the temporary folder, and returns its path.

    Once parts are being moved into place, the task is repeated only because its result was lost with a worker. Its
    input may have been overwritten by then.
    """
    path = swap.aside / name
    if swap.has_begun():
        return str(path)
    try:
        path.parent.mkdir(exist_ok=True)
    except FileNotFoundError as error:
        message = f"{error.strerror}; each worker must see the folder at the same path"
        raise FileNotFoundError(error.errno, message, swap.folder) from None
    with (
        replacing(path, sync=options["sync"] not in ("none", False)) as temporary,
        CaptureFile(temporary, True, force_new_empty_file=True, **options) as cf,
    ):
        cf.add_records(records)
        cf.commit()
    return str(path)


def _parts(folder: str) -> list[str]:
    """Returns the names of the parts in a folder."""
    return sorted(path.name for path in Path(folder).glob(f"part-*{SUFFIX}"))


def _check_has_no_parts(folder: str) -> None:
    for name in _parts(folder)[:1]:
        raise FileExistsError(f"{folder!r} already contains parts, such as {name}")


def _put_in_place(parts: Iterable[str], swap: Swap, overwrite: bool) -> list[str]:
    """Moves the new parts into the folder and previous ones out of it; returns the new paths."""
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
    compression_block_size: int | None = None,
    format: Literal[2, 3] = 2,  # noqa: A002 - its name everywhere
    compression: Compression | None = None,
    compression_level: int | None = None,
    sync: SyncMode = "full",
) -> Any:  # noqa: ANN401
    """Writes a data frame or a bag to a folder, each partition to a file `part-NNNNN.capture`.

    The files are written to a hidden folder inside `folder`, and moved into place when all of them are complete and,
    unless `sync` is "none", synced to the disk. If something fails, the folder is unchanged. The data may be read
    from the files that are overwritten.

    Args:
        data: A Dask data frame, or a series or bag of `str` or `bytes`.
        folder: Folder for the files, at the same path for each worker. It is created if necessary.
        column: The column of a data frame with the records, `str` or `bytes` without nulls.
        overwrite: Replace existing parts in the folder, once the new ones are complete.
        compute: Write now. Otherwise the call returns a `Delayed`, to be computed once by the caller.
        encoding: As for `CaptureFile`.
        errors: As for `CaptureFile`.
        compression_block_size: As for `CaptureFile`.
        format: As for `CaptureFile`.
        compression: As for `CaptureFile`.
        compression_level: As for `CaptureFile`.
        sync: As for `CaptureFile`, before a file gets its name.

    Returns:
        The paths of the files in order, or a `Delayed` of them.

    Raises:
        FileExistsError: The folder already contains parts, and `overwrite` is false.
        KeyError: There is no such column.
        FileNotFoundError: A worker, or this process, does not see the folder or a part.
        TypeError: A record is null, or neither `str` nor bytes-like.
        ImportError: Dask is not installed.
        CaptureFileError: As for `CaptureFile`.
        OSError: As for `CaptureFile`.

    Examples:
        >>> paths = to_capture(read_bag("visits.capture").map(str.upper), "upper")
        >>> capturefile.open(paths[0])[1]
        'ADA, FROM LONDON'
    """
    _require_dask()
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
        "format": format,
        "compression": compression,
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
        # Files that could not be moved back stay in the temporary folder.
        if not swap.has_begun():
            swap.clear()
        raise
    swap.clear()
    return paths
