"""The data source in a real Spark engine with two worker processes: `make test-spark` runs this."""

from __future__ import annotations

import json
import runpy
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from spark_tools import fill

import spark_faults  # isort: skip
import capturefile
from capturefile import CaptureFile
from files import committed
from pyspark.sql import SparkSession, datasource, functions
from spark_faults import AFTER_COMMIT, BEFORE_COMMIT, WRITING, MortalDataSource

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 120.0
"""Seconds after which a test stops waiting."""
MILLION = 1_000_000
EXAMPLE = Path(__file__).parent.parent / "examples" / "in_spark.py"

# pyspark leaves sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of faults."""
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def spark(faults: Path) -> Iterator[Any]:
    """A session that runs two tasks at a time and tries each up to four times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv(spark_faults.FAULTS, str(faults))
        session = (
            SparkSession.builder.master("local[2,4]")
            .config("spark.ui.enabled", "false")
            # Optimising is not worthwhile for such a short session.
            .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
            .config("spark.sql.shuffle.partitions", "2")
            .config("spark.sql.warehouse.dir", str(faults))
            .getOrCreate()
        )
        session.sparkContext.setLogLevel("OFF")
        session.dataSource.register(MortalDataSource)
        yield session
        session.stop()


def lines(count: int) -> Iterator[str]:
    """Records that are all different."""
    return (f"line {number}" for number in range(1, count + 1))


def load(spark: Any, path: Path, **options: object) -> Any:  # noqa: ANN401
    """A frame of the content of capture files. The data source need not be registered."""
    return spark.read.format("capturefile").options(**options).load(str(path))


def records_in_order(folder: Path) -> list[bytes]:
    """All records of a folder."""
    return list(capturefile.concat(sorted(folder.glob("*.capture")), encoding=None))


# Batches


def test_a_million_records_are_read_and_written(spark: Any, tmp_path: Path) -> None:  # noqa: ANN401
    log = fill(tmp_path / "log.capture", lines(MILLION))
    frame = load(spark, log, recordsPerPartition=150_000)
    assert frame.rdd.getNumPartitions() == 7
    assert [field.nullable for field in frame.schema.fields] == [False, False]
    sums = frame.select(functions.sum("record_number"), functions.sum(functions.crc32("record"))).first()
    with CaptureFile(log, encoding=None) as cf:
        assert tuple(sums) == (MILLION * (MILLION + 1) // 2, sum(map(zlib.crc32, cf)))
    frame.write.format("capturefile").mode("append").save(str(tmp_path / "copy"))
    assert [path.name for path in (tmp_path / "copy").glob("[!p]*")] == ["_SUCCESS"]
    with CaptureFile(log, encoding=None) as cf:
        assert records_in_order(tmp_path / "copy") == cf[:]


def test_frames_of_text_are_appended_to_a_folder_and_overwrite_it(spark: Any, tmp_path: Path) -> None:  # noqa: ANN401
    folder = tmp_path / "out"
    for number, mode in enumerate(["append", "append", "overwrite"]):
        frame = spark.createDataFrame([(f"naïve {number}",)], "line string").coalesce(1)
        frame.write.format("capturefile").mode(mode).save(str(folder))
        expected = ["naïve 2"] if mode == "overwrite" else [f"naïve {before}" for before in range(number + 1)]
        found = load(spark, folder, encoding="utf-8", columns="record").collect()
        assert [row.record for row in found] == expected


def test_a_write_that_fails_leaves_nothing(spark: Any, tmp_path: Path) -> None:  # noqa: ANN401
    frame = spark.createDataFrame([("one",), (None,)], "line string")
    with pytest.raises(Exception, match="the column 'line' has a null"):
        frame.write.format("capturefile").mode("append").save(str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_killed_task_is_repeated_and_its_records_are_written_once(
    spark: Any,  # noqa: ANN401
    tmp_path: Path,
    faults: Path,
) -> None:
    log = fill(tmp_path / "log.capture", lines(60_000))
    (faults / WRITING).touch()
    load(spark, log, recordsPerPartition=30_000).write.format("mortal").mode("append").save(str(tmp_path / "copy"))
    assert not (faults / WRITING).exists()
    assert records_in_order(tmp_path / "copy") == [line.encode() for line in lines(60_000)]
    assert len(list((tmp_path / "copy").iterdir())) == 3


def test_queries_of_one_frame_are_independent_even_with_filters(spark: Any, tmp_path: Path) -> None:  # noqa: ANN401
    frame = load(spark, fill(tmp_path / "log.capture", lines(1000)))
    spark.conf.set("spark.sql.python.filterPushdown.enabled", "true")
    try:
        low, high = frame.where("record_number <= 3"), frame.where("record_number > 995")
        assert [low.count(), high.count(), low.count(), frame.count(), low.union(high).count()] == [3, 5, 3, 1000, 8]
        assert frame.where("record LIKE '%99'").count() == 10
    finally:
        spark.conf.unset("spark.sql.python.filterPushdown.enabled")


def test_a_frame_keeps_its_records_and_a_new_load_sees_later_ones(spark: Any, tmp_path: Path) -> None:  # noqa: ANN401
    log = fill(tmp_path / "log.capture", lines(10))
    frame = load(spark, log)
    append(log, "before the first query")
    assert frame.count() == 11
    append(log, "later")
    assert (frame.count(), frame.where("record_number > 5").count()) == (11, 6)
    assert load(spark, log).count() == 12


def append(log: Path, record: str) -> None:
    """Commits one more record."""
    with CaptureFile(log, True) as cf:
        cf.add_record(record)
        cf.commit()


# Streams


def start(spark: Any, log: Path, sink: Path, form: str = "capturefile", **options: object) -> Any:  # noqa: ANN401
    """A query that copies a growing file into another one."""
    frame = spark.readStream.format("capturefile").options(**options).load(str(log))
    checkpoint = str(sink.with_name("checkpoint"))
    return frame.writeStream.format(form).option("checkpointLocation", checkpoint).start(str(sink))


def count(path: Path) -> int:
    """The number of records."""
    if not path.exists():
        return 0
    with CaptureFile(path) as cf:
        return len(cf)


def wait_for(query: Any, sink: Path, least: int) -> None:  # noqa: ANN401
    """Waits until the query has written this many records."""
    deadline = time.monotonic() + PATIENCE
    while count(sink) < least:
        assert query.exception() is None
        assert time.monotonic() < deadline, f"{count(sink)} records, not {least}"
        time.sleep(0.05)


def test_a_stream_that_is_restarted_reads_each_record_once_while_a_writer_appends(
    spark: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    log, sink = fill(tmp_path / "log.capture", []), tmp_path / "sink.capture"
    # Before 4.2 batches have no limit.
    limit: dict[str, Any] = (
        {"maxRecordsPerBatch": 2000} if hasattr(datasource.DataSourceStreamReader, "getDefaultReadLimit") else {}
    )
    stopped = threading.Event()

    def append() -> None:
        with CaptureFile(log, True, sync=False) as cf:
            while not stopped.wait(0.05):
                cf.add_records(f"line {len(cf) + number}" for number in range(1, 51))
                cf.commit()

    writer = threading.Thread(target=append)
    writer.start()
    try:
        for round_number in range(1, 4):
            query = start(spark, log, sink, recordsPerPartition=1000, **limit)
            wait_for(query, sink, count(sink) + 1000 * round_number)
            query.stop()
    finally:
        stopped.set()
        writer.join(PATIENCE)
    query = start(spark, log, sink)
    wait_for(query, sink, count(log))
    query.stop()
    with CaptureFile(log, encoding=None) as cf:
        assert committed(sink) == cf[:]


def test_a_sink_killed_before_or_after_its_commit_has_each_batch_once(
    spark: Any,  # noqa: ANN401
    tmp_path: Path,
    faults: Path,
) -> None:
    log, sink = tmp_path / "log.capture", tmp_path / "sink.capture"
    for fault, before, after in [(BEFORE_COMMIT, 0, 100), (AFTER_COMMIT, 200, 200)]:
        fill(log, lines(100))
        (faults / fault).touch()
        with pytest.raises(Exception, match="Python worker exited unexpectedly"):
            start(spark, log, sink, "mortal").awaitTermination(PATIENCE)
        assert (count(sink), (faults / fault).exists()) == (before, False)
        query = start(spark, log, sink, "mortal")
        query.processAllAvailable()
        query.stop()
        assert count(sink) == after
    with CaptureFile(log, encoding=None) as cf:
        assert committed(sink) == cf[:]
    with CaptureFile(sink) as cf:
        (batch,) = json.loads(cf.get_metadata() or b"{}")["capturefile.spark"].values()
    assert batch == 1
    assert {path.name for path in tmp_path.iterdir()} == {"log.capture", "sink.capture", "checkpoint"}


def test_a_query_with_the_trigger_available_now_ends(spark: Any, tmp_path: Path) -> None:  # noqa: ANN401
    folder, sink = tmp_path / "logs", tmp_path / "sink.capture"
    folder.mkdir()
    for name in ("a", "b"):
        fill(folder / f"{name}.capture", [name])
    frame = spark.readStream.format("capturefile").load(str(folder)).select("record")
    writing = frame.writeStream.format("capturefile").option("checkpointLocation", str(tmp_path / "checkpoint"))
    assert writing.trigger(availableNow=True).start(str(sink)).awaitTermination(PATIENCE)
    assert committed(sink) == [b"a", b"b"]


def test_in_complete_mode_new_counts_replace_old_ones(spark: Any, tmp_path: Path) -> None:  # noqa: ANN401
    log, sink = fill(tmp_path / "log.capture", ["a", "b", "a"]), tmp_path / "sink.capture"
    frame = spark.readStream.format("capturefile").option("encoding", "utf-8").load(str(log))
    counts = frame.groupBy("record").count().selectExpr("record || ' ' || count AS line")
    writing = counts.writeStream.format("capturefile").outputMode("complete")
    query = writing.option("checkpointLocation", str(tmp_path / "checkpoint")).start(str(sink))
    for expected in ([b"a 2", b"b 1"], [b"a 3", b"b 1"]):
        query.processAllAvailable()
        assert sorted(committed(sink)) == expected
        fill(log, ["a"])
    query.stop()


# The example


def test_the_example_prints_the_expected_output(spark: Any, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ANN401
    runpy.run_path(str(EXAMPLE))["main"](spark)
    assert capsys.readouterr().out == (
        "{'0': 30000, '1': 30000, '2': 30000, 'line': 90000}\n"
        "90000 records in 4 files\n"
        "90000 records through the stream\n"
        "91000 records through the stream\n"
    )
