"""The tests that docs/durability.md names exist."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).parent.parent
PAGE = (PROJECT / "docs" / "durability.md").read_text(encoding="utf-8")
COLUMN = "shown by"


def named_tests() -> list[tuple[str, list[str]]]:
    """Each row of the tables that have this column, with the test names in it."""
    rows = []
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        header, _, *lines = [re.split(r" *\| *", line.strip("| \n")) for line in table.splitlines()]
        if header[-1] == COLUMN:
            rows += [(" | ".join(line), re.findall(r"`(\w+)`", line[-1])) for line in lines]
    return rows


def existing_tests() -> set[str]:
    """The names of all tests, in both languages."""
    python = (path.read_text(encoding="utf-8") for path in (PROJECT / "tests").glob("test_*.py"))
    rust = [
        path.read_text(encoding="utf-8")
        for folder in ("src", "tests", "interleavings")
        for path in (PROJECT / folder).rglob("*.rs")
    ]
    names = {name for text in python for name in re.findall(r"^def (test_\w+)\(", text, re.MULTILINE)}
    return names | {name for text in rust for name in re.findall(r"#\[test\]\s+(?:#\[.*\]\s+)*fn (\w+)\(\)", text)}


def test_every_promise_names_tests_that_exist() -> None:
    rows = named_tests()
    assert len(rows) > PAGE.count(COLUMN) > 1
    existing = existing_tests()
    for row, names in rows:
        assert names, f"no test is named: {row}"
        assert set(names) <= existing, f"{set(names) - existing} do not exist: {row}"


def test_every_table_names_its_tests() -> None:
    headers = re.findall(r"^(\|.*)\n\|[-|]+\n", PAGE, re.MULTILINE)
    assert headers
    assert all(header.endswith(f"{COLUMN} |") for header in headers)
