"""Streaming reads of the data source for Spark, without an engine."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from spark_tools import fill, records_in, source

import pyarrow as pa  # isort: skip
from capturefile import CaptureFile, InvalidCaptureFile
from capturefile.spark import streams

try:
    from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadMaxRows
except ImportError:  # before 4.2
    ReadAllAvailable = ReadMaxRows = None

needs_limits = pytest.mark.skipif(ReadMaxRows is None, reason="pyspark before 4.2 limits no batches")


def stream(path: Path, **options: object) -> Any:  # noqa: ANN401
    """A new reader, like that of a restarted query."""
    made = source(path, **options)
    return made.streamReader(made.schema())


def everything() -> Any:  # noqa: ANN401
    """The limit that allows everything."""
    return ReadAllAvailable()


def most(count: int) -> Any:  # noqa: ANN401
    """A limit."""
    return ReadMaxRows(count)


def test_an_offset_is_the_number_of_records_read_from_each_file(numbers: Path) -> None:
    reader = stream(numbers)
    start = reader.initialOffset()
    end = reader.latestOffset(start, None)
    assert (start, end) == ({}, {str(numbers): 20})
    assert records_in(reader, start, end) == [b"%d" % number for number in range(1, 21)]
    assert reader.latestOffset(end, None) == end
    assert reader.partitions(end, end) == []


def test_a_restarted_stream_reads_exactly_the_new_records(numbers: Path) -> None:
    first = stream(numbers)
    done = json.loads(json.dumps(first.latestOffset({}, None)))
    fill(numbers, ["21", "22"])
    second = stream(numbers)
    end = second.latestOffset(done, None)
    assert records_in(second, done, end) == [b"21", b"22"]
    fill(numbers, ["23"])
    assert records_in(stream(numbers), done, end) == [b"21", b"22"]


def test_without_a_start_it_continues_where_the_last_batch_ended(numbers: Path) -> None:
    """Before 4.2 Spark asks only for the latest offset, after it has planned a batch at the checkpoint's offset."""
    other = fill(numbers.with_name("other.capture"), ["one"])
    reader = stream(numbers.parent)
    begin = {str(numbers): 20, str(other): 1}
    assert reader.partitions(begin, begin) == []
    other.unlink()
    assert reader.latestOffset() == begin
    fill(numbers, ["21"])
    assert reader.latestOffset() == {**begin, str(numbers): 21}


def test_it_begins_at_the_given_record_even_in_later_files(tmp_path: Path) -> None:
    fill(tmp_path / "a.capture", ["1", "2", "3"])
    reader = stream(tmp_path, firstRecord=3)
    first = reader.latestOffset({}, None)
    assert records_in(reader, {}, first) == [b"3"]
    late = fill(tmp_path / "b.capture", ["1", "2"])
    assert reader.latestOffset(first, None) == first
    fill(late, ["3", "4"])
    end = reader.latestOffset(first, None)
    assert records_in(reader, first, end) == [b"3", b"4"]


def test_a_folder_may_be_empty_at_first_but_a_file_must_exist(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "*.capture"):
        assert stream(path).latestOffset({}, None) == {}
    with pytest.raises(FileNotFoundError):
        stream(tmp_path / "log.capture").latestOffset({}, None)


def test_a_deleted_file_keeps_its_offset(tmp_path: Path) -> None:
    gone = fill(tmp_path / "a.capture", ["1"])
    fill(tmp_path / "b.capture", ["1"])
    reader = stream(tmp_path)
    done = reader.latestOffset({}, None)
    gone.unlink()
    assert reader.latestOffset(done, None) == done


def test_a_file_with_fewer_records_than_were_read_is_an_error(numbers: Path) -> None:
    reader = stream(numbers)
    with pytest.raises(InvalidCaptureFile, match=r"has 20 records, of which 21 were read"):
        reader.latestOffset({str(numbers): 21}, None)
    with pytest.raises(InvalidCaptureFile, match=r"has 20 records, of which 21 were read"):
        reader.partitions({str(numbers): 21}, {str(numbers): 20})


def test_a_batch_is_divided_among_the_tasks(numbers: Path) -> None:
    reader = stream(numbers, recordsPerPartition=5)
    assert len(reader.partitions({}, {str(numbers): 20})) == 4


