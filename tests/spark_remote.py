"""Capture files in object stores in a real Spark engine: `make test-spark` runs this."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from files import write
from pyspark.sql import SparkSession
from s3_server import BUCKET, put_folder, s3_server
from spark_tools import RECORD, records_in, source, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_server import Client

ROOT = f"s3a://{BUCKET}"

# pyspark leaves sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of an S3 server with a folder of files."""
    folder = tmp_path_factory.mktemp("visits")
    for name in ("a", "b", "_hidden"):
        write(folder / f"{name}.capture", *(f"{name} {number}" for number in range(1, 101)))
    with s3_server() as client:
        put_folder(client, folder, "visits/")
        yield client


def records(*names: str) -> list[bytes]:
    return [b"%s %d" % (name.encode(), number) for name in names for number in range(1, 101)]


@pytest.mark.usefixtures("s3")
def test_objects_folders_and_patterns_are_read() -> None:
    one = table(f"{ROOT}/visits/a.capture")
    assert one.column("record").to_pylist() == records("a")
    assert one.column_names == ["record_number", "record"]
    for url in (f"{ROOT}/visits/", f"{ROOT}/visits", f"{ROOT}/vis*/*.capture"):
        found = table(url)
        assert found.column("record").to_pylist() == records("a", "b")
        assert found.column("path").to_pylist()[99:101] == [f"{ROOT}/visits/{name}.capture" for name in "ab"]
    pieces = source(f"{ROOT}/visits/a.capture", recordsPerPartition=10)
    assert len(pieces.reader(pieces.schema()).partitions()) == 10


@pytest.mark.usefixtures("s3")
def test_missing_files_are_an_error() -> None:
    for url in (f"{ROOT}/none.capture", f"{ROOT}/none*/*.capture"):
        with pytest.raises(FileNotFoundError, match="none"):
            table(url)
    with pytest.raises(ValueError, match="does not list its objects"):
        table("https://example.org/*.capture")


@pytest.mark.usefixtures("s3")
def test_writing_says_what_to_do() -> None:
    for make in (source(f"{ROOT}/new").writer, source(f"{ROOT}/new.capture").streamWriter):
        with pytest.raises(ValueError, match="capturefile upload"):
            make(RECORD, overwrite=False)


def test_a_stream_reads_objects_that_are_replaced_by_longer_ones(s3: Client, tmp_path: Path) -> None:
    path = tmp_path / "c.capture"
    write(path, "one", "two")
    s3.upload_file(str(path), BUCKET, "stream/c.capture")
    made = source(f"{ROOT}/stream/*.capture")
    reader = made.streamReader(made.schema())
    first = reader.latestOffset({})
    assert first == {f"{ROOT}/stream/c.capture": 2}
    write(path, "three")
    s3.upload_file(str(path), BUCKET, "stream/c.capture")
    second = reader.latestOffset(first)
    assert records_in(reader, {}, first) == [b"one", b"two"]
    assert records_in(reader, first, second) == [b"three"]


@pytest.fixture
def spark(s3: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A session whose workers get the address of the server from their environment."""
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        .config("spark.sql.warehouse.dir", str(tmp_path))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


def test_spark_reads_a_pattern(spark: Any) -> None:  # noqa: ANN401
    reading = spark.read.format("capturefile").option("encoding", "utf-8").option("recordsPerPartition", 30)
    rows = reading.load(f"{ROOT}/visits/*.capture").select("record").collect()
    assert sorted(row.record.encode() for row in rows) == sorted(records("a", "b"))
