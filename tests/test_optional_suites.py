"""The runner of the optional suites: which suites it starts, when it stops one, and what it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import optional_suites
import pytest
from optional_suites import SUITES, Suite, missing_program

PROJECT = Path(__file__).parent.parent
MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")
PATIENCE = 60.0


def run(program: str, budget: str | None = None) -> tuple[int, list[str]]:
    """Runs the suites of `program` in a separate process; returns its status and its last lines."""
    environment = {name: value for name, value in os.environ.items() if name != "SUITES_SECONDS"}
    if budget is not None:
        environment["SUITES_SECONDS"] = budget
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import optional_suites, sys\nfrom optional_suites import Suite\n{textwrap.dedent(program)}",
        ],
        env={**environment, "PYTHONPATH": str(Path(optional_suites.__file__).parent)},
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    said = re.sub(r"\d+ s\b", "N s", done.stdout.rpartition("\nSuites\n")[2])
    return done.returncode, [re.sub(r" +", " ", line) for line in said.splitlines()]


def test_the_outcome_of_each_suite_is_printed_and_a_failure_fails_the_run() -> None:
    status, said = run(
        """
        sys.exit(optional_suites.main([
            Suite("good", 1, command=["true"]),
            Suite("bad", 1, command=["sh", "-c", "exit 3"]),
            Suite("foreign", 1, optional_suites.missing_program("no-such-program")),
            Suite("also-good", 1, command=["true"]),
        ]))
        """
    )
    assert said == [
        "good passed: N s",
        "bad failed: status 3, N s",
        "foreign skipped: no no-such-program",
        "also-good passed: N s",
    ]
    assert status == 1


def test_a_suite_that_would_take_too_long_is_not_started(tmp_path: Path) -> None:
    status, said = run(
        f"""
        sys.exit(optional_suites.main([
            Suite("long", 30, command=["touch", "{tmp_path}/started"]),
            Suite("short", 5, command=["true"]),
        ]))
        """,
        budget="20",
    )
    assert said == ["long skipped: no time, it takes N s and N s are left", "short passed: N s"]
    assert status == 0
    assert list(tmp_path.iterdir()) == []


def test_a_suite_is_stopped_with_all_its_processes_when_its_time_is_up(tmp_path: Path) -> None:
    """One process obeys the signal, one ignores it, and one has left its parent and its session."""
    mark = f"{tmp_path}/pids"
    script = f"""
        echo $$ >> {mark}
        (trap '' TERM; sh -c 'trap "" TERM; echo $$ >> {mark}; while :; do sleep 1; done') &
        setsid sh -c 'echo $$ >> {mark}; sleep 600' &
        disown 2> /dev/null; sleep 600
    """
    begun = time.monotonic()
    status, said = run(
        f"""
        optional_suites.GRACE = 0.5
        script = {script!r}
        endless = Suite("endless", 0.5, command=["sh", "-c", script])
        sys.exit(optional_suites.main([endless, Suite("next", 1, command=["true"])]))
        """,
        budget="30",
    )
    assert said == ["endless skipped: stopped after N s, its time was up", "next passed: N s"]
    assert status == 0
    assert time.monotonic() - begun < 20
    started = [int(line) for line in Path(mark).read_text().split()]
    assert len(started) == 3
    assert not any(Path(f"/proc/{each}").exists() for each in started)


def test_a_suite_is_also_stopped_by_the_total_budget_and_by_nothing_else() -> None:
    program = 'sys.exit(optional_suites.main([Suite("slow", 0.1, command=["sleep", "2"])]))'
    assert run(program, budget="0.5")[1] == ["slow skipped: stopped after N s, its time was up"]
    assert run(program)[1] == ["slow passed: N s"]


def test_processes_left_by_a_suite_that_passed_are_ended(tmp_path: Path) -> None:
    script = (
        f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 600' & while [ ! -s {tmp_path}/pid ]; do sleep 0.1; done"
    )
    assert run(f'optional_suites.main([Suite("untidy", 5, command=["sh", "-c", {script!r}])])')[1] == [
        "untidy passed: N s"
    ]
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_missing_programs_are_named() -> None:
    assert missing_program("sh")() is None
    assert missing_program("no-such-program", "sh")() is None
    assert missing_program("no-such-program")() == "no no-such-program"


def test_every_test_target_is_part_of_make_test_or_a_suite() -> None:
    targets = set(re.findall(r"^((?:test|check)-[a-z0-9]+):", MAKEFILE, re.MULTILINE)) - {"test-all"}
    (tests,) = re.findall(r"^test: (.*) ##", MAKEFILE, re.MULTILINE)
    assert targets == {name for name in tests.split() if name.startswith("test-")} | {suite.name for suite in SUITES}


def test_the_suites_are_in_the_order_of_their_duration() -> None:
    assert [suite.seconds for suite in SUITES] == sorted(suite.seconds for suite in SUITES)


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_every_suite_is_described_for_contributors(suite: Suite) -> None:
    assert f"`make {suite.name}`" in (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
