"""Records as Arrow data for pyarrow, nanoarrow and DuckDB; `frames.py` tests polars and pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import capturefile
import pyarrow
import pytest
from arrow_c import stream_of
from capturefile import CaptureFile
from files import DAMAGE, damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import dataset, parquet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("both_formats")

MEBIBYTE = 1024 * 1024
MAX_ROWS = 65_536
RECORDS = [b"%d " % number * (number % 80) for number in range(1, 2001)]
NUMBER = pyarrow.field("record_number", pyarrow.int64(), nullable=False)
SCHEMA = pyarrow.schema([NUMBER, pyarrow.field("record", pyarrow.binary(), nullable=False)])
TEXT_SCHEMA = pyarrow.schema([NUMBER, pyarrow.field("record", pyarrow.string(), nullable=False)])


def make(path: Path, records: Sequence[str | bytes]) -> Path:
    """A file of these records, in small blocks."""
    with CaptureFile(path, True, sync=False, compression_block_size=4096) as cf:
        cf.add_records(records)
        cf.commit()
    return path


@pytest.fixture
def cf(path: Path) -> Any:  # noqa: ANN401
    """A file of `RECORDS`, open."""
    with CaptureFile(make(path, RECORDS), encoding=None, threads=3) as cf:
        yield cf


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of a million records."""
    path = tmp_path_factory.mktemp("million") / "log.capture"
    with CaptureFile(path, True, sync=False, compression_level=1) as cf:
        cf.add_records(b"%d is the number of this record" % number for number in range(1, 1_000_001))
        cf.commit()
    return path


def expected(first: int, last: int) -> dict[str, list[int] | list[bytes]]:
    """The columns of a range of `RECORDS`."""
    return {"record_number": list(range(first, last + 1)), "record": RECORDS[first - 1 : last]}


# The content of a table


def test_a_table_has_the_numbers_and_the_records(cf: CaptureFile[bytes]) -> None:
    table = pyarrow.table(cf.as_arrow())
    table.validate(full=True)
    assert table.schema == SCHEMA
    assert table.to_pydict() == expected(1, 2000)


def test_text_records_are_available_as_strings(path: Path) -> None:
    records = ["", "ÄÖÜ" * 50, "one\0two", "𝄞", ""]
    with CaptureFile(make(path, records)) as cf:
        table = pyarrow.table(cf.as_arrow(text=True))
    table.validate(full=True)
    assert table.schema == TEXT_SCHEMA
    assert table.column("record").to_pylist() == records


def test_the_schema_is_available_without_a_stream(cf: CaptureFile[bytes]) -> None:
    nanoarrow = pytest.importorskip("nanoarrow")
    assert pyarrow.schema(cf.as_arrow()) == SCHEMA
    assert pyarrow.schema(cf.as_arrow(text=True)) == TEXT_SCHEMA
    assert nanoarrow.c_schema(cf.as_arrow()).format == "+s"


def test_nanoarrow_reads_a_stream(cf: CaptureFile[bytes]) -> None:
    nanoarrow = pytest.importorskip("nanoarrow")
    rows = nanoarrow.ArrayStream(cf.as_arrow(1990)).read_all().to_pylist()
    assert [row["record_number"] for row in rows] == list(range(1990, 2001))
    assert [row["record"] for row in rows] == RECORDS[1989:]


def test_a_table_of_a_writer_has_its_uncommitted_records(writer: CaptureFile[bytes]) -> None:
    writer.add_records(RECORDS)
    assert pyarrow.table(writer.as_arrow()).to_pydict() == expected(1, 2000)


# Ranges


def test_a_range_includes_both_ends(cf: CaptureFile[bytes]) -> None:
    for first, last in [(1, 1), (1, 2000), (7, 9), (2000, 2000), (500, 1500)]:
        assert pyarrow.table(cf.as_arrow(first, last)).to_pydict() == expected(first, last)
    assert pyarrow.table(cf.as_arrow(first_record_number=1999)).to_pydict() == expected(1999, 2000)
    assert pyarrow.table(cf.as_arrow(last_record_number=2)).to_pydict() == expected(1, 2)


