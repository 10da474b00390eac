"""The docstrings of the public names: sections in Google style that name every parameter, and examples that run."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import capturefile
import pytest
from capturefile import CaptureFile, CaptureFileNotOpenForWrite
from capturefile.rotating import RotatingReader, RotatingWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The public modules, each with what it imports from elsewhere.
MODULES = {
    "capturefile": None,
    "capturefile.rotating": None,
    "capturefile.sequence": None,
}
STUB = Path(capturefile.__file__).with_name("_capturefile.pyi")


class Public(NamedTuple):
    """Something that users call."""

    module: str
    name: str
    function: Any
    """What has the signature."""
    doc: str
    returns: bool


def stub_returns() -> dict[str, bool]:
    """Whether the functions of the extension return something, by their names."""
    found: dict[str, bool] = {}
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    for node in tree.body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for member in members:
            if isinstance(member, ast.FunctionDef) and member.returns:
                found[prefix + member.name] = ast.unparse(member.returns) != "None"
    return found


RETURNS = stub_returns()


def returns(function: object, name: str) -> bool:
    """Whether a function returns something, by its annotation."""
    if inspect.isfunction(function):
        return function.__annotations__["return"] not in ("None", "Never")
    return RETURNS[name]


def functions_of(module: str, name: str, cls: type) -> Iterator[Public]:
    """The public methods of a class that this package defines."""
    owners = [base for base in cls.__mro__ if base.__module__.partition(".")[0] == "capturefile"]
    for member in sorted({member for base in owners for member in vars(base) if not member.startswith("_")}):
        value = inspect.getattr_static(cls, member)
        if isinstance(value, classmethod | staticmethod):
            value = value.__func__
        if inspect.isroutine(value):
            yield Public(module, f"{name}.{member}", value, value.__doc__ or "", returns(value, f"{name}.{member}"))


def public_in(module: str) -> Iterator[Public]:
    """All functions, methods, and constructors that a public module offers."""
    found = importlib.import_module(module)
    for name in found.__all__:
        value = getattr(found, name)
        if inspect.isclass(value):
            # Exceptions, data and what only functions make have no constructor to explain.
            if re.search(r"^Args:", inspect.cleandoc(value.__doc__ or ""), re.MULTILINE):
                yield Public(module, name, value, value.__doc__ or "", returns=False)
            yield from functions_of(module, name, value)
        elif inspect.isroutine(value):
            yield Public(module, name, value, value.__doc__ or "", returns(value, name))


ALL = list(
    {
        public.function: public
        for module, needed in MODULES.items()
        if needed is None or find_spec(needed)
        for public in public_in(module)
    }.values()
)


def sections(doc: str) -> dict[str, str]:
    """The sections of a docstring by their headings; what is before them has an empty one."""
    parts = re.split(r"^(Args|Returns|Yields|Raises|Examples):$", inspect.cleandoc(doc), flags=re.MULTILINE)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def described(section: str) -> set[str]:
    """The names that a section describes."""
    return set(re.findall(r"^ {4}\*{0,2}(\w+): ", section, re.MULTILINE))


def parameters(function: Callable[..., object]) -> set[str]:
    """The names of what callers pass."""
    names = inspect.signature(function).parameters
    return {name for name in names if name not in ("self", "cls") and not name.startswith("_")}


@pytest.mark.parametrize("public", ALL, ids=lambda public: f"{public.module}:{public.name}")
def test_a_docstring_has_a_summary_and_names_what_is_passed_returned_and_raised(public: Public) -> None:
    parts = sections(public.doc)
    summary, *rest = parts[""].rstrip().splitlines()
    assert summary.endswith((".", ":"))
    assert rest[:1] in ([], [""]), "the summary is one line"
    assert not re.search(r"\bRaises\b", parts[""]), "what is raised belongs into a section"
    assert described(parts.get("Args", "")) == parameters(public.function)
    assert public.returns == bool({"Returns", "Yields"} & parts.keys())
    assert all(re.match(r"[A-Z]\w+$", name) for name in described(parts.get("Raises", "")))
    assert "Examples" in parts


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the examples use without making it, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    for path, record in {"monday": "Ada, from London", "tuesday": "Grace, from New York"}.items():
        with capturefile.open(f"{path}.capture", "w") as visits:
            visits.add_record(record)
            visits.commit()
    with capturefile.open("log.capture", "w") as cf, RotatingWriter("orders") as log:
        cf.add_records(["first", "second", "third"])
        cf.commit()
        log.add_records(["first", "second"])
        log.commit()
        with RotatingReader("orders") as reader:
            yield {
                "capturefile": capturefile,
                "CaptureFile": CaptureFile,
                "RotatingReader": RotatingReader,
                "RotatingWriter": RotatingWriter,
                "cf": cf,
                "log": log,
                "reader": reader,
            }
        for written in (cf, log):
            if not written.closed:
                with suppress(CaptureFileNotOpenForWrite):
                    written.rollback()


@pytest.mark.parametrize("public", ALL, ids=lambda public: f"{public.module}:{public.name}")
def test_the_example_of_a_docstring_does_what_it_shows(public: Public, names: dict[str, Any]) -> None:
    example = doctest.DocTestParser().get_doctest(inspect.cleandoc(public.doc), names, public.name, None, None)
    assert example.examples
    report: list[str] = []
    doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert not report, "".join(report)
