"""The command `grep` over several files, with context, and with other options of the common grep."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import pytest
from command import FAILED, SUCCEEDED, UNUSABLE, WRONG_USAGE, assert_one_line, lines, make, output, run
from rotating_logs import write_files

if TYPE_CHECKING:
    from pathlib import Path

RED, RESET = b"\x1b[1;31m", b"\x1b[0m"
LOSSY = 3


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """Two files; the second does not contain "cat"."""
    return [
        make(tmp_path / "a", [b"a cat", b"a dog", b"two cats, a cat", b"concatenate"]),
        make(tmp_path / "b", [b"a bird", b"a dog"]),
    ]


def test_output_names_the_file_of_each_match(two: list[Path], tmp_path: Path) -> None:
    a, b = (str(path).encode() for path in two)
    assert output("grep", "dog", *two) == a + b":a dog\n" + b + b":a dog\n"
    assert output("grep", "-n", "dog", *two) == a + b":2:a dog\n" + b + b":2:a dog\n"
    assert output("grep", "dog", "-n", two[0], "--no-filename", two[1]) == b"2:a dog\n2:a dog\n"
    assert output("cat", two[1], "--format", "nul", two[1]) == b"a bird\0a dog\0" * 2
    assert output("grep", "--no-filename", "dog", *two) == b"a dog\na dog\n"
    assert output("grep", "-H", "bird", two[1]) == b + b":a bird\n"
    assert output("grep", "-c", "cat", *two) == a + b":3\n" + b + b":0\n"
    assert output("grep", "-l", "cat", *two) == a + b"\n"
    assert output("grep", "-m1", "a", *two) == a + b":a cat\n" + b + b":a bird\n"
    write_files(tmp_path / "log", 2, 3)
    assert output("grep", "-n", "-H", "4", tmp_path / "log") == f"{tmp_path}/log:4:record 4\n".encode()
    printed = output("grep", "--format", "jsonl", "bird", *two)
    assert printed == b'{"file": "' + b + b'", "record_number": 1, "record": "a bird"}\n'


def test_several_patterns_and_whole_words(two: list[Path]) -> None:
    assert output("grep", "-e", "bird", "-e", "dog", two[1]) == b"a bird\na dog\n"
    assert output("grep", "-w", "cat", two[0]) == b"a cat\ntwo cats, a cat\n"
    assert output("grep", "-w", "-e", "cats", "-e", "dog", two[0]) == b"a dog\ntwo cats, a cat\n"
    assert output("grep", "-P", "-w", "cat", two[0]) == b"a cat\ntwo cats, a cat\n"
    assert run("grep", "-e", "cat").returncode == WRONG_USAGE


def test_quiet_answers_only_through_the_exit_code(two: list[Path]) -> None:
    assert output("grep", "-q", "bird", *two) == b""
    assert run("grep", "-q", "fish", *two).returncode == FAILED
    assert run("grep", "-q", "cat", two[0], "missing").returncode == SUCCEEDED


def test_matches_are_printed_alone_or_in_red(two: list[Path]) -> None:
    assert output("grep", "-o", "-n", "cats?", two[0]) == b"1:cat\n3:cats\n3:cat\n4:cat\n"
    assert output("grep", "-o", "-P", "cats?", two[0]) == b"cat\ncats\ncat\ncat\n"
    assert output("grep", "-o", "-v", "dog", two[0]) == b""
    assert output("grep", "--color", "always", "dog", two[1]) == b"a " + RED + b"dog" + RESET + b"\n"
    assert output("grep", "--color", "never", "dog", two[1]) == b"a dog\n"
    assert output("grep", "-o", "--color=always", "d.", two[1]) == RED + b"do" + RESET + b"\n"
    assert run("grep", "-o", "--format", "hex", "dog", two[0]).returncode == WRONG_USAGE


def test_an_unreadable_file_does_not_stop_the_search_in_others(two: list[Path]) -> None:
    done = run("grep", "dog", "missing", *two)
    assert (done.returncode, done.stdout.count(b"a dog\n")) == (UNUSABLE, 2)
    assert done.stderr == b"capturefile: missing: No such file or directory\n"


# Context


def expected_context(texts: list[str], pattern: str, before: int, after: int) -> list[str]:
    """The output of grep with numbers, computed from each record."""
    hits = [number for number, text in enumerate(texts, 1) if re.search(pattern, text)]
    wanted = sorted({near for hit in hits for near in range(hit - before, hit + after + 1) if 1 <= near <= len(texts)})
    found: list[str] = []
    for number, last in zip(wanted, [None, *wanted], strict=False):
        if last is not None and number != last + 1:
            found.append("--")
        found.append(f"{number}{':' if number in hits else '-'}{texts[number - 1]}")
    return found


@pytest.mark.parametrize("seed", range(12))
def test_context_is_the_records_around_a_match(path: Path, seed: int) -> None:
    source = random.Random(seed)
    texts = [source.choice(["x", "y", "y", "y", "z"]) + str(number) for number in range(40)]
    make(path, [text.encode() for text in texts])
    before, after = source.randint(0, 4), source.randint(1, 4)
    found = output("grep", "-n", "-B", str(before), "-A", str(after), "x", path).decode().splitlines()
    assert found == expected_context(texts, "x", before, after)
    around = output("grep", "-n", "-C", str(after), "x", path).decode().splitlines()
    assert around == expected_context(texts, "x", after, after)


def test_context_stays_within_the_range_and_crosses_files_of_a_log(tmp_path: Path) -> None:
    write_files(tmp_path / "log", 3, 1, 5)
    assert output("grep", "-n", "-C1", "4", tmp_path / "log") == b"3-record 3\n4:record 4\n5-record 5\n"
    assert output("grep", "-n", "-C1", "--range", "4-", "4", tmp_path / "log") == b"4:record 4\n5-record 5\n"
    assert run("grep", "-C1", "--format", "raw", "4", tmp_path / "log").returncode == WRONG_USAGE


# Patterns


def test_patterns_are_rust_patterns_or_with_an_option_python_ones(path: Path) -> None:
    make(path, [b"aa", b"ab", "é3".encode(), b"\xff1"])
    done = run("grep", r"(.)\1", path)
    assert (done.returncode, done.stdout) == (WRONG_USAGE, b"")
    assert_one_line(done.stderr)
    assert b"use -P for Python's syntax" in done.stderr
    assert output("grep", "-P", r"(.)\1", path) == b"aa\n"
    assert output("grep", "-P", r"a(?!b)", path) == b"aa\n"
    for option in ([], ["-P"]):
        assert output("grep", *option, r"^\w\d$", path) == "é3\n".encode()
        assert output("grep", *option, "-i", "É", path) == "é3\n".encode()
        assert output("grep", *option, b"\xff\\d", path) == b"\xff1\n"


@pytest.mark.parametrize("text", [r"a.b*c+(d)[e]{f}|g^h$i\j", "<b>", "a b#c&d-e~f", "é\n", "%@!'\"/,;:=`"])
def test_a_fixed_text_matches_only_itself(path: Path, text: str) -> None:
    make(path, [b"before " + text.encode() + b" behind", text.encode()[1:], b"a" + text.encode()])
    assert output("grep", "-c", "-F", text, path) == b"2\n"
    assert output("grep", "-c", "-F", "-e", text, "-e", "before", path) == b"2\n"


def test_many_records_are_searched_in_many_batches(path: Path) -> None:
    make(path, [b"%d" % number for number in range(250_000)])
    assert output("grep", "-c", "77", path) == b"%d\n" % sum("77" in str(number) for number in range(250_000))
    expected = lines(*(b"%d" % number for number in range(250_000) if "777" in str(number)))
    assert output("grep", "777", path) == expected
    assert output("grep", "-c", "-m", "1234", "7", path) == b"1234\n"


def test_unreadable_records_are_skipped_and_reported_as_ranges(damaged: Path) -> None:
    done = run("grep", "--skip-unreadable", "-n", "^", damaged)
    count = run("grep", "--skip-unreadable", "-c", "^", damaged)
    assert (done.returncode, count.returncode) == (LOSSY, LOSSY)
    assert done.stderr == count.stderr
    assert_one_line(done.stderr)
    assert int(count.stdout) == len(re.findall(rb"^\d+:", done.stdout, re.MULTILINE))