def test_records_that_a_checkpoint_counts_as_read_are_durable(numbers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Watched(CaptureFile[bytes]):
        """Records how it is refreshed."""

        def refresh(self, durable: bool = False) -> bool:
            asked.append(durable)
            return super().refresh(durable)

    monkeypatch.setattr(streams, "open_to_read", lambda path: Watched(path, encoding=None))
    reader = stream(numbers)
    done = reader.latestOffset({}, None)
    assert asked == [True]
    reader.latestOffset(done, None)
    assert asked == [True]


def test_a_stream_refuses_an_option_of_batch_reads(numbers: Path) -> None:
    with pytest.raises(ValueError, match="is for batch reads"):
        stream(numbers, lastRecord=5)


@pytest.mark.skipif(ReadMaxRows is not None, reason="this pyspark limits batches")
def test_a_limit_is_refused_where_spark_does_not_support_it(numbers: Path) -> None:
    with pytest.raises(ValueError, match=r"needs pyspark 4\.2"):
        stream(numbers, maxRecordsPerBatch=5)


@needs_limits
def test_the_option_limits_a_batch(numbers: Path) -> None:
    assert stream(numbers).getDefaultReadLimit() == everything()
    reader = stream(numbers, maxRecordsPerBatch=8)
    limit = reader.getDefaultReadLimit()
    assert limit == most(8)
    ends = [reader.latestOffset(start, limit) for start in ({}, {str(numbers): 8}, {str(numbers): 16})]
    assert [end[str(numbers)] for end in ends] == [8, 16, 20]
    assert reader.latestOffset({}, everything()) == {str(numbers): 20}


@needs_limits
def test_a_limit_is_divided_in_proportion_and_always_used_completely(tmp_path: Path) -> None:
    counts = {"a": 90, "b": 9, "c": 1, "d": 0}
    a, b, c, _ = (str(fill(tmp_path / name, map(str, range(count)))) for name, count in counts.items())
    reader = stream(tmp_path / "*")
    assert reader.latestOffset({}, most(1)) == {c: 1}
    assert reader.latestOffset({}, most(50)) == {a: 45, b: 4, c: 1}
    assert reader.latestOffset({a: 90}, most(5)) == {a: 90, b: 4, c: 1}
    assert reader.latestOffset({a: 90}, most(10)) == {a: 90, b: 9, c: 1}


@needs_limits
def test_a_query_with_the_trigger_available_now_reads_no_later_records(numbers: Path) -> None:
    reader = stream(numbers)
    reader.prepareForTriggerAvailableNow()
    fill(numbers, ["21"])
    fill(numbers.with_name("later.capture"), ["1"])
    end = {str(numbers): 20}
    assert reader.latestOffset({}, most(30)) == end
    assert reader.latestOffset(end, everything()) == end
    assert reader.reportLatestOffset() == {str(numbers): 21}


@needs_limits
def test_any_sequence_of_appends_limits_and_restarts_gives_each_record_once(tmp_path: Path) -> None:
    chance = random.Random(5)
    written: dict[str, list[bytes]] = {}
    found: dict[str, list[bytes]] = {}
    offset: dict[str, int] = {}
    reader = stream(tmp_path, recordsPerPartition=7)
    for step in range(300):
        if chance.random() < 0.5:
            path = str(tmp_path / f"{chance.randrange(4)}.capture")
            records = [b"%d %d" % (step, number) for number in range(1, chance.randrange(2, 30))]
            written.setdefault(path, []).extend(records)
            fill(Path(path), records)
        if chance.random() < 0.1:
            reader = stream(tmp_path, recordsPerPartition=7)
        limit = everything() if step == 299 or chance.random() < 0.1 else most(chance.randrange(1, 40))
        end = json.loads(json.dumps(reader.latestOffset(offset, limit)))
        for share in reader.partitions(offset, end):
            for row in pa.Table.from_batches(reader.read(share)).to_pylist():
                found.setdefault(row["path"], []).append(row["record"])
                assert len(found[row["path"]]) == row["record_number"]
        offset = end
    assert found == written
