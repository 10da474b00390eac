"""One writer and many readers in separate processes, with kills, stops, and files that change while they are open."""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import capturefile
import concurrency_workload
import pytest
from capturefile import CaptureFile
from concurrency_workload import check_state, record
from processes import ScenarioProcess, act, acting, wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("both_formats")

MAX_WAIT_SECONDS = 5.0
"""Seconds that an operation that waits for nothing may take on a busy machine."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A capture file as `concurrency_workload` writes it, with one record."""
    path = tmp_path / "log.capture"
    with CaptureFile(path, to_write=True) as cf:
        commit(cf)
    return path


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """The file in which a writer of `concurrency_workload` records what it has committed."""
    return tmp_path / "marks"


def commit(cf: CaptureFile[str], size: int = 1) -> None:
    """Commits more records of `concurrency_workload`."""
    count = cf.record_count()
    total = cf.add_records(record(number) for number in range(count + 1, count + size + 1))
    cf.set_metadata(b"%d" % total)
    cf.commit()


def acknowledged(marks: Path) -> int:
    """How many records the writer of `concurrency_workload` has committed."""
    return concurrency_workload.Marks(marks).numbers[concurrency_workload.ACKNOWLEDGED]


def finish_reading(reader: ScenarioProcess) -> dict[str, int]:
    """Ends a reading process; returns how many checks each of its jobs made, all without an error."""
    reader.tell("stop")
    checks = dict(line.split(" ", 1) for line in reader.finish())
    assert all(value.isdigit() for value in checks.values()), checks
    return {job: int(value) for job, value in checks.items()}


# Many readers


def test_readers_of_a_busy_writer_see_complete_commits_in_order(path: Path, marks: Path) -> None:
    with ExitStack() as stack:
        writer = stack.enter_context(acting(concurrency_workload.write_for_ever, path, marks, "none"))
        readers = [stack.enter_context(acting(concurrency_workload.read_beside, path)) for _ in range(3)]
        for reader in readers:
            reader.expect("reading")
        start = acknowledged(marks)
        time.sleep(4)
        checks = [finish_reading(reader) for reader in readers]
        assert acknowledged(marks) > start
        writer.kill()
        assert writer.errors() == ""
    assert all(
        set(made) == {job.name for job in concurrency_workload.JOBS} and min(made.values()) > 0 for made in checks
    ), checks


@pytest.mark.only_format_2
@pytest.mark.parametrize("locking", ["locking", "no locking"])
def test_the_reference_reads_while_a_writer_is_busy(path: Path, marks: Path, locking: str) -> None:
    with (
        acting(concurrency_workload.write_for_ever, path, marks, "none"),
        acting(concurrency_workload.read_by_reference, path, locking) as reader,
    ):
        reader.expect("reading")
        start = acknowledged(marks)
        wait_until(lambda: acknowledged(marks) > start + 500)
        reader.tell("stop")
        (checks,) = reader.finish()
        assert int(checks) >= concurrency_workload.MIN_CHECKS


def test_readers_stopped_at_any_point_do_not_delay_the_writer(path: Path) -> None:
    source = random.Random(1)
    with ExitStack() as stack:
        readers = [stack.enter_context(acting(concurrency_workload.read_beside, path)) for _ in range(2)]
        cf = stack.enter_context(CaptureFile(path, to_write=True, sync=False))
        for reader in readers:
            reader.expect("reading")
        for _ in range(10):
            time.sleep(0.01 * source.random())
            for reader in readers:
                reader.signal(signal.SIGSTOP)
            start = time.monotonic()
            for size in (1, 100, 1):
                commit(cf, size)
            assert time.monotonic() - start < MAX_WAIT_SECONDS
            for reader in readers:
                reader.signal(signal.SIGCONT)
        for reader in readers:
            finish_reading(reader)


def test_a_writer_stopped_at_any_point_delays_no_reader(path: Path, marks: Path) -> None:
    source = random.Random(2)
    held = 0
    with acting(concurrency_workload.write_for_ever, path, marks, "none") as writer, CaptureFile(path) as reader:
        wait_until(lambda: acknowledged(marks) > 1)
        for _ in range(40):
            time.sleep(0.01 * source.random())
            writer.signal(signal.SIGSTOP)
            start = time.monotonic()
            reader.refresh()
            held = check_state(reader, held)
            with CaptureFile(path) as fresh:
                assert check_state(fresh) == held
            assert time.monotonic() - start < MAX_WAIT_SECONDS
            assert held >= acknowledged(marks)
            writer.signal(signal.SIGCONT)


