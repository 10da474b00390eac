"""The command `follow`: records as they are committed, and the cursor that stores how far they were printed."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
from pathlib import Path

import capturefile
import pytest
from capturefile import checkpoint
from command import (
    BROKEN_PIPE,
    FAILED,
    INTERRUPTED,
    PATIENCE,
    SUCCEEDED,
    assert_one_line,
    lines,
    make,
    output,
    pipe_of,
    read,
    run,
    running,
    shell,
    wait_until,
)


@pytest.fixture
def cursor(tmp_path: Path) -> Path:
    """The path of the cursor."""
    return tmp_path / "consumer.cursor"


def add(path: Path, *records: str) -> None:
    """Commits more records."""
    with capturefile.open(path, "a") as cf:
        cf.add_records(records)
        cf.commit()


def kept(cursor: Path) -> int:
    """The next record number in the cursor."""
    records = json.loads(cursor.read_text())["records"]
    assert isinstance(records, int)
    return records + 1


@pytest.mark.parametrize(
    ("start", "expected"),
    [("begin", range(1, 21)), ("end", []), ("18", [18, 19, 20]), ("-2", [19, 20]), ("-99", range(1, 21)), ("21", [])],
)
def test_follow_starts_at_the_given_record(numbers: Path, start: str, expected: list[int]) -> None:
    written = output("follow", "--from", start, "--exit-at-end", numbers)
    assert written == lines(*(b"%d" % number for number in expected))


def test_follow_continues_with_later_commits(numbers: Path) -> None:
    with running("follow", "--from", "-1", numbers) as process:
        assert read(process.stdout, 3) == b"20\n"
        for record in ("21", "22"):
            add(numbers, record)
            assert read(process.stdout, 3) == f"{record}\n".encode()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == INTERRUPTED
        assert read(process.stderr, 1000) == b""


def test_follow_waits_for_a_record_that_is_far_ahead(numbers: Path) -> None:
    with running("follow", "--from", "23", numbers) as process:
        add(numbers, "21", "22", "23")
        assert read(process.stdout, 3) == b"23\n"


def test_follow_ends_silently_when_its_reader_is_gone(numbers: Path) -> None:
    with running("follow", "--from", "-1", numbers) as process:
        assert read(process.stdout, 3) == b"20\n"
        pipe_of(process.stdout).close()
        add(numbers, "21")
        assert process.wait(PATIENCE) == BROKEN_PIPE
        assert read(process.stderr, 1000) == b""


def test_follow_prints_all_records_of_a_file_and_then_reports_that_it_was_replaced(numbers: Path) -> None:
    with running("follow", "--from", "-1", numbers) as process:
        assert read(process.stdout, 3) == b"20\n"
        make(numbers.with_name("new"), [b"other"] * 50).rename(numbers)
        assert process.wait(PATIENCE) == FAILED
        message = read(process.stderr, 1000)
        assert_one_line(message)
        assert b"replaced or removed" in message
        assert read(process.stdout, 10) == b""


# The cursor


def test_follow_continues_where_it_stopped(numbers: Path, cursor: Path) -> None:
    follow = ("follow", "--from", "19", "--cursor-file", cursor, "--exit-at-end", numbers)
    assert output(*follow) == b"19\n20\n"
    assert kept(cursor) == 21
    assert output(*follow) == b""
    add(numbers, "21", "22")
    assert output(*follow) == b"21\n22\n"
    assert kept(cursor) == 23


def test_a_run_without_records_still_saves_where_it_started(numbers: Path, cursor: Path) -> None:
    follow = ("follow", "--cursor-file", cursor, "--exit-at-end", numbers)
    assert output(*follow) == b""
    add(numbers, "21")
    assert output(*follow) == b"21\n"


def test_the_cursor_moves_while_follow_waits_for_more(numbers: Path, cursor: Path) -> None:
    with running("follow", "--cursor-file", cursor, numbers) as process:
        wait_until(cursor.exists)
        add(numbers, "21", "22")
        assert read(process.stdout, 6) == b"21\n22\n"
        wait_until(lambda: kept(cursor) == 23)
        process.kill()
    assert output("follow", "--cursor-file", cursor, "--exit-at-end", numbers) == b""


def test_a_cursor_is_never_ahead_of_the_output(path: Path, cursor: Path) -> None:
    """The command is killed repeatedly, and no record is missing from its output."""
    make(path, [b"%06d" % number for number in range(1, 200_001)])
    eager = (
        "import sys, capturefile.cli.following as following; following.MAX_AT_RISK = -1;"
        "from capturefile.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", eager, "follow", "--from", "begin", "--cursor-file", str(cursor), str(path)]
    seen: set[int] = set()
    for _ in range(3):
        with subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE) as process:
            try:
                seen.update(int(line) for line in read(process.stdout, 21_000).splitlines())
                wait_until_blocked(process)
            finally:
                process.kill()
                # Reading before it is dead would make room for more of its output.
                process.wait()
            rest = pipe_of(process.stdout).read()
            seen.update(int(line) for line in rest[: len(rest) // 7 * 7].splitlines())
        assert seen >= set(range(1, kept(cursor)))
    assert kept(cursor) > 3000
    rest = output("follow", "--cursor-file", cursor, "--exit-at-end", path)
    seen.update(int(line) for line in rest.splitlines())
    assert seen == set(range(1, 200_001))


def wait_until_blocked(process: subprocess.Popen[bytes]) -> None:
    """Waits until the process sleeps because its pipe is full, and not because of the disk."""
    pipe = pipe_of(process.stdout)
    looks = [b""]

    def sleeps() -> bool:
        state = Path(f"/proc/{process.pid}/stat").read_bytes().rpartition(b") ")[2][:1]
        held = fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4)
        looks.append(held if state == b"S" and int.from_bytes(held, sys.byteorder) > 32_768 else b"")
        return looks[-1] != b"" and looks[-20:] == looks[-1:] * 20

    wait_until(sleeps)


def test_the_cursor_stays_if_the_output_cannot_be_written(numbers: Path, cursor: Path) -> None:
    command = ["follow", "--from", "begin", "--cursor-file", str(cursor), "--exit-at-end", str(numbers)]
    done = shell('"$@" > /dev/full', *command)
    assert done.returncode == FAILED
    assert done.stderr == b"capturefile: standard output: No space left on device\n"
    assert kept(cursor) == 1
    assert output(*command).count(b"\n") == 20


@pytest.mark.parametrize("records", [19, 20, 30])
def test_a_cursor_of_one_file_is_refused_for_another(numbers: Path, cursor: Path, records: int) -> None:
    """Otherwise, records of a file that has replaced the followed one would be skipped."""
    follow = ("follow", "--from", "begin", "--cursor-file", cursor, "--exit-at-end", numbers)
    output(*follow)
    before = cursor.read_bytes()
    numbers.unlink()
    make(numbers, [b"another %d" % number for number in range(records)])
    done = run(*follow)
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert_one_line(done.stderr)
    assert b"was replaced" in done.stderr
    assert cursor.read_bytes() == before


def test_a_consumer_and_the_command_can_share_a_cursor(numbers: Path, cursor: Path) -> None:
    assert output("follow", "--from", "begin", "--cursor-file", cursor, "--exit-at-end", numbers).count(b"\n") == 20
    add(numbers, "21")
    with checkpoint.consume_at_least_once(numbers, cursor) as consumer:
        assert list(consumer) == [["21"]]
    add(numbers, "22")
    assert output("follow", "--cursor-file", cursor, "--exit-at-end", numbers) == b"22\n"


def test_a_cursor_file_that_cannot_be_replaced_is_not_reported_as_a_bad_record(numbers: Path, cursor: Path) -> None:
    with running("follow", "--cursor-file", cursor, numbers) as process:
        wait_until(cursor.exists)
        cursor.unlink()
        os.mkfifo(cursor)
        add(numbers, "21")
        assert process.wait(PATIENCE) == FAILED
        error = pipe_of(process.stderr).read()
    assert_one_line(error)
    assert b"consumer.cursor" in error
    assert b"record" not in error
    assert b"recover" not in error


def test_follow_can_start_at_a_record_that_does_not_exist_yet(numbers: Path, cursor: Path) -> None:
    follow = ("follow", "--from", "22", "--cursor-file", cursor, "--exit-at-end", numbers)
    assert output(*follow) == b""
    add(numbers, "21", "22")
    assert output(*follow) == b"22\n"
    assert kept(cursor) == 23


@pytest.mark.parametrize(
    "content", ["", "7", "{}", '{"records": -1, "crc32": 1}', '{"records": true, "crc32": 1}', "\xff"]
)
def test_a_file_that_is_not_a_cursor_is_left_unchanged(numbers: Path, cursor: Path, content: str) -> None:
    cursor.write_text(content, encoding="latin-1")
    done = run("follow", "--cursor-file", cursor, "--exit-at-end", numbers)
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert_one_line(done.stderr)
    assert b"does not contain the position of a consumer" in done.stderr
    assert cursor.read_text(encoding="latin-1") == content


def test_a_cursor_that_cannot_be_saved_is_an_error_before_anything_is_written(numbers: Path, tmp_path: Path) -> None:
    cursor = tmp_path / "missing" / "cursor"
    done = run("follow", "--from", "begin", "--cursor-file", cursor, "--exit-at-end", numbers)
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert done.stderr == f"capturefile: {cursor}: No such file or directory\n".encode()


def test_a_cursor_that_is_a_link_is_replaced_at_its_target(numbers: Path, cursor: Path) -> None:
    real = cursor.with_name("real.cursor")
    cursor.symlink_to(real)
    assert run("follow", "--cursor-file", cursor, "--exit-at-end", numbers).returncode == SUCCEEDED
    assert cursor.is_symlink()
    assert kept(real) == 21
    assert [file for file in cursor.parent.iterdir() if file.name.startswith(".")] == []
