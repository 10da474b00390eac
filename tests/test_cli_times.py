"""The command with commit times, which files of format 3 store."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import capturefile
import pytest
from capturefile.rotating import RotatingReader, RotatingWriter
from command import FAILED, PATIENCE, WRONG_USAGE, assert_one_line, lines, make, output, read, records_of, run, running

if TYPE_CHECKING:
    from pathlib import Path

COMMITS = 6
EACH = 10
"""Records in a commit."""
ALL = [b"%d" % number for number in range(1, COMMITS * EACH + 1)]


class Timed(NamedTuple):
    """A file or a log, and when its records were committed."""

    path: Path
    times: list[str]
    """The time of each commit, in the form of a command-line argument."""


def shown(moment: datetime | None) -> str:
    """A time in the form of a command-line argument."""
    assert moment is not None
    return moment.isoformat()


def commit(log: capturefile.CaptureFile[bytes] | RotatingWriter, index: int) -> None:
    """Makes commit number `index`, not in the same microsecond as the previous one."""
    log.add_records(ALL[index * EACH : (index + 1) * EACH])
    log.commit()
    time.sleep(0.002)


@pytest.fixture(params=["file", "log"])
def timed(request: pytest.FixtureRequest, tmp_path: Path) -> Timed:
    """All commits in one file, or two in each file of a rotated log."""
    path = tmp_path / "timed"
    if request.param == "file":
        with capturefile.open(path, "x", encoding=None, sync="none", format=3) as cf:
            for index in range(COMMITS):
                commit(cf, index)
            return Timed(path, [shown(cf.commit_time(1 + index * EACH)) for index in range(COMMITS)])
    with RotatingWriter(path, encoding=None, sync="none", format=3) as log:
        for index in range(COMMITS):
            commit(log, index)
            if index % 2:
                log.rotate()
    times = []
    with RotatingReader(path) as reader:
        for file in reader.files()[: COMMITS // 2]:
            with capturefile.open(file.path) as cf:
                times += [shown(cf.commit_time(1)), shown(cf.commit_time(1 + EACH))]
    return Timed(path, times)


@pytest.mark.parametrize("first", range(COMMITS))
def test_records_are_selected_by_commit_time(timed: Timed, first: int) -> None:
    end = min(first + 2, COMMITS - 1)
    window = ("--since", timed.times[first], "--until", timed.times[end])
    assert output("cat", *window, timed.path).split() == ALL[first * EACH : end * EACH]
    assert output("count", "--since", timed.times[first], timed.path) == b"%d\n" % ((COMMITS - first) * EACH)
    assert output("get", "--time", timed.times[first], timed.path) == lines(ALL[first * EACH])


def test_every_command_with_time_options_uses_commit_times(timed: Timed, tmp_path: Path) -> None:
    window = ("--since", timed.times[1], "--until", timed.times[3])
    wanted = ALL[EACH : 3 * EACH]
    assert output("grep", "2", *window, timed.path).split() == [record for record in wanted if b"2" in record]
    assert len(output("export", *window, timed.path).splitlines()) == len(wanted)
    run("copy", *window, timed.path, tmp_path / "copy")
    assert records_of(tmp_path / "copy") == wanted
    assert output("tail", *window, timed.path).split() == wanted
    assert output("tail", "-n", "3", *window, timed.path).split() == wanted[-3:]
    assert output("tail", "-n", "+25", *window, timed.path).split() == wanted[25 - 1 - EACH :]
    assert output("follow", "--exit-at-end", *window, timed.path).split() == wanted
    assert output("cat", "--range", "15-40", *window, timed.path).split() == wanted[4:]


def test_times_before_the_first_and_after_the_last_commit(timed: Timed) -> None:
    behind = shown(datetime.now(UTC) + timedelta(hours=1))
    for early in ("@0", "1960-01-01", "-2h"):
        assert output("count", "--since", early, timed.path) == b"%d\n" % len(ALL)
        assert output("count", "--until", early, timed.path) == b"0\n"
    assert output("count", "--until", behind, timed.path) == b"%d\n" % len(ALL)
    assert output("cat", "--since", behind, timed.path) == b""
    done = run("get", timed.path, "--time", behind)
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert_one_line(done.stderr)


def test_deleted_records_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with RotatingWriter(path, encoding=None, sync="none", format=3, keep_files=2) as log:
        for index in range(COMMITS):
            commit(log, index)
            log.rotate()
    assert output("cat", "--since", "@0", path).split() == ALL[(COMMITS - 1) * EACH :]


@pytest.mark.parametrize("command", ["cat", "count", "tail", "follow", "export", "get", "grep", "copy"])
def test_for_a_file_without_times_the_error_names_options_that_help(path: Path, tmp_path: Path, command: str) -> None:
    make(path, [b"record"])
    option = "--time" if command == "get" else "--since"
    others: dict[str, list[str | Path]] = {"grep": ["e", path], "copy": [path, tmp_path / "copy"]}
    words = others.get(command, [path])
    done = run(command, option, "today", *words)
    assert (done.returncode, done.stdout) == (WRONG_USAGE, b"")
    assert_one_line(done.stderr)
    assert b"--time-field" in done.stderr


@pytest.mark.parametrize("arguments", [["3", "--time", "now"], [], ["--time", "now", "--time-slack", "1"]])
def test_get_accepts_numbers_or_a_time(path: Path, arguments: list[str]) -> None:
    make(path, [b"record"])
    assert run("get", path, *arguments).returncode == WRONG_USAGE


# Following


def test_following_begins_and_ends_at_a_time(timed: Timed) -> None:
    end = datetime.now(UTC) + timedelta(seconds=1)
    with running("follow", "--since", timed.times[-1], "--until", shown(end), timed.path) as process:
        expected = lines(*ALL[-EACH:])
        assert read(process.stdout, len(expected)) == expected
        # No records arrive, so the clock ends it.
        assert process.wait(PATIENCE) == 0
        assert datetime.now(UTC) > end


@pytest.mark.parametrize("command", [["follow", "--from", "begin"], ["tail", "-f", "-n", "+1"], ["tail", "-F"]])
def test_the_first_later_record_ends_the_command(timed: Timed, command: list[str]) -> None:
    done = run(*command, "--until", timed.times[2], timed.path)
    assert (done.returncode, done.stdout.split()) == (0, ALL[: 2 * EACH])


def test_a_cursor_is_after_the_last_record_in_the_time_range(timed: Timed, tmp_path: Path) -> None:
    command = ("follow", "--cursor-file", tmp_path / "cursor", timed.path)
    assert output(*command, "--since", "@0", "--until", timed.times[2]).split() == ALL[: 2 * EACH]
    assert output(*command, "--until", timed.times[3]).split() == ALL[2 * EACH : 3 * EACH]
    assert output(*command, "--exit-at-end").split() == ALL[3 * EACH :]


def test_each_of_several_files_ends_at_the_time(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("one", "two")]
    for path in paths:
        with capturefile.open(path, "x", encoding=None, format=3) as cf:
            for index in range(COMMITS):
                commit(cf, index)
    with capturefile.open(paths[0]) as cf:
        until = shown(cf.commit_time(11))
    written = run("follow", "--from", "begin", "-q", "--until", until, *paths).stdout.split()
    assert written == ALL[:EACH]


def test_a_time_field_with_dots_is_found_like_any_field(path: Path) -> None:
    records = [
        {"http": {"at": 1_000_000_001}},
        {"http.at": 1_000_000_002},
        {"http": {"at": 1_000_000_003}, "http.at": 1_000_000_099},
        {"http": {"at": 10**400}},
        {"http.at": "0001-01-01"},
        {"http": 1, "http.at": 1_000_000_004},
    ]
    make(path, [json.dumps(record).encode() for record in records])
    window = ("--since", "@1000000002", "--until", "@1000000004", "--time-field", "http.at")
    assert output("cat", *window, path).splitlines() == [json.dumps(record).encode() for record in records[1:5]]


@pytest.mark.parametrize("slack", [[], ["--time-slack", "1"]])
def test_times_in_records_end_the_command_as_well(path: Path, slack: list[str]) -> None:
    make(path, [b"@%d" % (1_000_000_000 + number) for number in range(10)])
    window = ("--since", "@1000000002", "--until", "@1000000005", "--time-pattern", "@(.*)", *slack)
    expected = [b"@%d" % (1_000_000_000 + number) for number in (2, 3, 4)]
    assert output("follow", *window, path).split() == expected
    assert output("tail", *window, path).split() == expected


def test_from_and_since_cannot_be_combined(path: Path) -> None:
    make(path)
    assert run("follow", "--from", "begin", "--since", "today", path).returncode == WRONG_USAGE
