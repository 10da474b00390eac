"""Consumers of rotated logs."""

from __future__ import annotations

from pathlib import Path

import capturefile
import pytest
from capturefile import CaptureFile, checkpoint
from capturefile.rotating import RecordsDeleted, RotatingReader, RotatingWriter
from rotating_logs import numbered, write_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of records 1 to 9 in four files, the last one without records."""
    write_files(tmp_path / "log", 3, 1, 5, 0)
    return tmp_path / "log"


def consume(folder: Path, path: Path, batches: int | None = None) -> int:
    """Copies records that were not copied yet, at most this many batches of two; returns the new position."""
    with checkpoint.consume(folder, path, name="test", batch_size=2, sync="none") as consumer:
        for number, batch in enumerate(consumer, 1):
            consumer.add_all(batch)
            if number == batches:
                consumer.commit()
                break
        return consumer.position


def records_of(path: Path) -> list[str]:
    """All records."""
    with CaptureFile(path) as cf:
        return list(cf)


def test_each_record_of_a_log_is_consumed_once_across_its_files(folder: Path, path: Path) -> None:
    assert [consume(folder, path, batches=1) for _ in range(3)] == [2, 4, 6]
    assert consume(folder, path) == 9
    write_files(folder, 2, 1)
    assert consume(folder, path) == 12
    assert records_of(path) == numbered(1, 12)


def test_a_consumer_follows_a_log(folder: Path, path: Path) -> None:
    with checkpoint.consume(folder, path, name="test", follow=True, timeout=5) as consumer:
        batches = iter(consumer)
        assert next(batches) == numbered(1, 9)
        assert consumer.lag() == 9
        write_files(folder, 2)
        assert next(batches) == numbered(10, 11)
        consumer.commit()
        assert consumer.lag() == 0


def test_records_deleted_before_they_were_consumed_are_reported_once(folder: Path, path: Path) -> None:
    assert consume(folder, path, batches=1) == 2
    with RotatingWriter(folder, keep_files=2):
        pass
    with checkpoint.consume(folder, path, name="test") as consumer:
        with pytest.raises(RecordsDeleted) as caught:
            next(iter(consumer))
        assert caught.value.first_record == 5
        for batch in consumer:
            consumer.add_all(batch)
        assert consumer.position == 9
    assert records_of(path) == numbered(1, 2) + numbered(5, 9)
    assert consume(folder, path) == 9


def test_a_consumer_continues_from_a_position_whose_record_is_deleted(folder: Path, path: Path) -> None:
    assert consume(folder, path, batches=2) == 4
    with RotatingWriter(folder, keep_files=2):
        pass
    assert consume(folder, path) == 9
    assert records_of(path) == numbered(1, 9)


def test_a_different_log_in_the_same_folder_is_refused(folder: Path, path: Path) -> None:
    consume(folder, path)
    for file in folder.iterdir():
        file.unlink()
    with RotatingWriter(folder) as log:
        log.add_records(["other"] * 20)
        log.commit()
    with pytest.raises(capturefile.CaptureFileReplaced, match="is not the one that was consumed last"):
        consume(folder, path)


def test_a_cursor_file_counts_across_rotations(folder: Path, tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        with checkpoint.consume_at_least_once(folder, tmp_path / "cursor") as consumer:
            seen += [record for batch in consumer for record in batch]
    assert seen == numbered(1, 9)


def test_a_file_of_the_log_is_refused_as_destination(folder: Path) -> None:
    with RotatingReader(folder) as log:
        first, *_ = log.files()
    with pytest.raises(ValueError, match="are the same file, or belong to the same log"):
        checkpoint.consume(folder, first.path, name="test")
    assert records_of(first.path) == numbered(1, 3)
