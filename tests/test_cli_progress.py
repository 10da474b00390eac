"""The progress line on a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import capturefile.cli.progress
import pytest
from capturefile.cli.messages import say
from capturefile.cli.progress import Progress, duration, line, progress
from command import COMMAND, PATIENCE, SUCCEEDED, make, pipe_of, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.mark.parametrize(
    ("done", "total", "seconds", "expected"),
    [
        (1_500_000, 6_000_000, 3.0, "1,500,000 of 6,000,000 records, 25 %, 500,000 a second, 9 s left"),
        (1_500_000, None, 3.0, "1,500,000 records, 500,000 a second"),
        (0, 10, 1.0, "0 of 10 records, 0 %, 0 a second"),
        (10, 10, 1.0, "10 of 10 records, 100 %, 10 a second, 0 s left"),
        (12, 10, 1.0, "12 records, 12 a second"),
        (1, 1_000_000, 2.0, "1 of 1,000,000 records, 0 %, 0 a second, 555 h 33 min left"),
    ],
)
def test_the_line_shows_amount_speed_and_remaining_time(
    done: int, total: int | None, seconds: float, expected: str
) -> None:
    assert line("copy", "records", done, total, seconds) == f"copy: {expected}"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (90_000, "25 h 0 min"),
    ],
)
def test_longer_times_are_shown_less_precisely(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_items_pass_through_unchanged() -> None:
    for visible in (True, False):
        shown = Progress("copy", "records", 3, None, visible=visible)
        assert list(shown.over(iter("abc"))) == ["a", "b", "c"]


@contextmanager
def on_terminal(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command with a pipe as its input and a terminal as its standard error; gives the terminal's other end."""
    master, terminal = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments], bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=terminal
    ) as process:
        try:
            yield process, master
        finally:
            process.kill()
            os.close(terminal)
            os.close(master)


def test_long_work_shows_its_progress_and_removes_the_line_at_the_end(path: Path) -> None:
    with on_terminal("append", path) as (process, terminal):
        seen = b""
        for _ in range(int(PATIENCE * 20)):
            pipe_of(process.stdin).write(b"a line\n")
            if select.select([terminal], [], [], 0.05)[0]:
                seen += os.read(terminal, 65536)
                break
        assert seen.startswith(b"\r\x1b[Kappend: ")
        assert b" records, " in seen
        pipe_of(process.stdin).close()
        assert process.wait(PATIENCE) == SUCCEEDED
        while not seen.endswith(b" added\r\n"):
            assert select.select([terminal], [], [], PATIENCE)[0]
            seen += os.read(terminal, 65536)
    # The final message is on a line of its own.
    before, _, last = seen.rpartition(b"\r\x1b[K")
    assert before
    assert last.startswith(b"capturefile: ")


def test_a_message_during_the_work_has_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(os, "write", lambda _, data: written.append(data.decode()))
    monkeypatch.setattr(os, "isatty", lambda _: True)
    monkeypatch.setattr("capturefile.cli.messages.write_all", lambda _, data: written.append(data.decode()))
    with progress("copy", "records", 10) as shown:
        shown.due = 0.0
        shown.look()
        say("something")
        say("more")
        shown.due = 0.0
        shown.look()
    say("end")
    first, cleared, something, more, second, cleared_again, end = written
    assert first.startswith("\r\x1b[Kcopy: 0 of 10 records")
    assert second.startswith("\r\x1b[Kcopy: 0 of 10 records")
    assert cleared == cleared_again == "\r\x1b[K"
    assert (something, more, end) == ("capturefile: something\n", "capturefile: more\n", "capturefile: end\n")


def test_short_work_shows_nothing(numbers: Path, tmp_path: Path) -> None:
    with on_terminal("copy", numbers, tmp_path / "copy") as (process, terminal):
        assert process.wait(PATIENCE) == SUCCEEDED
        assert os.read(terminal, 65536) == b"capturefile: 20 records copied\r\n"


def test_nothing_is_shown_without_a_terminal(path: Path) -> None:
    """The work takes longer than the initial delay of the progress line."""
    with subprocess.Popen(
        [*COMMAND, "append", path], bufsize=0, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        for _ in range(30):
            pipe_of(process.stdin).write(b"a line\n")
            assert not select.select([pipe_of(process.stderr)], [], [], 0.05)[0]
        pipe_of(process.stdin).close()
        assert pipe_of(process.stderr).read() == b"capturefile: 30 records added\n"


def test_an_export_of_nothing_does_not_divide_by_zero(path: Path) -> None:
    assert run("export", make(path)).returncode == SUCCEEDED
    assert line("export", "records", 0, 0, 1.0) == "export: 0 of 0 records, 0 %, 0 a second"


@pytest.mark.parametrize("command", ["verify", "recover"])
def test_work_of_the_library_shows_its_progress(
    numbers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(capturefile.cli.progress, "SILENCE", 0.0)
    monkeypatch.setattr(capturefile.cli.progress, "PAUSE", 0.0)
    monkeypatch.setattr(os, "isatty", lambda _: True)
    monkeypatch.setattr(os, "write", lambda _, data: written.append(data))
    targets = [os.fspath(tmp_path / "target")] if command == "recover" else []
    assert capturefile.cli.main([command, os.fspath(numbers), *targets]) == SUCCEEDED
    shown = b"".join(written).split(b"\r\x1b[K")
    assert shown[1].startswith(f"{command}: 0 of ".encode())
    assert b" bytes, 100 %, " in shown[-2]
    assert shown[-2].endswith(b", 0 s left")
    assert shown[-1] == b""
