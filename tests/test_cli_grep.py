"""The command `grep`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from command import SUCCEEDED, UNUSABLE, WRONG_USAGE, assert_one_line, lines, make, output, run

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = [b"", b"An Error", b"error: disk", b"a.b", b"a+b", "straße ÉTÉ".encode(), b"\xff\xfe error", b"one\ntwo"]
NOTHING_FOUND = 1


@pytest.fixture
def log(path: Path) -> Path:
    """A file to search in."""
    return make(path, RECORDS)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["error"], [3, 7]),
        (["-i", "error"], [2, 3, 7]),
        (["^error"], [3]),
        (["-v", "r"], [1, 4, 5, 8]),
        (["a.b"], [4, 5]),
        (["--fixed", "a.b"], [4]),
        (["-F", "-i", "A+B"], [5]),
        (["-F", "-v", "a"], [1, 2, 3, 7, 8]),
        (["-i", "été"], [6]),
        (["stra.e"], [6]),
        ([r"^\w+ \w+$"], [2, 6]),
        (["-m", "1", "error"], [3]),
        (["--max-count=5", "error"], [3, 7]),
        (["^$"], [1]),
        (["two$"], [8]),
        (["one.two"], []),
        (["(?s)one.two"], [8]),
        (["-m0", "error"], []),
        (["--range", "4-", "error"], [7]),
        (["--", "-"], []),
    ],
)
def test_grep_writes_the_records_that_match(log: Path, arguments: list[str], expected: list[int]) -> None:
    done = run("grep", *arguments, log)
    found = lines(*(RECORDS[number - 1] for number in expected))
    assert (done.returncode, done.stdout, done.stderr) == (SUCCEEDED if expected else NOTHING_FOUND, found, b"")


def test_grep_finds_bytes_that_are_not_text(log: Path) -> None:
    assert output("grep", b"\xff", log) == output("grep", "-F", b"\xff", log) == RECORDS[6] + b"\n"
    assert output("grep", b"-i", b"\xfe ERROR", log) == RECORDS[6] + b"\n"


def test_grep_counts(log: Path) -> None:
    assert output("grep", "-c", "error", log) == b"2\n"
    assert output("grep", "-c", "-v", "error", log) == b"6\n"
    assert output("grep", "-c", "-m", "1", "error", log) == b"1\n"
    done = run("grep", "-c", "nowhere", log)
    assert (done.returncode, done.stdout) == (NOTHING_FOUND, b"0\n")


def test_grep_numbers_the_records(log: Path) -> None:
    assert output("grep", "-n", "a.b", log) == b"4:a.b\n5:a+b\n"
    assert output("grep", "-n", "--format", "hex", "a.b", log) == b"4:612e62\n5:612b62\n"
    assert output("grep", "-n", "--format", "jsonl", "a[.]b", log) == b'{"record_number": 4, "record": "a.b"}\n'


@pytest.mark.parametrize("form", ["raw", "nul", "prefixed"])
def test_numbers_cannot_be_combined_with_binary_forms(log: Path, form: str) -> None:
    done = run("grep", "-n", "--format", form, "a", log)
    assert (done.returncode, done.stdout) == (WRONG_USAGE, b"")
    assert_one_line(done.stderr)


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "(?P<n>a)(?P<n>b)"])
def test_an_invalid_pattern_is_wrong_usage(log: Path, pattern: str) -> None:
    done = run("grep", pattern, log)
    assert (done.returncode, done.stdout) == (WRONG_USAGE, b"")
    assert_one_line(done.stderr)
    assert b"not a valid regular expression" in done.stderr
    assert run("grep", "-F", pattern, log).returncode == NOTHING_FOUND


def test_grep_distinguishes_an_unreadable_file_from_one_without_matches(tmp_path: Path, damaged: Path) -> None:
    for file in (tmp_path / "missing", tmp_path, damaged):
        done = run("grep", "nowhere", file)
        assert (done.returncode, done.stdout) == (UNUSABLE, b"")
        assert_one_line(done.stderr)


def test_grep_skips_unreadable_records_on_request(damaged: Path) -> None:
    done = run("grep", "--skip-unreadable", "-c", "", damaged)
    assert done.returncode == 3
    assert 1000 < int(done.stdout) < 2000
    assert b"cannot be read and are left out" in done.stderr
