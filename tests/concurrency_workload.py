"""The processes that write and read one file at the same time; the number of a record determines its content.

The functions at the end are scenarios, like those of `subprocess_scenarios.py`, and are run in the same way.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import capturefile
import subprocess_scenarios
from capturefile import CaptureFile
from subprocess_scenarios import PATIENCE, fork, listen, say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SyncMode: TypeAlias = Literal["full", "barrier", "none"]
HUGE_EVERY = 701
"""One record in this many is larger than a block."""
MIN_CHECKS = 20
"""Minimum number of checks of a reader, even if it starts to run only after it has been told to stop."""


def record(number: int) -> str:
    """Returns the record with this number, which is the same for every writer."""
    repeats = 20_000 if number % HUGE_EVERY == 0 else number * 7919 % 61
    return f"{number}:" + f"{number * 2654435761 % 2**32:08x}" * repeats


def check_state(cf: CaptureFile[str], held: int = 0) -> int:
    """Checks that the object shows a complete commit with at least `held` records; returns their number."""
    count = cf.record_count()
    assert count >= held, f"{count} records, although {held} had been seen before"
    assert cf.get_metadata() == (b"%d" % count), f"the metadata is not that of the commit of {count} records"
    if count:
        assert cf[-1] == record(count)
        number = random.randint(1, count)
        assert cf.record_at(number) == record(number)
    return count


class Marks:
    """Numbers in a file that a process sets without a system call, and that remain however the process ends."""

    def __init__(self, path: str | Path) -> None:
        """Opens the file at `path`, or creates it."""
        with Path(path).open("a+b") as file:
            file.truncate(mmap.PAGESIZE)
            self.numbers = memoryview(mmap.mmap(file.fileno(), mmap.PAGESIZE)).cast("Q")


INTENDED, ACKNOWLEDGED = 0, 1
SLOT_POSITIONS = (4096, 45_056)


def write_commits(path: str, marks: Marks, sync: SyncMode, seed: int) -> None:
    """Writes commits of all sizes forever, as fast as it can."""
    source = random.Random(seed)
    cf = CaptureFile(path, to_write=True, initial_metadata=b"0", sync=sync)
    count = cf.record_count()
    while True:
        size = source.choice([1, 1, 1, 2, 10, 50, 300])
        cf.add_records(record(number) for number in range(count + 1, count + size + 1))
        if source.random() < 0.1:
            cf.rollback()
            continue
        count += size
        cf.set_metadata(b"%d" % count)
        marks.numbers[INTENDED] = count
        cf.commit()
        marks.numbers[ACKNOWLEDGED] = count


# Scenarios


def write_for_ever(path: str, marks: str, sync: SyncMode) -> None:
    """Writes commits as fast as it can until it is killed."""
    write_commits(path, Marks(marks), sync, seed=os.getpid())


def kill_writers(path: str, marks_path: str, sync: SyncMode, kills: str, seed: str) -> None:
    """Starts a writer, kills it at a random moment, and checks the file; `kills` times."""
    source = random.Random(int(seed))
    marks = Marks(marks_path)
    marks.numbers[INTENDED] = marks.numbers[ACKNOWLEDGED] = 0
    if Path(path).exists():
        with CaptureFile(path) as cf:
            marks.numbers[INTENDED] = marks.numbers[ACKNOWLEDGED] = cf.record_count()
    checked = 0
    for turn in range(int(kills)):
        writer = fork()
        if not writer:
            write_commits(path, marks, sync, source.getrandbits(32))
        if turn % 2:
            _await_commit(marks)
        time.sleep(source.choice([0.002, 0.02, 0.1]) * source.random())
        os.kill(writer, signal.SIGKILL)
        assert os.waitpid(writer, 0)[1] == signal.SIGKILL, "the writer exited before it was killed"
        if Path(path).exists():
            checked = _check_after_kill(path, marks, checked, whole=turn % 10 == 0)
    say("records", checked)


def _await_commit(marks: Marks) -> None:
    """Waits until the writer has made a commit, which takes longer on a busy machine."""
    before = marks.numbers[ACKNOWLEDGED]
    deadline = time.monotonic() + PATIENCE / 4
    while marks.numbers[ACKNOWLEDGED] == before and time.monotonic() < deadline:
        time.sleep(0.001)


def _check_after_kill(path: str, marks: Marks, checked: int, *, whole: bool) -> int:
    with CaptureFile(path) as cf:
        count = check_state(cf)
        assert count in (marks.numbers[ACKNOWLEDGED], marks.numbers[INTENDED]), (count, list(marks.numbers[:2]))
        # The next writer continues from here, whether or not this one got to know of its last commit.
        marks.numbers[ACKNOWLEDGED] = marks.numbers[INTENDED] = count
        for number, found in enumerate(cf.record_generator(checked + 1), start=checked + 1):
            assert found == record(number)
    if whole:
        # A kill in the middle of writing a slot tears that slot; the other one holds the last commit.
        torn = [problem.position for problem in capturefile.verify(path).problems]
        assert torn in ([], *([position] for position in SLOT_POSITIONS)), torn
    return count


class Job(NamedTuple):
    """Something that a thread of a reading process does repeatedly."""

    name: str
    work: Callable[[str, threading.Event], int]


def _refresh(path: str, done: threading.Event) -> int:
    held = checks = 0
    with CaptureFile(path) as cf:
        while not done.is_set():
            news = cf.refresh()
            count = check_state(cf, held)
            assert news or count == held or not checks
            held = count
            checks += 1
    return checks


def _reopen(path: str, done: threading.Event) -> int:
    held = checks = 0
    while not done.is_set():
        with CaptureFile(path, cache_size=0) as cf:
            held = check_state(cf, held)
        checks += 1
    return checks


def _iterate(path: str, done: threading.Event) -> int:
    checks = 0
    with CaptureFile(path, cache_size=1 << 20) as cf:
        while not done.is_set():
            cf.refresh()
            count = cf.record_count()
            first = max(1, count - 500)
            ahead = cf.record_generator(first)
            back = reversed(cf)
            cf.refresh()
            numbers = range(first, count + 1)
            assert list(ahead) == [record(number) for number in numbers]
            assert [next(back) for _ in numbers] == [record(number) for number in reversed(numbers)]
            chosen = random.choices(range(1, count + 1), k=50) if count else []
            assert cf.records_at(chosen) == [record(number) for number in chosen]
            checks += 1
    return checks


def _follow(path: str, done: threading.Event) -> int:
    checks = 0
    with CaptureFile(path) as cf:
        number = cf.record_count()
        while not done.is_set():
            for found in cf.follow(number + 1, timeout=0.05):
                number += 1
                assert found == record(number)
                checks += 1
                if done.is_set():
                    break
    return checks


JOBS = [Job("refresh", _refresh), Job("open", _reopen), Job("iterate", _iterate), Job("follow", _follow)]


def read_beside(path: str) -> None:
    """Runs each of `JOBS` in a thread until told to stop; reports how many checks each has made."""
    work_beside(path, JOBS)


def work_beside(path: str, jobs: Sequence[Job]) -> None:
    """Runs each job in a thread until told to stop; reports how many checks each has made."""
    done = threading.Event()
    checks: dict[str, int | BaseException] = {}

    def run(job: Job) -> None:
        try:
            checks[job.name] = job.work(path, done)
        except BaseException as error:
            checks[job.name] = error
            raise

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    say("reading")
    listen()
    done.set()
    for thread in threads:
        thread.join(PATIENCE)
    for job in jobs:
        say(job.name, repr(checks[job.name]))


def read_by_reference(path: str, locking: str) -> None:
    """Reads with the reference until told to stop and `MIN_CHECKS` checks are made; reports how many it made.

    Without its locks the reference may reject a file because it read the two master nodes at different moments, or show
    an older state than before. The records that it returns must be right nevertheless.
    """
    from CaptureFile import CaptureFile as Reference
    from CaptureFile import InvalidCaptureFile

    stopping = threading.Thread(target=listen)
    stopping.start()
    locked = locking == "locking"
    held = checks = 0
    cf = None
    say("reading")
    while stopping.is_alive() or checks < MIN_CHECKS:
        try:
            cf = cf or Reference(path, use_os_file_locking=locked)
            cf.refresh()
        except InvalidCaptureFile:
            assert not locked
            cf = None
            continue
        count = cf.record_count()
        assert count >= held or not locked
        if count:
            assert cf.record_at(count) == record(count)
        held = count
        checks += 1
    say(checks)


def follow_with_times(path: str) -> None:
    """Follows a file whose records are the times of their commits; reports how many seconds late each arrives."""
    with CaptureFile(path) as cf:
        say("following")
        for found in cf.follow():
            say(time.monotonic() - float(found))


def wait_for_nothing(path: str) -> None:
    """Follows a file that gets no new records, until Ctrl-C."""
    with CaptureFile(path) as cf:
        say("following")
        used = time.process_time()
        try:
            for _ in cf.follow():
                say("news")
        except KeyboardInterrupt:
            say("interrupted", time.process_time() - used)
            say(cf[1])


def commit_in_sevens(path: str) -> None:
    """Commits seven records at a time until told to stop."""
    stopping = threading.Thread(target=listen)
    stopping.start()
    with CaptureFile(path, to_write=True, sync=False) as cf:
        while stopping.is_alive():
            cf.add_records(map(record, range(len(cf) + 1, len(cf) + 8)))
            cf.commit()


def read_while_truncated(path: str, length: str) -> None:
    """Reads in every way while the file is truncated to `length` bytes, and again once it is complete."""
    whole = Path(path).read_bytes()
    with CaptureFile(path, cache_size=0) as cf:
        count = cf.record_count()
        records, follower = iter(cf), cf.follow(2, timeout=0)
        assert next(records) == record(1)
        assert next(follower) == record(2)
        reads: list[Callable[[], object]] = [
            lambda: cf.record_at(count // 2),
            lambda: cf[2:count],
            lambda: cf.records_at([5, count // 3, count - 50]),
            lambda: list(records),
            lambda: list(reversed(cf)),
            lambda: list(follower),
            lambda: cf.refresh(durable=True),
            lambda: list(CaptureFile(path)),
        ]
        if int(length):  # An empty file would become a capture file.
            reads.append(lambda: CaptureFile(path, to_write=True))
        os.truncate(path, int(length))
        for read in reads:
            _expect_refusal(read)
        assert cf.record_count() == count
        Path(path).write_bytes(whole)
        assert not cf.refresh()
        assert list(cf) == [record(number) for number in range(1, count + 1)]
    say("refused and recovered")


def _expect_refusal(read: Callable[[], object]) -> None:
    try:
        read()
    except capturefile.InvalidCaptureFile:
        return
    raise AssertionError("a truncated file was read")


if __name__ == "__main__":
    import sys

    subprocess_scenarios.main(globals(), *sys.argv[1:])
