"""Runs the optional suites, which `make test` leaves out because of what they install, the cheapest first.

`SUITES_SECONDS` limits the time of all suites together: a suite is started only if it can be expected to finish in
time, and is stopped when the time is up. At the end, one line per suite says whether it passed, failed, or was skipped,
and why. A suite that was stopped counts as skipped; one that failed fails the run.
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
"""For `prctl`: orphaned processes become children of this one, so that it can find them."""
GRACE = 5.0
"""Seconds that a suite gets to exit once its time is up."""


def nothing_is_missing() -> str | None:
    """The check for suites that need only what pip installs."""
    return None


def missing_program(*names: str) -> Callable[[], str | None]:
    """Returns a check that reports the first of these programs if none of them is installed."""
    return lambda: None if any(map(shutil.which, names)) else f"no {names[0]}"


def nothing_to_emulate_with(*names: str) -> Callable[[], str | None]:
    """Returns a check for suites that emulate another processor or system; as root, they install what they need."""
    installs = os.geteuid() == 0 and shutil.which("apt-get")
    return lambda: missing_program("rustup")() or (None if installs else missing_program(*names)())


@dataclass(frozen=True)
class Suite:
    """An optional suite: tests that need additional packages."""

    name: str
    seconds: float
    """How long it takes on two cores, including installation."""
    missing: Callable[[], str | None] = nothing_is_missing
    """Says why it cannot run on this machine."""
    command: Sequence[str] = ()
    """The command to run if it is not the `make` target of that name."""

    @property
    def bound(self) -> float:
        """How long it may take if there is a budget, on a busy machine or one with a slow network."""
        return 3 * self.seconds


SUITES = (
    Suite("test-remote", 40),
    Suite("test-services", 40),
    Suite("test-frames", 45),
    Suite("test-dask", 70),
    Suite("test-recipes", 75),
    Suite("check-macos", 80, missing_program("rustup")),
    Suite("test-tables", 90),
    Suite("test-spark", 120, missing_program("java")),
    Suite("test-view", 150, missing_program("chromium")),
    Suite("test-data", 180),
    Suite("check-windows", 190, missing_program("rustup")),
    Suite("test-mutants", 400),
    Suite("test-arm64", 500, nothing_to_emulate_with("qemu-aarch64-static")),
    Suite("test-windows", 600, nothing_to_emulate_with("wine64", "/usr/lib/wine/wine64")),
    Suite("test-musl", 1000, lambda: missing_program("rustup")() or missing_program("apt-get")()),
)
"""The cheapest first: torch alone takes several gigabytes."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a suite."""

    suite: str
    word: str
    """One of "passed", "failed", "skipped"."""
    detail: str

    def __str__(self) -> str:
        """The line that is printed."""
        return f"{self.suite:<14} {self.word}: {self.detail}"


def run_suite(suite: Suite, left: float | None) -> Outcome:
    """Runs a suite within `left` seconds; None means no limit."""
    if reason := suite.missing():
        return Outcome(suite.name, "skipped", reason)
    if left is not None and left < suite.seconds:
        return Outcome(
            suite.name, "skipped", f"no time, it takes {suite.seconds:.0f} s and {max(left, 0):.0f} s are left"
        )
    print(f"\n=== {suite.name}", flush=True)
    begun = time.monotonic()
    limit = None if left is None else min(left, suite.bound)
    status = run(suite.command or ["make", "--no-print-directory", suite.name], limit)
    took = f"{time.monotonic() - begun:.0f} s"
    if status is None:
        return Outcome(suite.name, "skipped", f"stopped after {took}, its time was up")
    return Outcome(suite.name, "failed" if status else "passed", f"{f'status {status}, ' if status else ''}{took}")


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
    """Ends all processes that were started, even those that have detached themselves, as workers of a cluster do."""
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
    """Reaps orphans that have exited, except `but`, which has another waiter."""
    for child in children().get(os.getpid(), []):
        if child != but:
            with suppress(ChildProcessError):
                os.waitpid(child, os.WNOHANG)


def children() -> dict[int, list[int]]:
    """The processes of this machine, by parent."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                found.setdefault(int(parent), []).append(int(entry.name))
    return found


def descendants(ancestor: int) -> Iterator[int]:
    """The children of a process, their children, and so on."""
    table = children()
    waiting = list(table.get(ancestor, []))
    while waiting:
        each = waiting.pop()
        yield each
        waiting += table.get(each, [])


def run_all(suites: Sequence[Suite], budget: float | None) -> list[Outcome]:
    """Runs the suites one after the other."""
    begun = time.monotonic()
    return [run_suite(suite, None if budget is None else budget - (time.monotonic() - begun)) for suite in suites]


def main(suites: Sequence[Suite] = SUITES) -> int:
    """Runs all suites, prints the outcome of each, and returns the exit status."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1)
    text = os.environ.get("SUITES_SECONDS")
    outcomes = run_all(suites, float(text) if text else None)
    print("\nSuites", *outcomes, sep="\n")
    return int(any(outcome.word == "failed" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
