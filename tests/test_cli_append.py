"""The command `append`, whose records are lines; other forms are in test_cli_formats.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import capturefile
import capturefile.cli
import pytest
from command import (
    FAILED,
    INTERRUPTED,
    PATIENCE,
    SUCCEEDED,
    count_of,
    lines,
    make,
    noise,
    pipe_of,
    read,
    records_of,
    run,
    running,
    shell,
    wait_until,
)

if TYPE_CHECKING:
    pass


def test_append_makes_each_line_of_standard_input_a_record(path: Path) -> None:
    done = run("append", path, given=b"first\nsecond\nthird\n")
    assert (done.returncode, done.stdout, done.stderr) == (SUCCEEDED, b"", b"capturefile: 3 records added\n")
    assert records_of(path) == [b"first", b"second", b"third"]


def test_append_removes_only_the_newline_from_a_line(path: Path) -> None:
    run("append", path, given=b"\n\0\xff\xfe\r\n \xe4\t\n\nno newline")
    assert records_of(path) == [b"", b"\0\xff\xfe\r", b" \xe4\t", b"", b"no newline"]


def test_append_adds_after_the_existing_records(path: Path) -> None:
    make(path, [b"first"])
    assert run("append", path, given=b"second").stderr == b"capturefile: 1 record added\n"
    assert records_of(path) == [b"first", b"second"]


def test_append_without_input_leaves_an_empty_file(path: Path) -> None:
    assert run("append", path).stderr == b"capturefile: 0 records added\n"
    assert records_of(path) == []


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_append_commits_an_incomplete_last_batch(path: Path, size: int) -> None:
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


def test_ctrl_c_ends_append_and_keeps_only_full_batches(path: Path) -> None:
    with running("append", path, "--commit-every", "2", "--commit-interval", "inf") as process:
        pipe_of(process.stdin).write(b"a\nb\nc\nd\ne\n")
        wait_until(lambda: count_of(path) == 4)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == INTERRUPTED
        assert read(process.stderr, 1000) == b"capturefile: 4 records added\n"
    assert records_of(path) == [b"a", b"b", b"c", b"d"]


def test_append_to_a_full_disk_fails_and_keeps_earlier_batches(path: Path) -> None:
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


def test_append_commits_complete_lines_after_the_interval(path: Path) -> None:
    with running("append", path, "--commit-interval", "0.05") as process:
        pipe_of(process.stdin).write(b"a\nb\nhalf")
        wait_until(lambda: count_of(path) == 2)
        pipe_of(process.stdin).write(b" a line\n")
        wait_until(lambda: count_of(path) == 3)
        pipe_of(process.stdin).close()
        assert process.wait(PATIENCE) == SUCCEEDED
    assert records_of(path) == [b"a", b"b", b"half a line"]


def test_append_commits_within_a_second_by_default(path: Path) -> None:
    with running("append", path) as process:
        pipe_of(process.stdin).write(b"a\n")
        wait_until(lambda: count_of(path) == 1)


def test_append_commits_immediately_with_an_interval_of_zero(path: Path) -> None:
    with running("append", path, "--commit-interval", "0", "--commit-every", "1000000") as process:
        for count in (1, 2, 3):
            pipe_of(process.stdin).write(b"a\n")
            wait_until(lambda count=count: count_of(path) == count)  # type: ignore[misc]


def test_append_uses_almost_no_processor_time_while_it_waits(path: Path) -> None:
    with running("append", path) as process:
        pipe_of(process.stdin).write(b"a\n")
        wait_until(lambda: count_of(path) == 1)
        used = processor_time(process.pid)
        time.sleep(0.5)
        assert processor_time(process.pid) - used < 0.1


def processor_time(process: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_append_accepts_lines_that_arrive_in_pieces(path: Path) -> None:
    long = noise(1, 3_000_000)[0]
    with running("append", path) as process:
        for piece in (b"a", b"b", b"\n", b"\nc\n", long, b"end", b"\n", b"rest"):
            pipe_of(process.stdin).write(piece)
        pipe_of(process.stdin).close()
        assert process.wait(PATIENCE) == SUCCEEDED
    assert records_of(path) == [b"ab", b"", b"c", long + b"end", b"rest"]


@pytest.mark.parametrize("interval", ["2147484", "1e300", "inf"])
def test_append_accepts_intervals_of_any_length(path: Path, interval: str) -> None:
    with running("append", path, "--commit-interval", interval) as process:
        pipe_of(process.stdin).write(b"a\n")
        wait_until(lambda: path.exists())
        pipe_of(process.stdin).write(b"b\n")
        process.communicate(timeout=PATIENCE)
        assert process.returncode == SUCCEEDED
    assert records_of(path) == [b"a", b"b"]
