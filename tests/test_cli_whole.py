"""The command as a whole: its help, and its start-up time."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from itertools import groupby
from typing import TYPE_CHECKING

import capturefile
import capturefile.cli
import pytest
from capturefile.cli.arguments import protect_numbers
from command import (
    COMMAND,
    PATIENCE,
    output,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def test_version_is_the_librarys() -> None:
    assert output("--version") == f"capturefile {capturefile.__version__}\n".encode()


def described() -> dict[str, argparse.ArgumentParser]:
    """Every command: its words, and the parser that describes it."""

    def below(parser: argparse.ArgumentParser, words: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
        for action in parser._actions:
            for name, command in action.choices.items() if isinstance(action.choices, dict) else ():
                yield f"{words}{name}", command
                yield from below(command, f"{words}{name} ")

    return dict(below(capturefile.cli.parser(), ""))


EVERY_COMMAND = list(described())


def test_help_names_every_command() -> None:
    written = output("--help").decode()
    named = re.findall(r"^  ([a-z]+)\b", written.partition("\ncommands:\n")[2].partition("\n\n")[0], re.MULTILINE)
    assert named == [command for command in EVERY_COMMAND if " " not in command]
    assert len(named) == 23


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    written = output(*command.split(), "--help").decode()
    assert written.startswith(f"usage: capturefile {command} ")
    examples = written.partition("\nexamples:\n")[2].partition("\n\n")[0].splitlines()
    assert examples
    assert all(example.startswith("  ") and f"capturefile {command}" in example for example in examples)


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_the_examples_in_help_are_valid_usage(command: str) -> None:
    found = [arguments for line in (described()[command].epilog or "").splitlines() for arguments in examples_in(line)]
    assert found
    for arguments in found:
        assert capturefile.cli.parser().parse_args(protect_numbers(arguments)).run


def examples_in(line: str) -> Iterator[list[str]]:
    """The arguments of each `capturefile` in a line of shell; lines of prose have none."""
    if not line.startswith("  "):
        return
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    for is_control, group in groupby(words, lambda word: set(word) <= set("|<>();&")):
        arguments = list(group)
        if not is_control and arguments[0] == "capturefile":
            yield arguments[1:]


def test_every_option_is_explained() -> None:
    for words, command in described().items():
        for action in command._actions:
            assert action.help or action.choices, (words, action)


# Starting fast


HEAVY = {
    "asyncio", "base64", "csv", "dataclasses", "hashlib", "importlib.metadata", "inspect", "json", "logging", "pathlib",
    "pyarrow", "random", "select", "shutil", "socket", "subprocess", "tempfile", "threading", "typing", "zlib",
}  # fmt: skip


@pytest.mark.parametrize(
    "arguments", [("--version",), ("count",), ("cat",), ("grep", "x"), ("append",), ("follow", "--exit-at-end")]
)
def test_a_command_imports_nothing_that_is_slow_to_import(numbers: Path, arguments: Sequence[str]) -> None:
    program = (
        "import sys; from capturefile.cli import main; main();print(*sorted(sys.modules), file=sys.stderr, flush=True)"
    )
    file = [] if arguments == ("--version",) else [str(numbers)]
    # Isolated, since `site` imports modules that the environment names.
    command = [sys.executable, "-I", "-S", "-c", f"sys_path = {sys.path!r}; import sys; sys.path = sys_path; {program}"]
    done = subprocess.run(
        [*command, *arguments, *file], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=True
    )
    loaded = set(done.stderr.decode().splitlines()[-1].split())
    assert "capturefile.cli.exit_codes" in loaded
    needed = {"select"} if arguments == ("append",) else set()
    assert loaded & HEAVY == needed


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--help"], ["--version"], ["append"], ["cat"], ["count"], ["export"], ["follow", "--exit-at-end"]),
        *(["grep", "x"], ["info"], ["verify"], ["view", "--help"]),
    ],
)
def test_the_command_starts_and_ends_within_60_ms_of_processor_time(numbers: Path, arguments: list[str]) -> None:
    file = [] if arguments[-1].startswith("--") and arguments[0] != "follow" else [str(numbers)]

    def seconds(*command: str) -> float:
        nowhere = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in (0, 1, 2)]
        process = os.posix_spawn(command[0], command, os.environ, file_actions=nowhere)
        _, status, used = os.wait4(process, 0)
        assert status in (0, 256)  # `grep` finds nothing.
        return used.ru_utime + used.ru_stime

    # argparse takes longer for the help of all commands since it supports colours.
    limit = 0.1 if arguments == ["--help"] and sys.version_info >= (3, 14) else 0.06
    # On a slow or busy machine the interpreter alone takes more than a quarter of this time.
    limit = max(limit, 4.5 * min(seconds(sys.executable, "-c", "") for _ in range(5)))
    # The best of some runs, since other work on the machine makes runs take longer.
    assert any(seconds(*COMMAND, *arguments, *file) < limit for _ in range(30))
