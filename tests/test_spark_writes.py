"""Batch and streaming writes of the data source for Spark, without an engine."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from spark_tools import RECORD, Tasks, batches, fill, source, table

import pyarrow as pa  # isort: skip
import capturefile
from capturefile import CaptureFile, CaptureFileAlreadyOpen
from files import RefusedError, committed
from pyspark import TaskContext
from pyspark.sql import datasource
from pyspark.sql.types import BinaryType, LongType, Row, StringType, StructField, StructType

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Tasks:
    """Runs tasks."""
    return Tasks(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the parts."""
    return tmp_path / "out"


def save(tasks: Tasks, folder: Path, *parts: tuple[bytes, ...], overwrite: bool = False) -> None:
    """Writes a batch as Spark does, with a task for each part."""
    writer = source(folder).writer(RECORD, overwrite)
    writer.commit([tasks.write(writer, batches(*part), number) for number, part in enumerate(parts)])


def records_in_order(folder: Path) -> list[bytes]:
    """All records of a folder."""
    return list(table(folder).column("record").to_pylist())


def names(folder: Path) -> list[str]:
    """The names in a folder, with those of parts shortened to their numbers."""
    return sorted(re.sub(r"part-.*-", "part-", path.name) for path in folder.iterdir())


# Batches


def test_each_task_writes_a_part_and_the_commit_moves_all_into_place(tasks: Tasks, folder: Path) -> None:
    writer = source(folder).writer(RECORD, overwrite=False)
    parts = [tasks.write(writer, batches(b"one", b"two", b"three"), 0), tasks.write(writer, batches(b"four"), 1)]
    assert records_in_order(folder) == []
    writer.commit(parts)
    assert names(folder) == ["_SUCCESS", "part-00000.capture", "part-00001.capture"]
    assert records_in_order(folder) == [b"one", b"two", b"three", b"four"]
    assert [committed(path) for path in sorted(folder.glob("part*0.capture"))] == [[b"one", b"two", b"three"]]


def test_appended_parts_come_after_existing_ones(tasks: Tasks, folder: Path) -> None:
    for number in range(5):
        save(tasks, folder, (b"%d" % number,), (b"%d again" % number,))
    expected = [record for number in range(5) for record in (b"%d" % number, b"%d again" % number)]
    assert records_in_order(folder) == expected


def test_overwriting_replaces_the_capture_files_and_nothing_else(tasks: Tasks, folder: Path) -> None:
    save(tasks, folder, (b"old",), (b"older",))
    (folder / "notes.txt").write_text("mine")
    save(tasks, folder, (b"new",), overwrite=True)
    assert names(folder) == ["_SUCCESS", "notes.txt", "part-00000.capture"]
    assert records_in_order(folder) == [b"new"]


def test_the_marker_is_removed_while_parts_are_moved(
    tasks: Tasks, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tasks, folder, (b"old",))
    seen = []
    rename = os.rename

    def watched(source_path: Path, target: Path) -> None:
        if str(target).startswith(f"{folder}/part-"):
            seen.append((folder / "_SUCCESS").exists())
        rename(source_path, target)

    monkeypatch.setattr(os, "rename", watched)
    save(tasks, folder, (b"new",), (b"newer",))
    assert seen == [False, False]
    assert (folder / "_SUCCESS").exists()


def test_a_folder_can_be_overwritten_with_records_read_from_it(tasks: Tasks, folder: Path) -> None:
    save(tasks, folder, (b"one", b"two"))
    made = source(folder)
    reader = made.reader(made.schema())
    writer = source(folder).writer(made.schema(), overwrite=True)
    part = tasks.write(writer, reader.read(reader.partitions()[0]))
    writer.commit([part])
    assert records_in_order(folder) == [b"one", b"two"]


