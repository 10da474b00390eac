"""The forms in which the command prints and reads records, and what it does not print to a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
from base64 import b64decode
from typing import TYPE_CHECKING

import pytest
from command import (
    COMMAND,
    FAILED,
    PATIENCE,
    SUCCEEDED,
    WRONG_USAGE,
    assert_one_line,
    lines,
    make,
    output,
    records_of,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RECORDS = [
    b"",
    b"text",
    b"two\nlines",
    b"\0\xff\xfe",
    "Größe 世界".encode(),
    b'"\\\r\t',
    bytes(range(256)),
    b"\0",
    b"\n",
]
COMMANDS = [
    ("cat",),
    ("head",),
    ("tail",),
    ("get", "1-"),
    ("follow", "--from", "begin", "--exit-at-end"),
    ("grep", "-v", "never found"),
]


@pytest.fixture
def tough(path: Path) -> Path:
    """A file of records that are easily corrupted in transit."""
    return make(path, RECORDS)


def printed(command: Sequence[str], path: Path, form: str) -> bytes:
    """The output of `command` for the file in this form."""
    rest = (*command[1:], str(path)) if command[0] in ("grep", "follow") else (str(path), *command[1:])
    return output(command[0], "--format", form, *rest)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_prints_records_prints_every_form(tough: Path, command: Sequence[str]) -> None:
    assert printed(command, tough, "text") == lines(*RECORDS)
    assert printed(command, tough, "raw") == b"".join(RECORDS)
    assert printed(command, tough, "hex") == b"".join(record.hex().encode() + b"\n" for record in RECORDS)
    assert printed(command, tough, "nul") == b"".join(record + b"\0" for record in RECORDS)
    assert printed(command, tough, "prefixed") == b"".join(len(record).to_bytes(4) + record for record in RECORDS)
    answer = [json.loads(line) for line in printed(command, tough, "jsonl").split(b"\n")[:-1]]
    assert [line["record_number"] for line in answer] == list(range(1, len(RECORDS) + 1))
    assert [
        b64decode(line["record_base64"]) if "record_base64" in line else line["record"].encode() for line in answer
    ] == RECORDS


def test_a_line_of_json_is_as_documented(path: Path) -> None:
    make(path, ["Größe".encode(), b"\xff"])
    assert output("cat", "--format", "jsonl", path).decode().splitlines() == [
        '{"record_number": 1, "record": "Größe"}',
        '{"record_number": 2, "record_base64": "/w=="}',
    ]


def test_a_line_of_json_has_the_number_of_the_record_in_the_file(numbers: Path) -> None:
    expected = '{"record_number": 20, "record": "20"}\n{"record_number": 3, "record": "3"}\n'
    assert output("get", "--format", "jsonl", numbers, "-1", "3").decode() == expected
    assert output("tail", "-n1", "--format", "jsonl", numbers).decode() == expected.splitlines(keepends=True)[0]
    found = output("grep", "--format", "jsonl", "^3$", numbers).decode()
    assert found == expected.splitlines(keepends=True)[1]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("3-5", [3, 4, 5]),
        ("18-", [18, 19, 20]),
        ("-2-", [19, 20]),
        ("-3--2", [18, 19]),
        ("7", [7]),
        ("-1", [20]),
        ("-20-2", [1, 2]),
    ],
)
def test_cat_accepts_a_range(numbers: Path, asked: str, expected: list[int]) -> None:
    wanted = lines(*(b"%d" % number for number in expected))
    assert output("cat", numbers, "--range", asked) == wanted
    assert output("cat", f"--range={asked}", numbers) == wanted


@pytest.mark.parametrize("asked", ["0", "21", "5-30", "5-3", "-21-"])
def test_a_range_that_the_file_does_not_have_is_an_error(numbers: Path, asked: str) -> None:
    done = run("cat", "--range", asked, numbers)
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert_one_line(done.stderr)


# append


@pytest.mark.parametrize("form", ["nul", "prefixed"])
def test_append_reads_the_output_of_cat(tmp_path: Path, tough: Path, form: str) -> None:
    large = os.urandom(5_000_000).replace(b"\0", b"0")
    records = [record.replace(b"\0", b"0") for record in RECORDS] if form == "nul" else RECORDS
    make(tmp_path / "source", [*records, large, b"", b"last"])
    written = output("cat", "--format", form, tmp_path / "source")
    copy = tmp_path / "copy"
    assert run("append", "--format", form, copy, given=written).stderr.endswith(b" records added\n")
    assert records_of(copy) == [*records, large, b"", b"last"]


def test_records_before_zero_bytes_may_have_newlines(path: Path) -> None:
    run("append", "--format", "nul", path, given=b"a\nb\0\0c")
    assert records_of(path) == [b"a\nb", b"", b"c"]


@pytest.mark.parametrize("rest", [b"\0", b"\0\0\0", b"\0\0\0\x05", b"\0\0\0\x05abcd", b"\xff\xff\xff\xff rest"])
def test_a_truncated_prefixed_record_is_an_error_and_those_before_it_are_kept(path: Path, rest: bytes) -> None:
    done = run("append", "--format", "prefixed", "--commit-every", "1", path, given=b"\0\0\0\x03abc" + rest)
    assert done.returncode == FAILED
    assert done.stderr.startswith(b"capturefile: 1 record added\ncapturefile: standard input: it ends after ")
    assert records_of(path) == [b"abc"]


def test_append_reads_files_one_after_the_other(tmp_path: Path, path: Path) -> None:
    (tmp_path / "one").write_bytes(b"a\nb")
    (tmp_path / "two").write_bytes(b"")
    (tmp_path / "three").write_bytes(b"c\n\nd\n")
    done = run("append", path, tmp_path / "one", "-", tmp_path / "two", tmp_path / "three", given=b"from input")
    assert (done.returncode, done.stderr) == (SUCCEEDED, b"capturefile: 6 records added\n")
    assert records_of(path) == [b"a", b"b", b"from input", b"c", b"", b"d"]


def test_append_reports_a_missing_file_before_it_does_anything(tmp_path: Path, path: Path) -> None:
    (tmp_path / "one").write_bytes(b"a\n")
    done = run("append", path, tmp_path / "one", tmp_path / "two")
    assert done.returncode == FAILED
    assert done.stderr == f"capturefile: {tmp_path / 'two'}: No such file or directory\n".encode()
    assert not path.exists()


# Terminals


def on_terminal(*arguments: str | Path) -> tuple[int, bytes]:
    """Runs the command with a terminal as its standard output; returns its exit code and output."""
    master, terminal = pty.openpty()
    try:
        done = subprocess.run([*COMMAND, *arguments], stdout=terminal, timeout=PATIENCE, check=False)
        seen = b""
        while select.select([master], [], [], 0)[0]:
            seen += os.read(master, 65536)
        return done.returncode, seen
    finally:
        os.close(terminal)
        os.close(master)


NASTY = [b"\x1b[31mred\x07", b"\xff\xfe", "C1 \x9b31m é".encode(), b"tab\tand\nnewline", b"\x7f\r"]


def test_a_terminal_gets_text_with_control_characters_escaped(path: Path) -> None:
    code, seen = on_terminal("cat", make(path, NASTY))
    shown = ["\\x1b[31mred\\x07", "\\xff\\xfe", "C1 \\x9b31m é", "tab\tand", "newline", "\\x7f\\x0d"]
    assert (code, seen.decode().split("\r\n")) == (SUCCEEDED, [*shown, ""])


def test_lines_of_json_are_the_same_alone_and_among_many(path: Path) -> None:
    odd = [b"", b"\0", b"a\0b", rb"\u0000", rb"\\u0000", b"100 %", b"\xff", "ü\n".encode()]
    records = [b"plain %d" % number for number in range(5000)]
    for at, record in enumerate(odd):
        records[at * 600] = record
    make(path, [*records, *odd, *odd])
    found = output("cat", "--format", "jsonl", path).splitlines()
    assert len(found) == len(records) + 2 * len(odd)
    for at in (1, 601, 1201, 1801, 2401, 3001, 3601, 4201, 4999, *range(5001, 5017)):
        assert found[at - 1 : at] == output("get", "--format", "jsonl", path, str(at)).splitlines()


def test_records_before_one_that_cannot_be_read_are_written(damaged: Path) -> None:
    counts = {form: run("cat", "--format", form, damaged).stdout.count(b"\n") for form in ("text", "jsonl")}
    assert counts["text"] == counts["jsonl"] > 0


@pytest.mark.parametrize("form", ["jsonl", "hex"])
def test_a_terminal_gets_no_control_characters_in_other_forms_either(path: Path, form: str) -> None:
    code, seen = on_terminal("cat", "--format", form, make(path, NASTY))
    assert code == SUCCEEDED
    assert seen.count(b"\r\n") == len(NASTY)
    assert not {*"\x1b\x07\x7f\x9b"} & {*seen.decode()}
    if form == "jsonl":
        assert json.loads(seen.splitlines()[2])["record"].encode() == NASTY[2]


@pytest.mark.parametrize("form", ["raw", "nul", "prefixed"])
def test_raw_bytes_go_to_a_terminal_only_when_asked(path: Path, form: str) -> None:
    make(path, [b"\x1bx"])
    assert on_terminal("cat", "--format", form, path) == (WRONG_USAGE, b"")
    code, seen = on_terminal("cat", "--format", form, "--force", path)
    assert code == SUCCEEDED
    assert b"\x1bx" in seen


def test_metadata_is_printed_to_a_terminal_as_text(path: Path) -> None:
    make(path, metadata=b"\x1b]0;title\x07")
    assert on_terminal("metadata", "get", path) == (SUCCEEDED, b"\\x1b]0;title\\x07\r\n")


def test_csv_is_printed_to_a_terminal_as_text_and_parquet_is_refused(path: Path) -> None:
    make(path, [b"\x1bx"])
    code, seen = on_terminal("export", "--format", "csv", path)
    assert (code, seen.splitlines()[1]) == (SUCCEEDED, b'1,"\\x1bx",""')
    assert on_terminal("export", "--format", "parquet", path) == (WRONG_USAGE, b"")


# Unreadable records


def test_cat_skips_unreadable_records_on_request_and_reports_them(damaged: Path) -> None:
    sound = run("cat", "--skip-unreadable", "--format", "jsonl", damaged)
    assert sound.returncode == 3
    written = [json.loads(line)["record_number"] for line in sound.stdout.splitlines()]
    (answer,) = sound.stderr.decode().splitlines()
    first, last = (int(word) for word in answer.split() if word.isdigit())
    assert answer == f"capturefile: {damaged}: records {first} to {last} cannot be read and are left out"
    assert written == [*range(1, first), *range(last + 1, 2001)]
    assert output("cat", "--skip-unreadable", damaged, "--range", f"{last + 1}-").count(b"\n") > 1000


def test_unreadable_records_at_the_end_are_reported_too(damaged: Path) -> None:
    (answer,) = run("cat", "--skip-unreadable", damaged).stderr.decode().splitlines()
    first = next(int(word) for word in answer.split() if word.isdigit())
    done = run("cat", "--skip-unreadable", "--range", f"{first - 1}-{first + 1}", damaged)
    assert (done.returncode, done.stdout.count(b"\n")) == (3, 1)
    assert f"records {first} to {first + 1} cannot be read" in done.stderr.decode()
