"""The docstrings of the public names: sections in Google style that name every parameter, and examples that run."""

from __future__ import annotations

import ast
import asyncio
import doctest
import importlib
import inspect
import logging
import re
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import capturefile
import pytest
import structlog
from capturefile import CaptureFileNotOpenForWrite
from capturefile.checkpoint import consume
from capturefile.logging import CaptureHandler
from capturefile.rotating import RotatingReader, RotatingWriter
from capturefile.structlog import LoggerFactory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The public modules, each with the package that it needs.
MODULES = {
    "capturefile": None,
    "capturefile.aio": None,
    "capturefile.checkpoint": None,
    "capturefile.codecs": "msgspec",
    "capturefile.dask": "dask",
    "capturefile.logging": None,
    "capturefile.otel": "opentelemetry",
    "capturefile.rotating": None,
    "capturefile.sequence": None,
    "capturefile.spark": "pyspark",
    "capturefile.structlog": "structlog",
}
#: Methods that only Spark can call, with its own objects.
WITHOUT_EXAMPLE = {f"CaptureDataSource.{name}" for name in ("reader", "streamReader", "streamWriter", "writer")}
STUB = Path(capturefile.__file__).with_name("_capturefile.pyi")


class Public(NamedTuple):
    """A function, method or constructor that users call."""

    module: str
    name: str
    function: Any
    """The object that has the signature."""
    doc: str
    returns: bool


def stub_returns() -> dict[str, bool]:
    """Whether each function of the extension, by name, returns something."""
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
    """Whether a function returns something, according to its annotation."""
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
            # Exceptions, data, and classes that only functions create have no constructor to document.
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

CLASSES = {(public.module, public.name.partition(".")[0]) for public in ALL}


def sections(doc: str) -> dict[str, str]:
    """The sections of a docstring by their headings; the heading of the text before them is empty."""
    parts = re.split(r"^(Args|Returns|Yields|Raises|Examples):$", inspect.cleandoc(doc), flags=re.MULTILINE)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def described(section: str) -> set[str]:
    """The names that a section describes."""
    return set(re.findall(r"^ {4}\*{0,2}(\w+): ", section, re.MULTILINE))


def parameters(function: Callable[..., object]) -> set[str]:
    """The names of the parameters that callers pass."""
    names = inspect.signature(function).parameters
    return {name for name in names if name not in ("self", "cls") and not name.startswith("_")}


@pytest.mark.parametrize("public", ALL, ids=lambda public: f"{public.module}:{public.name}")
def test_a_docstring_has_a_summary_and_names_parameters_results_and_exceptions(public: Public) -> None:
    parts = sections(public.doc)
    summary, *rest = parts[""].rstrip().splitlines()
    assert summary.endswith((".", ":"))
    assert rest[:1] in ([], [""]), "the summary is one line"
    assert not re.search(r"\bRaises\b", parts[""]), "exceptions belong in a section"
    assert described(parts.get("Args", "")) == parameters(public.function)
    assert public.returns == bool({"Returns", "Yields"} & parts.keys())
    assert all(re.match(r"[A-Z]\w+$", name) for name in described(parts.get("Raises", "")))
    assert ("Examples" in parts) != (public.name in WITHOUT_EXAMPLE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with two files for the examples."""
    monkeypatch.chdir(tmp_path)
    with capturefile.open("visits.capture", "w") as visits:
        visits.add_records(["Ada, from London", "Grace, from New York"])
        visits.commit()
    for path, record in zip(("monday.capture", "tuesday.capture"), visits_of(tmp_path), strict=True):
        with capturefile.open(path, "w") as day:
            day.add_record(record)
            day.commit()
    yield tmp_path
    structlog.reset_defaults()
    logging.getLogger("service").handlers.clear()


def visits_of(folder: Path) -> list[str]:
    """The records of the file of visits."""
    return list(capturefile.open(folder / "visits.capture"))


@pytest.fixture
def names(folder: Path) -> Iterator[dict[str, Any]]:
    """The names that the examples use without defining them."""
    with ExitStack() as stack:
        cf = stack.enter_context(capturefile.open("log.capture", "w"))
        cf.add_records(["first", "second", "third"])
        cf.commit()
        log = stack.enter_context(RotatingWriter(folder / "orders"))
        log.add_records(["first", "second"])
        log.commit()
        reader = stack.enter_context(RotatingReader(folder / "orders"))
        consumer = stack.enter_context(consume("visits.capture", "results.capture", name="results"))
        handler = CaptureHandler("messages.capture")
        stack.callback(handler.close)
        factory = LoggerFactory("events.capture")
        stack.callback(factory.close)
        yield {
            **{name: getattr(importlib.import_module(module), name) for module, name in CLASSES},
            "asyncio": asyncio,
            "capturefile": capturefile,
            "cf": cf,
            "consumer": consumer,
            "factory": factory,
            "handler": handler,
            "log": log,
            "logger": factory(),
            "logging": logging,
            "reader": reader,
        }
        for written in (cf, log):
            if not written.closed:
                with suppress(CaptureFileNotOpenForWrite):
                    written.rollback()


@pytest.mark.parametrize(
    "public",
    [public for public in ALL if public.name not in WITHOUT_EXAMPLE],
    ids=lambda public: f"{public.module}:{public.name}",
)
def test_the_example_of_a_docstring_gives_the_results_that_it_shows(
    public: Public, names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    example = doctest.DocTestParser().get_doctest(inspect.cleandoc(public.doc), names, public.name, None, None)
    assert example.examples
    if any(each.source == "import duckdb\n" for each in example.examples):
        pytest.importorskip("duckdb")
    report: list[str] = []
    doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert not report, "".join(report)
    assert capsys.readouterr().err == ""
