"""Processes that run out of memory or of room in a file, or lack permissions.

The functions at the end are scenarios, like those of `subprocess_scenarios.py`, and are run in the same way.
"""

from __future__ import annotations

import errno
import os
import resource
import sys
import threading
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import capturefile
import subprocess_scenarios
from capturefile import CaptureFile
from subprocess_scenarios import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65_534
"""A user and a group that own nothing."""


def memory_in_use() -> int:
    """Bytes of address space that this process uses."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


@contextmanager
def limited(limit: int, value: int) -> Iterator[None]:
    """Sets a soft limit of this process, and resets it at the end."""
    before = resource.getrlimit(limit)
    resource.setrlimit(limit, (value, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(limit, before)


def with_memory(more: int) -> AbstractContextManager[None]:
    """Limits this process to this many more bytes."""
    return limited(resource.RLIMIT_AS, memory_in_use() + more)


def name_of_error(work: Callable[[], object]) -> str:
    """The name of the exception that `work` raises."""
    try:
        work()
    except Exception as error:
        return type(error).__name__ if str(error) else "an error without a message"
    return "nothing"


# Scenarios


def read_only(path: str, folder: str) -> None:
    """As a user who may only read a file and its folder, reports the result of each way to open it."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    new = str(Path(folder) / "new.capture")
    ways: dict[str, Callable[[], object]] = {
        "read": lambda: CaptureFile(path).close(),
        "write": lambda: CaptureFile(path, to_write=True),
        "replace": lambda: CaptureFile(path, force_new_empty_file=True),
        "create": lambda: CaptureFile(new, to_write=True),
        "create-to-read": lambda: CaptureFile(new, force_new_empty_file=True),
    }
    for way, work in ways.items():
        try:
            work()
            say(way, "works")
        except OSError as error:
            say(way, type(error).__name__, errno.errorcode[error.errno or 0], error.filename)


def write_unseen(path: str) -> None:
    """Creates and extends a file as a user who may use the folder but not list it."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    for number in range(2):
        with CaptureFile(path, to_write=True) as cf:
            cf.add_record(f"record {number}")
            cf.commit()
    say(*CaptureFile(path))


def add_beyond_memory(path: str) -> None:
    """Adds and reads records that do not fit in memory, and continues."""
    size = 200 << 20
    first = b"first" * 10_000  # It fills a block, so that it is read without the records after it.
    random_bytes = os.urandom(1 << 20) * (size >> 20)
    with CaptureFile(path, to_write=True, encoding=None, sync=False, compression_level=1, cache_size=0) as cf:
        cf.add_record(first)
        cf.commit()
        for room in (10 << 20, 100 << 20, size + (50 << 20)):
            with with_memory(room):
                errors = [name_of_error(lambda: cf.add_record(random_bytes)) for _ in range(2)]
                errors += [name_of_error(lambda: cf.add_records(["kept out", random_bytes]))]
                errors += [name_of_error(lambda: cf.set_metadata(random_bytes))]
            errors = [error for error in errors if error != "nothing"]
            assert set(errors) <= {"MemoryError"}, errors
            if room < size:
                assert len(errors) == 4, errors
            cf.rollback()
            assert list(cf) == [first]
        cf.add_record(random_bytes)
        cf.commit()
        # The map of the file takes address space as well.
        with with_memory(size + (100 << 20)):
            for work in (lambda: cf[2], lambda: cf[1:3], lambda: list(cf), lambda: cf.records_at([2])):
                assert name_of_error(work) == "MemoryError"
            assert cf[1] == first
            cf.add_record("third")
            cf.commit()
            assert cf[3] == b"third"
        assert cf[2] == random_bytes
    say("done")


def read_beyond_memory(path: str) -> None:
    """Reads a record that compresses to almost nothing and does not fit in memory."""
    with with_memory(80 << 20), CaptureFile(path, encoding=None) as cf:
        for work in (lambda: cf[1], lambda: list(cf), cf.get_metadata):
            assert name_of_error(work) == "MemoryError"
        assert cf[2] == b"second"
    say("done")


def open_beyond_memory(path: str) -> None:
    """Opens a file whose slots, according to its header, are larger than memory."""
    with with_memory(1 << 30):
        for work in (
            lambda: CaptureFile(path),
            lambda: CaptureFile(path, to_write=True),
            lambda: capturefile.verify(path),
            lambda: capturefile.recover(path, path + ".new"),
        ):
            say(name_of_error(work))


def write_beyond_file_limit(path: str) -> None:
    """Makes the file system refuse to extend the file, and continues when it can be extended again."""
    with CaptureFile(path, to_write=True, encoding=None, sync=False) as cf:
        cf.add_record("first")
        cf.commit()
        size = Path(path).stat().st_size
        with limited(resource.RLIMIT_FSIZE, size + 100_000):
            raised = _add_until_full(cf)
            say(type(raised).__name__, raised.errno == errno.EFBIG, raised.filename == path)
            with CaptureFile(path) as reader:
                assert list(reader) == ["first"]
            cf.rollback()
            assert list(cf) == [b"first"]
            cf.add_record("second")
            cf.commit()
            _add_until_full(cf)
        cf.commit()
        count = len(cf)
        assert count > 2
        with CaptureFile(path, encoding=None) as reader:
            assert (len(reader), reader[2]) == (count, b"second")
    assert capturefile.verify(path).sound
    say("done")


def _add_until_full(cf: CaptureFile[bytes]) -> OSError:
    for _ in range(1000):
        before = len(cf)
        try:
            cf.add_record(os.urandom(30_000))
        except OSError as error:
            assert len(cf) == before
            return error
    raise AssertionError("the file is never full")


def create_beyond_file_limit(path: str) -> None:
    """Creates a file where the file system allows only empty files."""
    with limited(resource.RLIMIT_FSIZE, 1000):
        for replace in (False, True):
            try:
                CaptureFile(path, to_write=True, force_new_empty_file=replace)
            except OSError as error:
                say(errno.errorcode[error.errno or 0], error.filename == path)
    say(len(list(Path(path).parent.iterdir())), "files")


def write_without_threads(path: str) -> None:
    """Writes where no thread can be started; the calling thread then compresses the blocks."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    with limited(resource.RLIMIT_NPROC, 0):
        assert name_of_error(threading.Thread(target=say).start) == "RuntimeError"
        with CaptureFile(path, to_write=True, threads=4, sync=False) as cf:
            cf.add_records([str(number) * 1000 for number in range(500)])
            cf.commit()
            assert cf.records_at(range(1, 501)) == [str(number) * 1000 for number in range(500)]
    say("done")


if __name__ == "__main__":
    subprocess_scenarios.main(globals(), *sys.argv[1:])
