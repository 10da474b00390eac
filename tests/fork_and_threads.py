"""Processes in which one object is shared between threads, across a fork, with a pool, or until the interpreter ends.

The functions at the end are scenarios, like those of `subprocess_scenarios.py`, and are run in the same way.
"""

from __future__ import annotations

import faulthandler
import gc
import multiprocessing
import os
import pickle
import random
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import capturefile
import forking
import subprocess_scenarios
from capturefile import CaptureFile
from concurrency_workload import record
from subprocess_scenarios import PATIENCE, fork, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

CHILD_PATIENCE = 20
"""Seconds after which a forked child is ended by a signal, which its parent then sees."""


def make_file(path: str, count: int) -> None:
    """A new file of `count` records, in many blocks, with the count as metadata."""
    with CaptureFile(path, to_write=True, force_new_empty_file=True, compression_block_size=4096, sync=False) as cf:
        cf.add_records(record(number) for number in range(1, count + 1))
        cf.set_metadata(b"%d" % count)
        cf.commit()


def run_together(works: Sequence[Callable[[], None]]) -> None:
    """Runs all of them in threads at the same time, and raises the exception of one that fails."""
    with ThreadPoolExecutor(len(works)) as pool:
        for future in [pool.submit(work) for work in works]:
            future.result(PATIENCE)


def _read_at_random(cf: CaptureFile[str], times: int, count: int | None = None) -> None:
    source = random.Random(threading.get_ident())
    for _ in range(times):
        number = source.randint(1, count or len(cf))
        assert cf.record_at(number) == record(number)


def in_a_child(work: Callable[[], None]) -> None:
    """Forks a child that does `work` and exits; it must do so without an error and in time."""
    import signal

    child = forking.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status == 0, f"the child exited with {status}"
        return
    signal.alarm(CHILD_PATIENCE)
    try:
        work()
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


# Scenarios


def read_in_threads(path: str) -> None:
    """Many threads read one object in all ways while others refresh it and another object appends to the file."""
    make_file(path, 3000)
    done = threading.Event()
    with CaptureFile(path, cache_size=1 << 18) as cf, CaptureFile(path, to_write=True, sync=False) as writer:
        shared = iter(cf)
        seen: list[str] = []

        def refresh() -> None:
            held = 0
            while not done.is_set():
                cf.refresh()
                count = len(cf)
                assert count >= held
                held = count

        def add() -> None:
            for number in range(3001, 4001):
                writer.add_record(record(number))
                writer.commit()
            done.set()

        def iterate() -> None:
            for number, found in enumerate(cf, start=1):
                assert found == record(number)

        def share_an_iterator() -> None:
            seen.extend(shared)

        def read() -> None:
            _read_at_random(cf, 2000)

        def gather() -> None:
            numbers = random.sample(range(1, 3001), 500)
            assert cf.records_at(numbers) == [record(number) for number in numbers]
            assert cf[2990:3001] == [record(number) for number in range(2990, 3001)]

        run_together([add, refresh, refresh, iterate, share_an_iterator, share_an_iterator, read, read, gather])
        assert sorted(seen) == sorted(record(number) for number in range(1, 3001))
        cf.refresh()
        assert len(cf) == 4000
    say("done")


def commit_in_threads(path: str) -> None:
    """Many threads commit each of their records durably; others see immediately what a thread has committed."""
    threads, each = 8, 60
    with capturefile.open(path, "x") as cf:

        def work(name: int) -> None:
            with capturefile.open(path) as other:
                for turn in range(each):
                    count = cf.add_record(f"{name} {turn}")
                    cf.commit()
                    other.refresh()
                    assert other.record_at(count) == f"{name} {turn}"

        run_together([partial(work, name) for name in range(threads)])
        stats = cf.stats()
    assert stats.records == threads * each
    assert stats.commits <= threads * each
    found = [record.split() for record in capturefile.open(path)]
    for name in range(threads):
        assert [int(turn) for owner, turn in found if int(owner) == name] == list(range(each))
    say("done")


