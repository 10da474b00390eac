"""Rotated logs: writers that start new files, and logs after crashes."""

from __future__ import annotations

import errno
import json
import os
import random
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
import rotating_scenarios
from capturefile import CaptureFile
from capturefile._files import sync_path
from capturefile.rotating import RotatingReader, RotatingWriter, manifest, writer
from files import RefusedError
from forking import fork
from processes import act, acting
from rotating_logs import check, numbered, write_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a log."""
    return tmp_path / "log"


# Writing


def test_a_new_file_is_started_at_the_maximum_size(folder: Path) -> None:
    with RotatingWriter(folder, max_bytes=200_000, sync="none") as log:
        for number in range(1, 301):
            log.add_record(random.randbytes(10_000))
            assert log.record_count() == number
            log.commit()
    with RotatingReader(folder, encoding=None) as log:
        files = log.files()
    assert [file.first_record for file in files[1:]] == [file.last_record + 1 for file in files[:-1]]
    assert files[-1].last_record == 300
    assert [file.sealed for file in files] == [True] * (len(files) - 1) + [False]
    assert len(files) > 10
    for file in files[:-1]:
        with CaptureFile(file.path) as cf:
            assert len(cf) == file.record_count
            assert 200_000 <= cf.info().file_limit + cf.info().pending_bytes < 220_000


def test_a_new_file_is_started_at_the_maximum_age(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    log = RotatingWriter(folder, max_age=3600, sync="none")
    log.add_record("record 1")
    now += 3599
    log.commit()
    log.add_record("record 2")
    now += 1
    log.commit()
    log.close()
    log = RotatingWriter(folder, max_age=3600, sync="none")
    assert log.record_count() == 2
    assert log.add_record("record 3") == 3
    now += 3600
    log.add_record("record 4")
    log.commit()
    log.close()
    with RotatingReader(folder) as reader:
        files = reader.files()
    assert [file.record_count for file in files] == [2, 2]
    assert [file.started for file in files] == [now - 7200, now - 3600]


@pytest.mark.parametrize("ahead", [1000, 10**9])
def test_a_clock_that_is_set_back_does_not_prevent_rotation(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    """The clock of a board without a battery may have been years ahead, or behind, when the file was started."""
    clocks = [time.time() + ahead, 5000.0]
    monkeypatch.setattr(time, "time", lambda: clocks[0])
    monkeypatch.setattr(time, "monotonic", lambda: clocks[1])
    with RotatingWriter(folder, max_age=3600, sync="none") as log:
        log.add_record("record 1")
        log.commit()
        clocks[0] -= ahead
        first = log.file_name
        clocks[1] += 3599
        log.add_record("record 2")
        log.commit()
        # A start that is more than the maximum age in the future is ignored.
        assert (log.file_name == first) == (ahead == 1000)
        clocks[1] += 3600
        log.add_record("record 3")
        log.commit()
        assert log.file_name != first
        last = log.file_name
    with RotatingWriter(folder, max_age=3600, sync="none") as log:
        log.add_record("record 4")
        assert log.file_name == last
        log.rollback()


def test_a_transaction_of_any_size_stays_in_one_file(folder: Path) -> None:
    with RotatingWriter(folder, max_bytes=10_000, sync="none") as log, log.transaction():
        for number in range(1, 2001):
            log.add_record(f"{number} {random.random()}")
    with RotatingReader(folder) as reader:
        assert [file.record_count for file in reader.files()] == [2000]


def test_without_limits_only_the_user_rotates_and_empty_files_are_not_rotated(folder: Path) -> None:
    with RotatingWriter(folder, sync="none") as log:
        log.rotate()
        log.add_record("record 1")
        log.rotate()
        log.rotate()
        assert log.file_name == str(folder / "00000000000000000002.capture")
        assert log.add_records(numbered(2, 3)) == 3
        log.commit()
    write_files(folder, 2)
    with RotatingReader(folder) as reader:
        assert [(file.first_record, file.last_record) for file in reader.files()] == [(1, 1), (2, 3), (4, 5)]


def test_the_metadata_is_kept_in_a_rotation(folder: Path) -> None:
    with RotatingWriter(folder, initial_metadata=b"at the beginning", sync="none") as log:
        assert log.get_metadata() == b"at the beginning"
        log.add_record("record 1")
        log.set_metadata(b"later")
        log.rotate()
        assert log.get_metadata() == b"later"
        log.set_metadata(None)
        log.rollback()
    with RotatingWriter(folder, initial_metadata=b"not looked at") as log:
        assert log.get_metadata() == b"later"
    with RotatingReader(folder) as reader:
        assert reader.get_metadata() == b"later"


def test_a_transaction_that_raises_leaves_nothing(folder: Path) -> None:
    with RotatingWriter(folder, sync="none") as log:
        with pytest.raises(RefusedError), log.transaction():  # noqa: PT012  # a block is what it is about
            log.add_record("never seen")
            raise RefusedError
        assert log.record_count() == 0
        with log.transaction() as same:
            assert same.add_record("record 1") == 1
    with RotatingReader(folder) as reader:
        assert list(reader.as_sequence()) == ["record 1"]


def test_an_exception_that_ends_a_with_block_is_raised_without_a_warning(folder: Path) -> None:
    def fail(log: RotatingWriter) -> None:
        with log:
            log.add_record("not wanted any more")
            raise RefusedError

    with pytest.raises(RefusedError):
        fail(RotatingWriter(folder, sync="none"))


def test_closing_does_not_commit_and_ends_all_writing(folder: Path) -> None:
    log = RotatingWriter(folder, sync="none")
    log.add_record("lost")
    with pytest.warns(capturefile.UncommittedWarning):
        log.close()
    log.close()
    assert log.closed
    for write in (log.commit, log.rollback, log.rotate, log.record_count, lambda: log.add_record("more")):
        with pytest.raises(capturefile.CaptureFileNotOpen, match="is closed"):
            write()
    with RotatingReader(folder) as reader:
        assert reader.record_count() == 0


@pytest.mark.parametrize("limit", [{"max_bytes": 0}, {"max_age": -1.0}, {"max_age": float("nan")}])
def test_an_invalid_limit_is_refused_before_anything_is_created(folder: Path, limit: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(limit))):
        RotatingWriter(folder, **limit)
    assert not folder.exists()


def test_a_log_has_one_writer(folder: Path) -> None:
    with RotatingWriter(folder):
        assert act(rotating_scenarios.try_to_write_log, folder) == ["refused"]
        with pytest.raises(capturefile.CaptureFileAlreadyOpen):
            RotatingWriter(folder)
    assert act(rotating_scenarios.try_to_write_log, folder) == ["opened"]


def test_a_forked_child_does_not_write(folder: Path) -> None:
    with RotatingWriter(folder, sync="none") as log:
        if not (child := fork()):
            try:
                log.close()
                log.add_record("from the child")
            except capturefile.CaptureFileNotOpenForWrite:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        log.add_record("record 1")
        log.commit()


def test_threads_share_a_writer_over_rotations(folder: Path) -> None:
    numbers: list[int] = []
    counts: list[int] = []
    with RotatingWriter(folder, max_bytes=95_000, sync="none") as log:

        def write() -> None:
            for _ in range(300):
                numbers.append(log.add_record(random.randbytes(300)))
                log.commit()

        def look() -> None:
            while len(numbers) < 1200:
                assert not log.closed
                counts.append(log.record_count())

        threads = [threading.Thread(target=each) for each in (write, write, write, write, look)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(numbers) == list(range(1, 1201))
    assert counts == sorted(counts)
    with RotatingReader(folder, encoding=None) as reader:
        assert len(reader.as_sequence()) == 1200
        assert len(reader.files()) > 3


# Crashes and errors


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, if the system has one: for tests of kills, not of disks, that sync often."""
    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path) as folder:
        yield Path(folder)


