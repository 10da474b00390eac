"""The installed package: its metadata, types, docstrings, and the cost of importing it."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import typing
from pathlib import Path
from typing import Any, assert_type

import capturefile
import pytest
from capturefile import CaptureFile, _capturefile

PROJECT = Path(__file__).parent.parent
PATIENCE = 60.0

distribution = importlib.metadata.distribution("capturefile-rs")


def in_new_process(program: str) -> str:
    """The output of `program` in a new interpreter."""
    command = [sys.executable, "-I", "-c", program]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=True).stdout


OPTIONAL = (
    "dask",
    "obstore",
    "opentelemetry",
    "pandas",
    "pyarrow",
    "pyspark",
    "starlette",
    "structlog",
    "torch",
    "uvicorn",
)


def without_extras(program: str) -> str:
    """What `program` prints in an interpreter without optional packages."""
    return in_new_process(f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL}))\n{program}")


# Metadata


def test_the_version_is_the_crates() -> None:
    crate = tomllib.loads((PROJECT / "Cargo.toml").read_text(encoding="utf-8"))["package"]
    assert distribution.version == crate["version"]
    assert capturefile.__version__ == crate["version"]


def test_the_changelog_has_the_version() -> None:
    changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {capturefile.__version__} " in changelog


def test_the_package_has_no_required_dependencies() -> None:
    assert [line for line in distribution.requires or [] if "extra ==" not in line] == []


def test_the_license_and_the_readme_are_in_the_wheel() -> None:
    metadata = distribution.metadata
    assert metadata["License-Expression"] == "MIT"
    license_text = distribution.read_text("licenses/LICENSE")
    assert license_text == (PROJECT / "LICENSE").read_text(encoding="utf-8")
    assert metadata["Description-Content-Type"].startswith("text/markdown")
    assert "capturefile.open(" in metadata.json["description"]


def test_links_of_the_readme_work_on_the_package_indexes(tmp_path: Path) -> None:
    for name in ("README.md", "pyproject.toml", "Cargo.toml", "docs/for_indexes.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    base = "https://example.org/someone/capturefile"
    subprocess.run([sys.executable, tmp_path / "docs" / "for_indexes.py", f"{base}/-", "v9"], check=True)
    links = re.findall(r"(!?)\[[^\]]*\]\((\S+)\)", (tmp_path / "README.md").read_text(encoding="utf-8"))
    assert {link for _, link in links if not link.startswith("https://")} == set()
    for picture, link in links:
        if rest := link.removeprefix(f"{base}/-/{'raw' if picture else 'blob'}/v9/"):
            assert (PROJECT / rest.partition("#")[0]).is_file(), link
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"]["Source"] == base
    assert tomllib.loads((tmp_path / "Cargo.toml").read_text(encoding="utf-8"))["package"]["repository"] == base


def test_one_wheel_supports_all_versions_of_python_from_3_11_on() -> None:
    """Before 3.15, interpreters without the lock have no stable ABI, and need separate wheels."""
    assert distribution.metadata["Requires-Python"] == ">=3.11"
    own = f"cp{sys.version_info.major}{sys.version_info.minor}"
    with_lock, without = ({"cp311-abi3"}, {f"{own}-{own}t"})
    if sys.version_info >= (3, 15):
        without = {"cp315-abi3", "cp315-abi3t"}
        with_lock |= without
    tags = re.findall(r"^Tag: (\w+-\w+)-", distribution.read_text("WHEEL") or "", re.MULTILINE)
    assert tags
    assert set(tags) <= (without if sysconfig.get_config_var("Py_GIL_DISABLED") else with_lock)


def test_the_classifiers_are_right() -> None:
    shown = distribution.metadata.get_all("Classifier") or []
    assert "Operating System :: POSIX :: Linux" in shown
    assert "Programming Language :: Python :: 3.11" in shown
    assert not any("Windows" in classifier for classifier in shown)


def test_the_extra_all_includes_all_extras() -> None:
    extras = set(distribution.metadata.get_all("Provides-Extra") or [])
    (everything,) = (line for line in distribution.requires or [] if line.startswith("capturefile-rs["))
    named = everything.partition("[")[2].partition("]")[0]
    assert set(named.split(",")) == extras - {"all"} >= {"arrow", "otel"}


def test_type_checkers_find_the_types() -> None:
    installed = Path(capturefile.__file__).parent
    assert (installed / "py.typed").exists()
    assert (installed / "_capturefile.pyi").exists()


def test_the_command_is_installed() -> None:
    (command,) = distribution.entry_points.select(group="console_scripts")
    assert (command.name, command.value) == ("capturefile", "capturefile.cli:main")


# Importing


def test_importing_loads_no_modules_beyond_pythons_own() -> None:
    program = "import sys; before = set(sys.modules); import capturefile; print(*sorted(set(sys.modules) - before))"
    assert in_new_process(program).split() == ["capturefile", "capturefile._capturefile", "capturefile._errors"]


def test_all_public_names_exist() -> None:
    for name in capturefile.__all__:
        assert getattr(capturefile, name).__doc__
        assert name in dir(capturefile)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        capturefile.nonsense  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has the interpreter lock")
def test_importing_leaves_the_interpreter_lock_off() -> None:
    assert in_new_process("import sys, capturefile; print(sys._is_gil_enabled())") == "False\n"


# Docstrings and types


def documented(tree: ast.Module) -> dict[str, str]:
    """The docstrings of a stub file, by name; the first of several overloads."""
    found: dict[str, str] = {}
    for node in tree.body:
        members = node.body if isinstance(node, ast.ClassDef) else []
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for name, item in [("", node), *((prefix, member) for member in members)]:
            if isinstance(item, ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(item)):
                found.setdefault(name + item.name, text)
    return found


def test_the_stub_file_has_the_docstrings_of_the_extension() -> None:
    stub = Path(capturefile.__file__).parent / "_capturefile.pyi"
    docstrings = documented(ast.parse(stub.read_text(encoding="utf-8")))
    for name, text in docstrings.items():
        target: Any = _capturefile
        for part in name.split("."):
            target = inspect.getattr_static(target, part)
        assert inspect.cleandoc(target.__doc__) == text, name
    public = [name for name in vars(CaptureFile) if not name.startswith("_")]
    assert {f"CaptureFile.{name}" for name in public} < docstrings.keys()
    assert {name for name in _capturefile.__all__ if not name.startswith("__")} < docstrings.keys()


def test_signatures_show_the_defaults() -> None:
    signature = inspect.signature(CaptureFile)
    assert signature.parameters["encoding"].default == "utf_8"
    assert signature.parameters["sync"].default == "full"
    for name, parameter in inspect.signature(capturefile.open).parameters.items():
        if name not in {"path", "mode"}:
            assert parameter.default == signature.parameters[name].default, name


def test_the_shown_defaults_are_the_real_ones(tmp_path: Path) -> None:
    """With every default passed explicitly, a file has the same bytes as without."""
    shown: dict[str, Any] = {
        name: parameter.default
        for name, parameter in inspect.signature(capturefile.open).parameters.items()
        if name not in {"path", "mode"}
    }
    written = [
        write_one_block(tmp_path / f"{number}.capture", options)
        for number, options in enumerate([{}, shown, {**shown, "compression_level": 1}])
    ]
    assert written[0] == written[1]
    assert written[1] != written[2]


def write_one_block(path: Path, options: dict[str, Any]) -> bytes:
    """The bytes of a new file with one record that fills a block."""
    with capturefile.open(path, "x", **options) as cf:
        cf.add_record(" ".join(map(str, range(20_000))))
        cf.commit()
    return path.read_bytes()


def test_the_encoding_decides_the_type_of_the_records(tmp_path: Path) -> None:
    path = tmp_path / "typed.capture"
    with capturefile.open(path, "x") as text:
        assert_type(text, CaptureFile[str])
        text.add_records(["one", b"two"])
        text.commit()
        assert_type(text[1], str)
        assert type(text[1]) is str
    with capturefile.open(path, encoding=None) as data:
        assert_type(data, CaptureFile[bytes])
        assert_type(data[1:], list[bytes])
        assert data[1:] == [b"one", b"two"]
    with CaptureFile(path, False, None, False, None) as data:
        assert_type(next(iter(data)), bytes)
        assert_type(next(data.follow(1)), bytes)
        assert data.record_at(2) == next(reversed(data)) == b"two"


def test_generic_types_can_be_written_at_run_time() -> None:
    for kind in (CaptureFile, capturefile.Follower, capturefile.RecordIterator, capturefile.Transaction):
        assert typing.get_args(kind[bytes]) == (bytes,)
        assert typing.get_origin(kind[bytes]) is kind


def test_only_the_file_class_can_be_instantiated_or_subclassed() -> None:
    class Log(CaptureFile[bytes]):
        """A user's subclass."""

    assert issubclass(Log, CaptureFile)
    for kind in (capturefile.Follower, capturefile.RecordIterator, capturefile.Transaction):
        with pytest.raises(TypeError):
            kind()
        with pytest.raises(TypeError):
            type("Own", (kind,), {})


def test_help_and_all_names_need_no_optional_package() -> None:
    program = (
        "import inspect, pydoc, capturefile\n"
        "pydoc.render_doc(capturefile)\n"
        "found = {name for name, _ in inspect.getmembers(capturefile)}\n"
        "exec('from capturefile import *')\n"
        "print(set(capturefile.__all__) - found, set(capturefile.__all__) - set(globals()))"
    )
    assert without_extras(program) == "set() set()\n"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("otel.instrument(None)", "capturefile.otel requires opentelemetry-api: pip install 'capturefile-rs[otel]'"),
        *(
            (call, "capturefile.dask requires Dask: pip install 'capturefile-rs[dask]'")
            for call in ("dask.read_capture('x')", "dask.read_bag('x')", "dask.to_capture(None, 'x')")
        ),
    ],
)
def test_what_needs_an_extra_names_it(call: str, message: str) -> None:
    program = f"import capturefile\ntry:\n    capturefile.{call}\nexcept ImportError as error:\n    print(error)"
    assert without_extras(program) == f"{message}\n"