# Kills


@pytest.mark.parametrize(("sync", "kills"), [("none", 60), ("barrier", 20), ("full", 20)])
def test_a_killed_writer_loses_no_commit_and_leaves_none_incomplete(
    path: Path, marks: Path, sync: str, kills: int
) -> None:
    seed = random.randrange(2**32)
    with (
        acting(concurrency_workload.kill_writers, path, marks, sync, kills, seed) as killer,
        acting(concurrency_workload.read_beside, path) as reader,
    ):
        reader.expect("reading")
        (line,) = killer.finish()
        assert int(line.removeprefix("records ")) > 1, f"seed {seed}"
        finish_reading(reader)
    with CaptureFile(path, to_write=True) as cf:
        commit(cf)
        assert check_state(cf) == cf.info().record_count
    assert capturefile.verify(path).sound


def test_a_writer_killed_while_it_creates_a_file_leaves_none_or_a_complete_one(tmp_path: Path, marks: Path) -> None:
    seed = random.randrange(2**32)
    for turn in range(10):
        path = tmp_path / f"{turn}.capture"
        assert act(concurrency_workload.kill_writers, path, marks, "none", 3, seed + turn), f"seed {seed}"


# Following


def test_a_follower_in_another_process_sees_commits_soon(tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    with (
        CaptureFile(path, to_write=True, sync=False) as cf,
        acting(concurrency_workload.follow_with_times, path) as follower,
    ):
        follower.expect("following")
        late = []
        for _ in range(25):
            cf.add_record(repr(time.monotonic()))
            cf.commit()
            late.append(float(follower.hear()))
    assert statistics.median(late) < 0.05, late


def test_ctrl_c_ends_a_wait_that_uses_almost_no_processor_time(path: Path) -> None:
    with acting(concurrency_workload.wait_for_nothing, path) as follower:
        follower.expect("following")
        time.sleep(1)
        start = time.monotonic()
        follower.signal(signal.SIGINT)
        word, used = follower.hear().split()
        assert time.monotonic() - start < MAX_WAIT_SECONDS
        assert word == "interrupted"
        assert float(used) < 0.1
        assert follower.finish() == [record(1)]


# Files that change


def test_a_reader_continues_with_the_old_file_when_it_is_replaced(path: Path) -> None:
    with CaptureFile(path, to_write=True) as cf:
        commit(cf, 2000)
    with CaptureFile(path, cache_size=0) as reader:
        records, follower = iter(reader), reader.follow(1, timeout=0)
        expected = [record(number) for number in range(1, 2002)]
        assert next(records) == next(follower) == expected[0]
        with CaptureFile(path, to_write=True, force_new_empty_file=True, initial_metadata=b"new") as cf:
            cf.add_record("another file")
            cf.commit()
            assert not reader.refresh()
            assert list(records) == [next(follower) for _ in expected[1:]] == expected[1:]
            with pytest.raises(capturefile.CaptureFileReplaced):
                next(follower)
            assert check_state(reader) == 2001
        reader.close()
        reader.open()
        assert (list(reader), reader.get_metadata()) == (["another file"], b"new")


def test_a_reader_continues_with_a_removed_file(path: Path) -> None:
    with CaptureFile(path, cache_size=0) as reader:
        path.unlink()
        assert not reader.refresh()
        assert list(reader) == [record(1)]
        reader.close()
        with pytest.raises(FileNotFoundError):
            reader.open()


def test_a_file_truncated_while_it_is_read_is_an_error_and_not_a_signal(path: Path) -> None:
    with CaptureFile(path, to_write=True) as cf:
        commit(cf, 3000)
        whole = cf.info().file_limit // 4096 * 4096
    start = 86_016
    assert whole > start + 2 * 4096
    for cut in [0, 1, 26, 27, 4096, 4100, 45_056, start - 1, start, start + 1, start + 4097, whole - 4096, whole - 1]:
        print("cut to", cut)
        assert act(concurrency_workload.read_while_truncated, path, cut) == ["refused and recovered"]


def test_unused_room_at_the_end_of_a_file_can_be_removed(path: Path) -> None:
    """The length of a file has no meaning; only the committed bytes must be there."""
    with CaptureFile(path) as reader:
        needed = reader.info().file_limit
    assert path.stat().st_size > needed
    os.truncate(path, needed)
    with CaptureFile(path) as reader:
        assert list(reader) == [record(1)]
    with CaptureFile(path, to_write=True) as cf:
        commit(cf, 1000)
        assert list(cf) == [record(number) for number in range(1, 1002)]
