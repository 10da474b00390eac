"""The library and its peers, with the same few calls for each. Peers that are not installed are omitted."""

from __future__ import annotations

import importlib.util
import shutil
import sqlite3
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

import capturefile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

MAP_SIZE = 1 << 36


class Reader(Protocol):
    """A store that is open for reading; records are numbered from 0."""

    def gets(self, numbers: Iterable[int]) -> Iterator[bytes]:
        """Reads each of these records by itself."""

    def scan(self) -> Iterator[bytes]:
        """Reads all records in order, with the store's own iterator if it has one."""


class Store(Protocol):
    """A kind of record store."""

    name: str
    can_sync: bool
    has_commits: bool
    module: str

    def write(self, path: Path, records: Sequence[bytes], every: int, *, sync: bool) -> None:
        """Creates a store of the records, with a commit after each `every` of them."""

    def reader(self, path: Path) -> Reader: ...


def batches(records: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    """Divides the records into batches of `size`."""
    return (records[start : start + size] for start in range(0, len(records), size))


class _Reader:
    """A reader of two functions. They return generators, which cost less for each record than function calls."""

    def __init__(self, gets: Callable[[Iterable[int]], Iterator[bytes]], scan: Callable[[], Iterator[bytes]]) -> None:
        self.gets, self.scan = gets, scan


def _of_capture_file(file: Any) -> Reader:  # noqa: ANN401
    """Returns a reader of a capture file that this library or the pure-Python package has opened."""
    return _Reader(lambda numbers: (file.record_at(number + 1) for number in numbers), lambda: iter(file))


class Capture:
    """This library, with a call for each record."""

    can_sync = has_commits = True
    module = "capturefile"

    def __init__(self, name: str = "capturefile", **options: Any) -> None:  # noqa: ANN401
        self.name, self.options = name, options

    def write(self, path: Path, records: Sequence[bytes], every: int, *, sync: bool) -> None:
        with capturefile.open(path, "w", encoding=None, sync=sync, **self.options) as cf:
            add = cf.add_record
            for batch in batches(records, every):
                for record in batch:
                    add(record)
                cf.commit()

    def reader(self, path: Path) -> Reader:
        return _of_capture_file(capturefile.open(path, encoding=None))


class Reference:
    """The pure-Python package for the same format; it never syncs."""

    name, module = "CaptureFile", "CaptureFile"
    can_sync, has_commits = False, True

    def write(self, path: Path, records: Sequence[bytes], every: int, *, sync: bool) -> None:
        from CaptureFile import CaptureFile

        with CaptureFile(str(path), True, force_new_empty_file=True, encoding=None) as cf:
            for batch in batches(records, every):
                for record in batch:
                    cf.add_record(record)
                cf.commit()

    def reader(self, path: Path) -> Reader:
        from CaptureFile import CaptureFile

        return _of_capture_file(CaptureFile(str(path), encoding=None))


class Lmdb:
    """py-lmdb, with record numbers as keys."""

    name, module = "py-lmdb", "lmdb"
    can_sync, has_commits = True, True

    def write(self, path: Path, records: Sequence[bytes], every: int, *, sync: bool) -> None:
        import lmdb

        with lmdb.open(str(path), subdir=False, map_size=MAP_SIZE, sync=sync) as environment:
            numbers = count()
            for batch in batches(records, every):
                with environment.begin(write=True) as transaction:
                    for number, record in zip(numbers, batch, strict=False):
                        transaction.put(number.to_bytes(8), record, append=True)
                    # `zip` took one number more than there were records.
                    numbers = count(number + 1)

    def reader(self, path: Path) -> Reader:
        import lmdb

        # The types of lmdb are unknown if it is not installed.
        transaction: Any = lmdb.open(str(path), subdir=False, readonly=True, lock=False).begin()
        return _Reader(
            lambda numbers: (transaction.get(number.to_bytes(8)) for number in numbers),
            lambda: transaction.cursor().iternext(keys=False),
        )


class RocksDb:
    """RocksDB, with record numbers as keys."""

    can_sync = has_commits = True
    module = "rocksdict"

    def __init__(self, name: str, compression: str) -> None:
        self.name, self.compression = name, compression

    def write(self, path: Path, records: Sequence[bytes], every: int, *, sync: bool) -> None:
        import rocksdict

        options = rocksdict.Options(raw_mode=True)
        options.set_compression_type(getattr(rocksdict.DBCompressionType, self.compression)())
        store = rocksdict.Rdict(str(path), options)
        durable = rocksdict.WriteOptions()
        durable.sync = sync
        numbers = count()
        for batch in batches(records, every):
            commit = rocksdict.WriteBatch(raw_mode=True)
            for record in batch:
                commit.put(next(numbers).to_bytes(8), record)
            store.write(commit, durable)
        store.flush()
        store.close()

    def reader(self, path: Path) -> Reader:
        import rocksdict

        store: Any = rocksdict.Rdict(str(path), access_type=rocksdict.AccessType.read_only())
        return _Reader(lambda numbers: (store[number.to_bytes(8)] for number in numbers), store.values)


class Sqlite:
    """sqlite3 in WAL mode, with record numbers as row numbers."""

    name, module = "sqlite3", "sqlite3"
    can_sync, has_commits = True, True

    def write(self, path: Path, records: Sequence[bytes], every: int, *, sync: bool) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if sync else 'OFF'}")
        connection.execute("CREATE TABLE records (number INTEGER PRIMARY KEY, record BLOB)")
        for batch in batches(records, every):
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO records (record) VALUES (?)", ((record,) for record in batch))
            connection.execute("COMMIT")
        connection.close()

    def reader(self, path: Path) -> Reader:
        connection = sqlite3.connect(path)
        get = "SELECT record FROM records WHERE number = ?"
        scan = "SELECT record FROM records ORDER BY number"
        return _Reader(
            lambda numbers: (connection.execute(get, (number + 1,)).fetchone()[0] for number in numbers),
            lambda: (record for (record,) in connection.execute(scan)),
        )