def write_in_threads(path: str) -> None:
    """Many threads write through one object, and read uncommitted records."""
    threads, each = 6, 400
    counts: list[int] = []
    with CaptureFile(path, to_write=True, sync=False, cache_size=1 << 18) as cf:

        def write(name: int) -> None:
            for turn in range(each):
                count = cf.add_record(f"{name} {turn} " + "x" * (turn * 37 % 900))
                counts.append(count)
                assert cf.record_count() >= count
                if turn % 10 == 0:
                    cf.commit()
                    assert cf.record_at(count).startswith(f"{name} {turn} ")

        def read() -> None:
            while len(counts) < threads * each:
                count = len(cf)
                if count:
                    assert cf.record_at(random.randint(1, count))
                    assert len(list(cf)) >= count

        run_together([*(lambda name=name: write(name) for name in range(threads)), read, read])
        cf.commit()
        found = list(cf)
    assert sorted(counts) == list(range(1, threads * each + 1))
    for name in range(threads):
        mine = [int(text.split(" ")[1]) for text in found if text.startswith(f"{name} ")]
        assert mine == list(range(each))
    say("done")


def use_and_close_in_threads(path: str) -> None:
    """Threads read, follow and write one object while others close and open it again."""
    make_file(path, 500)
    done = threading.Event()
    allowed = (
        capturefile.CaptureFileNotOpen,
        capturefile.CaptureFileNotOpenForWrite,
        capturefile.CaptureFileAlreadyOpen,
    )
    warnings.simplefilter("ignore", capturefile.UncommittedWarning)
    cf = CaptureFile(path, cache_size=0, sync=False)
    uses: list[Callable[[], object]] = [
        lambda: _read_at_random(cf, 5, 500),
        lambda: list(cf),
        lambda: [list(cf.follow(1, timeout=0.01)), list(cf.follow(timeout=0.01))],
        lambda: [cf.refresh(), cf.get_metadata(), cf.info(), repr(cf), len(cf)],
        lambda: [cf.add_record(record(len(cf) + 1)), iter(cf)],
        lambda: cf.rollback(),
        lambda: cf.records_at(range(1, 500, 7)),
        lambda: pickle.loads(pickle.dumps(CaptureFile(path))).close(),
    ]

    def use(work: Callable[[], object]) -> None:
        while not done.is_set():
            with suppress(*allowed):
                work()

    def close_and_open() -> None:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            for to_write in (False, True):
                cf.close()
                cf.open(to_write)
                time.sleep(0.002)
        done.set()

    def guarded_use(work: Callable[[], object]) -> None:
        try:
            use(work)
        finally:
            done.set()

    run_together([close_and_open, *(lambda work=work: guarded_use(work) for work in uses)])
    cf.close()
    say("done")


def close_under_followers(path: str) -> None:
    """Closes an object that several threads follow, two of them through one iterator; all of them end."""
    make_file(path, 10)
    for _ in range(20):
        _close_under_followers(CaptureFile(path))
    say("done")


def _close_under_followers(cf: CaptureFile[str]) -> None:
    shared = cf.follow(1)
    followers: list[Iterable[str]] = [shared, shared, cf.follow(1), cf.follow(5)]
    started = threading.Barrier(len(followers) + 1)

    def follow(mine: Iterable[str]) -> None:
        started.wait(PATIENCE)
        # The object may be closed before a thread gets to its first record.
        assert len(list(mine)) <= 10

    def close() -> None:
        started.wait(PATIENCE)
        cf.close()

    run_together([close, *(lambda mine=mine: follow(mine) for mine in followers)])


