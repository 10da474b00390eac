"""Colours, which are used only on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
from typing import TYPE_CHECKING

import pytest
from command import COMMAND, PATIENCE, make, output

if TYPE_CHECKING:
    from pathlib import Path

RED, GREEN, RESET = b"\x1b[1;31m", b"\x1b[1;32m", b"\x1b[0m"


def on_terminal(*arguments: str | Path, **environment: str) -> bytes:
    """What the command writes to a terminal; it must be short."""
    master, terminal = pty.openpty()
    try:
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
        variables = {**kept, "TERM": "xterm", **environment}
        subprocess.run([*COMMAND, *arguments], stdout=terminal, env=variables, timeout=PATIENCE, check=False)
        return os.read(master, 4096)
    finally:
        os.close(terminal)
        os.close(master)


@pytest.fixture
def texts(path: Path) -> Path:
    return make(path, [b"an error, and an Error", b"\x1b[2Jerror\xff", b"nothing"])


def test_grep_highlights_matches_in_red(texts: Path) -> None:
    written = on_terminal("grep", "-n", "error|$", texts)
    assert written.splitlines() == [
        b"1:an " + RED + b"error" + RESET + b", and an Error",
        b"2:\\x1b[2J" + RED + b"error" + RESET + b"\\xff",
        b"3:nothing",
    ]
    assert on_terminal("grep", "-i", "-F", "AN", texts).count(RED) == 3


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_disabled(texts: Path, environment: dict[str, str]) -> None:
    for arguments in (("grep", "error"), ("verify",)):
        assert b"\x1b" not in on_terminal(*arguments, texts, **environment)
        assert b"\x1b[1" not in output(*arguments, texts)


def test_verdicts_are_green_or_red(numbers: Path, tmp_path: Path) -> None:
    assert on_terminal("verify", numbers).startswith(GREEN + b"sound" + RESET)
    assert on_terminal("recover", numbers, tmp_path / "new").startswith(GREEN + b"complete" + RESET)
    data = bytearray(numbers.read_bytes())
    data[4096 + 100] ^= 1
    data[4096 + 40_960 + 100] ^= 1
    numbers.write_bytes(data)
    assert on_terminal("recover", "--dry-run", numbers).startswith(RED + b"incomplete" + RESET)
