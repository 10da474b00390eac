"""A short soak: the longer one, with its other parts, is `make soak`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PATIENCE = 240.0
"""Seconds that the short soak may take on a machine that is busy."""
SECONDS = 20


def test_killed_writers_cost_readers_in_eight_processes_and_the_reference_nothing() -> None:
    soak = Path(__file__).with_name("soak.py")
    done = subprocess.run(
        [sys.executable, "-W", "error", soak, str(SECONDS), "--only", "processes"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = dict(line.rsplit(maxsplit=1) for line in done.stdout.splitlines() if line[-1:].isdigit())
    for what in ("kills", "reader checks", "checks by the reference"):
        assert int(table[what].replace(",", "")) > SECONDS, table
    assert table["losses"] == "0"