def test_only_the_successful_attempt_is_in_the_folder(tasks: Tasks, folder: Path) -> None:
    writer = source(folder).writer(RECORD, overwrite=False)
    tasks.write(writer, batches(b"one"))
    winner = tasks.write(writer, batches(b"one"))
    writer.commit([winner])
    assert names(folder) == ["_SUCCESS", "part-00000.capture"]
    assert records_in_order(folder) == [b"one"]


def test_an_abort_leaves_nothing(tasks: Tasks, folder: Path) -> None:
    writer = source(folder).writer(RECORD, overwrite=False)

    def failing() -> Iterator[Any]:
        yield from batches(b"one")
        raise RefusedError

    with pytest.raises(RefusedError):
        tasks.write(writer, failing())
    writer.abort([tasks.write(writer, batches(b"two"), 1), None])
    assert not folder.exists()


def test_an_abort_keeps_existing_parts(tasks: Tasks, folder: Path) -> None:
    save(tasks, folder, (b"old",))
    writer = source(folder).writer(RECORD, overwrite=True)
    writer.abort([tasks.write(writer, batches(b"new"))])
    assert names(folder) == ["_SUCCESS", "part-00000.capture"]
    assert records_in_order(folder) == [b"old"]


@pytest.mark.parametrize("step", ["rename", "touch"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_partly_failed_commit_is_undone_by_the_abort(
    tasks: Tasks, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, overwrite: bool
) -> None:
    save(tasks, folder, (b"old",), (b"older",))
    writer = source(folder).writer(RECORD, overwrite)
    parts = [tasks.write(writer, batches(b"new"), number) for number in range(2)]
    with monkeypatch.context() as patch:
        if step == "rename":
            patch.setattr("capturefile._swap.sync_path", refuse)
        else:
            patch.setattr("capturefile.spark.writing.sync_path", refuse)
        with pytest.raises(BlockingIOError):
            writer.commit(parts)
    writer.abort(parts)
    assert names(folder) == ["_SUCCESS", "part-00000.capture", "part-00001.capture"]
    assert records_in_order(folder) == [b"old", b"older"]


def test_a_failed_first_write_leaves_no_success_marker(
    tasks: Tasks, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    writer = source(folder).writer(RECORD, overwrite=False)
    parts = [tasks.write(writer, batches(b"new"))]
    monkeypatch.setattr("capturefile.spark.writing.sync_path", refuse)
    with pytest.raises(BlockingIOError):
        writer.commit(parts)
    writer.abort(parts)
    assert names(folder) == []


def test_parts_with_more_than_five_digits_stay_in_order(tasks: Tasks, folder: Path) -> None:
    writer = source(folder).writer(RECORD, overwrite=False)
    writer.commit([tasks.write(writer, batches(b"%d" % number), number) for number in (100_000, 99_999, 3)])
    assert records_in_order(folder) == [b"3", b"99999", b"100000"]


def refuse(*_: object) -> None:
    """Fails like a bad disk."""
    raise BlockingIOError


def test_nothing_is_moved_if_the_driver_does_not_find_a_part(tasks: Tasks, folder: Path) -> None:
    save(tasks, folder, (b"old",))
    writer = source(folder).writer(RECORD, overwrite=True)
    parts = [tasks.write(writer, batches(b"new"), number) for number in range(2)]
    Path(parts[1].aside).unlink()
    with pytest.raises(FileNotFoundError, match=rf"does not exist on {socket.gethostname()}, where the write is comm"):
        writer.commit(parts)
    assert records_in_order(folder) == [b"old"]
    assert (folder / "_SUCCESS").exists()


def test_a_host_without_the_folder_reports_that(tasks: Tasks, folder: Path) -> None:
    writer = source(folder).writer(RECORD, overwrite=False)
    writer.abort([])
    with pytest.raises(FileNotFoundError, match=rf"does not exist on {socket.gethostname()}: all hosts"):
        tasks.write(writer, batches(b"one"))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_strings_and_bytes_of_any_kind_are_records(tasks: Tasks, folder: Path, kind: pa.DataType) -> None:
    schema = StructType([StructField("line", StringType() if "string" in str(kind) else BinaryType())])
    value = "naïve" if "string" in str(kind) else "naïve".encode()
    writer = source(folder).writer(schema, overwrite=False)
    writer.commit([tasks.write(writer, batches(value, "", column="line", kind=kind))])
    assert records_in_order(folder) == ["naïve".encode(), b""]


def test_strings_are_encoded_as_requested(tasks: Tasks, folder: Path) -> None:
    schema = StructType([StructField("record", StringType())])
    writer = source(folder, encoding="latin1").writer(schema, overwrite=False)
    writer.commit([tasks.write(writer, batches("naïve", kind=pa.string()))])
    assert records_in_order(folder) == ["naïve".encode("latin1")]


def test_characters_that_cannot_be_encoded_are_replaced_on_request(tasks: Tasks, folder: Path) -> None:
    schema = StructType([StructField("record", StringType())])
    writer = source(folder, encoding="ascii", errors="replace").writer(schema, overwrite=False)
    writer.commit([tasks.write(writer, batches("naïve", kind=pa.string()))])
    assert records_in_order(folder) == [b"na?ve"]


def test_a_null_is_refused(tasks: Tasks, folder: Path) -> None:
    writer = source(folder).writer(RECORD, overwrite=False)
    with pytest.raises(ValueError, match="the column 'record' has a null"):
        tasks.write(writer, batches(b"one", None))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"record": BinaryType(), "line": BinaryType()}, "not record, line"),
        ({"a": BinaryType(), "b": BinaryType()}, "not a, b"),
        ({"number": LongType()}, "'number' must be binary or string, not bigint"),
        ({}, "the columns to write must be one"),
    ],
)
def test_columns_that_are_not_records_are_refused(folder: Path, columns: dict[str, Any], message: str) -> None:
    schema = StructType([StructField(name, kind) for name, kind in columns.items()])
    with pytest.raises(ValueError, match=message):
        source(folder).writer(schema, overwrite=False)
    assert not folder.exists()


