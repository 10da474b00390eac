"""Rotated logs whose old files are deleted."""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
import rotating_scenarios
from capturefile.rotating import RecordsDeleted, RotatingReader, RotatingWriter, manifest
from processes import act
from rotating_logs import numbered, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, if the system has one."""
    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a log."""
    return tmp_path / "log"


def starts(folder: Path) -> list[int]:
    """The numbers of the first records of the existing files."""
    return [int(name.partition(".")[0]) for name in manifest.names_of_files(folder)]


def write(folder: Path, *sizes: int, **limits: Any) -> None:  # noqa: ANN401
    """Writes files of this many records and an empty last file, and deletes files according to `limits`."""
    with RotatingWriter(folder, sync="none", **limits) as log:
        for size in sizes:
            log.add_records(numbered(log.record_count() + 1, log.record_count() + size))
            log.rotate()


def test_at_most_this_many_files_are_kept(folder: Path) -> None:
    write(folder, 3, 1, 2, 5, keep_files=3)
    assert starts(folder) == [5, 7, 12]
    with RotatingReader(folder) as log:
        assert (log.first_record, len(log), list(log)) == (5, 11, numbered(5, 11))
    write(folder, 1, keep_files=1)
    assert starts(folder) == [13]


def test_files_beyond_the_limit_of_bytes_are_deleted(folder: Path) -> None:
    write(folder, *[10] * 6)
    sizes = [path.stat().st_size for path in sorted(folder.glob("0*"))]
    with RotatingWriter(folder, keep_bytes=sum(sizes[-3:])):
        assert starts(folder) == [41, 51, 61]
    with RotatingWriter(folder, keep_bytes=sum(sizes[-3:]) - 1):
        assert starts(folder) == [51, 61]
    with RotatingWriter(folder, keep_bytes=1):
        assert starts(folder) == [61]


def test_files_that_ended_long_ago_are_deleted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    for age in (100, 50, 10):
        monkeypatch.setattr(time, "time", lambda age=age: now - age)
        write(folder, 1)
    monkeypatch.setattr(time, "time", lambda: now)
    with RotatingWriter(folder, keep_age=60):
        # The second file was started 100 seconds ago, and ended 50 seconds ago.
        assert starts(folder) == [2, 3, 4]
    with RotatingWriter(folder, keep_age=49.9):
        assert starts(folder) == [3, 4]


def test_the_file_being_written_is_never_deleted(folder: Path) -> None:
    write_files(folder, 5)
    with RotatingWriter(folder, keep_files=1, keep_bytes=1, keep_age=1e-9) as log:
        log.add_record("record 6")
        log.commit()
        assert starts(folder) == [1]
    assert write_and_count(folder) == 6


def write_and_count(folder: Path) -> int:
    """The number of records in a log."""
    with RotatingReader(folder) as log:
        return len(list(log))


@pytest.mark.parametrize("name", ["keep_files", "keep_bytes", "keep_age"])
def test_an_invalid_limit_is_refused_before_anything_is_created(folder: Path, name: str) -> None:
    limits: dict[str, Any] = {name: 0}
    with pytest.raises(ValueError, match=f"{name} cannot be 0: it must be more than 0"):
        RotatingWriter(folder, **limits)
    assert not folder.exists()


def test_active_readers_read_a_deleted_file_to_its_end_and_then_get_an_error(folder: Path) -> None:
    write_files(folder, 3, 3, 3)
    with RotatingReader(folder) as log:
        follower = log.follow(1, timeout=0)
        assert next(follower) == "record 1"
        records = iter(log)
        assert next(records) == "record 1"
        with RotatingWriter(folder, keep_files=1):
            assert starts(folder) == [7]
        assert [next(follower), next(follower)] == numbered(2, 3)
        assert [next(records), next(records)] == numbered(2, 3)
        for reading in (follower, records):
            with pytest.raises(RecordsDeleted, match="the next record that exists is 7") as caught:
                next(reading)
            assert caught.value.first_record == 7
        assert list(follower) == numbered(7, 9)


def test_a_file_that_cannot_be_deleted_is_reported_and_the_log_continues(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(folder, 2)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "the file")

    with RotatingWriter(folder, keep_files=1) as log:
        with monkeypatch.context() as patched:
            patched.setattr("pathlib.Path.unlink", refuse)
            with pytest.raises(PermissionError):
                log.rotate()
            assert starts(folder) == [1, 3]
        assert log.add_record("record 3") == 3
        log.commit()
        log.rotate()
        assert starts(folder) == [4]


def test_a_writer_that_dies_at_any_line_leaves_no_gap(memory: Path) -> None:
    (deaths,) = act(rotating_scenarios.die_at_each_line_of_retention, memory)
    left: set[int] = set()
    for line in range(int(deaths)):
        folder = memory / str(line)
        left.add(len(starts(folder)))
        with RotatingReader(folder) as log:
            assert log[-2:] == numbered(len(log) - 1, len(log))
            assert list(log) == numbered(log.first_record, len(log))
        with RotatingWriter(folder, keep_files=2):
            assert len(starts(folder)) <= 2
    assert left >= {2, 3, 4, 5}