def test_a_writer_that_dies_at_any_line_loses_nothing(memory: Path) -> None:
    (deaths,) = act(rotating_scenarios.die_at_each_line, memory)
    counts: list[int] = []
    leftovers = 0
    for line in range(int(deaths)):
        folder = memory / str(line)
        files = len(list(folder.glob("0*.capture")))
        if (folder / manifest.NAME).exists():
            with RotatingReader(folder) as reader:
                counts.append(reader.record_count())
                leftovers += files > len(reader.files())
            check(folder, counts[-1])
        write_files(folder, 2)
        check(folder, (counts or [0])[-1] + 2)
    # Commits are kept, and all states have occurred.
    assert counts == sorted(counts)
    assert set(counts) == {0, 2, 3}
    assert leftovers > 2
    assert int(deaths) > 100


@pytest.mark.parametrize("sync", ["full", "none"])
def test_killed_writers_lose_and_repeat_nothing_for_followers(folder: Path, sync: str) -> None:
    write_files(folder, 1)
    acknowledged, rounds = 1, 8
    target = 2000
    with acting(rotating_scenarios.follow_log, folder, target) as follower:
        follower.expect("following")
        while rounds or acknowledged < target:
            rounds = max(rounds - 1, 0)
            acknowledged = write_and_kill(folder, sync, acknowledged, random.randrange(1, 60))
        follower.expect(f"seen {target}")
        follower.finish()
    with RotatingReader(folder) as reader:
        assert len(reader.files()) > 5
        check(folder, reader.record_count())