@pytest.mark.parametrize("compression", ["zstd", "LZ4", "none"])
def test_files_are_created_in_the_format_and_compression_of_the_options(
    tasks: Tasks, folder: Path, path: Path, compression: str
) -> None:
    options = {"fileFormat": 3, "compression": compression}
    writer = source(folder, **options).writer(RECORD, overwrite=False)
    writer.commit([tasks.write(writer, batches(b"one" * 1000))])
    stream = source(path, **options).streamWriter(RECORD, overwrite=False)
    stream.commit([tasks.write(stream, batches(b"one" * 1000), 0, "q")], 0)
    for written in (next(folder.glob("part-*")), path):
        with CaptureFile(written) as cf:
            assert (cf.info().version, cf.info().compression, cf[:]) == (3, compression.lower(), ["one" * 1000])
    complete = source(path, fileFormat=2).streamWriter(RECORD, overwrite=True)
    complete.commit([tasks.write(complete, batches(b"two"), 0, "q")], 1)
    with CaptureFile(path) as cf:
        assert (cf.info().version, cf[:]) == (2, ["two"])


def test_the_level_of_compression_is_that_of_the_options(tasks: Tasks, folder: Path) -> None:
    records = [b" ".join(b"%d" % (number * number) for number in range(k, k + 50)) for k in range(600)]
    for level in (1, 12):
        writer = source(folder, compressionLevel=level).writer(RECORD, overwrite=False)
        writer.commit([tasks.write(writer, batches(*records))])
    fast, small = (compressed(path) for path in sorted(folder.glob("part-*")))
    assert small < fast


