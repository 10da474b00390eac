"""The commands `cat`, `head`, `tail`, `get` and `count`."""

from __future__ import annotations

import select
import signal
from typing import TYPE_CHECKING

import capturefile
import capturefile.cli
import pytest
from command import (
    BROKEN_PIPE,
    FAILED,
    INTERRUPTED,
    PATIENCE,
    WRONG_USAGE,
    assert_one_line,
    lines,
    make,
    noise,
    output,
    pipe_of,
    read,
    run,
    running,
    wait_until,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_cat_writes_each_record_and_a_newline(path: Path) -> None:
    assert output("cat", make(path, [b"first", b"", b"third"])) == b"first\n\nthird\n"


def test_records_are_written_unchanged(path: Path) -> None:
    records = [b"\0\x01\xff\xfe", b"in\nside", b"\r", b"\xc3", bytes(range(256)), noise(1, 300_000)[0]]
    assert output("cat", make(path, records)) == lines(*records)


def test_cat_writes_the_records_that_append_stored(path: Path) -> None:
    text = lines(*noise(20_000, 30))
    run("append", path, given=text)
    assert output("cat", path) == text


def test_head_writes_the_first_ten_records(numbers: Path) -> None:
    assert output("head", numbers) == b"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"


def test_tail_writes_the_last_ten_records(numbers: Path) -> None:
    assert output("tail", numbers) == b"11\n12\n13\n14\n15\n16\n17\n18\n19\n20\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["head", "-n", "2"], b"1\n2\n"),
        (["head", "-n0"], b""),
        (["head", "-n", "99999999999999999999"], lines(*(b"%d" % number for number in range(1, 21)))),
        (["tail", "-n", "2"], b"19\n20\n"),
        (["head", "-2"], b"1\n2\n"),
        (["tail", "--number=0"], b""),
        (["tail", "-2"], b"19\n20\n"),
        (["tail", "-n", "+18"], b"18\n19\n20\n"),
        (["tail", "-n+20"], b"20\n"),
        (["tail", "-n", "+21"], b""),
        (["tail", "-n", "+0"], lines(*(b"%d" % number for number in range(1, 21)))),
        (["tail", "-n", "99999999999999999999"], lines(*(b"%d" % number for number in range(1, 21)))),
    ],
)
def test_head_and_tail_write_the_requested_number_of_records(
    numbers: Path, arguments: list[str], expected: bytes
) -> None:
    assert output(*arguments, numbers) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["1"], b"1\n"),
        (["20", "3", "3"], b"20\n3\n3\n"),
        (["3-7"], b"3\n4\n5\n6\n7\n"),
        (["7-7"], b"7\n"),
        (["-1"], b"20\n"),
        (["-20"], b"1\n"),
        (["-3--1"], b"18\n19\n20\n"),
        (["19--1"], b"19\n20\n"),
        (["-20-2"], b"1\n2\n"),
        (["5", "-2--1", "1-2"], b"5\n19\n20\n1\n2\n"),
        (["--", "-1", "-2--2"], b"20\n19\n"),
        (["18-", "-2-"], b"18\n19\n20\n19\n20\n"),
    ],
)
def test_get_writes_records_in_the_requested_order(numbers: Path, asked: list[str], expected: bytes) -> None:
    assert output("get", numbers, *asked) == expected


@pytest.mark.parametrize("asked", ["0", "21", "-21", "0-3", "18-21", "-21--1", "99999999999999999999"])
def test_get_of_a_record_that_does_not_exist_fails_and_writes_nothing(numbers: Path, asked: str) -> None:
    done = run("get", numbers, "1", asked)
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert_one_line(done.stderr)
    assert b"the file has 20 records" in done.stderr


@pytest.mark.parametrize("asked", ["7-3", "-1--3", "20-1"])
def test_get_of_a_reversed_range_fails(numbers: Path, asked: str) -> None:
    done = run("get", numbers, asked)
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert_one_line(done.stderr)
    assert b"backwards" in done.stderr


@pytest.mark.parametrize("asked", ["x", "1.5", "", "-", "--1-", "3--", "1-2-3", "1..3", "٣"])
def test_get_of_something_that_is_not_a_number_is_wrong_usage(numbers: Path, asked: str) -> None:
    done = run("get", numbers, "--", asked)
    assert (done.returncode, done.stdout) == (WRONG_USAGE, b"")
    assert b"expected a record number or a range" in done.stderr


def test_count_writes_the_number_of_records(numbers: Path) -> None:
    assert output("count", numbers) == b"20\n"


def test_the_output_for_an_empty_file_is_empty(path: Path) -> None:
    make(path)
    assert output("cat", path) == b""
    assert output("head", path) == b""
    assert output("tail", path) == b""
    assert output("count", path) == b"0\n"
    assert output("verify", path).startswith(b"sound: 0 records")
    assert run("get", path, "-1").returncode == FAILED


def test_reading_does_not_wait_for_a_writer(numbers: Path) -> None:
    with capturefile.open(numbers, "a") as writer:
        writer.add_record("uncommitted")
        assert output("tail", "-n1", numbers) == b"20\n"
        assert output("count", numbers) == b"20\n"
        writer.rollback()


def test_cat_writes_the_records_before_a_damaged_block_and_then_fails(damaged: Path) -> None:
    done = run("cat", damaged)
    assert done.returncode == FAILED
    assert_one_line(done.stderr)
    written = done.stdout.splitlines()
    assert 100 < len(written) < 2000


# tail --follow


def test_tail_continues_with_later_commits(numbers: Path) -> None:
    with running("tail", "--follow", "-n", "2", numbers) as process:
        assert read(process.stdout, 6) == b"19\n20\n"
        with capturefile.open(numbers, "a") as cf:
            for record in (b"21", b"22"):
                cf.add_record(record)
                cf.commit()
                assert read(process.stdout, 3) == record + b"\n"
        assert process.poll() is None


def test_tail_of_no_records_writes_only_later_commits(numbers: Path) -> None:
    with running("tail", "-f", "-n0", numbers) as process:

        def writes_when_records_come() -> bool:
            run("append", numbers, given=b"new\n")
            return bool(select.select([pipe_of(process.stdout)], [], [], 0)[0])

        wait_until(writes_when_records_come)
        assert read(process.stdout, 4) == b"new\n"


def test_ctrl_c_ends_tail_silently(numbers: Path) -> None:
    with running("tail", "--follow", "-n1", numbers) as process:
        assert read(process.stdout, 3) == b"20\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == INTERRUPTED
        assert read(process.stderr, 1000) == b""
        assert read(process.stdout, 1000) == b""


def test_tail_ends_silently_when_its_reader_is_gone(numbers: Path) -> None:
    with running("tail", "--follow", "-n1", numbers) as process:
        assert read(process.stdout, 3) == b"20\n"
        pipe_of(process.stdout).close()
        run("append", numbers, given=b"21\n")
        assert process.wait(PATIENCE) == BROKEN_PIPE
        assert read(process.stderr, 1000) == b""
