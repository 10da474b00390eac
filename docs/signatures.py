"""An extension of the docstring reader: each function has one signature, without private names.

Overloads are for type checkers. Here they are joined: types that differ between them are shown as a union.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import griffe

if TYPE_CHECKING:
    from collections.abc import Iterable

    Annotation = str | griffe.Expr | None

SHARED = Path(__file__).parent.parent / "python" / "capturefile" / "_typing.py"


class OneSignature(griffe.Extension):
    """Joins the overloads of functions, and resolves private aliases in the types of their parameters and results."""

    def on_class(self, *, cls: griffe.Class, **_: object) -> None:
        """Simplifies a class, and omits its type parameters."""
        cls.bases = [re.sub(PRIVATE, lambda name: meaning(name, cls), str(base)) for base in cls.bases]
        cls.bases = [base for base in cls.bases if "Generic[" not in str(base)]
        simplify(cls)

    def on_module(self, *, mod: griffe.Module, **_: object) -> None:
        """Simplifies a module."""
        simplify(mod)


def simplify(parent: griffe.Class | griffe.Module) -> None:
    """Reduces every function among the members to one signature."""
    for name, overloads in parent.overloads.items():
        function = parent.members.get(name) or next(iter(overloads), None)
        if overloads and isinstance(function, griffe.Function):
            join(function, overloads)
            parent.set_member(name, function)
    parent.overloads.clear()
    for function in parent.members.values():
        if isinstance(function, griffe.Function):
            # An implementation next to the overloads has the types of all of them.
            function.overloads = None
            spell_out(function)


def join(function: griffe.Function, overloads: list[griffe.Function]) -> None:
    """Sets the parameters of a function to those of its overloads, with the union of their types."""
    function.overloads = None
    function.parameters = overloads[0].parameters
    for parameter in function.parameters:
        parameter.annotation = union(
            other.parameters[parameter.name].annotation for other in overloads if parameter.name in other.parameters
        )
    function.returns = union(other.returns for other in overloads)


def union(annotations: Iterable[Annotation]) -> Annotation:
    """Returns the union of all types that differ."""
    different = {str(annotation): annotation for annotation in annotations if annotation is not None}
    if len(different) <= 1:
        return next(iter(different.values()), None)
    # A bar in brackets belongs to the type in the brackets.
    parts = [part for text in different for part in re.findall(r"(?:\[[^\]]*\]+|[^\[|])+", text)]
    return " | ".join(dict.fromkeys(part.strip() for part in parts))


def shared_names() -> dict[str, str]:
    """Returns the meanings of the names that the modules share for types; a type variable means itself."""
    found = {}
    for node in ast.parse(SHARED.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = ast.unparse(node.value)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.targets[0].id.removesuffix("_co")
    return found


def spell_out(function: griffe.Function) -> None:
    """Replaces private aliases by their values, and private type variables by their names without the underscore."""
    for parameter in function.parameters:
        parameter.annotation = public(parameter.annotation, function)
    function.returns = public(function.returns, function)


def public(annotation: Annotation, function: griffe.Function) -> Annotation:
    """Returns an annotation without private names."""
    text = str(annotation)
    is_private = annotation and re.search(PRIVATE, text)
    return re.sub(PRIVATE, lambda name: meaning(name, function), text) if is_private else annotation


def meaning(name: re.Match[str], where: griffe.Function | griffe.Class) -> str:
    """Returns the meaning of a private name."""
    if name[0] in NAMES:
        return NAMES[name[0]]
    alias = where.module.members.get(name[0])
    value = getattr(alias, "value", None)
    is_alias = isinstance(alias, griffe.Attribute | griffe.TypeAlias) and value and "TypeVar" not in str(value)
    return str(value) if is_alias else re.sub(r"^_|_co$", "", name[0])


NAMES = shared_names()
PRIVATE = rf"\b(?:_[A-Z]\w*|{'|'.join(NAMES)})\b"
"""Matches private names in signatures."""
