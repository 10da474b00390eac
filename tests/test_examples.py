"""The examples, run as a user runs them, and the pages that name them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
PATIENCE = 60.0

OUTPUT = {
    "bookmark": "250 lines added\n2 lines added\n0 lines added\n252 records, the last of them line 252\n",
    "readers": "1000 records, the last of them 49,19\n1000 records, the last of them 49,19\n",
    "rescue": ("sound: True\nsound: False\nunreadable: 1249 to 3433\nrecovered: 7815\nrecord 10,000: record 10000\n"),
    "rotation": (
        "100000 records in 17 files\n"
        "order 26000 and order 26001\n"
        "100000 records, from order 1 to order 100000\n"
        "order 99999\norder 100000\n"
        "order 100000\n"
        "continued with order 83001 of 3 files\n"
    ),
    "sequences": "315,000 words\n10000 1000 100\nTrue True\n100 records at random\n",
    "following": "".join(f"order {number}\n" for number in range(1, 6)) + "5 orders counted, 0 to come\n",
    "exactly_once": (
        "stopped with ['London', 'Rouen']\n"
        "ended with ['London', 'Rouen', 'London', 'Rotterdam']\n"
        "announced 1: Ada, from London\n"
        "announced 2: Blaise, from Rouen\n"
        "announced 3: Charles, from London\n"
        "announced 4: Edsger, from Rotterdam\n"
    ),
    "services": (
        "0 records are committed\n"
        "INFO shop order 1\n"
        "ERROR shop no stock for order 1\n"
        "2 records and 8 bytes in 1 commit\n"
    ),
    "tables": "[(14286, 99998)]\n[(14286, 99998)]\n",
}
# The examples that a page quotes.
PAGES = {
    "arrow.md": "tables with_polars",
    "sequences.md": "sequences",
    "following.md": "following",
    "exactly-once.md": "exactly_once",
    "logging.md": "services",
    "rotation.md": "rotation",
    "dask.md": "with_dask",
    "spark.md": "in_spark",
}


def test_every_example_is_run() -> None:
    """The demonstration has its own tests, and examples that need an engine are run by the engine's optional suite."""
    names = ("recipes", "clustering", "spark_engine", "frames")
    suites = "".join((PROJECT / "tests" / f"{name}.py").read_text() for name in names)
    engines = set(re.findall(r'"((?:with|in)_[a-z]+)(?:\.py)?"', suites))
    assert len(engines) == 5
    assert {path.stem for path in (PROJECT / "examples").glob("*.py")} == {*OUTPUT, *engines, "demo", "smoke"}


@pytest.mark.parametrize("name", OUTPUT)
def test_an_example_prints_the_expected_output(name: str) -> None:
    if name == "tables":
        pytest.importorskip("duckdb")
    done = subprocess.run(
        [sys.executable, "-W", "error", PROJECT / "examples" / f"{name}.py"],
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", OUTPUT[name])


def test_the_smoke_test_passes() -> None:
    command = [sys.executable, "-W", "error", str(PROJECT / "examples" / "smoke.py")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("capturefile ")


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_work(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", (PROJECT / "docs" / page).read_text())
    assert links
    for link in links:
        assert (PROJECT / "docs" / link).exists(), link


def test_the_tests_that_a_page_names_exist() -> None:
    text = "".join((PROJECT / "docs" / page).read_text() for page in PAGES)
    names = re.findall(r"`(test_\w+)`", text)
    assert names
    tests = "".join(path.read_text() for path in (PROJECT / "tests").glob("test_*.py"))
    for name in names:
        assert f"def {name}(" in tests
