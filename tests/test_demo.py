"""The demonstration, run as a user runs it, with less text."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import capturefile
import pytest

DEMO = Path(__file__).parent.parent / "examples" / "demo.py"
PATIENCE = 120.0
WRONG_USAGE = 2


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs the demonstration to its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", DEMO, *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


def test_the_demo_survives_its_crash_and_leaves_a_sound_file(tmp_path: Path) -> None:
    path = tmp_path / "library.capture"
    done = run("--lines", "5000", "--file", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("Everything was as it should be.\n")
    assert "killed       at line 2,333, 333 lines after its last commit" in done.stdout
    assert "in the file  2,000 records" in done.stdout
    assert capturefile.verify(path).sound
    with capturefile.open(path) as log:
        assert len(log) == 5000
        assert json.loads(log.get_metadata() or b"").keys() == {"file", "line"}
    to_try = re.findall(r"^    (\S+/capturefile (?:info|tail|grep) .*)$", done.stdout, re.MULTILINE)
    assert len(to_try) == 3
    for command in to_try:
        assert subprocess.run(shlex.split(command), capture_output=True, timeout=PATIENCE, check=True).stdout
    assert f"capturefile view {path}" in done.stdout


@pytest.mark.parametrize(
    "arguments", [("--lines", "1999"), ("--file", DEMO)], ids=["too few lines", "a file that exists"]
)
def test_the_demo_refuses_what_it_cannot_do(arguments: tuple[str, ...]) -> None:
    text = DEMO.read_bytes()
    done = run(*arguments)
    assert done.returncode == WRONG_USAGE
    assert arguments[0] in done.stderr
    assert DEMO.read_bytes() == text


def test_the_demo_reports_a_wrong_record(tmp_path: Path) -> None:
    """The checks of the demonstration can fail: they detect a library that drops every last record."""
    broken = tmp_path / "broken.py"
    broken.write_text(
        "import runpy, sys, capturefile\n"
        "class Broken(capturefile.CaptureFile):\n"
        "    def records_at(self, numbers): return super().records_at(numbers)[::-1]\n"
        "opened = capturefile.open\n"
        "capturefile.open = lambda path, mode='r': Broken(path) if mode == 'r' else opened(path, mode)\n"
        f"sys.argv = [{str(DEMO)!r}, '--lines', '2000']\n"
        f"runpy.run_path({str(DEMO)!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, broken], capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("demo: record ")
