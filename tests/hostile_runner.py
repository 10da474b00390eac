"""Reads all files in a folder, each in a separate forked child, and reports the outcomes.

The function at the end is a scenario, like those of `subprocess_scenarios.py`, and is run in the same way.
"""

from __future__ import annotations

import faulthandler
import itertools
import os
import resource
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import capturefile
import subprocess_scenarios
from capturefile import CaptureFile
from forking import fork
from subprocess_scenarios import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_CALL_SECONDS = 30
"""Seconds that all calls on one file may take together."""
MAX_RECORDS = 300
"""This many records are read from each end."""
FINE = "fine"
INVALID = "InvalidCaptureFile"


class Outcome(NamedTuple):
    """The outcome of one use of one file."""

    name: str
    use: str
    result: str
    """`fine`, or the name of the exception; or how the process ended."""
    memory: int
    """Bytes that the process grew by at most."""


def parse_outcome(line: str) -> Outcome:
    """Parses a line of `attack`."""
    name, use, result, memory = line.split(" ")
    return Outcome(name, use, result, int(memory))


def _read(path: Path) -> None:
    with CaptureFile(path, encoding=None) as cf:
        cf.info()
        count = cf.record_count()
        for number in {min(1, count), count // 2, count} - {0}:
            assert isinstance(cf.record_at(number), bytes)
        assert len(list(itertools.islice(cf, MAX_RECORDS))) == min(count, MAX_RECORDS)
        assert len(list(itertools.islice(reversed(cf), MAX_RECORDS))) == min(count, MAX_RECORDS)
        cf.records_at(range(max(1, count - MAX_RECORDS), count + 1))
        cf.refresh()


def _read_past_damage(path: Path) -> None:
    """Reads every record on its own: an error in one must not affect the others."""
    with CaptureFile(path, encoding=None, cache_size=0) as cf:
        count = cf.record_count()
        with suppress(capturefile.InvalidCaptureFile):
            cf.get_metadata()
        numbers = {*range(1, min(count, MAX_RECORDS) + 1), *range(max(1, count - MAX_RECORDS), count + 1)}
        for number in numbers:
            with suppress(capturefile.InvalidCaptureFile):
                cf.record_at(number)
        records = iter(cf)
        for _ in range(min(count, MAX_RECORDS)):
            with suppress(capturefile.InvalidCaptureFile, StopIteration):
                next(records)


def _verify(path: Path) -> None:
    report = capturefile.verify(path)
    assert len(report.problems) <= 1000
    for problem in report.problems:
        assert problem.found
        assert problem.expected
    if not report.sound:
        raise capturefile.InvalidCaptureFile(str(report.problems[0]))


def _recover(path: Path) -> None:
    """Recovers to a new file, which must be sound in any case."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "target"
        report = capturefile.recover(path, target)
        assert capturefile.verify(target, quick=True).sound
        with CaptureFile(target, encoding=None) as cf:
            assert cf.record_count() == report.record_count
    if report.problems or not report.complete:
        raise capturefile.InvalidCaptureFile("not everything was recovered")


def _write(path: Path) -> None:
    """Appends to a file that opens for writing; the added records must be there."""
    with CaptureFile(path, to_write=True, encoding=None, sync=False) as cf:
        count = cf.record_count()
        cf.add_records([b"added"] * 5)
        cf.add_record(bytes(100_000))
        assert cf[count + 1 : count + 6] == [b"added"] * 5
        cf.commit()
    with CaptureFile(path, encoding=None) as cf:
        assert cf.record_count() == count + 6
        assert cf[-1] == bytes(100_000)


USES: dict[str, Callable[[Path], None]] = {
    "verify": _verify,
    "read": _read,
    "read-past-damage": _read_past_damage,
    "recover": _recover,
    "write": _write,
}


def _memory(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def _use(use: str, path: Path) -> tuple[str, int]:
    """Returns the outcome of the use, and by how much memory the process grew."""
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # The peak is counted from now on.
    try:
        USES[use](path)
        result = FINE
    except Exception as error:
        result = type(error).__name__
        if not isinstance(error, capturefile.InvalidCaptureFile | OSError | ValueError | MemoryError):
            raise
    return result, _memory("VmHWM") - before


def _uses_in_a_child(path: Path) -> Iterator[tuple[str, str, int]]:
    for use in USES:
        from_child, to_parent = os.pipe()
        child = fork()
        if not child:
            signal.alarm(MAX_CALL_SECONDS)
            result, memory = _use(use, path)
            os.write(to_parent, f"{result} {memory}".encode())
            os._exit(0)
        os.close(to_parent)
        with os.fdopen(from_child, "rb") as pipe:
            said = pipe.read().decode()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        came, grown = said.split() if said else (f"ended-with-{status}", "0")
        yield use, came, int(grown)


def attack(folder: str) -> None:
    """Uses every file of the folder in every way, each in a child process, and reports the outcomes."""
    faulthandler.cancel_dump_traceback_later()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for path in sorted(Path(folder).iterdir()):
        for use, result, memory in _uses_in_a_child(path):
            say(path.name, use, result, memory)


if __name__ == "__main__":
    subprocess_scenarios.main(globals(), *sys.argv[1:])
