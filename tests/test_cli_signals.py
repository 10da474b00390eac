"""How the command ends on a signal: it removes unfinished files."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from command import COMMAND, PATIENCE, SUCCEEDED, make, noise, read, run, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RECORDS = noise(200_000)
LONG_WORK = [
    ("copy", "--level", "12"),
    ("copy", "--level", "12", "--split", "30000"),
    ("export", "--format", "csv"),
    ("export", "--format", "jsonl"),
    ("recover",),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that keeps each command busy for a while."""
    return make(tmp_path_factory.mktemp("signals") / "source.capture", RECORDS)


def unfinished(folder: Path) -> list[str]:
    """The files that do not have their final names yet."""
    return [path.name for path in folder.iterdir() if path.suffix == ".tmp"]


def started(command: Sequence[str], source: Path, target: Path) -> subprocess.Popen[bytes]:
    """The running command, once its unfinished file exists."""
    process = subprocess.Popen([*COMMAND, *command, source, target], stderr=subprocess.PIPE)
    wait_until(lambda: bool(unfinished(target.parent)) or process.poll() is not None)
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("command", LONG_WORK)
def test_a_signal_ends_the_command_and_leaves_nothing_behind(
    command: Sequence[str], number: signal.Signals, source: Path, tmp_path: Path
) -> None:
    with started(command, source, tmp_path / "target") as process:
        process.send_signal(number)
        code = process.wait(PATIENCE)
        assert read(process.stderr, 1000) == b""
    # For a process that was ended by a signal, a shell reports 128 plus its number.
    assert code == (128 + signal.SIGINT if number is signal.SIGINT else -number)
    assert list(tmp_path.iterdir()) == []


def test_a_shell_sees_143(source: Path, tmp_path: Path) -> None:
    script = 'cd "$0"; "$@" & until [ -n "$(ls -A)" ]; do sleep 0.01; done; kill $!; wait $!'
    command = ["bash", "-c", script, str(tmp_path), *COMMAND, "copy", "--level", "12", str(source), "target"]
    assert subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False).returncode == 143
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [("copy",), ("export",), ("recover",)])
def test_files_left_by_a_killed_command_do_not_affect_the_next(
    command: Sequence[str], source: Path, tmp_path: Path
) -> None:
    with started(command, source, tmp_path / "target") as process:
        process.kill()
    assert unfinished(tmp_path)
    assert run(*command, source, tmp_path / "target").returncode == SUCCEEDED
    assert (tmp_path / "target").stat().st_size > 1_000_000
