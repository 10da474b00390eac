"""Backups of files and rotated logs that are being written."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import capturefile
import pytest
from capturefile import CaptureFile
from capturefile.rotating import RotatingReader, RotatingWriter
from command import FAILED, SUCCEEDED, make, noise, records_of, run
from files import write
from rotating_logs import check, numbered, write_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """The path of the copy."""
    return tmp_path / "copy"


def assert_sound(path: Path) -> None:
    """Checks that nothing is damaged or needs repair."""
    report = capturefile.verify(path)
    assert (report.problems, report.repairable) == ((), ())


@pytest.mark.usefixtures("both_formats")
@pytest.mark.parametrize("count", [0, 1, 3, 2000, 20_000])
def test_a_copy_has_the_records_and_the_metadata_and_can_be_appended_to(path: Path, target: Path, count: int) -> None:
    records = noise(count)
    make(path, records, metadata=b"metadata")
    assert capturefile.backup(path, target) == count
    assert_sound(target)
    assert records_of(target) == records
    with capturefile.open(target, "a", encoding=None) as cf:
        assert cf.get_metadata() == b"metadata"
        cf.add_records(records[:500])
        cf.commit()
    assert_sound(target)
    assert records_of(target) == records + records[:500]
    assert records_of(path) == records


@pytest.mark.usefixtures("both_formats")
def test_blocks_are_copied_as_they_are(path: Path, target: Path) -> None:
    with CaptureFile(path, True, compression_block_size=4096, compression_level=12, sync="none") as cf:
        cf.add_records(f"{number} " * 20 for number in range(5000))
        cf.commit()
        capturefile.backup(path, target)
    with CaptureFile(path) as cf, CaptureFile(target) as copy:
        blocks = list(cf.blocks())
        assert list(copy.blocks()) == blocks
        assert copy.info().block_size == 4096
    start, end = blocks[0].position or 0, (blocks[-2].position or 0) + (blocks[-2].compressed_size or 0)
    whole = end - end % 4096
    assert whole > start
    assert target.read_bytes()[start:whole] == path.read_bytes()[start:whole]


@pytest.mark.usefixtures("both_formats")
def test_uncommitted_records_are_not_copied(path: Path, target: Path) -> None:
    with CaptureFile(path, True, encoding=None) as cf:
        cf.add_records(noise(3000))
        cf.commit()
        cf.add_records(noise(5000))
        assert capturefile.backup(path, target) == 3000
        cf.rollback()
    assert_sound(target)
    assert records_of(target) == noise(3000)


@pytest.mark.usefixtures("both_formats")
def test_each_copy_of_a_file_that_is_being_written_has_exactly_one_commit(path: Path, target: Path) -> None:
    def keep_writing() -> None:
        with CaptureFile(path, True, sync="none", compression_block_size=4096) as cf:
            for first in range(1, 40_001, 100):
                cf.add_records(numbered(first, first + 99))
                cf.set_metadata(str(first + 99).encode())
                cf.commit()

    write(path)
    writer = threading.Thread(target=keep_writing)
    writer.start()
    counts: list[int] = []
    while writer.is_alive() or counts[-1] < 40_000:
        counts.append(capturefile.backup(path, target, overwrite=True))
        assert_sound(target)
        with CaptureFile(target) as copy:
            assert len(copy) == counts[-1] == int(copy.get_metadata() or b"0")
            assert copy[-300:] == numbered(max(1, counts[-1] - 299), counts[-1])
    writer.join()
    assert counts == sorted(counts)


@pytest.mark.usefixtures("both_formats")
def test_a_target_that_exists_is_kept_or_replaced(path: Path, target: Path) -> None:
    make(path, [b"new"])
    make(target, [b"old"])
    with pytest.raises(FileExistsError):
        capturefile.backup(path, target)
    with capturefile.open(target, "a"), pytest.raises(capturefile.CaptureFileAlreadyOpen):
        capturefile.backup(path, target, overwrite=True)
    assert records_of(target) == [b"old"]
    capturefile.backup(path, target, overwrite=True)
    assert records_of(target) == [b"new"]


@pytest.mark.usefixtures("both_formats")
def test_an_exception_in_the_progress_callback_leaves_nothing(path: Path, target: Path) -> None:
    make(path, noise(50_000))
    calls: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        capturefile.backup(path, target, progress=stop)
    assert list(path.parent.iterdir()) == [path]
    assert calls[0][0] == 0
    capturefile.backup(path, target, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1][0] == calls[-1][1] > 4_000_000


@pytest.mark.usefixtures("both_formats")
def test_a_truncated_file_is_reported(path: Path, target: Path) -> None:
    make(path, noise(20_000))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 + 500_000)
    with pytest.raises(capturefile.InvalidCaptureFile, match="truncated"):
        capturefile.backup(path, target)
    assert not target.exists()


# Rotated logs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of records 1 to 9 in three files."""
    write_files(tmp_path / "log", 3, 1, 5)
    return tmp_path / "log"


