"""Scenarios of the soak: a writer that is killed again and again, and readers that check what they see.

Each public function is run by its name in a process of its own, like those of `subprocess_scenarios.py`.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from typing import TYPE_CHECKING

import concurrency_workload
import subprocess_scenarios
from capturefile import CaptureFile
from concurrency_workload import ACKNOWLEDGED, INTENDED, JOBS, Job, Marks, check_state, record, work_beside
from subprocess_scenarios import fork, listen, say

if TYPE_CHECKING:
    from concurrency_workload import SyncMode

LIVES = (0.005, 0.1, 2.0)
"""A writer lives up to this many seconds."""


def kill_writers(path: str, marks_path: str, sync: SyncMode, seconds: str, seed: str) -> None:
    """Starts a writer, kills it at a random moment, checks the file, and so on; says how many there were."""
    source = random.Random(int(seed))
    marks = Marks(marks_path)
    end = time.monotonic() + float(seconds)
    kills = checked = 0
    while time.monotonic() < end:
        writer = fork()
        if not writer:
            concurrency_workload.write_commits(path, marks, sync, source.getrandbits(32))
        time.sleep(min(source.choice(LIVES) * source.random(), max(0, end - time.monotonic())))
        os.kill(writer, signal.SIGKILL)
        assert os.waitpid(writer, 0)[1] == signal.SIGKILL, "the writer ended by itself"
        kills += 1
        checked = _check_after_kill(path, marks, checked)
    say(kills, checked)


def _check_after_kill(path: str, marks: Marks, checked: int) -> int:
    """Checks the state that was left, and the records after the first `checked`; returns how many there are."""
    with CaptureFile(path) as cf:
        count = check_state(cf, checked)
        assert count in (marks.numbers[ACKNOWLEDGED], marks.numbers[INTENDED]), (count, list(marks.numbers[:2]))
        for number, found in enumerate(cf.record_generator(checked + 1), start=checked + 1):
            assert found == record(number)
    marks.numbers[ACKNOWLEDGED] = count
    return count


def read_and_compare(path: str, marks_path: str) -> None:
    """Reads in all the ways of `concurrency_workload`, and compares with what the writer says that it has committed."""
    marks = Marks(marks_path)

    def compare(path: str, done: threading.Event) -> int:
        checks = 0
        with CaptureFile(path) as cf:
            while not done.is_set():
                acknowledged = marks.numbers[ACKNOWLEDGED]
                cf.refresh()
                count = check_state(cf, acknowledged)
                assert count <= marks.numbers[INTENDED], f"{count} records are more than anybody has committed"
                checks += 1
        return checks

    work_beside(path, [*JOBS, Job("compare", compare)])


def read_by_reference(path: str, locking: str) -> None:
    """Reads with the reference until told to stop; says how many checks it made, and how often its defects showed.

    The records that it returns have to be right. It may refuse a file whose master nodes it read in two different
    moments, and without its locks it may go back behind what it has shown before.
    """
    from CaptureFile import CaptureFile as Reference
    from CaptureFile import InvalidCaptureFile

    stopping = threading.Thread(target=listen)
    stopping.start()
    checks = refusals = steps_back = held = 0
    say("reading")
    cf = None
    while stopping.is_alive():
        try:
            cf = cf or Reference(path, use_os_file_locking=locking == "locking")
            cf.refresh()
        except InvalidCaptureFile:
            cf = None
            refusals += 1
            continue
        count = cf.record_count()
        if count:
            assert cf.record_at(count) == record(count)
        steps_back += count < held
        held = count
        checks += 1
    say(checks, refusals, steps_back)


if __name__ == "__main__":
    import sys

    subprocess_scenarios.main(globals(), *sys.argv[1:])
