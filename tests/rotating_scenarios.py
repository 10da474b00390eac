"""Scenarios with rotated logs; see `subprocess_scenarios.py`."""

from __future__ import annotations

import itertools
import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import capturefile
from capturefile.rotating import RotatingReader, RotatingWriter
from forking import fork
from power_cuts import record, say_done
from rotating_logs import write_files
from subprocess_scenarios import main, say

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

EXIT = 9
"""The exit status of a process that died where it was supposed to."""
OF_THE_ROTATION = tuple(f"rotating/{name}.py" for name in ("writer", "manifest", "limits", "retention"))


def try_to_write_log(folder: str) -> None:
    """Reports whether the log can be opened for writing."""
    try:
        with RotatingWriter(folder):
            say("opened")
    except capturefile.CaptureFileAlreadyOpen:
        say("refused")


def write_log(folder: str, sync: str) -> None:
    """Continues a log of numbers, in small files and commits of several sizes, until killed.

    It reports the number of the last record before each commit, and again after it.
    """
    mode: Any = sync
    with RotatingWriter(folder, max_bytes=89_000, sync=mode) as log:
        say("open", log.record_count(), int(log.get_metadata() or b"0"))
        for size in itertools.cycle((1, 30, 7, 150)):
            first = log.record_count() + 1
            last = log.add_records(f"record {number}" for number in range(first, first + size))
            log.set_metadata(str(last).encode())
            say("commits", last)
            log.commit()
            say("committed", last)


def follow_log(folder: str, last: str) -> None:
    """Follows a log of numbers to record `last`, and checks that each comes once, in order."""
    with RotatingReader(folder) as log:
        say("following")
        for number, record in enumerate(log.follow(1), 1):
            assert record == f"record {number}", (number, record)
            if number == int(last):
                break
    say("seen", last)


def rotate_until_cut(folder: str, sync: str, seed: str) -> None:
    """Writes commits of all sizes and rotates often, until the disk is gone; see `power_cuts.History`."""
    source = random.Random(int(seed))
    mode: Any = sync
    say("opening")
    try:
        log = RotatingWriter(folder, max_bytes=150_000, encoding=None, sync=mode)
        while True:
            first = log.record_count() + 1
            last = log.add_records(map(record, range(first, first + source.choice([1, 1, 2, 10, 50]))))
            log.set_metadata(b"%d" % last)
            say("begun", last)
            log.commit()
            say_done(last)
            if source.random() < 0.3:
                log.rotate()
    except OSError:
        say("failed")
        os._exit(0)  # There is nothing left to close.


def die_at_each_line(folder: str) -> None:
    """Has child processes each create, write and rotate a log; for each line of the library, one of them dies there.

    Reports how many died; the log of child n is in `folder`/n.
    """
    _die_at_each_line(folder, _rotate_and_die)


def die_at_each_line_of_retention(folder: str) -> None:
    """The same for child processes that open a log of five files and rotate it, keeping two files."""
    _die_at_each_line(folder, _delete_and_die)


def _die_at_each_line(folder: str, live: Callable[[Path, int], None]) -> None:
    for line in itertools.count():
        if not (child := fork()):
            live(Path(folder) / str(line), line)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == 0:
            say(line)
            return
        assert status == EXIT, status


def _delete_and_die(folder: Path, at: int) -> None:
    write_files(folder, 1, 1, 1, 1, 2)
    _die_at(at)
    log = RotatingWriter(folder, sync="none", keep_files=2)
    log.add_record("record 7")
    log.rotate()
    os._exit(0)


def _rotate_and_die(folder: Path, at: int) -> None:
    _die_at(at)
    log = RotatingWriter(folder, sync="none", initial_metadata=b"0")
    log.add_records(["record 1", "record 2"])
    log.set_metadata(b"2")
    log.commit()
    log.rotate()
    log.add_record("record 3")
    log.set_metadata(b"3")
    log.commit()
    log.close()
    os._exit(0)


def _die_at(at: int) -> None:
    """Ends the process after this many lines of the library."""
    lines = itertools.count()

    def trace(frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401
        if event == "call":
            return trace if frame.f_code.co_filename.endswith(OF_THE_ROTATION) else None
        if event == "line" and next(lines) == at:
            os._exit(EXIT)
        return trace

    sys.settrace(trace)


if __name__ == "__main__":
    main(globals(), *sys.argv[1:])
