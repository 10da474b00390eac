"""What all commands of `capturefile` have in common: errors, exit codes, and the use of standard output."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import capturefile
import capturefile.cli
import pytest
from command import (
    BROKEN_PIPE,
    COMMAND,
    FAILED,
    INTERRUPTED,
    PATIENCE,
    SUCCEEDED,
    UNUSABLE,
    WRONG_USAGE,
    assert_one_line,
    count_of,
    make,
    output,
    pipe_of,
    read,
    records_of,
    run,
    running,
    shell,
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
    ("sample",),
    ("du",),
    ("info",),
    ("info", "--json"),
    ("info", "--blocks"),
    ("follow", "--from", "begin", "--exit-at-end"),
    ("export",),
    ("metadata", "get"),
]
COMMANDS_THAT_CREATE = [("append",), ("import",)]
COMMANDS_THAT_WRITE = [*COMMANDS_THAT_CREATE, ("metadata", "set"), ("metadata", "clear")]
COMMANDS = [*COMMANDS_THAT_READ, *COMMANDS_THAT_WRITE, ("verify",)]


def on(path: Path | str, command: Sequence[str]) -> list[str]:
    """The arguments that run `command` on the file at `path`."""
    words = 2 if command[0] == "metadata" else 1
    return [*command[:words], os.fspath(path), *command[words:]]


# Errors


@pytest.mark.parametrize("command", [*COMMANDS_THAT_READ, ("metadata", "set"), ("metadata", "clear")])
def test_a_missing_file_is_an_error_on_one_line(path: Path, command: Sequence[str]) -> None:
    done = run(*on(path, command))
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert done.stderr == f"capturefile: {path}: No such file or directory\n".encode()
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"just text\n", b"MioCapture\0", b"\0" * 500_000])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_is_not_a_capture_file_is_an_error_on_one_line(
    path: Path, command: Sequence[str], content: bytes
) -> None:
    if not content and command in COMMANDS_THAT_CREATE:
        pytest.skip("an empty file becomes a capture file")
    path.write_bytes(content)
    done = run(*on(path, command), given=b"some input\n")
    assert (done.returncode, done.stdout) == (UNUSABLE if command == ("verify",) else FAILED, b"")
    assert_one_line(done.stderr)
    assert path.read_bytes() == content


@pytest.mark.parametrize("command", COMMANDS_THAT_CREATE)
def test_an_empty_file_becomes_a_capture_file(path: Path, command: Sequence[str]) -> None:
    path.touch(mode=0o600)
    done = run(*on(path, command), given=b'{"record": "some input"}\n')
    assert (done.returncode, done.stdout) == (0, b"")
    assert path.stat().st_mode & 0o777 == 0o600
    with capturefile.open(path) as cf:
        assert len(cf) == 1


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
def test_a_file_that_is_being_written_is_an_error_on_one_line(numbers: Path, command: Sequence[str]) -> None:
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


def test_an_error_is_silent_if_standard_error_is_closed(path: Path) -> None:
    done = shell('"$@" 2>&-', "cat", path)
    assert (done.returncode, done.stdout) == (FAILED, b"")


@pytest.mark.parametrize(
    "arguments",
    [
        ["cat"],
        ["cat", "--bogus", "file"],
        ["metadata", "get", "file", "file"],
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
        ["copy", "--level", "13", "--format", "2", "file", "other"],
        ["copy", "--level", "high", "file", "other"],
        ["copy", "--level", "23", "--format", "3", "file", "other"],
        ["copy", "--compression", "zstd", "--format", "2", "file", "other"],
        ["copy", "--compression", "zlib", "--format", "3", "file", "other"],
        ["copy", "--block-size", "1G", "file", "other"],
        ["copy", "--block-size", "5000", "file", "other"],
        ["copy", "--split", "0", "file", "other"],
        ["export", "--format", "xml", "file"],
        ["completion", "tcsh"],
    ],
)
def test_wrong_usage_is_distinguished_from_failure(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (WRONG_USAGE, b"")
    assert done.stderr.startswith(f"usage: capturefile {arguments[0]}".encode())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["appnd", "x"], b"capturefile: unknown command appnd; did you mean append?"),
        (["bogus"], b"capturefile: unknown command bogus; capturefile help lists all"),
        (
            [os.devnull],
            b"capturefile: unknown command /dev/null; it comes before the file, as in capturefile tail FILE",
        ),
        (
            ["metadata", "x.capture"],
            b"capturefile metadata: error: unknown command x.capture; expected get, set or clear, as in capturefile "
            b"metadata get FILE",
        ),
        (["metadata", "gte", "x"], b"capturefile metadata: error: unknown command gte; did you mean get?"),
        (["help", "vrify"], b"capturefile: unknown command vrify; did you mean verify?"),
        (["cat", "--rnage", "1-2"], b"capturefile cat: error: unknown option --rnage; did you mean --range?"),
        (["cat", "--bogus", "x"], b"capturefile cat: error: unknown option --bogus"),
        (["grep", "-x", "pattern"], b"capturefile grep: error: unknown option -x"),
        (["metadata", "get", "x", "y"], b"capturefile metadata get: error: unexpected arguments: y"),
        (["metadata", "get", "--jsn", "x"], b"capturefile metadata get: error: unknown option --jsn"),
        (["cat", "--", "--range"], b"capturefile: --range: No such file or directory"),
        (["append"], b"capturefile append: error: the following arguments are required: FILE"),
        (["export"], b"capturefile export: error: the following arguments are required: FILE"),
        *(
            (
                [command, "--format", "3", "x"],
                f"capturefile {command}: error: argument --format: invalid choice: '3'; the format of the file is "
                "--file-format 3".encode(),
            )
            for command in ("append", "import")
        ),
        (
            ["sample", "--seed", "x", "y"],
            b"capturefile sample: error: argument --seed: expected a whole number, not 'x'",
        ),
        (
            ["copy", "--format", "x", "y", "z"],
            b"capturefile copy: error: argument --format: expected a whole number, not 'x'",
        ),
        (["import", "x", "y", "--rows", "z"], b"capturefile import: error: unexpected arguments: z"),
        (["import", "x", "--rows", "y", "z"], b"capturefile import: error: unexpected arguments: y z"),
        (["import", "x", "-", "--rows", "y"], b"capturefile import: error: unexpected arguments: y"),
    ],
)
def test_a_usage_error_names_what_is_wrong(arguments: list[str], message: bytes) -> None:
    assert run(*arguments).stderr.splitlines()[-1] == message


def test_options_may_stand_between_arguments(numbers: Path) -> None:
    assert output("get", numbers, "1", "--format", "hex", "2", "-1") == b"31\n32\n3230\n"
    assert output("cat", numbers, "--format", "nul", numbers).count(b"\0") == 40
    done = run("get", numbers, "1", "--format", "hex", "two")
    assert (done.returncode, done.stdout) == (WRONG_USAGE, b"")
    assert b"not 'two'" in done.stderr


def test_options_may_stand_before_an_optional_argument(numbers: Path, tmp_path: Path) -> None:
    table, target = tmp_path / "x.csv", tmp_path / "new.capture"
    commands: tuple[list[str | Path], ...] = (
        ["export", numbers, "--range", "1-2", table],
        ["import", target, "--format", "csv", table],
        ["append", target, "--format", "text", table],
        ["recover", target, "--json", tmp_path / "rescued.capture"],
    )
    for command in commands:
        assert run(*command).returncode == SUCCEEDED
    assert records_of(target)[:2] == records_of(numbers)[:2]
    assert records_of(tmp_path / "rescued.capture") == records_of(target)


def test_help_is_shown_without_arguments_and_by_the_command_help() -> None:
    assert output() == output("help") == output("--help")
    assert output("help", "help") == output("help")
    assert output("help", "cat") == output("cat", "--help")
    assert output("help", "metadata", "set") == output("metadata", "set", "--help")


# Standard output


@pytest.fixture
def large(path: Path) -> Path:
    """A file whose output is larger than the buffer of any pipe."""
    return make(path, [b"%06d" % number for number in range(300_000)])


def test_cat_ends_silently_when_its_reader_is_gone(large: Path) -> None:
    with running("cat", large) as process:
        assert read(process.stdout, 7) == b"000000\n"
        pipe_of(process.stdout).close()
        assert process.wait(PATIENCE) == BROKEN_PIPE
        assert read(process.stderr, 1000) == b""


def test_a_shell_pipeline_prints_only_the_requested_records(large: Path) -> None:
    done = shell('"$@" | head -1; exit ${PIPESTATUS[0]}', "cat", large)
    assert (done.returncode, done.stdout, done.stderr) == (BROKEN_PIPE, b"000000\n", b"")


def run_unread(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    """Runs the command with a standard output that has no reader from the start."""
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


@pytest.mark.parametrize(
    "command", [("cat",), ("count",), ("info", "--json"), ("verify",), ("export",), ("export", "--format", "parquet")]
)
def test_results_without_a_reader_end_the_command_silently(numbers: Path, command: Sequence[str]) -> None:
    done = run_unread(*on(numbers, command))
    assert (done.returncode, done.stderr) == (BROKEN_PIPE, b"")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_without_a_reader_ends_the_command_silently(option: str, unbuffered: str) -> None:
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
