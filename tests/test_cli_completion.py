"""The scripts of `completion`, run in their shells, if these are installed."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from command import PATIENCE, output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHELLS = ["bash", "zsh", "fish"]
ALL_COMMANDS = {
    "append", "backup", "cat", "completion", "copy", "count", "du", "export", "follow", "get", "grep", "head",
    "import", "index", "info", "merge", "metadata", "recover", "sample", "tail", "upload", "verify", "view",
}  # fmt: skip
FORMATS = {"text", "jsonl", "raw", "hex", "nul", "prefixed"}

BASH = """
source {script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_capturefile 2> /dev/null
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def offered(shell: str, folder: Path, words: str) -> set[str]:
    """The completions that the shell offers for the last word of a command line; '' stands for an empty last word."""
    script = folder / f"script.{shell}"
    script.write_bytes(output("completion", shell))
    if shell == "bash":
        program = BASH.format(script=script, words=words)
    else:
        line = words.removesuffix("''")
        program = f"source {script}; complete -C '{line}'"
    done = subprocess.run(
        [shell, *(["--no-config"] if shell == "fish" else ["--norc"]), "-c", program],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=True,
    )
    assert done.stderr == ""
    return {line.split("\t")[0] for line in done.stdout.splitlines()} - {""}


def installed(shell: str) -> pytest.MarkDecorator:
    """Skips the test if the shell is not installed."""
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


COMPLETING = [pytest.param(shell, marks=installed(shell)) for shell in ("bash", "fish")]


@pytest.mark.parametrize("shell", COMPLETING)
def test_the_shell_offers_the_commands(shell: str, tmp_path: Path) -> None:
    assert offered(shell, tmp_path, "capturefile ''") - {"-h", "--help", "--version"} == ALL_COMMANDS
    assert offered(shell, tmp_path, "capturefile gre") == {"grep"}


@pytest.mark.parametrize("shell", COMPLETING)
def test_the_shell_offers_the_options_of_a_command(shell: str, tmp_path: Path) -> None:
    expected = {"--field", "--from", "--force", "--format"}
    assert offered(shell, tmp_path, "capturefile follow --f") == expected
    assert offered(shell, tmp_path, "capturefile follow --exit-at-end file --f") == expected
    assert offered(shell, tmp_path, "capturefile count --f") == set()


@pytest.mark.parametrize("shell", COMPLETING)
def test_the_shell_offers_the_values_of_an_option(shell: str, tmp_path: Path) -> None:
    assert offered(shell, tmp_path, "capturefile cat --format ''") == FORMATS
    assert offered(shell, tmp_path, "capturefile export --format p") == {"parquet"}
    (tmp_path / "file").touch()
    assert offered(shell, tmp_path, "capturefile head -n ''") == set()
    assert "file" in offered(shell, tmp_path, "capturefile follow --cursor-file f")


@pytest.mark.parametrize("shell", COMPLETING)
def test_the_shell_offers_subcommands_and_fixed_arguments(shell: str, tmp_path: Path) -> None:
    helps = {"-h", "--help"}
    assert offered(shell, tmp_path, "capturefile metadata ''") - helps == {"get", "set", "clear"}
    assert offered(shell, tmp_path, "capturefile completion ''") - helps == {*SHELLS}


@pytest.mark.parametrize("shell", COMPLETING)
def test_the_shell_offers_files(shell: str, tmp_path: Path) -> None:
    (tmp_path / "my log.capture").touch()
    (tmp_path / "other").touch()
    found = offered(shell, tmp_path, "capturefile metadata get m")
    assert {name.replace("\\", "") for name in found} == {"my log.capture"}
    assert "other" in offered(shell, tmp_path, "capturefile cat ''")
    assert "cat" not in offered(shell, tmp_path, "capturefile cat ''")


@installed("zsh")
def test_zsh_completes_commands_options_values_and_files(tmp_path: Path) -> None:
    script = tmp_path / "script.zsh"
    script.write_bytes(output("completion", "zsh"))
    (tmp_path / "log.capture").touch()
    with interactive_zsh(tmp_path) as terminal:
        say(terminal, f"PS1=; autoload -Uz compinit; compinit -D -u; source {script}; print DO''NE\n")
        assert heard(terminal, "DONE")
        for begun, whole in {
            "capturefile gre": "capturefile grep ",
            "capturefile cat --form": "capturefile cat --format ",
            "capturefile cat --format js": "capturefile cat --format jsonl ",
            "capturefile metadata se": "capturefile metadata set ",
            "capturefile completion fi": "capturefile completion fish ",
            "capturefile follow --from 3 --curs": "capturefile follow --from 3 --cursor-file ",
            "capturefile metadata get lo": "capturefile metadata get log.capture ",
        }.items():
            say(terminal, f"{begun}\t")
            assert heard(terminal, whole)
            say(terminal, KILL_LINE)


KILL_LINE = "\x15"


@contextmanager
def interactive_zsh(folder: Path) -> Iterator[int]:
    """A zsh in a new terminal; gives the other end of the terminal."""
    master, terminal = pty.openpty()
    with subprocess.Popen(
        ["zsh", "-f", "-i"],
        cwd=folder,
        env={**os.environ, "TERM": "dumb"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    ) as shell:
        try:
            yield master
        finally:
            shell.kill()
            os.close(terminal)
            os.close(master)


def say(terminal: int, text: str) -> None:
    """Types text into the terminal."""
    os.write(terminal, text.encode())


def heard(terminal: int, text: str) -> bool:
    """Whether the terminal shows this text soon."""
    seen = ""
    while text not in seen:
        if not select.select([terminal], [], [], PATIENCE)[0]:
            return False
        seen += os.read(terminal, 65536).decode()
    return True


@pytest.mark.parametrize("shell", SHELLS)
def test_the_scripts_know_every_option_of_every_command(shell: str) -> None:
    script = output("completion", shell).decode()
    for option in ("skip-unreadable", "cursor-file", "commit-interval", "keep-numbers", "block-size"):
        assert option in script
