"""Every example of the README and of the pages that are made of examples, run in the order in which a reader would.

A Python example says in comments what its `print` calls print. A shell session shows its commands after `$`,
and what they print below.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest

PROJECT = Path(__file__).parent.parent
README = (PROJECT / "README.md").read_text(encoding="utf-8")
TUTORIALS = ["README.md", "docs/quick-start.md", "docs/numbering.md"]
COMMAND_LINE = (PROJECT / "docs" / "command-line.md").read_text(encoding="utf-8")
PATIENCE = 60.0
LANGUAGES = {"python", "console", "sh"}
"""`sh` is for commands that install or build."""


class Example(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str
    line: int


def all_examples(page: str = README) -> list[Example]:
    """All fenced blocks, in order."""
    blocks = re.finditer(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [Example(block[1], block[2], page.count("\n", 0, block.start()) + 1) for block in blocks]


def examples(language: str, page: str = README) -> list[Example]:
    """The blocks in one language; there must be some."""
    found = [example for example in all_examples(page) if example.language == language]
    assert found
    return found


def promised_output(example: Example) -> list[str]:
    """What the comments behind `print` calls promise."""
    return re.findall(r"^ *print\(.*\)  # (.*)$", example.text, re.MULTILINE)


def test_every_example_is_of_a_kind_that_is_tested() -> None:
    assert {example.language for example in all_examples()} == LANGUAGES


@pytest.mark.parametrize("page", TUTORIALS)
def test_the_python_examples_print_what_they_promise(tmp_path: Path, page: str) -> None:
    names: dict[str, object] = {}
    with chdir(tmp_path):
        for example in examples("python", (PROJECT / page).read_text(encoding="utf-8")):
            promised = promised_output(example)
            assert len(promised) == example.text.count("print(") > 0
            printed = StringIO()
            # Lines count from where the block stands, so that a traceback names a line of the page.
            code = compile("\n" * example.line + example.text, PROJECT / page, "exec")
            with redirect_stdout(printed):
                exec(code, names)
            assert printed.getvalue().splitlines() == promised


def sessions(page: str) -> list[tuple[str, list[str]]]:
    """The commands of the shell sessions, each with the lines that it is to print."""
    found: list[tuple[str, list[str]]] = []
    for example in examples("console", page):
        for line in example.text.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            else:
                found[-1][1].append(line)
    return found


@pytest.mark.parametrize("page", [README, COMMAND_LINE], ids=["README.md", "command-line.md"])
def test_the_shell_examples_print_what_they_show(tmp_path: Path, page: str) -> None:
    check_sessions(tmp_path, page)


def test_the_shell_sees_the_same_numbers(tmp_path: Path) -> None:
    """The shell examples of the page on numbers are about the file that its Python examples make."""
    test_the_python_examples_print_what_they_promise(tmp_path, "docs/numbering.md")
    check_sessions(tmp_path, (PROJECT / "docs" / "numbering.md").read_text(encoding="utf-8"))


def check_sessions(tmp_path: Path, page: str) -> None:
    """Runs the commands of a page, and compares what they print with what it shows."""
    beside_python = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for command, shown in sessions(page):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=tmp_path,
            env={**os.environ, "PATH": beside_python},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )
        assert (command, done.returncode, done.stdout.splitlines()) == (command, 0, shown)


def test_the_commands_that_install_and_build_name_what_there_is() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    targets = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    commands = {line for example in examples("sh") for line in example.text.splitlines()}
    assert {"pip install .", "make demo", "make test"} < commands
    for command in commands - {"pip install ."}:
        if extras := re.fullmatch(r"pip install '\.\[(.*)\]'", command):
            assert project["optional-dependencies"].keys() >= set(extras[1].split(",")), command
        else:
            assert command.removeprefix("make ") in targets, command


def test_the_rust_example_is_the_one_that_the_crate_tests() -> None:
    """The crate's first page has the example as a documentation test; `# ` hides its lines there."""
    page = (PROJECT / "src" / "lib.rs").read_text(encoding="utf-8")
    lines = [line.removeprefix("//!").removeprefix(" ") for line in page.splitlines() if line.startswith("//!")]
    block = "\n".join(lines).split("```\n")[1]
    visible = [line for line in block.splitlines() if not line.startswith("# ")]
    (example,) = examples("rust", (PROJECT / "docs" / "rust.md").read_text(encoding="utf-8"))
    assert example.text.splitlines() == visible


@pytest.mark.parametrize("page", ["README.md", "docs/command-line.md"])
def test_links_lead_to_files_and_headings_that_exist(page: str) -> None:
    text = (PROJECT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    inside = [link.partition("#") for link in links if "://" not in link]
    assert inside
    for file, _, heading in inside:
        target = (PROJECT / page).parent / file if file else PROJECT / page
        assert target.exists(), file
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in anchors, f"{file}#{heading}"


def test_the_page_of_the_command_line_has_every_command() -> None:
    import capturefile.cli

    titles = " ".join(re.findall(r"^## (.*)$", COMMAND_LINE, re.MULTILINE))
    for command in capturefile.cli.COMMANDS:
        assert re.search(rf"\b{command}\b", titles), command