class ArrayRecord:
    """ArrayRecord, with groups of records compressed by zstd; it has no commits."""

    module = "array_record"
    can_sync, has_commits = False, False

    def __init__(self, name: str, group_size: int) -> None:
        self.name, self.group_size = name, group_size

    def write(self, path: Path, records: Sequence[bytes], every: int, *, sync: bool) -> None:
        from array_record.python.array_record_module import ArrayRecordWriter

        writer = ArrayRecordWriter(str(path), f"group_size:{self.group_size}")
        for record in records:
            writer.write(record)
        writer.close()

    def reader(self, path: Path) -> Reader:
        from array_record.python.array_record_module import ArrayRecordReader

        one = ArrayRecordReader(str(path), "readahead_buffer_size:0")
        all_in_order = ArrayRecordReader(str(path))
        return _Reader(
            lambda numbers: (one.read([number])[0] for number in numbers),
            lambda: (all_in_order.read() for _ in range(all_in_order.num_records())),
        )


class Bagz:
    """Bagz, with each record compressed by zstd; it has no commits."""

    name, module = "Bagz", "bagz"
    can_sync, has_commits = False, False

    def write(self, path: Path, records: Sequence[bytes], every: int, *, sync: bool) -> None:
        import bagz

        with bagz.Writer(path.with_suffix(".bagz")) as writer:
            for record in records:
                writer.write(record)
        path.with_suffix(".bagz").rename(path)

    def reader(self, path: Path) -> Reader:
        import bagz

        link = path.with_suffix(".bagz")
        link.unlink(missing_ok=True)
        link.symlink_to(path)
        reader = bagz.Reader(link)
        return _Reader(lambda numbers: (reader[number] for number in numbers), lambda: iter(reader))


class _Columns:
    """A columnar file format, with the records as one column; written in one call, without commits."""

    can_sync, has_commits = False, False

    @staticmethod
    def table(records: Sequence[bytes]) -> Any:  # noqa: ANN401
        import pyarrow as pa

        return pa.table({"record": pa.array(records, pa.binary())})


class Lance(_Columns):
    """A Lance data set."""

    name, module = "Lance", "lance"

    def write(self, path: Path, records: Sequence[bytes], every: int, *, sync: bool) -> None:
        import lance

        lance.write_dataset(self.table(records), str(path))

    def reader(self, path: Path) -> Reader:
        import lance

        dataset: Any = lance.dataset(str(path))
        return _Reader(
            lambda numbers: (dataset.take([number])["record"][0].as_py() for number in numbers),
            lambda: (record for batch in dataset.to_batches() for record in batch["record"].to_pylist()),
        )


class Vortex(_Columns):
    """A Vortex file."""

    name, module = "Vortex", "vortex"

    def write(self, path: Path, records: Sequence[bytes], every: int, *, sync: bool) -> None:
        import vortex

        vortex.io.write(self.table(records), str(path))

    def reader(self, path: Path) -> Reader:
        import vortex

        file: Any = vortex.open(str(path))
        one = file.to_repeated_scan()
        return _Reader(
            lambda numbers: (one.scalar_at(number).as_py()["record"] for number in numbers),
            lambda: (record for part in file.scan() for record in part.to_arrow_array().field("record").to_pylist()),
        )


ALL: tuple[Store, ...] = (
    Capture(),
    Capture("capturefile, level 1", compression_level=1),
    Capture("capturefile, format 3", format=3),
    Capture("capturefile, format 3, LZ4", format=3, compression="lz4"),
    Reference(),
    Lmdb(),
    RocksDb("RocksDB, zstd", "zstd"),
    RocksDb("RocksDB, LZ4", "lz4"),
    Sqlite(),
    ArrayRecord("ArrayRecord", 64),
    ArrayRecord("ArrayRecord, groups of 1", 1),
    Bagz(),
    Lance(),
    Vortex(),
)


def installed() -> list[Store]:
    """Returns the stores that are installed."""
    return [store for store in ALL if importlib.util.find_spec(store.module) is not None]


def size(path: Path) -> int:
    """Returns the disk space of all files of a store, in bytes."""
    parts = (part for start in path.parent.glob(f"{path.name}*") for part in (start, *start.rglob("*")))
    return sum(part.stat().st_blocks * 512 for part in parts if part.is_file())


def remove(path: Path) -> None:
    """Deletes a store with all its files."""
    for part in path.parent.iterdir():
        with suppress(FileNotFoundError):
            shutil.rmtree(part) if part.is_dir() else part.unlink()
