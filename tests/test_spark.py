"""Batch reads of the data source for Spark, without an engine; `spark_engine.py` tests them with one."""

from __future__ import annotations

import importlib.metadata
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from spark_tools import fill, read, source, table, varied

import pyarrow as pa  # isort: skip
from capturefile import CaptureFile, InvalidCaptureFile
from capturefile.spark import CaptureDataSource, batches, shares
from capturefile.spark.shares import Extent, Share
from pyspark import cloudpickle
from pyspark.sql import datasource
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import BinaryType, IntegerType, LongType, StringType, StructField, StructType

PATIENCE = 60.0


def ranges(planned: list[Share]) -> list[tuple[str, int, int]]:
    return [(Path(path).name, first, last) for share in planned for path, first, last in share.extents]


# Discovery


def test_spark_finds_the_format_in_the_installed_package() -> None:
    import pyspark_capturefile

    assert pyspark_capturefile.DefaultSource is CaptureDataSource
    assert CaptureDataSource.name() == "capturefile"
    files = importlib.metadata.distribution("capturefile-rs").files or []
    assert "pyspark_capturefile/__init__.py" in map(str, files)


def test_spark_can_search_for_formats_without_pyarrow() -> None:
    """To do so it imports the modules of all formats, and one that fails would disable all of them."""
    program = "import sys; sys.modules['pyarrow'] = None; import pyspark_capturefile"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE)


def test_the_error_without_pyspark_says_what_to_install() -> None:
    program = "import sys; sys.modules['pyspark'] = None; import capturefile.spark"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=PATIENCE)
    assert b"pip install 'capturefile-rs[spark]'" in done.stderr


# Columns


def test_one_file_has_two_columns_and_several_files_have_a_path_column(numbers: Path) -> None:
    two = "struct<record_number:bigint,record:binary>"
    three = "struct<record_number:bigint,record:binary,path:string>"
    assert source(numbers).schema().simpleString() == two
    for path in (numbers.parent, numbers.parent / "*.capture"):
        assert source(path).schema().simpleString() == three
    assert source(paths=f'["{numbers}", "{numbers}"]').schema().simpleString() == three
    assert not any(field.nullable for field in source(numbers.parent).schema().fields)


@pytest.mark.parametrize("options", [{}, {"encoding": "utf8"}, {"encoding": "latin1"}, {"columns": "record"}])
def test_the_schema_of_the_batches_is_the_declared_one(numbers: Path, options: dict[str, str]) -> None:
    made = source(numbers.parent, **options)
    reader = made.reader(made.schema())
    (batch,) = reader.read(reader.partitions()[0])
    assert batch.schema == to_arrow_schema(made.schema())
    batch.validate(full=True)


def test_the_columns_are_the_requested_ones_in_that_order(numbers: Path) -> None:
    found = table(numbers, columns="path, record_number", firstRecord=19)
    assert found.to_pydict() == {"path": [str(numbers)] * 2, "record_number": [19, 20]}


def test_numbers_without_records_are_read_without_inflating_anything(damaged: Path) -> None:
    found = table(damaged, columns="record_number")
    assert found.column(0).to_pylist() == list(range(1, 2001))
    with pytest.raises(pa.ArrowInvalid, match="is not a sound capture file"):
        table(damaged)


def test_a_schema_given_for_the_read_is_used_with_its_nullability(numbers: Path) -> None:
    wanted = StructType([StructField("record", StringType()), StructField("record_number", LongType(), False)])
    reader = source(numbers, lastRecord=2).reader(wanted)
    assert read(reader).to_pydict() == {"record": ["1", "2"], "record_number": [1, 2]}
    assert [field.nullable for field in reader.batches.schema] == [True, False]


@pytest.mark.parametrize("field", [StructField("record", IntegerType()), StructField("line", BinaryType())])
def test_a_schema_that_does_not_fit_is_refused(numbers: Path, field: StructField) -> None:
    with pytest.raises(ValueError, match=f"has no column '{field.name}' of the type"):
        source(numbers).reader(StructType([field]))