def close_beside_reads_of_uncommitted_records(path: str) -> None:
    """Closes, or rolls back and closes, while threads inflate large uncommitted records."""
    large = os.urandom(4 << 20)
    warnings.simplefilter("ignore", capturefile.UncommittedWarning)
    for turn in range(10):
        cf = capturefile.open(path, "w", encoding=None, cache_size=0, sync=False, compression_level=1)
        for _ in range(3):
            cf.add_record(large)
        iterators = [iter(cf), iter(cf)]

        def read(records: Iterable[bytes]) -> None:
            assert list(records) == [large] * 3

        def close(turn: int = turn, cf: CaptureFile[bytes] = cf) -> None:
            time.sleep(turn * 0.002)
            if turn % 2:
                cf.rollback()
                cf.add_record(large[::-1])
            cf.close()

        run_together([close, *(lambda records=records: read(records) for records in iterators)])
    say("done")


def fork_with_open_readers(path: str) -> None:
    """Forks repeatedly; parent and children continue with the same objects and iterators."""
    faulthandler.cancel_dump_traceback_later()
    count = 2000
    make_file(path, count)
    # With room for several blocks, which are read ahead by threads that the child does not have.
    with CaptureFile(path, cache_size=1 << 20, threads=3) as cf:
        ahead, back, follower = iter(cf), reversed(cf), cf.follow(1, timeout=0)
        for number in range(1, 500):
            assert next(ahead) == next(follower) == record(number)
            assert next(back) == record(count + 1 - number)

        def continue_iterating() -> None:
            assert list(ahead) == [record(number) for number in range(500, count + 1)]
            assert list(follower) == [record(number) for number in range(500, count + 1)]
            assert list(back) == [record(number) for number in range(count + 1 - 500, 0, -1)]
            _read_at_random(cf, 300)
            cf.refresh()
            with pickle.loads(pickle.dumps(cf)) as other:
                _read_at_random(other, 10)
            cf.close()

        for _ in range(5):
            in_a_child(continue_iterating)
        in_a_child(lambda: in_a_child(continue_iterating))
        continue_iterating()
    say("done")


def fork_during_read_ahead(path: str) -> None:
    """Forks while threads read ahead for an iterator, which the child continues without those threads."""
    faulthandler.cancel_dump_traceback_later()
    block_size = 1 << 20
    with CaptureFile(path, to_write=True, compression_block_size=block_size, sync=False) as cf:
        cf.add_records(str(number).ljust(block_size) for number in range(50))
        cf.commit()
    with CaptureFile(path, threads=4) as cf:
        for first in range(5, 15, 3):
            records = iter(cf)
            for number in range(first):
                assert int(next(records)) == number
            in_a_child(lambda records=records, first=first: _check_numbers(records, first))  # type: ignore[misc]
            _check_numbers(records, first)
    say("done")


def _check_numbers(records: Iterator[str], first: int) -> None:
    assert [int(record) for record in records] == list(range(first, 50))


def fork_beside_threads(path: str) -> None:
    """Forks while other threads read and write through objects that the child then uses, closes and drops."""
    faulthandler.cancel_dump_traceback_later()
    make_file(path, 1000)
    done = threading.Event()
    cf = CaptureFile(path, cache_size=1 << 17)
    followed = CaptureFile(path)
    writer = CaptureFile(path, to_write=True, sync=False, cache_size=0)
    shared = [iter(cf)]

    def read() -> None:
        while not done.is_set():
            _read_at_random(cf, 50)
            for _ in shared[0]:
                pass
            shared[0] = iter(cf)

    def follow() -> None:
        for _ in followed.follow():
            pass

    def write() -> None:
        while not done.is_set():
            number = writer.add_record(record(writer.record_count() + 1))
            assert writer.record_at(number) == record(number)
            if number % 5 == 0:
                writer.commit()

    def act_as_child() -> None:
        _read_at_random(cf, 50)
        cf.refresh()
        with suppress(capturefile.CaptureFileNotOpen):
            assert all(shared[0])
        assert writer.record_at(1000) == record(1000)
        assert writer.record_count() >= 1000
        for work in (writer.commit, lambda: writer.add_record("of the child")):
            try:
                work()
            except capturefile.CaptureFileNotOpenForWrite:
                continue
            raise AssertionError("a forked child could write")
        writer.close()
        cf.close()
        shared.clear()
        gc.collect()

    def fork_repeatedly() -> None:
        try:
            for _ in range(40):
                in_a_child(act_as_child)
        finally:
            done.set()
            followed.close()

    run_together([fork_repeatedly, read, read, follow, write])
    cf.close()
    writer.rollback()
    writer.close()
    assert capturefile.verify(path).sound
    say("done")


