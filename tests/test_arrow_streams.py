"""Arrow streams as a consumer in C handles them: moved, half read, dropped, in threads, across a fork."""

from __future__ import annotations

import errno
import gc
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING

import arrow_c
import pyarrow
import pytest
from arrow_c import RELEASED, ArrowArray, stream_of
from capturefile import CaptureFile
from processes import PATIENCE, act

if TYPE_CHECKING:
    from collections.abc import Callable

    from capturefile import ArrowRecords

pytestmark = pytest.mark.usefixtures("both_formats")

COUNT = 200_000
WEIGHT = 24
"""Bytes of a record; the file has a few megabytes of them."""


@pytest.fixture
def filled(path: Path) -> Path:
    """A file of `COUNT` records in several batches."""
    with CaptureFile(path, True, sync=False, compression_level=1) as cf:
        cf.add_records(b"%d".ljust(WEIGHT) % number for number in range(1, COUNT + 1))
        cf.commit()
    return path


@pytest.fixture
def table(filled: Path) -> ArrowRecords:
    """All records of the file, which itself is closed."""
    with CaptureFile(filled) as cf:
        return cf.as_arrow()


def is_held(path: Path) -> bool:
    """Whether this process still has the file open."""
    gc.collect()
    return path in [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]


def resident() -> int:
    """Bytes of memory that this process uses."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


# Ways to use a stream


def drop_the_capsule(table: ArrowRecords) -> None:
    """Requests a stream and a schema and uses neither."""
    table.__arrow_c_stream__()
    table.__arrow_c_schema__()


def read_nothing(table: ArrowRecords) -> None:
    """Takes a stream and drops it."""
    pyarrow.RecordBatchReader.from_stream(table)


def read_half(table: ArrowRecords) -> None:
    """Reads two batches of it."""
    reader = pyarrow.RecordBatchReader.from_stream(table)
    reader.read_next_batch()
    reader.read_next_batch()


def read_all(table: ArrowRecords) -> None:
    """Reads it to its end."""
    assert pyarrow.table(table).num_rows == COUNT


def read_past_the_end(table: ArrowRecords) -> None:
    """Continues after the end."""
    stream = stream_of(table)
    assert len(list(stream.rows())) == COUNT
    for _ in range(3):
        code, batch = stream.next()
        assert (code, batch.release) == (0, RELEASED)
    stream.dispose()


def fail_in_the_middle(records: ArrowRecords) -> None:
    """Makes a consumer raise in the middle."""
    nanoarrow = pytest.importorskip("nanoarrow")
    with suppress(ZeroDivisionError):
        for batch in pyarrow.RecordBatchReader.from_stream(records):
            assert batch.num_rows / 0
    stream = nanoarrow.c_array_stream(records)
    stream.get_next()


def fail_in_a_query(records: ArrowRecords) -> None:
    """Makes DuckDB fail in the middle."""
    duckdb = pytest.importorskip("duckdb")
    query = "SELECT CASE WHEN record_number > 150000 THEN error('enough') ELSE 1 END FROM records"
    with duckdb.connect() as database, pytest.raises(duckdb.Error, match=r"^Invalid Input Error: enough"):
        database.sql(query).fetchall()


def keep_one_column(table: ArrowRecords) -> None:
    """Takes a column, and releases the batch and the stream before it reads the column."""
    stream = stream_of(table)
    code, batch = stream.next()
    assert code == 0
    numbers, records = batch.child(0).take(), batch.child(1).take()
    batch.dispose()
    stream.dispose()
    assert [int(record) for record in records.values(100)] == list(range(1, 101))
    records.dispose()
    # In format 3, a batch is a block.
    assert numbers.values() == list(range(1, min(65_536, numbers.length) + 1))
    assert numbers.length > 1000
    numbers.dispose()


WAYS = [
    drop_the_capsule,
    read_nothing,
    read_half,
    read_all,
    read_past_the_end,
    fail_in_the_middle,
    fail_in_a_query,
    keep_one_column,
]


@pytest.mark.parametrize("use", WAYS, ids=lambda use: use.__name__)
def test_every_kind_of_use_releases_the_file(filled: Path, use: Callable[[ArrowRecords], None]) -> None:
    with CaptureFile(filled) as cf:
        table = cf.as_arrow()
    assert is_held(filled)
    use(table)
    use(table)
    assert is_held(filled)
    del table
    assert not is_held(filled)


@pytest.mark.parametrize(
    "use", [read_half, read_all, fail_in_the_middle, keep_one_column], ids=lambda use: use.__name__
)
def test_every_kind_of_use_releases_the_memory(table: ArrowRecords, use: Callable[[ArrowRecords], None]) -> None:
    for _ in range(3):
        use(table)
    before = resident()
    for _ in range(24):
        use(table)
    of_one_batch = 65_536 * (WEIGHT + 12)
    assert resident() - before < 12 * of_one_batch


def test_a_stream_keeps_the_file_open_until_it_is_released(filled: Path) -> None:
    with CaptureFile(filled) as cf:
        stream = stream_of(cf.as_arrow())
    code, batch = stream.next()
    assert code == 0
    assert is_held(filled)
    stream.dispose()
    assert not is_held(filled)
    assert batch.child(0).values()[0] == 1
    batch.dispose()


# Threads and forks


def test_streams_are_read_in_many_threads_at_the_same_time(table: ArrowRecords) -> None:
    with ThreadPoolExecutor(4) as pool:
        tables = list(pool.map(pyarrow.table, [table] * 8))
    assert all(read.equals(tables[0]) for read in tables)


def test_a_stream_can_be_passed_from_thread_to_thread(table: ArrowRecords) -> None:
    reader = pyarrow.RecordBatchReader.from_stream(table)
    rows = 0
    while rows < COUNT:
        with ThreadPoolExecutor(1) as pool:
            rows += pool.submit(reader.read_next_batch).result().num_rows
    with pytest.raises(StopIteration):
        reader.read_next_batch()


def test_threads_that_pull_from_one_stream_get_each_record_once_or_are_refused(table: ArrowRecords) -> None:
    stream, start = stream_of(table), Barrier(4)

    def pull(_thread: int) -> list[int]:
        numbers: list[int] = []
        start.wait()
        while True:
            batch = ArrowArray()
            code = stream.next_into(batch)
            if code == errno.EBUSY:
                continue
            assert code == 0
            if batch.release is RELEASED:
                return numbers
            numbers += map(int, batch.child(0).values())
            batch.dispose()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(pull, range(4)))
    stream.dispose()
    assert sorted(sum(found, [])) == list(range(1, COUNT + 1))  # noqa: RUF017


def test_a_stream_is_pulled_while_another_thread_has_the_interpreter(filled: Path, tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler for the thread that pulls")
    library = tmp_path / "pull.so"
    source = Path(__file__).with_name("pull_in_a_thread.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-pthread", "-o", library, source], check=True)
    said = act(arrow_c.pull_while_the_interpreter_is_held, filled, library, int(PATIENCE / 2))
    with CaptureFile(filled) as cf:
        batch = pyarrow.RecordBatchReader.from_stream(cf.as_arrow()).read_next_batch()
    assert said == ["0", str(batch.num_rows)]


def test_a_half_read_stream_continues_in_a_forked_child_and_its_parent(path: Path) -> None:
    assert act(arrow_c.fork_with_a_stream_half_read, path) == ["done"]
