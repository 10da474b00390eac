"""A short soak test: `make soak` runs a longer one, with other parts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PATIENCE = 240.0
"""Seconds that the short soak may take on a busy machine."""
SECONDS = 20


def test_killed_writers_do_not_affect_readers_in_eight_processes_or_the_reference() -> None:
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
