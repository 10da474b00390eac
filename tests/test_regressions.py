"""Tests for defects that were fixed."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
import threading
import warnings
import weakref
from typing import TYPE_CHECKING, Literal

import capturefile
import pytest
from builder import build_file, encode_slot, parse, put_slot, trillion_file
from capturefile import CaptureFile
from forking import fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 60
"""Seconds that a child process may run."""
HELD_BACK = 4 << 20
"""A call of `add_records` with more bytes than this continues in the open transaction."""


def noise(length: int, seed: int = 1) -> bytes:
    """Incompressible bytes."""
    return random.Random(seed).randbytes(length)


def run(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Runs a script in a separate process, which may crash."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def fail_after(records: list[bytes], action: Callable[[], object]) -> Iterator[bytes]:
    """Gives the records, calls `action`, and raises."""
    yield from records
    action()
    raise KeyError


LENGTHS = pytest.mark.parametrize("length", [10, HELD_BACK], ids=["held back", "in the transaction"])


@LENGTHS
def test_a_commit_inside_a_failing_add_records_stays_committed(tmp_path: Path, length: int) -> None:
    path = tmp_path / "log.capture"
    with capturefile.open(path, "a", encoding=None) as cf:
        cf.add_record(b"before")
        with pytest.raises(KeyError):
            cf.add_records(fail_after([noise(length), b"second"], cf.commit))
        with CaptureFile(path, encoding=None) as reader:
            committed = list(reader)
            assert list(cf)[: len(committed)] == committed
            cf.add_record(b"after")
            cf.commit()
            assert reader.refresh()
            assert list(reader)[: len(committed)] == committed
            assert reader[-1] == b"after"
    assert capturefile.verify(path).sound


@LENGTHS
def test_a_failing_add_records_discards_nothing_of_another_thread(tmp_path: Path, length: int) -> None:
    def in_another_thread() -> None:
        other = threading.Thread(target=cf.add_record, args=(b"another's",))
        other.start()
        other.join()

    with capturefile.open(tmp_path / "log.capture", "a", encoding=None) as cf:
        with pytest.raises(KeyError):
            cf.add_records(fail_after([noise(length)], in_another_thread))
        cf.commit()
        assert cf[-1] == b"another's"


@pytest.mark.parametrize("length", [10, HELD_BACK])
def test_a_failing_add_records_keeps_earlier_records(tmp_path: Path, length: int) -> None:
    with capturefile.open(tmp_path / "log.capture", "a", encoding=None) as cf:
        cf.add_record(b"before")
        assert len(cf) == 1
        with pytest.raises(KeyError):
            cf.add_records(fail_after([noise(length), b"second"], lambda: cf[1]))
        assert list(cf) == [b"before"]
        cf.commit()


CLOSE_WHILE_READING = """
import random, sys, threading, time, warnings, capturefile
warnings.simplefilter("ignore")
blob = random.Random(1).randbytes(24 << 20).translate(bytes(value & 15 for value in range(256)))
for attempt in range(3):
    cf = capturefile.open(f"{sys.argv[1]}{attempt}", "a", encoding=None, threads=1, cache_size=0, sync="none",
                          compression_level=1)
    for _ in range(2):
        cf.add_record(bytes([attempt]) + blob)
    records = iter(cf)
    reading = threading.Event()
    def read():
        reading.set()
        assert len(next(records)) == len(blob) + 1
        done.append(attempt)
    done = []
    reader = threading.Thread(target=read)
    reader.start()
    reading.wait()
    time.sleep(0.004 * attempt)
    cf.close()
    reader.join()
    assert done == [attempt]
"""


def test_closing_a_writer_never_truncates_what_a_thread_is_reading(tmp_path: Path) -> None:
    done = run(CLOSE_WHILE_READING, tmp_path / "log")
    assert done.returncode == 0, done.stderr


CLOSE_A_LARGE_TRANSACTION = """
import resource, sys, warnings, capturefile
warnings.simplefilter("ignore")
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for end in ("close", "rollback"):
    cf = capturefile.open(f"{sys.argv[1]}-{end}", "a", encoding=None, sync="none", cache_size=0, compression_level=1)
    blob = __import__("random").Random(1).randbytes(1 << 20)
    for _ in range(100):
        cf.add_record(blob)
    assert cf[100] == blob
    before = peak()
    getattr(cf, end)()
    assert peak() - before < 30 << 10, (end, before, peak())
    cf.close()
