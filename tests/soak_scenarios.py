"""Scenarios of the soak: writers that are killed repeatedly, and readers that check what they see.

Each public function is run by its name in a separate process, like those of `subprocess_scenarios.py`.
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
"""A writer runs for up to this many seconds."""


def kill_writers(path: str, marks_path: str, sync: SyncMode, seconds: str, seed: str) -> None:
    """Repeatedly starts a writer, kills it at a random moment and checks the file; reports how many there were."""
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
        assert os.waitpid(writer, 0)[1] == signal.SIGKILL, "the writer exited before it was killed"
        kills += 1
        checked = _check_after_kill(path, marks, checked)
    say(kills, checked)


def _check_after_kill(path: str, marks: Marks, checked: int) -> int:
    """Checks the state of the file and the records after the first `checked`; returns the number of records."""
    with CaptureFile(path) as cf:
        count = check_state(cf, checked)
        assert count in (marks.numbers[ACKNOWLEDGED], marks.numbers[INTENDED]), (count, list(marks.numbers[:2]))
        for number, found in enumerate(cf.record_generator(checked + 1), start=checked + 1):
            assert found == record(number)
    marks.numbers[ACKNOWLEDGED] = count
    return count


def read_and_compare(path: str, marks_path: str) -> None:
    """Reads in all the ways of `concurrency_workload`, and compares with what the writer reports as committed."""
    marks = Marks(marks_path)

    def compare(path: str, done: threading.Event) -> int:
        checks = 0
        with CaptureFile(path) as cf:
            while not done.is_set():
                acknowledged = marks.numbers[ACKNOWLEDGED]
                cf.refresh()
                count = check_state(cf, acknowledged)
                assert count <= marks.numbers[INTENDED], f"{count} records are more than were committed"
                checks += 1
        return checks

    work_beside(path, [*JOBS, Job("compare", compare)])


def read_by_reference(path: str, locking: str) -> None:
    """Reads with the reference until told to stop; reports how many checks it made, and how often its defects showed.

    The records that it returns must be right. It may reject a file because it read the two master nodes at different
    moments, and without its locks it may show an older state than before.
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