def write_and_kill(folder: Path, sync: str, acknowledged: int, lines: int) -> int:
    """Kills a writer after it has printed this many lines; returns how many records must be there."""
    with acting(rotating_scenarios.write_log, folder, sync) as writer:
        word, count, bookmark = writer.hear().split()
        assert (word, count) == ("open", bookmark)
        assert int(count) >= acknowledged
        acknowledged = int(count)
        for _ in range(lines):
            word, number = writer.hear().split()
            acknowledged = int(number) if word == "committed" else acknowledged
        writer.kill()
    return acknowledged


def fail_with_a_full_disk(*_: object, **__: object) -> None:
    """Fails like a step that finds the disk full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_rotation_that_finds_the_disk_full_can_be_retried(
    folder: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """The three syncs are the old file's, the new one's and the folder's."""
    calls: list[Path] = []
    sync = sync_path

    def fail_once(path: Path) -> None:
        calls.append(path)
        if len(calls) == failing:
            fail_with_a_full_disk()
        sync(path)

    with RotatingWriter(folder, sync="none") as log:
        log.add_record("record 1")
        log.set_metadata(b"1")
        log.commit()
        monkeypatch.setattr(writer, "sync_path", fail_once)
        with pytest.raises(OSError, match="No space"):
            log.rotate()
        assert [path.name for path in folder.glob("0*")] == ["00000000000000000001.capture"]
        log.rotate()
        assert log.file_name.endswith("02.capture")
        assert calls[-3:] == [folder / "00000000000000000001.capture", folder / "00000000000000000002.capture", folder]
        log.add_record("record 2")
        log.set_metadata(b"2")
        log.commit()
    check(folder, 2)


def announce_nothing(_manifest: CaptureFile[str], _first: int) -> None:
    """An announcement that fails immediately."""
    fail_with_a_full_disk()


def announce_half(manifest: CaptureFile[str], _first: int) -> None:
    """An announcement that is never committed."""
    manifest.add_record("never committed")
    fail_with_a_full_disk()


def announce_and_fail(manifest: CaptureFile[str], first: int) -> None:
    """An announcement that is committed, after which the call fails."""
    announce(manifest, first)
    fail_with_a_full_disk()


def close_the_manifest(manifest: CaptureFile[str], _first: int) -> None:
    """The state after a commit with an unknown result: the manifest must be reopened."""
    manifest.close()
    fail_with_a_full_disk()


announce = manifest.announce


@pytest.mark.parametrize("failing", [announce_nothing, announce_half, announce_and_fail, close_the_manifest])
def test_after_a_failed_announcement_a_writer_continues_where_the_manifest_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, failing: Callable[[CaptureFile[str], int], None]
) -> None:
    with RotatingWriter(folder, sync="none") as log:
        log.add_record("record 1")
        log.set_metadata(b"1")
        with monkeypatch.context() as patch:
            patch.setattr(manifest, "announce", failing)
            with pytest.raises(OSError, match="No space"):
                log.rotate()
        expected = 2 if failing is announce_and_fail else 1
        assert log.file_name.endswith(f"{expected}.capture")
        assert len(list(folder.glob("0*"))) == expected
        log.rotate()
        log.add_record("record 2")
        log.set_metadata(b"2")
        log.commit()
    check(folder, 2)
    with RotatingReader(folder) as reader:
        assert [file.first_record for file in reader.files()] == [1, 2]


