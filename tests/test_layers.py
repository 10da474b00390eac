"""What `make lint` reports about circular imports, imports against the layers, and long files."""

from pathlib import Path

import layers
import pytest

PAGE = """
| folder | responsibility |
|---|---|
| [`error.rs`](../src/error.rs) | errors |
| [`read/`](../src/read) | reading |
| [`lib.rs`](../src/lib.rs) | the public names |
| [`python/`](../src/python) | the extension |

| module | responsibility |
|---|---|
| [`_errors.py`](../python/capturefile/_errors.py) | exceptions |
| [`__init__.py`](../python/capturefile/__init__.py) | the public names |
| [`r/`](../python/capturefile/r) | reading |
"""

SOUND = {
    "docs/architecture.md": PAGE,
    "src/error.rs": "pub struct Error;\n",
    "src/read/mod.rs": "mod block;\nmod cache;\npub use block::Block;\n",
    "src/read/block.rs": "use crate::error::Error;\npub struct Block(Error);\n",
    "src/read/cache.rs": "use super::Block;\n#[cfg(test)]\nmod tests {\n    use crate::python::A;\n}\n",
    "src/lib.rs": "mod error;\nmod read;\nmod python;\npub use error::Error;\npub use read::Block;\n",
    "src/python/mod.rs": "//! Not crate::read::Cache.\nuse crate::{Block, Error};\npub struct Face(Block, Error);\n",
    "python/capturefile/__init__.py": "from capturefile._errors import Wrong\n__all__ = ['Wrong']\n",
    "python/capturefile/_errors.py": "class Wrong(Exception): pass\n",
    "python/capturefile/r/__init__.py": "from capturefile.r.reader import Reader\n__all__ = ['Reader']\n",
    "python/capturefile/r/reader.py": "from capturefile import Wrong\n",
}


def said(folder: Path, changes: dict[str, str]) -> list[str]:
    """The problems that are reported in a small project with these changes."""
    for name, text in {**SOUND, **changes}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return layers.problems(folder)


def test_a_correct_project_has_no_problems(tmp_path: Path) -> None:
    assert said(tmp_path, {}) == []


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "src/error.rs",
            "use crate::read::Block;\n",
            "src/error.rs: uses src/read/block.rs, which is below it in docs/architecture.md",
        ),
        (
            "src/error.rs",
            "fn of(block: crate::read::block::Block) {}\n",
            "src/error.rs: uses src/read/block.rs, which is below it in docs/architecture.md",
        ),
        (
            "src/python/mod.rs",
            "use crate::read::block::Block;\n",
            "src/python/mod.rs: uses src/read/block.rs, though it is to use only what src/lib.rs makes public",
        ),
        (
            "python/capturefile/_errors.py",
            "def late():\n    from capturefile.r import Reader\n",
            "python/capturefile/_errors.py: uses python/capturefile/r/reader.py, "
            "which is below it in docs/architecture.md",
        ),
    ],
)
def test_an_import_from_a_lower_layer_is_reported(tmp_path: Path, name: str, text: str, expected: str) -> None:
    assert expected in said(tmp_path, {name: text})


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "src/read/block.rs",
            "use super::cache::{self, Cache};\npub struct Block;\n",
            "a circle: src/read/block.rs -> src/read/cache.rs -> src/read/block.rs",
        ),
        (
            "python/capturefile/r/other.py",
            "from .reader import Reader\n\nimport capturefile.r.third\n",
            "a circle: python/capturefile/r/other.py -> python/capturefile/r/third.py -> python/capturefile/r/other.py",
        ),
    ],
)
def test_files_that_use_each_other_are_reported(tmp_path: Path, name: str, text: str, expected: str) -> None:
    third = {"python/capturefile/r/third.py": "from capturefile.r import other\n"}
    assert expected in said(tmp_path, {name: text} | (third if "other" in name else {}))


def test_a_file_without_a_row_is_reported(tmp_path: Path) -> None:
    assert said(tmp_path, {"src/stray.rs": "\n"}) == ["src/stray.rs: in no row of the tables of docs/architecture.md"]


def test_long_files_and_functions_are_reported(tmp_path: Path) -> None:
    long_rust = "pub(crate) fn much<T>(\n    of: T,\n) {\n" + "    work();\n" * 60 + "}\n" + "\n" * 400
    long_python = "def much():\n" + '    """Words."""\n' + "    work()\n" * 61
    assert said(tmp_path, {"src/read/block.rs": long_rust, "python/capturefile/r/reader.py": long_python}) == [
        "src/read/block.rs: 464 lines, more than 450",
        "src/read/block.rs:1: much has 64 lines, more than 60",
        "python/capturefile/r/reader.py:1: much has 62 lines, more than 60",
    ]