@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_range_has_the_records_of_read_range(cf: CaptureFile[bytes], data: st.DataObject) -> None:
    first, last = data.draw(st.integers(1, 2000)), data.draw(st.integers(0, 2000))
    found = pyarrow.table(cf.as_arrow(first, last)).to_pydict()
    assert found["record"] == cf.read_range(first, last)
    assert found["record_number"] == list(range(first, last + 1))


def test_a_range_without_records_has_a_schema_and_no_batch(cf: CaptureFile[bytes], tmp_path: Path) -> None:
    with CaptureFile(tmp_path / "empty.capture", True) as empty:
        for table in (empty.as_arrow(), cf.as_arrow(5, 4), cf.as_arrow(2001), cf.as_arrow(9000), cf.as_arrow(7, -1)):
            reader = pyarrow.RecordBatchReader.from_stream(table)
            assert (reader.schema, list(reader)) == (SCHEMA, [])


def test_a_range_past_the_end_is_an_error(cf: CaptureFile[bytes]) -> None:
    for first, last, number in [(1, 2001, 2001), (2001, 2001, 2001), (3000, 4000, 3000), (1, 10**30, 2001)]:
        with pytest.raises(IndexError, match=f"record {number} does not exist in .*, which has 2000 records"):
            cf.as_arrow(first, last)
    with pytest.raises(IndexError, match="record 0 does not exist"):
        cf.as_arrow(0)
    with pytest.raises(TypeError):
        cf.as_arrow(1.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        cf.as_arrow(1, 2, True)  # type: ignore[call-arg]
    cf.close()
    with pytest.raises(capturefile.CaptureFileNotOpen):
        cf.as_arrow()


# Batches


def lengths(table: capturefile.ArrowRecords) -> list[int]:
    """The numbers of rows in the batches."""
    return [batch.num_rows for batch in pyarrow.RecordBatchReader.from_stream(table)]


def test_a_batch_has_at_most_65536_rows(million: Path, both_formats: int) -> None:
    with CaptureFile(million) as cf:
        first, later = lengths(cf.as_arrow(last_record_number=MAX_ROWS)), lengths(cf.as_arrow(2, 3 * MAX_ROWS + 2))
    assert (sum(first), sum(later)) == (MAX_ROWS, 3 * MAX_ROWS + 1)
    assert max(first + later) <= MAX_ROWS
    if both_formats == 2:
        assert (first, later) == ([MAX_ROWS], [MAX_ROWS] * 3 + [1])


def test_a_batch_has_at_most_16_mebibytes_or_a_single_record(path: Path, both_formats: int) -> None:
    sizes = [5, 5, 6, 1, 17, 14, 2, 0, 16, 0]
    with CaptureFile(make(path, [bytes(size * MEBIBYTE) for size in sizes])) as cf:
        table = cf.as_arrow()
        # In format 3, each large record is a block, and a batch, of its own.
        assert lengths(table) == ([3, 1, 1, 3, 2] if both_formats == 2 else [1] * len(sizes))
        read = pyarrow.table(table)
    assert [len(value.as_py()) for value in read.column("record")] == [size * MEBIBYTE for size in sizes]
    assert read.column("record_number").to_pylist() == list(range(1, 11))


# Shared memory


def lines(path: Path, *others: tuple[int, bytes]) -> list[bytes]:
    """Makes a file of records of about 200 bytes, most of them in blocks; `others` replace those with their numbers."""
    records = [b"%d " % number * 40 for number in range(1, 6001)]
    for number, record in others:
        records[number - 1] = record
    with CaptureFile(path, True, encoding=None) as cf:
        for start in range(0, len(records), 500):
            cf.add_records(records[start : start + 500])
            cf.commit()
    return records


def batches_of(table: capturefile.ArrowRecords) -> list[pyarrow.RecordBatch]:
    return list(pyarrow.RecordBatchReader.from_stream(table))


def test_blocks_of_format_3_are_shared_without_a_copy(path: Path, both_formats: int) -> None:
    """Two streams give the data of a cached block at the same address, unless they copy it."""
    records = lines(path)
    with CaptureFile(path) as cf:
        both = [batches_of(cf.as_arrow()) for _ in range(2)]
        first, second = (
            {batch.column("record").buffers()[2].address: batch.num_rows for batch in batches} for batches in both
        )
        shared = sum(rows for address, rows in first.items() if address in second)
        assert shared > len(records) // 2 if both_formats == 3 else shared == 0
        part = pyarrow.Table.from_batches(batches_of(cf.as_arrow(100, 5900)))
        assert part.column("record").to_pylist() == records[99:5900]
        assert part.column("record_number").to_pylist() == list(range(100, 5901))
    # The batches outlive their file and its cache.
    assert [value for batch in both[1] for value in batch.column("record").to_pylist()] == records


@pytest.mark.parametrize("number", [1, 2, 700, 2999, 3000])
def test_a_record_of_a_block_that_is_not_text_is_an_error_after_the_records_before_it(path: Path, number: int) -> None:
    records = lines(path, (number, b"\xff" * 200))
    with CaptureFile(path) as cf:
        stream = stream_of(cf.as_arrow(text=True))
        given: list[object] = []
        while not (found := stream.next())[0]:
            given += found[1].child(1).values()
            found[1].dispose()
        assert stream.error() == f'record {number} of "{path}" is not text in UTF-8; ask for bytes'
        stream.dispose()
        assert given == records[: number - 1]


def test_a_character_split_between_two_records_of_a_block_is_not_text(path: Path) -> None:
    letter = "é".encode()
    lines(path, (1000, b"x" * 200 + letter[:1]), (1001, letter[1:] + b"x" * 200))
    with CaptureFile(path) as cf, pytest.raises(pyarrow.ArrowInvalid, match=r"record 1000 of .* is not text"):
        pyarrow.table(cf.as_arrow(text=True))


# Repeated and later streams


def test_each_consumer_gets_its_own_stream_from_the_first_record(cf: CaptureFile[bytes]) -> None:
    table = cf.as_arrow(3, 1900)
    readers = [pyarrow.RecordBatchReader.from_stream(table) for _ in range(3)]
    for reader in readers:
        assert reader.read_all().to_pydict() == expected(3, 1900)


def test_a_table_does_not_change_while_the_file_grows(path: Path) -> None:
    with CaptureFile(make(path, RECORDS), True, encoding=None) as writer, CaptureFile(path, encoding=None) as cf:
        tables = [cf.as_arrow(), writer.as_arrow()]
        writer.add_records(RECORDS)
        writer.commit()
        cf.refresh()
        tables.append(writer.as_arrow(last_record_number=2000))
        writer.add_record("rolled back")
        writer.rollback()
        for table in tables:
            assert pyarrow.table(table).to_pydict() == expected(1, 2000)
        assert pyarrow.table(cf.as_arrow()).num_rows == 4000


def test_a_table_outlives_its_file_and_its_name(cf: CaptureFile[bytes], path: Path) -> None:
    table, reader = cf.as_arrow(), pyarrow.RecordBatchReader.from_stream(cf.as_arrow())
    cf.close()
    path.unlink()
    assert pyarrow.table(table).to_pydict() == reader.read_all().to_pydict() == expected(1, 2000)


# Larger work


def test_duckdb_counts_a_million_records(million: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    with CaptureFile(million) as cf:
        records = cf.as_arrow(text=True)
        with duckdb.connect() as database:
            assert database.sql("SELECT count(*) FROM records").fetchall() == [(1_000_000,)]
            query = (
                "SELECT count(*), sum(record_number), min(record_number), max(length(record)), "
                "count(*) FILTER (record LIKE record_number || ' is the number of%') FROM records"
            )
            assert database.sql(query).fetchall() == [(1_000_000, 500_000_500_000, 1, 36, 1_000_000)]
            del records


def test_parquet_written_from_a_stream_is_read_back_unchanged(million: Path, tmp_path: Path) -> None:
    with CaptureFile(million) as cf:
        reader = pyarrow.RecordBatchReader.from_stream(cf.as_arrow(last_record_number=300_000))
        with parquet.ParquetWriter(tmp_path / "log.parquet", reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
        read = parquet.read_table(tmp_path / "log.parquet")
        assert read.schema == SCHEMA
        assert read.equals(pyarrow.table(cf.as_arrow(1, 300_000)))
        with CaptureFile(tmp_path / "again.capture", True, sync=False) as again:
            again.add_records(value.as_buffer() for value in read.column("record"))
            assert again.read_range_buffers(1, 300_000)[1] == cf.read_range_buffers(1, 300_000)[1]
            again.commit()


def test_a_dataset_of_many_files_keeps_the_order_on_request(million: Path, tmp_path: Path) -> None:
    with CaptureFile(million) as cf:
        dataset.write_dataset(
            pyarrow.RecordBatchReader.from_stream(cf.as_arrow()),
            tmp_path,
            format="parquet",
            max_rows_per_file=100_000,
            max_rows_per_group=10_000,
            preserve_order=True,
        )
        files = sorted(tmp_path.iterdir(), key=lambda path: int(path.stem.removeprefix("part-")))
        assert len(files) == 10
        assert dataset.dataset(list(map(str, files))).to_table().equals(pyarrow.table(cf.as_arrow()))


# Requests for another schema


def asked_for(table: capturefile.ArrowRecords, number: Any, record: Any) -> pyarrow.Schema:  # noqa: ANN401
    """The schema of the data when columns of these types are requested; checks that the records are the same."""
    schema = pyarrow.schema([("record_number", number), ("record", record)])
    reader = pyarrow.RecordBatchReader.from_stream(table, schema=schema)
    read = reader.read_all()
    read.validate(full=True)
    assert read.column("record").cast(pyarrow.binary()).to_pylist() == RECORDS
    return read.schema


@pytest.mark.parametrize("text", [False, True])
def test_consumers_can_request_bytes_or_text(cf: CaptureFile[bytes], text: bool) -> None:
    table = cf.as_arrow(text=text)
    for kind in (pyarrow.string(), pyarrow.large_string(), pyarrow.string_view()):
        assert asked_for(table, pyarrow.int64(), kind) == TEXT_SCHEMA
    for kind in (pyarrow.binary(), pyarrow.large_binary(), pyarrow.binary_view(), pyarrow.binary(3)):
        assert asked_for(table, pyarrow.int64(), kind) == SCHEMA
    for number in (pyarrow.int8(), pyarrow.uint16(), pyarrow.int32(), pyarrow.uint64()):
        assert asked_for(table, number, pyarrow.binary()) == SCHEMA
    assert asked_for(table, pyarrow.int64(), pyarrow.dictionary(pyarrow.int8(), pyarrow.string())) == TEXT_SCHEMA


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"record": pyarrow.binary()},
        {"record": pyarrow.binary(), "record_number": pyarrow.int64()},
        {"record_number": pyarrow.int64(), "message": pyarrow.binary()},
        {"record_number": pyarrow.int64(), "record": pyarrow.int64()},
        {"record_number": pyarrow.float64(), "record": pyarrow.binary()},
        {"record_number": pyarrow.int64(), "record": pyarrow.list_(pyarrow.binary())},
        {"record_number": pyarrow.int64(), "record": pyarrow.binary(), "more": pyarrow.int64()},
    ],
)
def test_a_request_for_other_columns_is_refused(cf: CaptureFile[bytes], columns: dict[str, Any]) -> None:
    requested = pyarrow.schema(list(columns.items())).__arrow_c_schema__()
    with pytest.raises(ValueError, match="requested_schema cannot be had: it must be one of two columns"):
        cf.as_arrow().__arrow_c_stream__(requested)


