"""Rotated logs as one: reading them, and following them across rotations."""

from __future__ import annotations

import asyncio
import pickle
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from capturefile import CaptureFile, aio
from capturefile.rotating import RecordsDeleted, RotatingReader, RotatingWriter, manifest
from processes import wait_until
from rotating_logs import check, numbered, write_files

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a log."""
    return tmp_path / "log"


# Reading


def test_a_reader_sees_all_files_as_one(folder: Path) -> None:
    write_files(folder, 3, 1, 5)
    with RotatingReader(folder) as log:
        records = log.as_sequence()
        assert (len(records), records[3], records[-1]) == (9, "record 4", "record 9")
        assert list(log.as_sequence(3)) == numbered(3, 9)
        assert list(log.as_sequence(10)) == []
        assert [log.record_at(number) for number in (9, 4, 1)] == ["record 9", "record 4", "record 1"]
        for number in (0, 10):
            with pytest.raises(IndexError, match=f"record {number} does not exist"):
                log.record_at(number)
        with pytest.raises(IndexError):
            log.as_sequence(0)
    assert list(records) == list(pickle.loads(pickle.dumps(records))) == numbered(1, 9)
    with RotatingReader(folder, encoding=None) as data:
        assert data.record_at(9) == b"record 9"


def test_a_reader_sees_one_state_until_it_is_refreshed(folder: Path) -> None:
    write_files(folder, 3)
    with RotatingReader(folder) as log:
        write_files(folder, 2, 2)
        assert log.record_count() == len(log.as_sequence()) == 3
        assert [(file.last_record, file.sealed) for file in log.files()] == [(3, False)]
        assert log.refresh()
        assert not log.refresh()
        assert (log.record_count(), log.get_metadata()) == (7, b"7")
        assert log.record_at(7) == "record 7"
        assert [file.record_count for file in log.files()] == [3, 2, 2]
        with RotatingWriter(folder) as writer:
            writer.add_record("record 8")
            writer.commit()
        with pytest.raises(IndexError):
            log.record_at(8)
        assert log.refresh()
        assert log.record_at(8) == "record 8"


def test_a_record_added_to_a_sealed_file_is_not_part_of_the_log(folder: Path) -> None:
    write_files(folder, 2, 2)
    with CaptureFile(folder / "00000000000000000001.capture", True) as cf:
        cf.add_record("added by another program")
        cf.commit()
    check(folder, 4)


def test_a_sealed_file_that_has_lost_records_is_reported(folder: Path) -> None:
    write_files(folder, 3, 2)
    with CaptureFile(folder / "00000000000000000001.capture", True, force_new_empty_file=True) as cf:
        cf.add_record("record 1")
        cf.commit()
    with RotatingReader(folder) as log:
        with pytest.raises(capturefile.InvalidCaptureFile, match="has 1 records, but had 3"):
            log.as_sequence()
        follower = log.follow(1, timeout=0)
        assert next(follower) == "record 1"
        with pytest.raises(
            capturefile.InvalidCaptureFile, match="ends before record 2 of the log, but should continue to 3"
        ):
            next(follower)


def test_deleted_records_are_reported_with_the_next_existing_one(folder: Path) -> None:
    write_files(folder, 3, 2, 2, 2)
    for first in (1, 4):
        (folder / f"{first:020}.capture").unlink()
    with RotatingReader(folder) as log:
        assert (log.record_count(), [file.first_record for file in log.files()]) == (9, [6, 8])
        for ask in (lambda: log.record_at(2), lambda: log.as_sequence(2)):
            with pytest.raises(RecordsDeleted, match=r"record . of .* was deleted; the next .* is 6") as caught:
                ask()
            assert pickle.loads(pickle.dumps(caught.value)).first_record == caught.value.first_record == 6
        assert list(log.as_sequence(caught.value.first_record)) == numbered(6, 9)
        follower = log.follow(2, timeout=0)
        with pytest.raises(RecordsDeleted):
            next(follower)
        assert list(follower) == numbered(6, 9)


def test_a_reader_whose_last_file_was_sealed_and_deleted_sees_the_next_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(folder, 2)
    look = manifest.Manifest.look
    with RotatingReader(folder) as log:

        def look_late(seen: manifest.Manifest) -> bool:
            """Just after the manifest has been read, the log is rotated and the old file is deleted."""
            monkeypatch.setattr(manifest.Manifest, "look", look)
            found = look(seen)
            write_files(folder, 3)
            (folder / "00000000000000000001.capture").unlink()
            return found

        monkeypatch.setattr(manifest.Manifest, "look", look_late)
        assert log.refresh()
        assert (log.record_count(), log.record_at(5)) == (5, "record 5")


def test_a_folder_without_a_log_is_an_error(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RotatingReader(folder)


def test_a_new_log_has_no_records(folder: Path) -> None:
    folder.mkdir()
    manifest.open_for_writing(folder).close()
    with RotatingReader(folder) as log:
        assert (log.record_count(), log.files(), list(log.as_sequence())) == (0, (), [])
        follower = log.follow(1, timeout=0)
        assert list(follower) == []
        write_files(folder, 2)
        assert list(follower) == numbered(1, 2)


# Following


def test_a_follower_continues_across_rotations(folder: Path) -> None:
    write_files(folder, 2)
    with RotatingReader(folder) as log:
        every, later, far = log.follow(1, timeout=0), log.follow(timeout=0), log.follow(6, timeout=0)
        assert (list(every), list(later), list(far)) == (numbered(1, 2), [], [])
        write_files(folder, 2, 3, 1)
        assert all(follower.ready() for follower in (every, later, far))
        assert every.lag() == later.lag() == 6
        assert far.lag() == 3
        assert list(every) == list(later) == numbered(3, 8)
        assert list(far) == numbered(6, 8)
        assert every.lag() == 0
        assert not every.ready()


@pytest.mark.parametrize("looks", [1, 2], ids=["alone", "with a thread that looks first"])
def test_a_follower_misses_nothing_if_its_file_is_sealed_after_its_check(
    folder: Path, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    write_files(folder, 1)
    look = manifest.Manifest.look
    with RotatingReader(folder) as log:
        follower = log.follow(1, timeout=0)

        def look_late(seen: manifest.Manifest) -> bool:
            """Between the checks of the file and of the manifest, the file grows and is sealed."""
            monkeypatch.setattr(manifest.Manifest, "look", look)
            with RotatingWriter(folder, sync="none") as writer:
                writer.add_records(numbered(2, 4))
                writer.rotate()
                writer.add_record("record 5")
                writer.commit()
            return [look(seen) for _ in range(looks)][-1]

        assert next(follower) == "record 1"
        monkeypatch.setattr(manifest.Manifest, "look", look_late)
        assert list(follower) == numbered(2, 5)


def test_a_follower_waits_and_ends_with_its_timeout_or_its_reader(folder: Path) -> None:
    write_files(folder, 1)
    log = RotatingReader(folder)
    begun = time.monotonic()
    assert list(log.follow(1, timeout=0.1)) == ["record 1"]
    assert time.monotonic() - begun >= 0.1
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.extend(log.follow(1)))
    thread.start()
    write_files(folder, 1, 1)
    wait_until(lambda: log.refresh() or log.record_count() == 3)
    follower = log.follow(1)
    assert [next(follower) for _ in range(3)] == numbered(1, 3)
    log.close()
    thread.join(60)
    assert not thread.is_alive()
    with pytest.raises(capturefile.CaptureFileNotOpen):
        log.follow(1)
    with pytest.raises(ValueError, match="timeout"):
        RotatingReader(folder).follow(1, timeout=-1)


def test_a_follower_reads_an_open_file_to_its_end_after_it_is_deleted(folder: Path) -> None:
    write_files(folder, 3)
    with RotatingReader(folder) as log:
        follower = log.follow(1, timeout=0)
        assert next(follower) == "record 1"
        write_files(folder, 2)
        (folder / "00000000000000000001.capture").unlink()
        assert list(follower) == numbered(2, 5)


def test_a_follower_at_the_end_of_a_sealed_and_deleted_file_continues(folder: Path) -> None:
    write_files(folder, 3)
    with RotatingReader(folder) as log:
        follower = log.follow(1, timeout=0)
        assert list(follower) == numbered(1, 3)
        write_files(folder, 2)
        (folder / "00000000000000000001.capture").unlink()
        assert next(follower) == "record 4"


@pytest.mark.parametrize("step", [lambda follower: next(follower), lambda follower: follower.lag()])
def test_the_replacement_of_a_log_is_reported(folder: Path, step: Callable[[Any], object]) -> None:
    write_files(folder, 1)
    with RotatingReader(folder) as log:
        follower = log.follow(1, timeout=0)
        assert list(follower) == ["record 1"]
        folder.rename(folder.with_name("moved away"))
        write_files(folder, 5)
        with pytest.raises(capturefile.CaptureFileReplaced):
            step(follower)


def test_an_unreadable_record_does_not_shift_the_numbers(folder: Path) -> None:
    with RotatingWriter(folder, sync="none") as log:
        batches: list[list[str | bytes]] = [["record 1", b"\xff", "record 3"], ["record 4", b"\xff"], ["record 6"]]
        for records in batches:
            log.add_records(records)
            log.rotate()
    with RotatingReader(folder) as reader:
        follower = reader.follow(1, timeout=0)
        seen: list[str] = []
        for _ in range(3):
            try:
                seen.extend(follower)
            except UnicodeDecodeError:
                seen.append("?")
        assert seen == ["record 1", "?", "record 3", "record 4", "?", "record 6"]


def test_followers_in_asyncio_continue_across_rotations(folder: Path) -> None:
    write_files(folder, 2)

    async def follow(log: RotatingReader[str]) -> list[str]:
        seen = []
        async with aio.follow(log, start=1) as follower:
            assert follower.file_name == str(folder)
            async for record in follower:
                seen.append(record)
                if len(seen) == 2:
                    await asyncio.to_thread(write_files, folder, 3, 1, 4)
                    assert follower.lag() == 8
                if len(seen) == 10:
                    break
        return seen

    with RotatingReader(folder) as log:
        assert asyncio.run(follow(log)) == numbered(1, 10)
        assert not log.closed


def test_a_follower_in_asyncio_ends_after_its_timeout(folder: Path) -> None:
    write_files(folder, 2, 1)

    async def follow(log: RotatingReader[str]) -> list[str]:
        return [record async for record in aio.follow(log, start=2, timeout=0.1)]

    with RotatingReader(folder) as log:
        assert asyncio.run(follow(log)) == numbered(2, 3)


# Changes of the working folder, and other processes


def test_a_log_continues_after_the_process_changes_its_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with RotatingWriter("log", sync="none") as writer, RotatingReader("log") as reader:
        writer.add_record("record 1")
        writer.commit()
        follower = reader.follow(1, timeout=0)
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir("elsewhere")
        writer.rotate()
        writer.add_record("record 2")
        writer.commit()
        assert list(follower) == numbered(1, 2)
        assert reader.refresh()
        assert reader.record_at(2) == "record 2"
        with pickle.loads(pickle.dumps(reader)) as other:
            assert list(other.as_sequence()) == numbered(1, 2)
    assert reader.folder == tmp_path / "log"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_reader_is_passed_to_other_processes(folder: Path) -> None:
    write_files(folder, 2)
    with RotatingReader(folder, encoding=None) as reader:
        pickled = pickle.dumps(reader)
        write_files(folder, 1)
        with pickle.loads(pickled) as other:
            assert other.record_at(3) == b"record 3"
            assert (reader.record_count(), other.record_count()) == (2, 3)
        # Caches use the pickles of a computation's inputs as keys.
        assert pickle.dumps(reader) == pickled
        assert reader.refresh()
        assert pickle.dumps(reader) != pickled
    with pytest.raises(capturefile.CaptureFileNotOpen):
        pickle.dumps(reader)
    with RotatingWriter(folder, sync="none") as writer, pytest.raises(TypeError, match="a log has one writer"):
        pickle.dumps(writer)


def test_a_signal_handler_cannot_advance_the_follower_that_it_has_interrupted(folder: Path) -> None:
    """It would wait for itself; a generator refuses this, too."""
    write_files(folder, 1)
    refused = []
    with RotatingReader(folder) as reader:
        follower = reader.follow(2, timeout=0.5)

        def handler(*_: object) -> None:
            with pytest.raises(ValueError, match="already executing"):
                next(follower)
            refused.append(follower.ready())

        before = signal.signal(signal.SIGALRM, handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert list(follower) == []
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    assert len(refused) == 1
