"""Sequences as Arrow data: views, and many files as one table."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import capturefile
import pyarrow
import pytest
from capturefile import CaptureFile
from command import make

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = [b"%d " % number * (number % 40) for number in range(1, 501)]


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Three files, the second one without records."""
    parts = (RECORDS[:300], RECORDS[:0], RECORDS[300:])
    return [make(tmp_path / f"{index}.capture", part) for index, part in enumerate(parts)]


def rows(table: object) -> dict[str, list[Any]]:
    """The columns of a table."""
    found: dict[str, list[Any]] = pyarrow.table(table).to_pydict()
    return found


def test_many_files_are_one_table(paths: list[Path]) -> None:
    table = capturefile.concat(paths, encoding=None).as_arrow()
    assert rows(table) == rows(table) == {"record_number": list(range(1, 501)), "record": RECORDS}
    assert repr(table) == "<ArrowRecords: records 1 to 500 of 2 files, as bytes>"
    assert table._repr_html_() is None


@pytest.mark.parametrize("seed", range(10))
def test_a_view_is_a_table_of_its_records(paths: list[Path], seed: int) -> None:
    source = random.Random(seed)
    everything = capturefile.concat(paths, encoding=None)
    start, stop = (source.choice([None, source.randint(-510, 510)]) for _ in range(2))
    part = slice(start, stop, source.choice([None, 1, 3, -1, -7]))
    expected = RECORDS[part]
    assert rows(everything[part].as_arrow()) == {
        "record_number": list(range(1, len(expected) + 1)),
        "record": expected,
    }


def test_a_table_of_an_open_file_outlives_it(paths: list[Path]) -> None:
    with CaptureFile(paths[0], encoding=None) as cf:
        table = cf.as_sequence()[10:20].as_arrow()
    paths[0].unlink()
    assert rows(table)["record"] == RECORDS[10:20]
    assert "<table" in (table._repr_html_() or "")


def test_sql_over_a_slice_of_many_files(paths: list[Path]) -> None:
    duckdb = pytest.importorskip("duckdb")
    part = capturefile.concat(paths)[290:310].as_arrow(text=True)  # noqa: F841 - the query names it
    found = duckdb.execute("SELECT count(*), min(record_number), max(length(record)) FROM part").fetchall()
    assert found == [(20, 1, max(map(len, RECORDS[290:310])))]


def test_a_missing_or_replaced_file_ends_the_stream_after_the_files_before_it(paths: list[Path]) -> None:
    table = capturefile.concat(paths, encoding=None).as_arrow()
    paths[2].unlink()

    def read() -> tuple[int, str]:
        reader = pyarrow.RecordBatchReader.from_stream(table)
        count = len(reader.read_next_batch())
        with pytest.raises((pyarrow.ArrowException, OSError)) as caught:
            reader.read_next_batch()
        return count, str(caught.value)

    count, message = read()
    assert (count, "No such file" in message, str(paths[2]) in message) == (300, True, True)
    make(paths[2], RECORDS)
    count, message = read()
    assert (count, "is not the file that this table was created from" in message) == (300, True)


def test_text_of_another_encoding_is_refused(paths: list[Path]) -> None:
    latin = capturefile.concat(paths[:1], encoding="latin-1")
    assert rows(latin.as_arrow())["record"] == RECORDS[:300]
    with pytest.raises(ValueError, match="only text in UTF-8"):
        capturefile.concat([latin, capturefile.concat(paths)]).as_arrow(text=True)
