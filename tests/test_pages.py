"""Every example of every page, run in the order of the page.

A Python example states in comments what its `print` calls print. A shell session shows its commands after `$`, with
their output below. Blocks in `sh` are commands that install, build, or start something; what they name must exist.
"""

from __future__ import annotations

import ast
import builtins
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import capturefile.cli
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parent.parent
PAGES = ["README.md", *sorted(str(page.relative_to(PROJECT)) for page in PROJECT.glob("docs/**/*.md"))]
PATIENCE = 180.0
LANGUAGES = {"console", "python", "rust", "sh", "text", "toml"}
"""Rust and TOML are for the crate; the hexadecimal dumps in text are checked by the tests of the format."""
BEHIND = {"capturefile.dask": "dask", "capturefile.otel": "opentelemetry", "capturefile.spark": "pyspark"}
"""The packages that modules of this package need."""


class Example(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str
    line: int
    """The line where its text begins."""


def text_of(page: str) -> str:
    """Returns the text of a page."""
    return (PROJECT / page).read_text(encoding="utf-8")


def examples(page: str, *languages: str) -> list[Example]:
    """The blocks in these languages, or in all, in order."""
    text = text_of(page)
    blocks = re.finditer(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    found = [Example(block[2], textwrap.dedent(block[3]), text.count("\n", 0, block.start(3)) + 1) for block in blocks]
    return [example for example in found if not languages or example.language in languages]


def pages_with(*languages: str) -> list[str]:
    """The pages that have blocks in one of the languages."""
    return [page for page in PAGES if examples(page, *languages)]


@pytest.mark.parametrize("page", PAGES)
def test_every_example_is_in_a_tested_language(page: str) -> None:
    assert {example.language for example in examples(page)} <= LANGUAGES
    outside = re.sub(r"^( *)```.*?^\1```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    for indented in re.findall(r"(?<=\n\n)(?: {4}[^\n]*\n)+", outside):
        assert not is_python(textwrap.dedent(indented)), f"{page}: not fenced, so that nothing runs it: {indented}"


def is_python(text: str) -> bool:
    """Whether a text is Python code that calls something, unlike formulas and lists of files."""
    try:
        return any(isinstance(node, ast.Call) for node in ast.walk(ast.parse(text)))
    except SyntaxError:
        return False


# Python


def imported(tree: ast.Module) -> Iterator[str]:
    """The modules that an example imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def names(tree: ast.Module, *, stored: bool) -> set[str]:
    """The names that an example binds, or those that it uses."""
    found = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) == stored
    }
    if stored:
        found |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        found |= {
            (name.asname or name.name).partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in node.names
        }
    return found


def missing_for(tree: ast.Module) -> str | None:
    """A package that an example needs and that is not installed."""
    packages = (BEHIND.get(module, module.partition(".")[0]) for module in imported(tree))
    return next((package for package in packages if find_spec(package) is None), None)


class Program(NamedTuple):
    """The Python examples of a page that can be run here."""

    source: str
    """Its lines have the same numbers as in the page."""
    promised: list[str]
    skipped: list[str]


def program(page: str) -> Program:
    """The Python examples of a page, except those that need a missing package or the results of such an example."""
    lines: list[str] = []
    promised: list[str] = []
    skipped: list[str] = []
    lost: dict[str, str] = {}
    known = set(dir(builtins))
    for example in examples(page, "python"):
        tree = ast.parse(example.text)
        bound = names(tree, stored=True)
        used = names(tree, stored=False) - bound
        missing = missing_for(tree) or next((lost[name] for name in used if name in lost), None)
        if missing:
            skipped.append(f"{page}:{example.line} needs {missing}")
            lost.update(dict.fromkeys(bound - known, missing))
            continue
        known |= bound
        lines += [""] * (example.line - 1 - len(lines)) + example.text.splitlines()
        promises = re.findall(r"^ *print\(.*\)  # (.*)$", example.text, re.MULTILINE)
        assert len(promises) == example.text.count("print("), f"{page}:{example.line}: a print that promises nothing"
        promised += promises
    return Program("\n".join(lines), promised, skipped)


def run(command: list[str], folder: Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command, with this Python's folder first on the path, and both its outputs in one."""
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])},
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if given else subprocess.STDOUT,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


