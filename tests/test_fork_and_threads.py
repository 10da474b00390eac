"""One object shared by threads, by forked children, by pools; and snapshots of a file that grows."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING

import fork_and_threads
import pytest
from capturefile import CaptureFile
from processes import PATIENCE, act, acting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A path for a capture file."""
    return tmp_path / "log.capture"


# Threads


def test_one_object_is_read_by_many_threads(path: Path) -> None:
    assert act(fork_and_threads.read_in_threads, path) == ["done"]


def test_one_object_is_written_by_many_threads(path: Path) -> None:
    assert act(fork_and_threads.write_in_threads, path) == ["done"]


def test_threads_share_commits(path: Path) -> None:
    assert act(fork_and_threads.commit_in_threads, path) == ["done"]


def test_threads_can_close_and_reopen_an_object_in_use(path: Path) -> None:
    assert act(fork_and_threads.use_and_close_in_threads, path) == ["done"]


def test_closing_ends_followers_in_other_threads(path: Path) -> None:
    assert act(fork_and_threads.close_under_followers, path) == ["done"]


def test_closing_during_a_read_of_uncommitted_records_raises_no_signal_and_loses_no_record(path: Path) -> None:
    assert act(fork_and_threads.close_beside_reads_of_uncommitted_records, path) == ["done"]


# Forks and pools


def test_open_readers_and_their_iterators_survive_a_fork_on_both_sides(path: Path) -> None:
    assert act(fork_and_threads.fork_with_open_readers, path) == ["done"]


def test_an_iterator_continues_in_a_forked_child_without_its_read_ahead_threads(path: Path) -> None:
    assert act(fork_and_threads.fork_during_read_ahead, path) == ["done"]


def test_a_child_forked_while_threads_are_busy_can_read_and_close(path: Path) -> None:
    assert act(fork_and_threads.fork_beside_threads, path) == ["done"]


@pytest.mark.parametrize("first_look", ["before", "after"])
def test_a_child_sees_commits_and_nothing_that_its_parent_rolls_back(path: Path, first_look: str) -> None:
    assert act(fork_and_threads.fork_with_uncommitted_records, path, first_look) == ["done"]


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_reader_is_passed_to_the_processes_of_a_pool(path: Path, method: str) -> None:
    assert act(fork_and_threads.read_in_pool, path, method) == ["done"]


# The end of the interpreter


@pytest.mark.parametrize("how", ["return", "exit"])
def test_the_interpreter_exits_while_threads_are_busy(path: Path, how: str) -> None:
    for _ in range(5):
        assert act(fork_and_threads.end_while_working, path, how) == ["ending"]


def test_the_interpreter_exits_on_ctrl_c_while_threads_are_busy(path: Path) -> None:
    with acting(fork_and_threads.end_while_working, path, "interrupt") as process:
        process.expect("ending")
        process.signal(signal.SIGINT)
        assert process.process.wait(PATIENCE) == -signal.SIGINT
        assert process.errors().endswith("KeyboardInterrupt\n")


# Snapshots


def grow(cf: CaptureFile[bytes]) -> None:
    cf.add_records([b"added"] * 2000)


def grow_and_commit(cf: CaptureFile[bytes]) -> None:
    grow(cf)
    cf.commit()
    grow(cf)
    cf.commit()


def roll_back(cf: CaptureFile[bytes]) -> None:
    cf.rollback()


def write_over(cf: CaptureFile[bytes]) -> None:
    """Rolls back what is uncommitted and writes other bytes in its place."""
    cf.rollback()
    cf.add_records(random.randbytes(20_000) for _ in range(20))
    cf.commit()


def close(cf: CaptureFile[bytes]) -> None:
    cf.rollback()
    cf.close()


def replace(cf: CaptureFile[bytes]) -> None:
    cf.rollback()
    cf.close()
    CaptureFile(cf.file_name, force_new_empty_file=True).close()


@pytest.mark.parametrize("change", [grow, grow_and_commit, roll_back, write_over, close, replace])
@pytest.mark.parametrize("cache_size", [0, 64 << 20])
def test_an_iterator_keeps_the_records_it_started_with(
    path: Path, change: Callable[[CaptureFile[bytes]], None], cache_size: int
) -> None:
    source = random.Random(5)
    records = [source.randbytes(source.randrange(15_000)) for _ in range(60)]
    with CaptureFile(path, to_write=True, encoding=None, sync=False, cache_size=cache_size) as cf:
        cf.add_records(records[:30])
        cf.commit()
        cf.add_records(records[30:])
        ahead, back, untouched = iter(cf), reversed(cf), iter(cf)
        assert [next(ahead) for _ in range(20)] == records[:20]
        assert [next(back) for _ in range(20)] == records[:-21:-1]
        change(cf)
        assert list(ahead) == records[20:]
        assert list(back) == records[-21::-1]
        assert list(untouched) == records
        if not cf.closed:
            cf.rollback()


def test_iterators_continue_during_any_changes_by_the_writer(path: Path) -> None:
    seed = random.randrange(2**32)
    source = random.Random(seed)
    committed: list[bytes] = []
    now: list[bytes] = []
    iterators: list[tuple[Iterator[bytes], list[bytes]]] = []
    cf = CaptureFile(path, to_write=True, encoding=None, sync=False, cache_size=0)
    for _ in range(600):
        action = source.choice(["add", "add", "add", "iterate", "read", "commit", "roll back", "reopen"])
        if action == "add":
            more = [source.randbytes(source.randrange(9000)) for _ in range(source.randrange(12))]
            cf.add_records(more)
            now = now + more
        elif action == "iterate":
            first = source.randint(1, len(now) + 1)
            iterators.append((cf.record_generator(first), now[first - 1 :]))
        elif action == "commit":
            cf.commit()
            committed = now
        elif action in ("roll back", "reopen"):
            cf.rollback()
            now = committed
        if action == "reopen":
            cf.close()
            cf.open(to_write=True)
        assert len(cf) == len(now), f"seed {seed}"
        for iterator, left in iterators:
            for _ in range(min(3, len(left))):
                assert next(iterator) == left.pop(0), f"seed {seed}"
    for iterator, left in iterators:
        assert list(iterator) == left, f"seed {seed}"
    cf.rollback()
    cf.close()
