"""Commits that are started without waiting: their tickets, their order, and errors, which are never lost."""

from __future__ import annotations

import errno
import gc
import os
import signal
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from capturefile import CaptureFile, CaptureFileNotOpenForWrite, CommitTicket
from capturefile._capturefile import set_commit_hook
from files import RefusedError, committed
from forking import fork
from processes import wait_until
from test_failures import disk, fill

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["disk"]


@pytest.mark.usefixtures("both_formats")
def test_a_ticket_reports_what_is_committed(path: Path) -> None:
    with CaptureFile(path, True) as cf:
        cf.add_records(["one", "two"])
        first = cf.start_commit()
        cf.add_record("three")
        second = cf.start_commit()
        cf.add_record("gone")
        assert (first.record_count, second.record_count) == (2, 3)
        assert [second.result(), first.result(), second.result(timeout=0)] == [3, 2, 3]
        assert first.done()
        assert second.done()
        assert repr(second) == "<CommitTicket: up to record 3, done>"
        assert len(CaptureFile(path)) == 3
        cf.rollback()
        assert cf.start_commit().result() == 3
        assert cf.stats().records == 3


@pytest.mark.usefixtures("both_formats")
def test_started_commits_are_completed_when_the_file_is_closed(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cf = CaptureFile(path, True)
        for number in range(300):
            cf.add_record(str(number))
            ticket = cf.start_commit()
        cf.close()
        assert ticket.done()
        assert ticket.result() == 300
        cf = CaptureFile(path, True)
        cf.add_record("300")
        ticket = cf.start_commit()
        del cf
        gc.collect()
        assert ticket.done()
    assert committed(path) == [b"%d" % number for number in range(301)]


@pytest.mark.usefixtures("both_formats")
def test_nobody_sees_part_of_the_records_between_two_starts(path: Path) -> None:
    with CaptureFile(path, True, sync="none") as cf, CaptureFile(path) as reader:
        done = threading.Event()
        seen: set[int] = set()

        def look() -> None:
            while not done.is_set():
                reader.refresh()
                seen.add(len(reader) % 7)

        looker = threading.Thread(target=look)
        looker.start()
        for _ in range(500):
            for _ in range(7):
                cf.add_record(b"x" * 200)
            cf.start_commit()
        cf.rollback()
        done.set()
        looker.join()
        assert (len(cf), seen) == (3500, {0})


def test_only_a_writer_can_start_commits(path: Path) -> None:
    cf = CaptureFile(path, True)
    cf.add_record("one")
    ticket = cf.start_commit()
    with CaptureFile(path) as reader, pytest.raises(CaptureFileNotOpenForWrite):
        reader.start_commit()
    cf.close()
    with pytest.raises(capturefile.CaptureFileNotOpen):
        cf.start_commit()
    with pytest.raises(TypeError):
        CommitTicket()
    for timeout in (-1, float("nan")):
        with pytest.raises(ValueError, match="timeout cannot be"):
            ticket.result(timeout)


# Errors


def fill_up(cf: CaptureFile[Any], disk: Path) -> None:
    """Adds records to a file on a small disk until a started commit fails because the disk is full."""
    fill(disk, left=200_000)
    for _ in range(1000):
        try:
            cf.add_record(os.urandom(10_000))
            cf.start_commit()
        except OSError as error:
            if error.errno == errno.ENOSPC:
                return
            raise
    raise AssertionError("the disk did not become full")


@pytest.mark.usefixtures("both_formats")
def test_a_full_disk_is_reported_and_the_transaction_can_be_committed_once_there_is_room(disk: Path) -> None:
    path = disk / "log.capture"
    with CaptureFile(path, True, encoding=None) as cf:
        fill_up(cf, disk)
        (disk / "filler").unlink()
        count = len(cf)
        assert cf.start_commit().result() == count
        assert len(committed(path)) == count


# Forks, signals and threads


@pytest.mark.usefixtures("both_formats")
def test_a_forked_child_leaves_started_commits_to_its_parent(path: Path) -> None:
    with CaptureFile(path, True) as cf:
        cf.add_record("one")
        ticket = cf.start_commit()

        child = fork()
        if not child:
            refused = 0
            for call in (ticket.result, cf.start_commit):
                try:
                    call()
                except CaptureFileNotOpenForWrite:
                    refused += 1
            cf.close()
            os._exit(refused)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
        assert ticket.result() == 1


@pytest.mark.usefixtures("both_formats")
def test_a_signal_handler_interrupts_the_wait_and_the_commit_continues(path: Path) -> None:
    def refuse(*_: object) -> None:
        raise RefusedError

    before = signal.signal(signal.SIGALRM, refuse)
    interrupted = 0
    try:
        with CaptureFile(path, True) as cf:
            for number in range(100):
                cf.add_record(str(number))
                ticket = cf.start_commit()
                signal.setitimer(signal.ITIMER_REAL, 0.0001 * (number % 20 + 1))
                try:
                    ticket.result()
                    time.sleep(0.005)
                except RefusedError:
                    interrupted += 1
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert interrupted
    assert len(committed(path)) == 100


@pytest.mark.usefixtures("both_formats")
def test_threads_that_start_commit_and_roll_back_lose_nothing_that_was_acknowledged(path: Path) -> None:
    acknowledged: list[int] = []
    with CaptureFile(path, True, sync="none") as cf:

        def work(thread: int) -> None:
            for number in range(40):
                with cf_lock:
                    at = cf.add_record(f"{thread} {number}")
                    ticket = cf.start_commit() if number % 3 else None
                if ticket is None:
                    cf.commit()
                else:
                    assert ticket.result() >= at
                acknowledged.append(at)

        cf_lock = threading.Lock()
        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(acknowledged) > 20)
        for thread in threads:
            thread.join()
        cf.rollback()
        assert len(cf) == len(acknowledged) == 160
    assert sorted(acknowledged) == list(range(1, 161))


@pytest.mark.usefixtures("both_formats")
def test_started_commits_are_reported_to_a_hook(path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with CaptureFile(path, True) as cf:
        set_commit_hook(cf, lambda records, bytes_, _: seen.append((records, bytes_)))
        for _ in range(10):
            cf.add_record("four")
            cf.start_commit()
        cf.add_record("last")
        cf.commit()
        cf.add_record("more")
        cf.start_commit()
    assert [sum(column) for column in zip(*seen, strict=True)] == [12, 48]
    assert cf.stats().commits == len(seen)