def test_records_are_decoded(path: Path) -> None:
    fill(path, ["naïve".encode("latin1"), b"plain"], encoding=None)
    assert table(path, encoding="latin1").column("record").to_pylist() == ["naïve", "plain"]
    with pytest.raises(pa.ArrowInvalid, match=r"record 1 of .* is not text in UTF-8"):
        table(path, encoding="utf-8")
    with pytest.raises(ValueError, match=r"record 1 of .* is not text in ascii"):
        table(path, encoding="ascii")


def test_bytes_that_are_not_text_are_replaced_on_request(path: Path) -> None:
    fill(path, ["naïve".encode("latin1"), b"plain"], encoding=None)
    for encoding in ("utf-8", "ascii"):
        found = table(path, encoding=encoding, errors="replace")
        assert found.column("record").to_pylist() == ["na\ufffdve", "plain"]
        assert table(path, encoding=encoding, errors="ignore").column("record").to_pylist() == ["nave", "plain"]
    with pytest.raises(ValueError, match=r"record 1 of .* is not text in utf-8"):
        table(path, encoding="utf-8", errors="surrogateescape")


# Files


def test_folders_patterns_and_lists_are_read_in_the_order_of_the_paths(tmp_path: Path) -> None:
    for name in ("b.capture", "a.capture", "c.log", "_temporary.capture", ".hidden.capture"):
        fill(tmp_path / name, [name])
    (tmp_path / "notes.txt").write_text("no capture file")

    def names(*paths: str | Path) -> list[bytes]:
        listed = ", ".join(f'"{path}"' for path in paths)
        return list(table(paths=f"[{listed}]").column("record").to_pylist())

    assert names(tmp_path) == [b"a.capture", b"b.capture"]
    assert names(tmp_path / "*.log") == [b"c.log"]
    assert names(tmp_path / "*.log", tmp_path / "[ab]*", tmp_path) == [b"a.capture", b"b.capture", b"c.log"]
    assert names(f"file:{tmp_path}/c.log") == names(f"file://{tmp_path}/c.log") == [b"c.log"]


def test_an_existing_file_whose_name_looks_like_a_pattern_is_read(tmp_path: Path) -> None:
    odd = fill(tmp_path / "log[1].capture", ["one"])
    assert table(odd).to_pydict() == {"record_number": [1], "record": [b"one"]}


def test_nothing_to_read_is_an_error_except_for_an_empty_folder(tmp_path: Path) -> None:
    for missing in (tmp_path / "none.capture", tmp_path / "*.capture"):
        with pytest.raises(FileNotFoundError, match=socket.gethostname()):
            table(missing)
    assert len(table(tmp_path)) == 0
    assert len(table(fill(tmp_path / "empty.capture", []))) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no path was given"),
        ({"path": "hdfs://host/logs"}, "in no store that can be read"),
        ({"path": "x", "firstRecord": "0"}, "firstRecord must be a whole number from 1, not '0'"),
        ({"path": "x", "LASTRECORD": "-1"}, "lastRecord must be a whole number"),
        ({"path": "x", "recordsPerPartition": "many"}, "recordsPerPartition must be a whole number"),
        ({"path": "x", "columns": "record,line"}, "columns must name some of record_number, record, path"),
        ({"path": "x", "columns": "record,record"}, "columns must name some of"),
        ({"path": "x", "encoding": "utf-9"}, "encoding must be an encoding of Python"),
        ({"path": "x", "encoding": "utf-8", "errors": "none"}, "errors must be an error handler of Python, not 'none'"),
        ({"path": "x", "errors": "replace"}, "errors needs the option encoding"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        source(**options).schema()


# Shares


def test_shares_have_each_record_once_and_begin_at_blocks(path: Path) -> None:
    records = varied(20_000)
    fill(path, records, encoding=None, compression_block_size=4096)
    made = source(path, recordsPerPartition=3000)
    reader = made.reader(made.schema())
    planned = reader.partitions()
    assert len(planned) == 7
    with CaptureFile(path) as cf:
        starts = {block.records.first for block in cf.blocks() if block.records}
    assert {first for _, first, _ in ranges(planned)} <= starts
    found = read(reader, planned)
    assert found.column("record").to_pylist() == records
    assert found.column("record_number").to_pylist() == list(range(1, 20_001))


def test_a_read_begins_and_ends_at_the_given_records(numbers: Path) -> None:
    wanted = {"firstRecord": 5, "lastRecord": 8}
    assert table(numbers, **wanted).column("record_number").to_pylist() == [5, 6, 7, 8]
    assert table(numbers, **wanted, recordsPerPartition=1).column("record").to_pylist() == [b"5", b"6", b"7", b"8"]
    assert table(numbers, firstRecord=20, lastRecord=99).column("record").to_pylist() == [b"20"]
    assert len(table(numbers, firstRecord=21)) == 0


def test_the_end_is_fixed_when_the_read_is_planned(numbers: Path) -> None:
    reader = source(numbers).reader(source(numbers).schema())
    planned = reader.partitions()
    fill(numbers, ["one more"])
    assert read(reader, planned).column("record_number").to_pylist() == list(range(1, 21))


def test_large_files_are_split_by_size_and_small_ones_combined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "SHARE_BYTES", 400_000)
    for number in range(5):
        fill(tmp_path / f"small-{number}.capture", varied(1000), encoding=None)
    fill(tmp_path / "large.capture", varied(30_000), encoding=None)
    planned = source(tmp_path).reader(source(tmp_path).schema()).partitions()
    assert [len(share.extents) for share in planned][-3:] == [2, 2, 1]
    assert sum(name == "large.capture" for name, _, _ in ranges(planned)) > 3
    monkeypatch.setattr(shares, "MAX_SHARES", 2)
    assert len(source(tmp_path).reader(source(tmp_path).schema()).partitions()) <= 4