def check_python(page: str, folder: Path) -> Program:
    """Runs the Python examples of a page as one program, and compares their output with their comments."""
    examples_of_page = program(page)
    # Other packages may warn, and write anything to standard error.
    packages = {module.partition(".")[0] for module in imported(ast.parse(examples_of_page.source))}
    strict = not {"grain", "pyspark", "torch"} & packages
    # The program is not in a file, since processes that it starts would run all of it again.
    done = run([sys.executable, *(["-W", "error"] if strict else []), "-"], folder, examples_of_page.source)
    assert done.returncode == 0, done.stderr
    assert not (strict and done.stderr), done.stderr
    assert done.stdout.splitlines() == examples_of_page.promised
    return examples_of_page


@pytest.mark.parametrize("page", pages_with("python", "console"))
def test_the_examples_of_a_page_print_the_output_that_they_state(page: str, tmp_path: Path) -> None:
    skipped = check_python(page, tmp_path).skipped
    for command, shown in sessions(page):
        done = run(["bash", "-o", "pipefail", "-c", command], tmp_path)
        assert (command, done.returncode, done.stdout.splitlines()) == (command, 0, shown)
    if skipped:
        pytest.skip("; ".join(skipped) + "; the others passed")


# The shell


def sessions(page: str) -> list[tuple[str, list[str]]]:
    """The commands of the shell sessions, each with the lines that it must print."""
    found: list[tuple[str, list[str]]] = []
    for example in examples(page, "console"):
        for line in example.text.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            else:
                found[-1][1].append(line)
    return found


@pytest.mark.parametrize("page", pages_with("sh"))
def test_commands_that_install_build_or_start_name_existing_things(page: str) -> None:
    extras = tomllib.loads(text_of("pyproject.toml"))["project"]["optional-dependencies"].keys()
    targets = re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE)
    for command in [line for example in examples(page, "sh") for line in example.text.splitlines()]:
        if installed := re.fullmatch(r"pip install '?(?:\.|capturefile-rs)(?:\[(.*)\])?'?", command):
            assert extras >= set(filter(None, (installed[1] or "").split(","))), command
        elif made := re.fullmatch(r"make ([a-z-]+)", command):
            assert made[1] in targets, command
        else:
            subcommand = re.search(r"\bcapturefile ([a-z-]+)", command)
            assert subcommand, command
            assert subcommand[1] in capturefile.cli.COMMANDS, command


def test_the_readme_names_the_two_most_important_commands() -> None:
    commands = {line for example in examples("README.md", "sh") for line in example.text.splitlines()}
    assert {"pip install .", "make demo", "make test"} < commands


# Other content


def test_the_pictures_of_the_command_show_its_output(tmp_path: Path) -> None:
    done = run([sys.executable, str(PROJECT / "docs" / "terminal.py"), "--check"], tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_rust_example_is_the_documentation_test_of_the_crate() -> None:
    """The crate's first page has the example as a documentation test; `# ` hides its lines there."""
    page = text_of("src/lib.rs")
    lines = [line.removeprefix("//!").removeprefix(" ") for line in page.splitlines() if line.startswith("//!")]
    block = "\n".join(lines).split("```\n")[1]
    visible = [line for line in block.splitlines() if not line.startswith("# ")]
    (example,) = examples("docs/rust.md", "rust")
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
    titles = " ".join(re.findall(r"^## (.*)$", text_of("docs/command-line.md"), re.MULTILINE))
    for command in capturefile.cli.COMMANDS:
        assert re.search(rf"\b{command}\b", titles), command