"""


def test_abandoning_a_large_transaction_without_readers_takes_no_memory(tmp_path: Path) -> None:
    done = run(CLOSE_A_LARGE_TRANSACTION, tmp_path / "log")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("cache_size", [0, 1 << 24])
def test_a_snapshot_of_a_rolled_back_transaction_is_still_readable(tmp_path: Path, cache_size: int) -> None:
    with capturefile.open(tmp_path / "log.capture", "a", encoding=None, cache_size=cache_size) as cf:
        old, new = ([noise(400, seed + index) for index in range(3000)] for seed in (0, 10_000))
        cf.add_records(old)
        records = iter(cf)
        cf.rollback()
        cf.add_records(new)
        cf.commit()
        # The records that were committed in the same place are now in the cache.
        assert list(cf) == new
        assert list(records) == old


@pytest.mark.skipif(not hasattr(os, "fork"), reason="requires fork")
def test_a_forked_child_never_reads_a_later_transaction_in_place_of_its_own(tmp_path: Path) -> None:
    with capturefile.open(tmp_path / "log.capture", "a", encoding=None, cache_size=0) as cf:
        cf.add_record(b"committed")
        cf.add_record(noise(40_000, 0))
        cf.commit()
        cf.add_records([noise(40_000, seed) for seed in range(1, 5)])
        assert cf[3] == noise(40_000, 1)
        known = iter(cf)
        go, start = os.pipe()
        child = fork()
        if child == 0:
            os.read(go, 1)
            try:
                with pytest.raises(capturefile.CaptureFileNotOpenForWrite):
                    list(known)
                expected = [b"committed", *(noise(40_000, seed) for seed in (0, 5, 6))]
                os._exit(0 if list(cf) == expected else 1)
            finally:
                os._exit(2)
        cf.rollback()
        cf.add_records([noise(40_000, seed) for seed in range(5, 7)])
        cf.commit()
        cf.add_record(b"not committed")
        os.write(start, b"x")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        cf.commit()


def abandoned(path: Path) -> CaptureFile:
    cf = capturefile.open(path, "a")
    cf.add_record("lost")
    return cf


@pytest.mark.parametrize("action", ["always", "ignore"])
@pytest.mark.filterwarnings("always::capturefile.UncommittedWarning")
def test_an_exception_survives_the_collection_of_an_uncommitted_writer(
    tmp_path: Path, action: Literal["always", "ignore"]
) -> None:
    with warnings.catch_warnings(record=True):
        warnings.simplefilter(action)
        with pytest.raises(TypeError, match="int"):
            int(abandoned(tmp_path / "log.capture"))  # type: ignore[call-overload]


@pytest.mark.parametrize("threads", [1000, 2**40, 2**63])
def test_an_absurd_number_of_threads_does_no_harm(tmp_path: Path, threads: int) -> None:
    with capturefile.open(tmp_path / "log.capture", "a", encoding=None, threads=threads) as cf:
        cf.add_records([noise(40_000, seed) for seed in range(4)])
        cf.commit()
        assert cf[4] == noise(40_000, 3)


TOO_LONG_A_SLICE = """
import resource, sys, capturefile
resource.setrlimit(resource.RLIMIT_AS, (64 << 30, 64 << 30))
cf = capturefile.CaptureFile(sys.argv[1])
for step in (2, -1, -7):
    try:
        cf[::step]
    except MemoryError:
        continue
    raise AssertionError(step)
"""


def test_a_slice_too_long_for_memory_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    path.write_bytes(trillion_file())
    done = run(TOO_LONG_A_SLICE, path)
    assert done.returncode == 0, done.stderr


SLICE = """
import sys, capturefile
cf = capturefile.CaptureFile(sys.argv[1], encoding=None)
print("ready", flush=True)
cf[:]
"""


def test_a_long_slice_can_be_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    path.write_bytes(trillion_file())
    with subprocess.Popen(
        [sys.executable, "-c", SLICE, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        try:
            _, errors = child.communicate(timeout=PATIENCE)
        finally:
            child.kill()
    assert "KeyboardInterrupt" in errors


def damage_frames(path: Path, limit: int) -> None:
    """Changes a byte in the middle of the first frame."""
    data = bytearray(path.read_bytes())
    start = 86_016
    length = int.from_bytes(data[start : start + 4], "big")
    assert start + length < limit
    data[start + length // 2] ^= 0xFF
    path.write_bytes(data)


def test_a_follower_gives_no_record_twice_after_damage(tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    with capturefile.open(path, "a", encoding=None) as cf:
        cf.add_records([noise(20_000, seed) for seed in range(4)])
        cf.commit()
        limit = cf.info().file_limit
    damage_frames(path, limit)
    with CaptureFile(path, encoding=None) as reader:
        follower = reader.follow(start=1, timeout=0)
        seen: list[bytes | None] = []
        for _ in range(10):
            try:
                seen.append(next(follower))
            except capturefile.InvalidCaptureFile:
                seen.append(None)
            except StopIteration:
                break
        assert seen == [None, None, noise(20_000, 2), noise(20_000, 3)]


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    capturefile.open(path, "a").close()
    path.chmod(0o600)
    capturefile.open(path, "w").close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_object_that_holds_its_own_transaction_is_collected(tmp_path: Path) -> None:
    class Log(CaptureFile):
        open_transaction: object = None

    log = Log(tmp_path / "log.capture", to_write=True)
    log.open_transaction = log.transaction()
    gone = weakref.ref(log)
    del log
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("to_write", [False, True])
def test_an_invalid_newest_commit_is_refused_and_not_overwritten(tmp_path: Path, to_write: bool) -> None:
    path = tmp_path / "log.capture"
    data = build_file([b"first", b"second"], previous=1)
    nonsense = encode_slot(parse(data).current, pending_length=40_000)
    data = put_slot(data, nonsense, parse(data).current.serial % 2)
    path.write_bytes(data)
    with pytest.raises(capturefile.InvalidCaptureFile, match="pending block of 40000 bytes"):
        CaptureFile(path, to_write)
    assert path.read_bytes() == data


TRUNCATE_AFTER_CLOSING = """
import os, sys
from capturefile import CaptureFile

path = sys.argv[1]
with open(path, "rb") as file:
    content = file.read()
for round in range(50):
    with CaptureFile(path, encoding=None, threads=4) as cf:
        for number, _ in enumerate(cf):
            if number == 8 + round:
                break
    os.truncate(path, 0)
    with open(path, "r+b") as file:
        file.write(content)
print("alive")
"""
"""Read-ahead was still inflating blocks after the loop had ended and the file was closed."""


def test_a_file_can_be_truncated_once_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    with CaptureFile(path, True, sync="none") as cf:
        cf.add_records([noise(3000) + bytes(20_000)] * 200)
        cf.commit()
    done = run(TRUNCATE_AFTER_CLOSING, path)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
