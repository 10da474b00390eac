"""An extension of the docstring reader: each function has one signature, in which no private name stands.

Overloads are for type checkers. Here they are joined: what differs between them is shown as a union.
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
    """Joins the overloads of functions, and spells out the private aliases in what they take and give."""

    def on_class(self, *, cls: griffe.Class, **_: object) -> None:
        """Completes a class, and leaves out what it is generic in."""
        cls.bases = [re.sub(PRIVATE, lambda name: meaning(name, cls), str(base)) for base in cls.bases]
        cls.bases = [base for base in cls.bases if "Generic[" not in str(base)]
        simplify(cls)

    def on_module(self, *, mod: griffe.Module, **_: object) -> None:
        """Completes a module."""
        simplify(mod)


def simplify(parent: griffe.Class | griffe.Module) -> None:
    """Gives every function among the members one signature."""
    for name, overloads in parent.overloads.items():
        function = parent.members.get(name) or next(iter(overloads), None)
        if overloads and isinstance(function, griffe.Function):
            join(function, overloads)
            parent.set_member(name, function)
    parent.overloads.clear()
    for function in parent.members.values():
        if isinstance(function, griffe.Function):
            # Where there is code beside the overloads, its types are all of theirs.
            function.overloads = None
            spell_out(function)


def join(function: griffe.Function, overloads: list[griffe.Function]) -> None:
    """Gives a function the parameters of its overloads, with the union of their types."""
    function.overloads = None
    function.parameters = overloads[0].parameters
    for parameter in function.parameters:
        parameter.annotation = union(
            other.parameters[parameter.name].annotation for other in overloads if parameter.name in other.parameters
        )
    function.returns = union(other.returns for other in overloads)


def union(annotations: Iterable[Annotation]) -> Annotation:
    """All types that differ, side by side."""
    different = {str(annotation): annotation for annotation in annotations if annotation is not None}
    if len(different) <= 1:
        return next(iter(different.values()), None)
    # Between brackets, the signs belong to what is inside.
    parts = [part for text in different for part in re.findall(r"(?:\[[^\]]*\]+|[^\[|])+", text)]
    return " | ".join(dict.fromkeys(part.strip() for part in parts))


def shared_names() -> dict[str, str]:
    """What the names stand for that the modules share for their types; a type variable stands for itself."""
    found = {}
    for node in ast.parse(SHARED.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = ast.unparse(node.value)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.targets[0].id.removesuffix("_co")
    return found


def spell_out(function: griffe.Function) -> None:
    """Replaces private aliases by what they stand for, and private type variables by their names without the mark."""
    for parameter in function.parameters:
        parameter.annotation = public(parameter.annotation, function)
    function.returns = public(function.returns, function)


def public(annotation: Annotation, function: griffe.Function) -> Annotation:
    """An annotation without private names."""
    text = str(annotation)
    is_private = annotation and re.search(PRIVATE, text)
    return re.sub(PRIVATE, lambda name: meaning(name, function), text) if is_private else annotation


def meaning(name: re.Match[str], where: griffe.Function | griffe.Class) -> str:
    """What a private name stands for."""
    if name[0] in NAMES:
        return NAMES[name[0]]
    alias = where.module.members.get(name[0])
    value = getattr(alias, "value", None)
    is_alias = isinstance(alias, griffe.Attribute | griffe.TypeAlias) and value and "TypeVar" not in str(value)
    return str(value) if is_alias else re.sub(r"^_|_co$", "", name[0])


NAMES = shared_names()
PRIVATE = rf"\b(?:_[A-Z]\w*|{'|'.join(NAMES)})\b"
"""Names in signatures that no reader can know."""
