"""Rotated logs read like lists counted from 1, and as tables."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pyarrow
import pytest
from capturefile import CaptureFile, CaptureFileNotOpen
from capturefile.rotating import RecordsDeleted, RotatingReader
from rotating_logs import numbered, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNT = 13


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of five files, the last one without records."""
    folder = tmp_path / "log"
    write_files(folder, 4, 1, 5, 3, 0)
    return folder


@pytest.fixture
def log(folder: Path) -> Iterator[RotatingReader[str]]:
    """The log, open."""
    with RotatingReader(folder) as log:
        yield log


def rows(table: object) -> list[tuple[int, str]]:
    """The numbers and records of a table."""
    columns = pyarrow.table(table).to_pydict()
    return list(zip(columns["record_number"], columns["record"], strict=True))


def test_a_log_reads_like_a_file(log: RotatingReader[str]) -> None:
    assert (len(log), log.first_record, log[1], log[COUNT], log[-1], log[-COUNT]) == (
        *(COUNT, 1, "record 1", f"record {COUNT}", f"record {COUNT}", "record 1"),
    )
    assert list(log) == log[:] == numbered(1, COUNT)
    for number in (0, COUNT + 1, -COUNT - 1, 10**30):
        with pytest.raises(IndexError, match="does not exist"):
            log[number]
    with pytest.raises(ValueError, match="slice step cannot be zero"):
        log[::0]


def test_slices_are_like_those_of_a_file(folder: Path, log: RotatingReader[str], path: Path) -> None:
    source = random.Random(18)
    with CaptureFile(path, True, sync="none") as cf:
        cf.add_records(numbered(1, COUNT))
        cf.commit()
        for _ in range(300):
            start, stop = (source.choice([None, source.randint(-COUNT - 3, COUNT + 3)]) for _ in range(2))
            part = slice(start, stop, source.choice([None, 1, 2, 5, -1, -3]))
            assert log[part] == cf[part], part


def test_deleted_records_are_skipped_and_the_others_keep_their_numbers(folder: Path) -> None:
    with RotatingReader(folder) as log:
        for file in log.files()[:2]:
            file.path.unlink()
    with RotatingReader(folder) as log:
        assert (len(log), log.first_record) == (COUNT, 6)
        assert list(log) == log[:] == log[6:] == numbered(6, COUNT)
        assert log[::-1] == numbered(6, COUNT)[::-1]
        assert rows(log.as_arrow(text=True)) == list(enumerate(numbered(6, COUNT), 6))
        for read in (lambda: log[5], lambda: log[3:8], lambda: log.as_arrow(1), lambda: log[-COUNT]):
            with pytest.raises(RecordsDeleted) as caught:
                read()
            assert caught.value.first_record == 6


def test_a_file_deleted_during_the_iteration_is_reported(folder: Path) -> None:
    with RotatingReader(folder) as log:
        records = iter(log)
        assert next(records) == "record 1"
        log.files()[2].path.unlink()
        with pytest.raises(RecordsDeleted) as caught:
            list(records)
        assert caught.value.first_record == 11


def test_a_log_without_records_is_empty_and_true(tmp_path: Path) -> None:
    write_files(tmp_path / "empty", 0)
    with RotatingReader(tmp_path / "empty") as log:
        assert (len(log), list(log), log[:], log.first_record, bool(log)) == (0, [], [], 1, True)
        assert rows(log.as_arrow()) == []
    with pytest.raises(CaptureFileNotOpen):
        iter(log)


def test_a_log_is_a_table_with_the_numbers_of_the_log(log: RotatingReader[str]) -> None:
    assert rows(log.as_arrow(text=True)) == list(enumerate(numbered(1, COUNT), 1))
    assert rows(log.as_arrow(4, 6, text=True)) == list(enumerate(numbered(4, 6), 4))
    assert rows(log.as_arrow(7, 6)) == []
    assert repr(log.as_arrow(4, 6)) == f"<ArrowRecords: records 4 to 6 of {log.file_name!r}, as bytes>"
    for first, last in ((0, 1), (1, COUNT + 1)):
        with pytest.raises(IndexError, match="does not exist"):
            log.as_arrow(first, last)
