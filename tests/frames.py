"""Records as data frames of polars and pandas, which are large to install: `make test-frames` runs this."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas
import polars
import pytest
from capturefile import CaptureFile

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 200_000


@pytest.fixture
def filled(path: Path) -> Path:
    """A file of records that are their numbers."""
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


def test_polars_writes_parquet_that_it_reads_in_again_as_it_was(filled: Path, tmp_path: Path) -> None:
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


def test_a_record_that_is_no_text_is_an_error_with_its_number(path: Path) -> None:
    with CaptureFile(path, True, sync=False) as cf:
        cf.add_records(["one", b"\xff"])
        cf.commit()
        for make in (polars.DataFrame, pandas.DataFrame.from_arrow):
            with pytest.raises(Exception, match=r"record 2 of .* is not text in UTF-8"):
                make(cf.as_arrow(text=True))
