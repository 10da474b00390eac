"""Run the lanes: the tests that `make test` leaves out because of what they install, in the order of what they cost.

`LANES_SECONDS` bounds the time of all together. Then a lane is only started if it can be expected to end in time, and
is stopped when its time is up. At the end a line for each lane says: passed, failed, or skipped and why. A lane that
was stopped counts as skipped; one that has failed fails the run.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROJECT = Path(__file__).parent.parent
SET_CHILD_SUBREAPER = 36
"""Of `prctl`: processes whose parents have ended become children of this one, and can be found."""
GRACE = 5.0
"""Seconds that a lane has to end by itself once its time is up."""


def nothing_is_missing() -> str | None:
    """For lanes that need nothing but what pip installs."""
    return None


def missing_program(*names: str) -> Callable[[], str | None]:
    """What to say if none of these programs is there."""
    return lambda: None if any(map(shutil.which, names)) else f"no {names[0]}"


@dataclass(frozen=True)
class Lane:
    """Tests of their own, with their own packages."""

    name: str
    seconds: float
    """What it takes on two cores, installing included."""
    missing: Callable[[], str | None] = nothing_is_missing
    """Says why it cannot run on this machine."""
    command: Sequence[str] = ()
    """What to run, if it is not the target of that name."""

    @property
    def bound(self) -> float:
        """How long it may take where there is a budget, on a machine that is busy or has a slow network."""
        return 3 * self.seconds


LANES = (
    Lane("test-services", 40),
    Lane("test-frames", 45),
    Lane("test-view", 60, missing_program("chromium")),
    Lane("test-dask", 70),
    Lane("test-recipes", 75),
    Lane("test-tables", 90),
    Lane("test-spark", 120, missing_program("java")),
    Lane("test-data", 180),
    Lane("test-mutants", 400),
)
"""The cheapest first: torch alone is some gigabytes."""


@dataclass(frozen=True)
class Outcome:
    """What became of a lane."""

    lane: str
    word: str
    """One of "passed", "failed", "skipped"."""
    detail: str

    def __str__(self) -> str:
        """The line that is printed."""
        return f"{self.lane:<14} {self.word}: {self.detail}"


def run_lane(lane: Lane, left: float | None) -> Outcome:
    """Runs a lane, for which there are `left` seconds, or no limit."""
    if reason := lane.missing():
        return Outcome(lane.name, "skipped", reason)
    if left is not None and left < lane.seconds:
        return Outcome(
            lane.name, "skipped", f"no time, it takes {lane.seconds:.0f} s and {max(left, 0):.0f} s are left"
        )
    print(f"\n=== {lane.name}", flush=True)
    begun = time.monotonic()
    limit = None if left is None else min(left, lane.bound)
    status = run(lane.command or ["make", "--no-print-directory", lane.name], limit)
    took = f"{time.monotonic() - begun:.0f} s"
    if status is None:
        return Outcome(lane.name, "skipped", f"stopped after {took}, its time was up")
    return Outcome(lane.name, "failed" if status else "passed", f"{f'status {status}, ' if status else ''}{took}")


def run(command: Sequence[str], limit: float | None) -> int | None:
    """The exit status of a command; None if it was stopped because its time was up."""
    process = subprocess.Popen(command, cwd=PROJECT, start_new_session=True)
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        end_descendants(process)


def end_descendants(process: subprocess.Popen[bytes]) -> None:
    """Ends all that was started, also what has made itself independent, such as the workers of a cluster."""
    deadline = time.monotonic() + GRACE
    number = signal.SIGTERM
    while running := set(descendants(os.getpid())):
        for each in running:
            with suppress(ProcessLookupError):
                os.kill(each, number)
        process.poll()
        reap(process.pid)
        time.sleep(0.05)
        number = signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL


def reap(but: int) -> None:
    """Lets orphans that have ended go; `but` is waited for by others."""
    for child in children().get(os.getpid(), []):
        if child != but:
            with suppress(ChildProcessError):
                os.waitpid(child, os.WNOHANG)


def children() -> dict[int, list[int]]:
    """The processes of this machine by their parents."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                found.setdefault(int(parent), []).append(int(entry.name))
    return found


def descendants(ancestor: int) -> Iterator[int]:
    """The processes that a process has started, and those that they have started."""
    table = children()
    waiting = list(table.get(ancestor, []))
    while waiting:
        each = waiting.pop()
        yield each
        waiting += table.get(each, [])


def run_all(lanes: Sequence[Lane], budget: float | None) -> list[Outcome]:
    """Runs the lanes one after the other."""
    begun = time.monotonic()
    return [run_lane(lane, None if budget is None else budget - (time.monotonic() - begun)) for lane in lanes]


def main(lanes: Sequence[Lane] = LANES) -> int:
    """Runs all lanes, and says what became of each."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1)
    text = os.environ.get("LANES_SECONDS")
    outcomes = run_all(lanes, float(text) if text else None)
    print("\nLanes", *outcomes, sep="\n")
    return int(any(outcome.word == "failed" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
