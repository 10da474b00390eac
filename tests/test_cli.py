"""The command `capturefile`, run as users run it: in a process of its own."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import capturefile
import pytest
from command import (
    BROKEN_PIPE,
    COMMAND,
    DAMAGED,
    FAILED,
    INTERRUPTED,
    PATIENCE,
    SUCCEEDED,
    UNUSABLE,
    WRONG_USAGE,
    assert_one_line,
    count_of,
    lines,
    make,
    metadata_of,
    noise,
    output,
    pipe_of,
    read,
    records_of,
    run,
    running,
    shell,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

COMMANDS_THAT_READ = [
    ("cat",),
    ("head",),
    ("tail",),
    ("tail", "--follow"),
    ("get", "1"),
    ("count",),
    ("info",),
    ("info", "--json"),
    ("info", "--blocks"),
    ("follow", "--from", "begin", "--exit-at-end"),
    ("export",),
    ("metadata", "get"),
]
COMMANDS_THAT_WRITE = [("append",), ("import",), ("metadata", "set"), ("metadata", "clear")]
COMMANDS = [*COMMANDS_THAT_READ, *COMMANDS_THAT_WRITE, ("verify",)]


def on(path: Path | str, command: Sequence[str]) -> list[str]:
    """The arguments that run `command` on the file at `path`."""
    words = 2 if command[0] == "metadata" else 1
    return [*command[:words], os.fspath(path), *command[words:]]


# append


def test_append_makes_each_line_of_standard_input_a_record(path: Path) -> None:
    done = run("append", path, given=b"first\nsecond\nthird\n")
    assert (done.returncode, done.stdout, done.stderr) == (SUCCEEDED, b"", b"capturefile: 3 records added\n")
    assert records_of(path) == [b"first", b"second", b"third"]


def test_append_takes_nothing_from_a_line_but_its_newline(path: Path) -> None:
    run("append", path, given=b"\n\0\xff\xfe\r\n \xe4\t\n\nno newline")
    assert records_of(path) == [b"", b"\0\xff\xfe\r", b" \xe4\t", b"", b"no newline"]


def test_append_adds_after_the_records_that_are_there(path: Path) -> None:
    make(path, [b"first"])
    assert run("append", path, given=b"second").stderr == b"capturefile: 1 record added\n"
    assert records_of(path) == [b"first", b"second"]


def test_append_without_input_leaves_an_empty_file(path: Path) -> None:
    assert run("append", path).stderr == b"capturefile: 0 records added\n"
    assert records_of(path) == []


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_append_commits_a_last_batch_that_is_not_full(path: Path, size: int) -> None:
    run("append", "--commit-every", str(size), path, given=b"a\nb\nc\nd\ne\nf\ng\n")
    assert records_of(path) == [b"a", b"b", b"c", b"d", b"e", b"f", b"g"]


def test_append_shows_each_batch_to_readers_while_it_waits_for_more(path: Path) -> None:
    with running("append", path, "--commit-every", "2", "--commit-interval", "inf") as process:
        pipe_of(process.stdin).write(b"a\nb\nc\n")
        wait_until(lambda: count_of(path) == 2)
        pipe_of(process.stdin).close()
        assert process.wait(PATIENCE) == SUCCEEDED
    assert records_of(path) == [b"a", b"b", b"c"]


def test_append_stores_a_million_lines(path: Path) -> None:
    run("append", path, "--commit-every", "100000", given=b"".join(b"%d\n" % n for n in range(1_000_000)))
    with capturefile.open(path, encoding=None) as cf:
        assert (cf.record_count(), cf[1], cf[-1]) == (1_000_000, b"0", b"999999")


def test_ctrl_c_ends_append_and_keeps_only_the_batches_that_are_full(path: Path) -> None:
    with running("append", path, "--commit-every", "2", "--commit-interval", "inf") as process:
        pipe_of(process.stdin).write(b"a\nb\nc\nd\ne\n")
        wait_until(lambda: count_of(path) == 4)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == INTERRUPTED
        assert read(process.stderr, 1000) == b"capturefile: 4 records added\n"
    assert records_of(path) == [b"a", b"b", b"c", b"d"]


def test_append_to_a_full_disk_fails_and_keeps_the_batches_before(path: Path) -> None:
    limited = (
        "import resource, runpy, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))\n"
        "sys.argv = ['capturefile', *sys.argv[1:]]\n"
        "runpy.run_module('capturefile', run_name='__main__')"
    )
    records = noise(10_000)
    done = subprocess.run(
        [sys.executable, "-c", limited, "append", path, "--commit-every", "100", "--commit-interval", "inf"],
        input=lines(*records),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    count = count_of(path)
    assert 0 < count < len(records)
    assert count % 100 == 0
    assert records_of(path) == records[:count]
    assert done.returncode == FAILED
    added, error = done.stderr.splitlines()
    assert added == b"capturefile: %d records added" % count
    assert error == f"capturefile: {path}: File too large".encode()


def test_append_does_not_need_standard_output(path: Path) -> None:
    done = shell('echo one | "$@" >&-', "append", path)
    assert (done.returncode, done.stderr) == (SUCCEEDED, b"capturefile: 1 record added\n")


def test_append_without_standard_input_fails(path: Path) -> None:
    done = shell('"$@" <&-', "append", path)
    assert done.returncode == FAILED
    assert done.stderr.endswith(b"capturefile: standard input: Bad file descriptor\n")


# cat, head, tail, get, count


def test_cat_writes_each_record_and_a_newline(path: Path) -> None:
    assert output("cat", make(path, [b"first", b"", b"third"])) == b"first\n\nthird\n"


def test_records_are_written_as_the_bytes_that_they_are(path: Path) -> None:
    records = [b"\0\x01\xff\xfe", b"in\nside", b"\r", b"\xc3", bytes(range(256)), noise(1, 300_000)[0]]
    assert output("cat", make(path, records)) == lines(*records)


def test_what_append_stored_cat_gives_back(path: Path) -> None:
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
        (["tail", "--number=0"], b""),
        (["tail", "-n", "99999999999999999999"], lines(*(b"%d" % number for number in range(1, 21)))),
    ],
)
def test_head_and_tail_write_as_many_records_as_asked(numbers: Path, arguments: list[str], expected: bytes) -> None:
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
def test_get_writes_records_in_the_order_asked(numbers: Path, asked: list[str], expected: bytes) -> None:
    assert output("get", numbers, *asked) == expected


@pytest.mark.parametrize("asked", ["0", "21", "-21", "0-3", "18-21", "-21--1", "99999999999999999999"])
def test_get_of_a_record_that_does_not_exist_fails_and_writes_nothing(numbers: Path, asked: str) -> None:
    done = run("get", numbers, "1", asked)
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert_one_line(done.stderr)
    assert b"the file has 20 records" in done.stderr


@pytest.mark.parametrize("asked", ["7-3", "-1--3", "20-1"])
def test_get_of_a_range_that_runs_backwards_fails(numbers: Path, asked: str) -> None:
    done = run("get", numbers, asked)
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert_one_line(done.stderr)
    assert b"backwards" in done.stderr


@pytest.mark.parametrize("asked", ["x", "1.5", "", "-", "--1-", "3--", "1-2-3", "1..3", "٣"])
def test_get_of_something_that_is_no_number_is_wrong_usage(numbers: Path, asked: str) -> None:
    done = run("get", numbers, "--", asked)
    assert (done.returncode, done.stdout) == (WRONG_USAGE, b"")
    assert b"expected a record number or a range" in done.stderr


def test_count_writes_the_number_of_records(numbers: Path) -> None:
    assert output("count", numbers) == b"20\n"


def test_an_empty_file_has_nothing_to_write(path: Path) -> None:
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


def test_cat_writes_what_comes_before_a_damaged_block_and_then_fails(damaged: Path) -> None:
    done = run("cat", damaged)
    assert done.returncode == FAILED
    assert_one_line(done.stderr)
    written = done.stdout.splitlines()
    assert 100 < len(written) < 2000


# tail --follow


def test_tail_goes_on_with_what_is_committed_later(numbers: Path) -> None:
    with running("tail", "--follow", "-n", "2", numbers) as process:
        assert read(process.stdout, 6) == b"19\n20\n"
        with capturefile.open(numbers, "a") as cf:
            for record in (b"21", b"22"):
                cf.add_record(record)
                cf.commit()
                assert read(process.stdout, 3) == record + b"\n"
        assert process.poll() is None


def test_tail_of_no_records_writes_only_what_is_committed_later(numbers: Path) -> None:
    with running("tail", "-f", "-n0", numbers) as process:

        def writes_when_records_come() -> bool:
            run("append", numbers, given=b"new\n")
            return bool(select.select([pipe_of(process.stdout)], [], [], 0)[0])

        wait_until(writes_when_records_come)
        assert read(process.stdout, 4) == b"new\n"


def test_ctrl_c_ends_tail_quietly(numbers: Path) -> None:
    with running("tail", "--follow", "-n1", numbers) as process:
        assert read(process.stdout, 3) == b"20\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == INTERRUPTED
        assert read(process.stderr, 1000) == b""
        assert read(process.stdout, 1000) == b""


def test_tail_ends_quietly_once_nobody_reads_it(numbers: Path) -> None:
    with running("tail", "--follow", "-n1", numbers) as process:
        assert read(process.stdout, 3) == b"20\n"
        pipe_of(process.stdout).close()
        run("append", numbers, given=b"21\n")
        assert process.wait(PATIENCE) == BROKEN_PIPE
        assert read(process.stderr, 1000) == b""


# info, verify


def test_info_names_every_fact_on_a_line(path: Path) -> None:
    facts = dict(line.split(b": ") for line in output("info", make(path, [b"abc"])).splitlines())
    assert facts[b"version"] == b"2"
    assert facts[b"page size"] == b"4096"
    assert facts[b"record count"] == b"1"
    assert facts[b"metadata length"] == b"none"
    assert len(facts) == 11


def test_info_as_json_is_what_the_library_says(path: Path) -> None:
    make(path, [b"abc"] * 100, metadata=b"1234")
    facts = json.loads(output("info", "--json", path))
    with capturefile.open(path) as cf:
        info = cf.info()
    assert facts == {name: getattr(info, name) for name in facts}
    assert (facts["record_count"], facts["metadata_length"], facts["file_size"]) == (100, 4, 409_600)


def test_info_as_json_has_null_where_there_is_no_metadata(path: Path) -> None:
    assert json.loads(output("info", make(path), "--json"))["metadata_length"] is None


def test_verify_says_that_a_sound_file_is_sound(path: Path) -> None:
    written = output("verify", make(path, noise(2000)))
    assert written.startswith(b"sound: 2000 records, ")
    assert written.count(b"\n") == 1


def test_verify_says_what_is_damaged_and_where(damaged: Path) -> None:
    done = run("verify", damaged)
    assert (done.returncode, done.stderr) == (DAMAGED, b"")
    verdict, *problems, unreadable = done.stdout.splitlines()
    assert verdict.startswith(b"damaged: ")
    assert b"2000 records" in verdict
    assert problems
    assert all(problem.startswith(b"at byte ") for problem in problems)
    assert re.fullmatch(rb"records \d+ to \d+ cannot be read", unreadable)


def test_verify_as_json_tells_the_same(damaged: Path) -> None:
    done = run("verify", "--json", damaged)
    assert done.returncode == DAMAGED
    told = json.loads(done.stdout)
    report = capturefile.verify(damaged)
    assert told["sound"] is False
    assert told["record_count"] == 2000
    assert told["records_checked"] == report.records_checked
    assert told["problems"] == [
        {"position": problem.position, "message": problem.message} for problem in report.problems
    ]


def test_verify_as_json_of_a_sound_file_has_no_problems(numbers: Path) -> None:
    told = json.loads(output("verify", "--json", numbers))
    assert (told["sound"], told["records_checked"], told["problems"]) == (True, 20, [])


def test_verify_cannot_use_a_file_whose_master_nodes_are_both_damaged(numbers: Path) -> None:
    data = bytearray(numbers.read_bytes())
    data[4096 + 100] ^= 1
    data[4096 + 40_960 + 100] ^= 1
    numbers.write_bytes(data)
    done = run("verify", numbers)
    assert (done.returncode, done.stdout) == (UNUSABLE, b"")
    assert_one_line(done.stderr)


# metadata


def test_metadata_that_was_set_can_be_got(path: Path) -> None:
    make(path)
    assert output("metadata", "set", path, "some text") == b""
    assert output("metadata", "get", path) == b"some text"


def test_metadata_is_set_to_exactly_the_bytes_of_standard_input(path: Path) -> None:
    value = b"\0\xff\r\n\nlast\n"
    make(path)
    output("metadata", "set", path, given=value)
    assert metadata_of(path) == value
    assert output("metadata", "get", path) == value


def test_metadata_can_be_any_argument(path: Path) -> None:
    make(path)
    output("metadata", "set", path, b"\xff\xfe")
    assert metadata_of(path) == b"\xff\xfe"
    output("metadata", "set", path, "--", "-n")
    assert metadata_of(path) == b"-n"
    output("metadata", "set", path, "")
    assert metadata_of(path) == b""
    assert output("metadata", "get", path) == b""


def test_metadata_that_was_cleared_is_gone(path: Path) -> None:
    make(path, metadata=b"old")
    output("metadata", "clear", path)
    assert metadata_of(path) is None


def test_getting_metadata_where_there_is_none_fails(numbers: Path) -> None:
    done = run("metadata", "get", numbers)
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert_one_line(done.stderr)
    assert b"no metadata" in done.stderr


def test_setting_metadata_keeps_the_records(numbers: Path) -> None:
    output("metadata", "set", numbers, "x")
    assert count_of(numbers) == 20


def test_metadata_on_a_terminal_ends_with_a_newline(path: Path) -> None:
    make(path, metadata=b"value")
    master, terminal = pty.openpty()
    try:
        subprocess.run([*COMMAND, "metadata", "get", path], stdout=terminal, timeout=PATIENCE, check=True)
        assert os.read(master, 1000) == b"value\r\n"
    finally:
        os.close(terminal)
        os.close(master)


# Errors


@pytest.mark.parametrize("command", [*COMMANDS_THAT_READ, ("metadata", "set"), ("metadata", "clear")])
def test_a_missing_file_is_an_error_on_one_line(path: Path, command: Sequence[str]) -> None:
    done = run(*on(path, command))
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert done.stderr == f"capturefile: {path}: No such file or directory\n".encode()
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"just text\n", b"MioCapture\0", b"\0" * 500_000])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_is_no_capture_file_is_an_error_on_one_line(
    path: Path, command: Sequence[str], content: bytes
) -> None:
    path.write_bytes(content)
    done = run(*on(path, command), given=b"some input\n")
    assert (done.returncode, done.stdout) == (UNUSABLE if command == ("verify",) else FAILED, b"")
    assert_one_line(done.stderr)
    assert path.read_bytes() == content


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_is_an_error_on_one_line(tmp_path: Path, command: Sequence[str]) -> None:
    done = run(*on(tmp_path, command))
    assert (done.returncode, done.stdout) == (UNUSABLE if command == ("verify",) else FAILED, b"")
    assert_one_line(done.stderr)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_without_permission_is_an_error_on_one_line(numbers: Path, command: Sequence[str]) -> None:
    numbers.chmod(0)
    done = run(*on(numbers, command))
    assert (done.returncode, done.stdout) == (UNUSABLE if command == ("verify",) else FAILED, b"")
    assert done.stderr == f"capturefile: {numbers}: Permission denied\n".encode()


@pytest.mark.parametrize("command", COMMANDS_THAT_WRITE)
def test_a_file_that_somebody_writes_is_an_error_on_one_line(numbers: Path, command: Sequence[str]) -> None:
    with capturefile.open(numbers, "a"):
        done = run(*on(numbers, command), given=b"x\n")
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert_one_line(done.stderr)
    assert b"already open" in done.stderr
    assert count_of(numbers) == 20


def test_append_into_a_missing_folder_is_an_error_on_one_line(tmp_path: Path) -> None:
    done = run("append", tmp_path / "missing" / "log.capture", given=b"x\n")
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert_one_line(done.stderr)
    assert b"No such file or directory" in done.stderr


def test_verify_cannot_use_a_missing_file(path: Path) -> None:
    done = run("verify", path)
    assert (done.returncode, done.stdout) == (UNUSABLE, b"")
    assert_one_line(done.stderr)


def test_an_error_names_a_path_with_a_newline_on_one_line(tmp_path: Path) -> None:
    assert_one_line(run("cat", tmp_path / "two\nlines").stderr)


def test_a_path_need_not_be_text(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.capture"
    assert run("append", path, given=b"record\n").returncode == SUCCEEDED
    assert output("cat", path) == b"record\n"
    done = run("cat", path + b"x")
    assert done.returncode == FAILED
    assert_one_line(done.stderr)


def test_an_error_is_quiet_where_standard_error_is_closed(path: Path) -> None:
    done = shell('"$@" 2>&-', "cat", path)
    assert (done.returncode, done.stdout) == (FAILED, b"")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bogus"],
        ["cat"],
        ["cat", "--bogus", "file"],
        ["cat", "file", "file"],
        ["get", "file"],
        ["head", "-n", "-1", "file"],
        ["tail", "-n", "many", "file"],
        ["tail", "--foll", "file"],
        ["append", "--commit-every", "0", "file"],
        ["metadata"],
        ["metadata", "bogus", "file"],
        ["metadata", "set", "file", "one", "two"],
        ["follow", "--from", "0", "file"],
        ["follow", "--from", "middle", "file"],
        ["grep", "pattern"],
        ["cat", "--format", "xml", "file"],
        ["cat", "--range", "a-b", "file"],
        ["append", "--commit-interval", "-1", "file"],
        ["append", "--commit-interval", "nan", "file"],
        ["copy", "file"],
        ["copy", "--level", "13", "file", "other"],
        ["copy", "--block-size", "1G", "file", "other"],
        ["copy", "--split", "0", "file", "other"],
        ["export", "--format", "xml", "file"],
        ["completion", "tcsh"],
    ],
)
def test_wrong_usage_is_told_apart_from_failure(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (WRONG_USAGE, b"")
    assert done.stderr.startswith(b"usage: capturefile")


# Standard output


@pytest.fixture
def large(path: Path) -> Path:
    """A file with more to write than any pipe holds."""
    return make(path, [b"%06d" % number for number in range(300_000)])


def test_cat_ends_quietly_once_nobody_reads_it(large: Path) -> None:
    with running("cat", large) as process:
        assert read(process.stdout, 7) == b"000000\n"
        pipe_of(process.stdout).close()
        assert process.wait(PATIENCE) == BROKEN_PIPE
        assert read(process.stderr, 1000) == b""


def test_a_shell_pipeline_shows_only_what_was_asked_for(large: Path) -> None:
    done = shell('"$@" | head -1; exit ${PIPESTATUS[0]}', "cat", large)
    assert (done.returncode, done.stdout, done.stderr) == (BROKEN_PIPE, b"000000\n", b"")


def run_unread(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    """Runs the command with a standard output that nobody reads from the start."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [*COMMAND, *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            timeout=PATIENCE,
            check=False,
        )
    finally:
        os.close(writer)