def test_the_next_call_reopens_a_log_whose_reopening_failed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RotatingWriter(folder, sync="none") as log:
        log.add_record("record 1")
        with monkeypatch.context() as patch:
            patch.setattr(manifest, "announce", close_the_manifest)
            patch.setattr(manifest, "open_for_writing", fail_with_a_full_disk)
            for _ in range(2):
                with pytest.raises(OSError, match="No space"):
                    log.rotate()
        log.add_record("record 2")
        log.set_metadata(b"2")
        log.commit()
        assert [path.name for path in folder.glob("0*")] == ["00000000000000000001.capture"]
    check(folder, 2)


def test_a_signal_handler_cannot_use_a_log_during_its_rotation(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def announce_and_handle(announced: CaptureFile[str], first: int) -> manifest.Entry:
        """A handler that is called here would add to a file that is no longer current."""
        with pytest.raises(ValueError, match="already executing"):
            log.add_record("record 2")
        return announce(announced, first)

    with RotatingWriter(folder, sync="none") as log:
        monkeypatch.setattr(manifest, "announce", announce_and_handle)
        log.add_record("record 1")
        log.rotate()
        log.add_record("record 2")
        log.set_metadata(b"2")
        log.commit()
    check(folder, 2)


def test_a_file_with_records_that_is_not_in_the_manifest_is_never_deleted(folder: Path) -> None:
    write_files(folder, 2)
    old_manifest = (folder / manifest.NAME).read_bytes()
    write_files(folder, 3)
    (folder / manifest.NAME).write_bytes(old_manifest)
    with pytest.raises(
        capturefile.InvalidCaptureFile, match=r"000003.capture' has 3 records, but is not in the folder's manifest"
    ):
        RotatingWriter(folder)
    assert (folder / "00000000000000000003.capture").exists()


def test_a_log_without_its_last_file_cannot_be_continued(folder: Path) -> None:
    write_files(folder, 2, 2)
    (folder / "00000000000000000003.capture").unlink()
    with pytest.raises(capturefile.InvalidCaptureFile, match="last file of a log"):
        RotatingWriter(folder)


def test_a_copy_without_the_last_announced_files_can_be_read(folder: Path) -> None:
    """A copy that is made during rotations has a manifest that is newer than its files."""
    write_files(folder, 2, 2, 2)
    for first in (3, 5):
        (folder / f"{first:020}.capture").unlink()
    with RotatingReader(folder) as reader:
        assert (reader.record_count(), reader.get_metadata()) == (2, b"2")
        assert list(reader.as_sequence()) == ["record 1", "record 2"]
        assert [file.first_record for file in reader.files()] == [1]
        follower = reader.follow(1, timeout=0)
        assert [next(follower), next(follower)] == ["record 1", "record 2"]
        with pytest.raises(capturefile.InvalidCaptureFile, match="every file after it"):
            next(follower)
    (folder / f"{1:020}.capture").unlink()
    with pytest.raises(capturefile.InvalidCaptureFile, match="every file after it"):
        RotatingReader(folder)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["{}"], "does not announce a file"),
        (['{"first": 1'], "does not announce a file"),
        (['{"first": 1.5, "started": 0}'], "does not announce a file"),
        (['{"first": 2, "started": 0}'], "record 2 as the first one"),
        (['{"first": 1, "started": 0}', '{"first": 1, "started": 0}'], "record 1 after one that starts with record 1"),
    ],
)
def test_an_invalid_manifest_is_refused(folder: Path, lines: list[str], message: str) -> None:
    folder.mkdir()
    with CaptureFile(folder / manifest.NAME, True, manifest.FORMAT) as cf:
        cf.add_records(lines)
        cf.commit()
    for opened in (RotatingReader, RotatingWriter):
        with pytest.raises(capturefile.InvalidCaptureFile, match=message):
            opened(folder)


def test_a_manifest_of_a_later_version_is_refused(folder: Path) -> None:
    folder.mkdir()
    CaptureFile(folder / manifest.NAME, True, b'{"capturefile.rotating": 2}').close()
    for opened in (RotatingReader, RotatingWriter):
        with pytest.raises(capturefile.InvalidCaptureFile, match="not a manifest that this version supports"):
            opened(folder)


def test_the_manifest_is_a_readable_capture_file(folder: Path) -> None:
    write_files(folder, 3, 2)
    with CaptureFile(folder / "_manifest.capture") as cf:
        assert [json.loads(line)["first"] for line in cf] == [1, 4]
