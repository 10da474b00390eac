"""Records as data frames of polars and pandas, which are large packages: `make test-frames` runs this."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas
import polars
import pytest
from capturefile import CaptureFile

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 200_000
EXAMPLE = Path(__file__).parent.parent / "examples" / "with_polars.py"
NUMBER, RECORD = polars.col("record_number"), polars.col("record")
QUERIES: dict[str, Callable[[polars.LazyFrame], polars.LazyFrame]] = {
    "all": lambda frame: frame,
    "one column": lambda frame: frame.select(NUMBER),
    "the other column": lambda frame: frame.select("record"),
    "turned round": lambda frame: frame.select("record", "record_number"),
    "count": lambda frame: frame.select(polars.len()),
    "first": lambda frame: frame.head(70_000),
    "last": lambda frame: frame.tail(70_000),
    "middle": lambda frame: frame.slice(65_530, 20).select("record"),
    "filtered": lambda frame: frame.filter(RECORD.str.ends_with("77")).select("record_number"),
    "filtered by number": lambda frame: frame.filter(NUMBER.is_between(65_530, 65_550)),
    "first of those filtered": lambda frame: frame.filter(RECORD.str.ends_with("77")).head(3),
    "those of the first that are filtered": lambda frame: frame.head(300).filter(RECORD.str.ends_with("77")),
    "none": lambda frame: frame.filter(NUMBER < 0),
    "with itself": lambda frame: frame.join(frame.filter(NUMBER > COUNT - 3), on="record", maintain_order="left"),
}


@pytest.fixture
def filled(path: Path) -> Path:
    """A file whose records are their numbers."""
    with CaptureFile(path, True, sync=False) as cf:
        cf.add_records(str(number) for number in range(1, COUNT + 1))
        cf.commit()
    return path


def test_polars_makes_a_frame(filled: Path) -> None:
    with CaptureFile(filled) as cf:
        data, text = polars.DataFrame(cf.as_arrow()), polars.DataFrame(cf.as_arrow(text=True))
    assert dict(data.schema) == {"record_number": polars.Int64, "record": polars.Binary}
    assert dict(text.schema) == {"record_number": polars.Int64, "record": polars.String}
    assert data.height == COUNT
    assert data.null_count().row(0) == (0, 0)
    assert data["record"].to_list() == [b"%d" % number for number in data["record_number"]]
    assert text.filter(polars.col("record").cast(polars.Int64) == polars.col("record_number")).height == COUNT


def test_polars_writes_parquet_and_reads_it_back_unchanged(filled: Path, tmp_path: Path) -> None:
    with CaptureFile(filled) as cf:
        frame = polars.DataFrame(cf.as_arrow())
    frame.write_parquet(tmp_path / "log.parquet")
    assert polars.read_parquet(tmp_path / "log.parquet").equals(frame)


def test_pandas_makes_a_frame(filled: Path) -> None:
    with CaptureFile(filled) as cf:
        frame = pandas.DataFrame.from_arrow(cf.as_arrow(100, 199, text=True))
    assert list(frame.columns) == ["record_number", "record"]
    assert frame["record_number"].tolist() == list(range(100, 200))
    assert frame["record"].tolist() == [str(number) for number in range(100, 200)]


def test_a_record_that_is_not_text_is_an_error_with_its_number(path: Path) -> None:
    with CaptureFile(path, True, sync=False) as cf:
        cf.add_records(["one", b"\xff"])
        cf.commit()
        for make in (polars.DataFrame, pandas.DataFrame.from_arrow):
            with pytest.raises(Exception, match=r"record 2 of .* is not text in UTF-8"):
                make(cf.as_arrow(text=True))


@pytest.fixture(scope="module")
def scan_capture() -> Callable[..., polars.LazyFrame]:
    """The function from the example."""
    scan: Callable[..., polars.LazyFrame] = runpy.run_path(str(EXAMPLE))["scan_capture"]
    return scan


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
@pytest.mark.parametrize("name", QUERIES)
def test_a_lazy_scan_gives_the_results_of_an_eager_frame_each_time(
    scan_capture: Callable[..., polars.LazyFrame], filled: Path, name: str, engine: polars.lazyframe.EngineType
) -> None:
    with CaptureFile(filled) as cf:
        expected = QUERIES[name](polars.DataFrame(cf.as_arrow(text=True)).lazy()).collect()
    query = QUERIES[name](scan_capture(filled, text=True))
    for _ in range(2):
        assert query.collect(engine=engine).equals(expected)


def test_a_lazy_scan_has_the_records_of_the_moment_it_was_created(
    scan_capture: Callable[..., polars.LazyFrame], path: Path
) -> None:
    with CaptureFile(path, True, sync=False) as cf:
        empty = scan_capture(path)
        cf.add_record("later")
        cf.commit()
    assert empty.collect().shape == (0, 2)
    assert scan_capture(path).collect().rows() == [(1, b"later")]


def test_a_lazy_scan_reads_only_what_is_requested(scan_capture: Callable[..., polars.LazyFrame], path: Path) -> None:
    with CaptureFile(path, True, sync=False) as cf:
        cf.add_records([*(str(number) for number in range(1, 100_000)), b"\xff"])
        cf.commit()
    scan = scan_capture(path, text=True)
    with pytest.raises(polars.exceptions.ComputeError, match=r"record 100000 of .* is not text in UTF-8"):
        scan.collect()
    assert scan.select(NUMBER.max()).collect().item() == 100_000
    assert scan.head(5).collect()["record"].to_list() == ["1", "2", "3", "4", "5"]


def test_the_example_prints_the_expected_output() -> None:
    done = subprocess.run([sys.executable, EXAMPLE], capture_output=True, encoding="utf-8", timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["14286", "(100000, 'visit 100000 from 5')", "7"]