def compressed(path: Path) -> int:
    """The size of all compressed blocks of a file."""
    with CaptureFile(path) as cf:
        return sum(block.compressed_size or 0 for block in cf.blocks())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fileFormat": 4}, "fileFormat must be 2 or 3, not '4'"),
        ({"fileFormat": "three"}, "fileFormat must be a whole number"),
        ({"compression": "zstd"}, "must be zlib in format 2, not 'zstd'"),
        ({"fileFormat": 3, "compression": "zlib"}, "must be zstd or lz4 or none in format 3, not 'zlib'"),
        ({"compressionLevel": 13}, "must be from 1 to 12 with the compression zlib, not 13"),
        ({"fileFormat": 3, "compressionLevel": 23}, "must be from 1 to 22 with the compression zstd, not 23"),
        ({"fileFormat": 3, "compression": "lz4", "compressionLevel": 1}, "cannot be combined with the compression lz4"),
    ],
)
def test_options_of_new_files_that_do_not_fit_are_refused_before_a_task_starts(
    folder: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        source(folder, **options).writer(RECORD, overwrite=False)
    assert not folder.exists()


def test_only_one_path_can_be_written_to(folder: Path) -> None:
    with pytest.raises(ValueError, match="one path can be written to, not 2"):
        source(paths=f'["{folder}", "{folder}2"]').writer(RECORD, overwrite=False)


# Streams


def sink(path: Path, *, overwrite: bool = False) -> Any:  # noqa: ANN401
    """A new writer, as Spark creates one for each step."""
    return source(path).streamWriter(RECORD, overwrite)


def add(tasks: Tasks, path: Path, batch: int, *records: bytes, query: str = "q", overwrite: bool = False) -> None:
    """Writes a batch of a stream with two tasks."""
    half = len(records) // 2
    parts = [records[:half], records[half:]]
    writer = sink(path, overwrite=overwrite)
    messages = [tasks.write(writer, batches(*part), number, query) for number, part in enumerate(parts)]
    sink(path, overwrite=overwrite).commit(messages[::-1], batch)


def metadata(path: Path) -> Any:  # noqa: ANN401
    """The metadata, decoded."""
    with CaptureFile(path) as cf:
        return json.loads(cf.get_metadata() or b"null")


def test_batches_are_added_in_order_with_their_number(tasks: Tasks, path: Path) -> None:
    add(tasks, path, 0, b"one", b"two", b"three")
    assert metadata(path) == {"capturefile.spark": {"q": 0}}
    add(tasks, path, 1, b"four")
    assert committed(path) == [b"one", b"two", b"three", b"four"]
    assert metadata(path) == {"capturefile.spark": {"q": 1}}
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_an_existing_batch_is_skipped(tasks: Tasks, path: Path) -> None:
    add(tasks, path, 0, b"one")
    add(tasks, path, 1, b"two")
    for batch in (1, 0):
        add(tasks, path, batch, b"again")
    assert committed(path) == [b"one", b"two"]
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_each_query_has_its_own_batch_numbers(tasks: Tasks, path: Path) -> None:
    add(tasks, path, 3, b"one", query="q")
    add(tasks, path, 0, b"two", query="r")
    add(tasks, path, 3, b"again", query="q")
    assert committed(path) == [b"one", b"two"]
    assert metadata(path) == {"capturefile.spark": {"q": 3, "r": 0}}


def test_other_metadata_stays(tasks: Tasks, path: Path) -> None:
    fill(path, ["first"], initial_metadata=b'{"mine": 1}')
    add(tasks, path, 0, b"second")
    assert metadata(path) == {"mine": 1, "capturefile.spark": {"q": 0}}
    assert committed(path) == [b"first", b"second"]


@pytest.mark.parametrize("content", [b"text", b"[1]", b'{"capturefile.spark": 1}', b"\xff"])
def test_metadata_that_is_not_an_object_is_refused_and_stays(tasks: Tasks, path: Path, content: bytes) -> None:
    fill(path, ["first"], initial_metadata=content)
    with pytest.raises(ValueError, match=r"is not a JSON object|has no object"):
        add(tasks, path, 0, b"second")
    with CaptureFile(path) as cf:
        assert (cf.get_metadata(), cf[:]) == (content, ["first"])


def test_records_and_batch_number_are_in_one_commit(tasks: Tasks, path: Path) -> None:
    fill(path, [])
    with CaptureFile(path) as cf:
        before = cf.info().serial_number
    add(tasks, path, 0, *[bytes([number]) * 100_000 for number in range(100)])
    with CaptureFile(path) as cf:
        assert (len(cf), cf.info().serial_number) == (100, before + 1)


def test_a_failed_commit_leaves_the_file_unchanged(tasks: Tasks, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tasks, path, 0, b"one")
    with monkeypatch.context() as patch:
        patch.setattr(capturefile.spark.sinks, "open_to_read", refuse)
        with pytest.raises(BlockingIOError):
            add(tasks, path, 1, b"two")
    assert (committed(path), metadata(path)) == ([b"one"], {"capturefile.spark": {"q": 0}})
    add(tasks, path, 1, b"two")
    assert committed(path) == [b"one", b"two"]


def test_in_complete_mode_each_batch_replaces_the_records(tasks: Tasks, path: Path) -> None:
    fill(path, ["first"], initial_metadata=b'{"mine": 1}')
    add(tasks, path, 0, b"one", b"two", overwrite=True)
    assert committed(path) == [b"one", b"two"]
    add(tasks, path, 1, b"three", overwrite=True)
    add(tasks, path, 1, b"again", overwrite=True)
    assert committed(path) == [b"three"]
    assert metadata(path) == {"mine": 1, "capturefile.spark": {"q": 1}}
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_file_cannot_be_written_while_it_is_replaced(
    tasks: Tasks, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def attacked(source_path: Path, target: Path) -> None:
        with pytest.raises(CaptureFileAlreadyOpen):
            CaptureFile(path, True)
        replace(source_path, target)

    monkeypatch.setattr(os, "replace", attacked)
    add(tasks, path, 0, b"one", overwrite=True)
    assert committed(path) == [b"one"]


def test_an_abort_removes_what_the_tasks_have_written(tasks: Tasks, path: Path) -> None:
    add(tasks, path, 0, b"one")
    writer = sink(path)
    part = tasks.write(writer, batches(b"two"), 0, "q")
    sink(path).abort([part, None], 1)
    assert committed(path) == [b"one"]
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_part_that_the_driver_cannot_see_is_an_error(tasks: Tasks, path: Path) -> None:
    part = tasks.write(sink(path), batches(b"one"), 0, "q")
    sink(path).abort([part], 0)
    with pytest.raises(FileNotFoundError, match=f"does not exist on {socket.gethostname()}"):
        sink(path).commit([part], 0)
    assert committed(path) == []


def test_a_file_open_for_writing_is_refused(tasks: Tasks, path: Path) -> None:
    with CaptureFile(path, True), pytest.raises(CaptureFileAlreadyOpen):
        add(tasks, path, 0, b"one")


def test_rows_are_accepted_as_spark_4_0_gives_them(tasks: Tasks, path: Path) -> None:
    records = [b"%d" % number for number in range(2500)]
    part = tasks.write(sink(path), (Row(record=record) for record in records), 0, "q")
    sink(path).commit([part], 0)
    assert committed(path) == records
    with pytest.raises(ValueError, match="has a null"):
        tasks.write(sink(path), [Row(record=None)], 0, "q")


def test_spark_gives_arrow_batches_where_it_can(path: Path) -> None:
    base = getattr(datasource, "DataSourceStreamArrowWriter", datasource.DataSourceStreamWriter)
    assert isinstance(sink(path), base)


def test_a_stream_writer_requires_a_query(tasks: Tasks, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="not part of a streaming query"):
        tasks.write(sink(path), batches(b"one"))
    monkeypatch.setattr(TaskContext, "get", lambda: None)
    with pytest.raises(RuntimeError, match="not a task of Spark"):
        sink(path).write(iter([]))