def test_a_request_that_is_not_a_schema_is_refused(cf: CaptureFile[bytes]) -> None:
    table = cf.as_arrow()
    with pytest.raises(TypeError):
        table.__arrow_c_stream__(SCHEMA)
    with pytest.raises(ValueError, match="incorrect name"):
        table.__arrow_c_stream__(table.__arrow_c_stream__())
    with pytest.raises(ValueError, match="requested_schema cannot be had"):
        table.__arrow_c_stream__(pyarrow.binary().__arrow_c_schema__())
    taken = SCHEMA.__arrow_c_schema__()
    pyarrow.Schema._import_from_c_capsule(taken)
    with pytest.raises(ValueError, match="requested_schema cannot be had"):
        table.__arrow_c_stream__(taken)
    table.__arrow_c_stream__(requested_schema=None)


def test_text_of_a_file_in_another_encoding_is_refused_and_not_guessed(path: Path) -> None:
    make(path, ["é".encode("latin-1")])
    with CaptureFile(path, encoding="latin-1") as cf:
        with pytest.raises(ValueError, match="only text in UTF-8"):
            cf.as_arrow(text=True)
        reader = pyarrow.RecordBatchReader.from_stream(cf.as_arrow(), schema=TEXT_SCHEMA)
        assert (reader.schema, reader.read_all().column("record").to_pylist()) == (SCHEMA, [b"\xe9"])