def changed(target: Path) -> set[str]:
    """The files that are new or changed since the last call."""
    found = {path.name: path.stat().st_ino for path in target.iterdir()}
    before, known[target] = known.get(target, {}), found
    return {name for name, number in found.items() if before.get(name) != number}


known: dict[Path, dict[str, int]] = {}


def test_a_copy_of_a_log_is_brought_up_to_date(folder: Path, target: Path) -> None:
    assert capturefile.backup(folder, target) == 9
    check(target, 9)
    changed(target)
    write_files(folder, 2, 1)
    assert capturefile.backup(folder, target) == 12
    check(target, 12)
    assert changed(target) == {
        *("_manifest.capture", "00000000000000000010.capture", "00000000000000000012.capture"),
    }
    write_files(target, 3)
    check(target, 15)
    check(folder, 12)
    with pytest.raises(capturefile.CaptureFileReplaced, match="contains a copy of another log"):
        capturefile.backup(folder, target)


def test_an_interrupted_copy_is_continued(folder: Path, target: Path) -> None:
    def stop(done: int, _: int) -> None:
        if done == 2:
            raise KeyError

    with pytest.raises(KeyError):
        capturefile.backup(folder, target, progress=stop)
    assert sorted(path.name for path in target.iterdir()) == [
        *("00000000000000000001.capture", "00000000000000000004.capture"),
    ]
    changed(target)
    assert capturefile.backup(folder, target) == 9
    assert changed(target) == {"_manifest.capture", "00000000000000000005.capture"}
    check(target, 9)


def test_files_that_the_log_has_deleted_stay_in_the_copy(folder: Path, target: Path) -> None:
    capturefile.backup(folder, target)
    with RotatingWriter(folder, keep_files=1) as log:
        log.add_record("record 10")
        log.set_metadata(b"10")
        log.commit()
    assert capturefile.backup(folder, target) == 10
    check(target, 10)
    assert capturefile.backup(folder, target.with_name("another")) == 10
    with RotatingReader(target.with_name("another")) as copy:
        assert (copy.first_record, list(copy)) == (5, numbered(5, 10))


def test_a_log_is_copied_while_it_is_written_and_rotated(folder: Path, target: Path) -> None:
    def keep_writing() -> None:
        for _ in range(15):
            write_files(folder, 2, 2)

    writer = threading.Thread(target=keep_writing)
    writer.start()
    count = 0
    while writer.is_alive() or count < 69:
        count = capturefile.backup(folder, target)
        with RotatingReader(target) as copy:
            assert copy.record_count() == count
            assert list(copy) == numbered(1, count)
    writer.join()
    assert run("verify", target).returncode == SUCCEEDED


def test_a_log_is_not_copied_to_itself(folder: Path) -> None:
    with pytest.raises(ValueError, match="cannot be copied to itself"):
        capturefile.backup(folder, folder)
    check(folder, 9)


# The command


def test_the_command_copies_files_and_logs(folder: Path, path: Path, target: Path) -> None:
    make(path, noise(10))
    done = run("backup", path, target)
    assert (done.returncode, done.stderr) == (SUCCEEDED, f"capturefile: {target} has all records up to 10\n".encode())
    assert run("backup", path, target).returncode == FAILED
    assert run("backup", "--overwrite", path, target).returncode == SUCCEEDED
    assert run("backup", folder, target.with_name("another")).returncode == SUCCEEDED
    check(target.with_name("another"), 9)