@pytest.mark.parametrize("command", [("cat",), ("count",), ("info", "--json"), ("verify",)])
def test_results_that_nobody_reads_end_the_command_quietly(numbers: Path, command: Sequence[str]) -> None:
    done = run_unread(*on(numbers, command))
    assert (done.returncode, done.stderr) == (BROKEN_PIPE, b"")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_that_nobody_reads_ends_the_command_quietly(option: str, unbuffered: str) -> None:
    done = run_unread(option, environment={"PYTHONUNBUFFERED": unbuffered})
    # Without a buffer argparse itself ignores the error.
    assert done.returncode in {SUCCEEDED, BROKEN_PIPE}
    assert done.stderr == b""


def test_ctrl_c_ends_cat_even_while_its_reader_does_not_read(large: Path) -> None:
    with running("cat", large) as process:
        assert read(process.stdout, 7) == b"000000\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == INTERRUPTED
        assert read(process.stderr, 1000) == b""


def test_unbuffered_python_writes_the_same(large: Path) -> None:
    done = run("cat", large, environment={"PYTHONUNBUFFERED": "1"})
    assert done.stdout == output("cat", large)


@pytest.mark.parametrize("command", [("cat",), ("info", "--json"), ("count",), ("verify", "--json")])
def test_a_full_disk_under_standard_output_is_an_error_on_one_line(numbers: Path, command: Sequence[str]) -> None:
    done = shell('"$@" >/dev/full', *on(numbers, command))
    assert done.returncode == FAILED
    assert done.stderr == b"capturefile: standard output: No space left on device\n"


def test_a_closed_standard_output_is_an_error_on_one_line(numbers: Path) -> None:
    done = shell('"$@" >&-', "cat", numbers)
    assert done.returncode == FAILED
    assert done.stderr == b"capturefile: standard output: Bad file descriptor\n"


# The command as a whole


def test_version_is_the_librarys() -> None:
    assert output("--version") == f"capturefile {capturefile.__version__}\n".encode()


def test_help_names_every_command() -> None:
    written = output("--help").decode()
    assert all(command[0] in written for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: Sequence[str]) -> None:
    assert output(*command, "--help").startswith(b"usage: capturefile " + command[0].encode())


def test_the_command_starts_within_a_second(numbers: Path) -> None:
    def seconds() -> float:
        start = time.perf_counter()
        output("count", numbers)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 1.0
