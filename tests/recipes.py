"""The recipes for Ray Data and Daft, run as a user runs them: `make test-recipes` installs both and runs this."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
PATIENCE = 300.0
"""Ray takes a while to start on a busy machine."""
EXPECTED = ["100000 records", "1088895 bytes", "b'order 77777'"]
NO_REPORTS = {"RAY_USAGE_STATS_ENABLED": "0", "DAFT_ANALYTICS_ENABLED": "0", "DO_NOT_TRACK": "1"}
"""Disables the usage statistics of both."""


@pytest.mark.parametrize("name", ["with_daft", "with_ray"])
def test_a_recipe_reads_all_records(name: str) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py"],
        env={**os.environ, **NO_REPORTS},
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    # Ray reports its progress on the same stream.
    printed = [line for line in done.stdout.splitlines() if line in EXPECTED]
    assert (done.returncode, printed) == (0, EXPECTED), f"{done.stdout}\n{done.stderr}"
