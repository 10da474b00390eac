"""Conditions on records, and the bytes that matching records must contain."""

from __future__ import annotations

import ast
from functools import cached_property
from typing import NamedTuple

from capturefile._capturefile import _Pattern
from capturefile._fields.expressions import MISSING, compiled, document, path_of
from capturefile._fields.patterns import for_rust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

UNCHANGED = ("lower", "upper", "strip")
"""Methods without a value for a missing field."""


def lacks_json(records: Iterable[bytes]) -> bool:
    """Returns whether there are records, and none of them is JSON."""
    found = [document(record) for record in records]
    return bool(found) and all(value is MISSING for value in found)


class Condition:
    """An expression as a condition on records. It never holds for a record that is not JSON."""

    def __init__(self, text: str) -> None:
        """Raises ValueError if the text is not an expression."""
        self._value, self.tree = compiled(text)

    def holds(self, record: bytes) -> bool:
        """Returns whether it holds for a record."""
        found = document(record)
        return found is not MISSING and bool(self._value(found))

    def among(self, records: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """Yields the records for which it holds, with their numbers."""
        holds = self.holds
        return (pair for pair in records if holds(pair[1]))

    @cached_property
    def pattern(self) -> _Pattern | None:
        """Returns a pattern for the bytes of every record for which it holds, so that others need not be parsed.

        JSON may contain a text literally or with backslashes, so the pattern also matches backslashes.
        """
        need = needed(self.tree)
        if need is None:
            return None
        texts = [text for text in need.texts if text.encode(errors="replace") == text.encode(errors="surrogatepass")]
        pattern = "|".join([*(for_rust(text, fixed=True) for text in texts), r"\\"])
        return _Pattern(pattern, ignore_case=False)


class Need(NamedTuple):
    """A set of texts, one of which a record must contain."""

    is_value: bool
    """Whether they are values, which are usually rarer than names of fields."""
    texts: tuple[str, ...]

    def rank(self) -> tuple[bool, int]:
        """Returns a measure of how selective it is; greater values are more selective."""
        return self.is_value, min(map(len, self.texts))


def needed(node: ast.expr) -> Need | None:
    """Returns what a record must contain for an expression to be true; None if unknown."""
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return _best(*map(needed, values))
        case ast.BoolOp(values=values):
            needs = [need for value in values if (need := needed(value)) is not None]
            if len(needs) < len(values):
                return None
            texts = tuple(text for need in needs for text in need.texts)
            return Need(all(need.is_value for need in needs), texts)
        case ast.Compare():
            sides = [node.left, *node.comparators]
            pairs = zip(node.ops, sides[:-1], sides[1:], strict=True)
            return _best(*(_compared(*pair) for pair in pairs), *map(_present, sides))
        case ast.Call(func=ast.Attribute(value=subject, attr=name), args=[ast.Constant(value=str() as text)]):
            is_part = name in ("startswith", "endswith") and path_of(subject) is not None
            return _best(_values(text) if is_part else None, _present(subject))
    return _present(node)


def _best(*needs: Need | None) -> Need | None:
    return max((need for need in needs if need is not None), key=Need.rank, default=None)


def _values(*texts: object) -> Need | None:
    known = tuple(text for text in texts if isinstance(text, str) and text)
    return Need(True, known) if texts and len(known) == len(texts) else None


def _compared(kind: ast.cmpop, left: ast.expr, right: ast.expr) -> Need | None:
    """Returns the values that fields must have."""
    is_field = path_of(left) is not None, path_of(right) is not None
    match kind, left, right:
        case ast.Eq(), _, ast.Constant(value=value) if is_field[0]:
            return _values(value)
        case ast.Eq() | ast.In(), ast.Constant(value=value), _ if is_field[1]:
            return _values(value)
        case ast.In(), _, ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts) if is_field[0]:
            return _values(*(part.value if isinstance(part, ast.Constant) else None for part in parts))
    return None


def _present(node: ast.expr) -> Need | None:
    """Returns the name of a field without which an expression has no value."""
    path = path_of(node)
    if path is not None:
        names = [key for key in path if isinstance(key, str)]
        return Need(False, (names[-1],)) if names and names[-1] else None
    match node:
        case ast.BinOp(left=left, right=right):
            return _best(_present(left), _present(right))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _present(operand)
        case ast.Call(func=ast.Name(id="len"), args=[argument]):
            return _present(argument)
        case ast.Call(func=ast.Attribute(value=subject, attr=name)) if name in UNCHANGED:
            return _present(subject)
    return None