def fork_with_uncommitted_records(path: str, first_look: str) -> None:
    """The child must not mistake what its parent writes later for the uncommitted records in that place."""
    make_file(path, 10)
    committed = [record(number).encode() for number in range(1, 11)]
    source = random.Random(3)
    first, second = ([source.randbytes(30_000) for _ in range(8)] for _ in range(2))
    from_child, to_parent = os.pipe()
    from_parent, to_child = os.pipe()
    with CaptureFile(path, to_write=True, encoding=None, cache_size=0, sync=False) as cf:
        cf.add_records(first)
        assert cf[11:19] == first
        uncommitted = cf.record_generator(11)
        if child := fork():
            os.read(from_child, 1)
            cf.rollback()
            cf.add_records(second)
            cf.commit()
            os.write(to_child, b".")
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert list(cf) == committed + second
            say("done")
            return
        expected = committed
        if first_look == "before":
            assert list(cf) == expected
        else:
            expected = committed + second
        os.write(to_parent, b".")
        os.read(from_parent, 1)
        assert (len(cf), list(cf), cf.record_at(10)) == (len(expected), expected, expected[9])
        with suppress(capturefile.CaptureFileNotOpenForWrite):
            assert next(uncommitted) == first[0]
        os._exit(0)


def read_in_pool(path: str, method: str) -> None:
    """Passes a reading object to the processes of a pool: pickled, or inherited by a fork."""
    make_file(path, 1000)
    faulthandler.cancel_dump_traceback_later()
    numbers = list(range(1, 1001, 13))
    with CaptureFile(path) as cf:
        assert cf[1] == record(1)
        context = multiprocessing.get_context(method)
        with context.Pool(2) as pool:
            found = pool.starmap(CaptureFile.record_at, [(cf, number) for number in numbers])
            whole = pool.map(_count_and_close, [cf] * 4)
        assert found == [record(number) for number in numbers]
        assert whole == [(1000, b"1000")] * 4
        assert cf.record_count() == 1000
    say("done")


def _count_and_close(cf: CaptureFile[str]) -> tuple[int, bytes | None]:
    with cf:
        return len(list(cf)), cf.get_metadata()


def end_while_working(path: str, how: str) -> None:
    """Ends the interpreter while daemon threads read, follow and write, and iterators are half consumed."""
    warnings.simplefilter("ignore")
    make_file(path, 1000)
    keep: list[object] = []
    writer = CaptureFile(path, to_write=True, sync=False)
    reader = CaptureFile(path, cache_size=0)

    def forever(work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            while True:
                work()

        return run

    works: list[Callable[[], object]] = [
        lambda: list(reader),
        lambda: list(reader.follow(1)),
        lambda: list(reader.follow()),
        lambda: writer.add_record("x" * 5000),
        lambda: writer.commit(),
        lambda: reader.records_at(range(1, 1000, 3)),
        lambda: CaptureFile(path).close(),
    ]
    for work in works:
        threading.Thread(target=forever(work), daemon=True).start()
    for iterator in (iter(reader), iter(writer), reversed(reader), reader.follow(1)):
        next(iterator)
        keep.append(iterator)
    writer.add_records(["never committed"] * 10)
    sys.modules["keeper"] = keep  # type: ignore[assignment]
    time.sleep(0.05 * random.random())
    say("ending")
    if how == "exit":
        sys.exit(0)
    if how == "interrupt":
        # A signal can arrive after Python has checked for signals and before a system call has begun, while the
        # interpreter lock is being released to other threads. It would not interrupt one long wait.
        for _ in range(1000):
            time.sleep(0.05)


if __name__ == "__main__":
    subprocess_scenarios.main(globals(), *sys.argv[1:])
