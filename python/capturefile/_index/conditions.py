"""Determining, from the index of a file, for which records a condition can be true."""

from __future__ import annotations

import ast
import os
from functools import reduce

from capturefile._fields.expressions import constant, path_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from capturefile import CaptureFile
    from capturefile._fields.conditions import Condition
    from capturefile._index.lookup import View
    from capturefile._index.ranges import Ranges
    from capturefile.rotating import RotatingReader

MIRRORED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.Eq,
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
}
"""Each comparison, and the equivalent one with exchanged operands."""
AFTER_ANY = b"\xff"
"""A byte that UTF-8 never contains: with it appended, a text is greater than all texts that it is the start of."""


def possible(
    reader: CaptureFile[bytes] | RotatingReader[bytes], condition: Condition, *, updates: bool = True
) -> Ranges | None:
    """Returns the records for which a condition can be true, or None if these may be all.

    With `updates`, the index is brought up to date first.
    """
    from capturefile._index.place import place_of

    # Importing the modules for indexes takes longer than the rest of a short command.
    name = reader.file_name
    if "://" not in name and not os.path.exists(place_of(name)):  # noqa: PTH110 - a Path takes longer to import
        return None
    from capturefile._index.find import narrowed

    return narrowed(reader, lambda view: _possible(view, condition.tree), updates=updates)


def _possible(view: View, node: ast.expr) -> Ranges | None:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return _in_all(_possible(view, value) for value in values)
        case ast.BoolOp(values=values):
            return _in_any(_possible(view, value) for value in values)
        case ast.Compare():
            sides = [node.left, *node.comparators]
            pairs = zip(node.ops, sides[:-1], sides[1:], strict=True)
            return _in_all(_compared(view, *pair) for pair in pairs)
        case ast.Call(
            func=ast.Attribute(value=subject, attr="startswith"), args=[ast.Constant(value=str() as text)]
        ) if (key := _key(view, subject)) is not None:
            start = text.encode(errors="surrogatepass")
            return view.between(key, texts=(start, start + AFTER_ANY))
    return None


def _in_all(parts: Iterable[Ranges | None]) -> Ranges | None:
    """Returns the records that are in all parts; a part of which nothing is known excludes none."""
    from capturefile._index.ranges import intersection

    known = [part for part in parts if part is not None]
    return reduce(intersection, known) if known else None


def _in_any(parts: Iterable[Ranges | None]) -> Ranges | None:
    """Returns the records that are in any of the parts; None if nothing is known of one."""
    from capturefile._index.ranges import union

    parts = list(parts)
    known = [part for part in parts if part is not None]
    return union(each for part in known for each in part) if len(known) == len(parts) else None


def _key(view: View, node: ast.expr) -> int | None:
    path = path_of(node)
    return None if path is None else view.key(path)


def _compared(view: View, kind: ast.cmpop, left: ast.expr, right: ast.expr) -> Ranges | None:
    key, operation = _key(view, left), type(kind)
    if key is None and operation in MIRRORED:
        key, operation, right = _key(view, right), MIRRORED[operation], left
    if key is None:
        return None
    if operation is ast.In and isinstance(right, ast.List | ast.Tuple | ast.Set):
        return _in_any(view.equal(key, constant(part)) for part in right.elts)
    try:
        value = constant(right)
    except ValueError:
        return None
    if operation in (ast.Eq, ast.Is):
        return view.equal(key, value)
    return _ordered(view, key, operation, value)


def _ordered(view: View, key: int, operation: type[ast.cmpop], value: object) -> Ranges | None:
    """Returns the records in which a key may be greater or less than a value."""
    from capturefile._index.lookup import as_number, as_text

    bound: Any = None
    if isinstance(value, int | float):
        bound = as_number(value)
    elif isinstance(value, str):
        bound = as_text(value)
    if bound is None or operation not in (ast.Lt, ast.LtE, ast.Gt, ast.GtE):
        return None
    interval = (None, bound) if operation in (ast.Lt, ast.LtE) else (bound, None)
    return view.between(key, texts=interval) if isinstance(value, str) else view.between(key, numbers=interval)