def test_the_data_sent_to_tasks_is_small(tmp_path: Path) -> None:
    path = fill(tmp_path / "log.capture", varied(20_000), encoding=None)
    reader = source(path, recordsPerPartition=100).reader(source(path).schema())
    planned = reader.partitions()
    sent = cloudpickle.dumps((reader, planned[7]))
    assert len(sent) < 2000
    copy, share = pickle.loads(sent)
    assert read(copy, [share]) == read(reader, [planned[7]])


# Errors in tasks


def test_the_error_for_a_missing_file_names_the_host(numbers: Path) -> None:
    reader = source(numbers).reader(source(numbers).schema())
    planned = reader.partitions()
    numbers.unlink()
    with pytest.raises(FileNotFoundError, match=rf"does not exist on {socket.gethostname()}.* under the same path"):
        read(reader, planned)


def test_a_host_without_the_package_reports_that(numbers: Path) -> None:
    reader = source(numbers).reader(source(numbers).schema())
    program = "import pickle, sys; sys.modules['capturefile'] = None; pickle.load(sys.stdin.buffer)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=cloudpickle.dumps(reader),
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    assert b"ModuleNotFoundError" in done.stderr
    assert b"capturefile" in done.stderr


def test_a_file_with_fewer_records_than_were_planned_is_an_error(numbers: Path, tmp_path: Path) -> None:
    reader = source(numbers).reader(source(numbers).schema())
    planned = reader.partitions()
    fill(tmp_path / "other", ["one"]).replace(numbers)
    with pytest.raises(InvalidCaptureFile, match="has 1 records, but had at least 20 when the read was planned"):
        read(reader, planned)


def test_a_record_that_is_too_large_for_a_row_is_an_error_with_its_number(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MAX_RECORD_BYTES", 20_000_000)
    fill(path, [b"small", bytes(20_000_000), bytes(20_000_001), b"small"], encoding=None)
    assert len(table(path, lastRecord=2)) == 2
    assert len(table(path, columns="record_number")) == 4
    with pytest.raises(
        ValueError, match=r"record 3 of .* has 20,000,001 bytes, and a row of Spark holds at most 20,000,000"
    ):
        table(path)


def test_readers_do_not_accept_filters(numbers: Path) -> None:
    """Spark would keep the filters of the last query for all queries of the frame."""
    made = source(numbers)
    base = getattr(datasource.DataSourceReader, "pushFilters", None)
    assert getattr(type(made.reader(made.schema())), "pushFilters", None) is base


def test_extents_without_records_give_no_shares() -> None:
    assert shares.plan([Extent("nowhere", 3, 2)], None) == []