# Errors in the middle of a stream


def test_a_damaged_record_is_an_error_after_the_records_before_it(path: Path, both_formats: int) -> None:
    duckdb = pytest.importorskip("duckdb")
    nanoarrow = pytest.importorskip("nanoarrow")
    damage(make(path, RECORDS))
    with CaptureFile(path, encoding=None) as cf:
        reader = pyarrow.RecordBatchReader.from_stream(cf.as_arrow())
        good = reader.read_next_batch()
        assert good.to_pydict() == expected(1, good.num_rows)
        for _ in range(3):
            found = f"log.capture.* is not a sound capture file: at byte .*{DAMAGE[both_formats]}"
            with pytest.raises(pyarrow.ArrowInvalid, match=found):
                reader.read_next_batch()
        with pytest.raises(capturefile.InvalidCaptureFile):
            cf.record_at(good.num_rows + 1)
        records = cf.as_arrow()
        with pytest.raises(RuntimeError, match="not a sound capture file"):
            nanoarrow.ArrayStream(records).read_all()
        with duckdb.connect() as database, pytest.raises(duckdb.Error, match="not a sound capture file"):
            database.sql("SELECT max(record_number) FROM records").fetchall()


def test_a_record_that_is_not_text_is_an_error_after_the_records_before_it(path: Path) -> None:
    with CaptureFile(make(path, ["one", "two", b"\xff\xfe", "four"])) as cf:
        stream = stream_of(cf.as_arrow(text=True))
        code, batch = stream.next()
        assert (code, batch.child(1).values()) == (0, [b"one", b"two"])
        batch.dispose()
        for _ in range(2):
            assert stream.next()[0] == 22
            assert stream.error() == f'record 3 of "{path}" is not text in UTF-8; ask for bytes'
        stream.dispose()
        with pytest.raises(pyarrow.ArrowInvalid, match=r"record 3 of .* is not text in UTF-8"):
            pyarrow.table(cf.as_arrow(3, text=True))
        assert pyarrow.table(cf.as_arrow(4, text=True)).num_rows == 1
        assert pyarrow.table(cf.as_arrow()).num_rows == 4


def test_a_character_split_between_two_records_is_not_text(path: Path) -> None:
    first, second = "é".encode()[:1], "é".encode()[1:]
    with (
        CaptureFile(make(path, [first, second])) as cf,
        pytest.raises(pyarrow.ArrowInvalid, match=r"record 1 of .* is not text"),
    ):
        pyarrow.table(cf.as_arrow(text=True))
