"""Expressions over the fields of JSON records: `level == "error" and ms > 100`, in Python's syntax.

They are parsed by `ast`, but only the syntax listed here is accepted, and Python does not evaluate anything.
"""

from __future__ import annotations

import ast
import json
import operator
import os
import re
import warnings

from capturefile._capturefile import _Pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn, TypeAlias

    Value: TypeAlias = Callable[[Any], Any]
    """Computes a value from the JSON in a record."""

MAX_LENGTH = 4096
"""Maximum length of an expression in characters."""
MAX_DEPTH = 50
"""Maximum nesting depth of an expression."""
RECORD = "this"
"""The name of the record as a whole."""
CONSTANTS = {"true": True, "false": False, "null": None}
"""The names of True, False and None in JSON."""
KNOWN = (
    "fields, texts, numbers, true, false, null, comparisons, in, and, or, not, + - * / // %, len(FIELD), and after a "
    "field .startswith(TEXT), .endswith(TEXT), .matches(REGEX), .lower(), .upper(), .strip()"
)


class Missing:
    """The value of a missing field: false, and all comparisons with it are false, too."""

    def _never(self, *_: object) -> bool:
        return False

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __bool__ = _never
    __hash__ = object.__hash__


MISSING = Missing()

_decode = json.JSONDecoder().decode
_MARK = os.urandom(16).hex()
_BETWEEN = f',"{_MARK}",'.encode()
"""Separates records that are parsed together; no record contains it."""


def document(record: bytes) -> Any:  # noqa: ANN401 - any value of JSON
    """Returns the JSON in a record; MISSING if it is not JSON."""
    try:
        return _decode(record.decode())
    except (ValueError, RecursionError):
        return MISSING


def documents(records: Sequence[bytes]) -> list[Any]:
    """Does the same as `document` for many records, in less time."""
    try:
        found: list[Any] = _decode(f"[{_BETWEEN.join(records).decode()}]")
    except (ValueError, RecursionError):
        found = []
    # A record that is not JSON may become part of valid JSON: `1, 2`, or `[1` before `2]`.
    if len(found) == 2 * len(records) - 1 and found[1::2] == [_MARK] * (len(records) - 1):
        return found[::2]
    return list(map(document, records))


def compiled(text: str) -> tuple[Value, ast.expr]:
    """Returns a function for the value of an expression, and its syntax tree; raises ValueError if it is not valid."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"expected at most {MAX_LENGTH:,} characters, not {len(text):,}")
    try:
        with warnings.catch_warnings():
            # These are warnings about backslashes in texts, which Python interprets literally.
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip().replace("\n", " "), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{text!r} is not a valid expression: {_hint(text) or _in_words(error)}") from error
    try:
        return _value(tree, 0), tree
    except RecursionError as error:
        raise ValueError(f"it is nested too deeply: {text[:40]!r}...") from error


def _hint(text: str) -> str | None:
    """Returns a hint for syntax of other languages."""
    outside = re.sub(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'", "", text)
    if re.search(r"&&|\|\||!(?!=)", outside):
        return "write and, or, not"
    return "write == to compare" if re.search(r"(?<![=!<>])=(?!=)", outside) else None


def _in_words(error: BaseException) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error) or "it is nested too deeply"


def _refuse(node: ast.AST, why: str = "") -> NoReturn:
    text = ast.unparse(node)
    shown = text if len(text) <= 40 else f"{text[:40]}..."
    raise ValueError(f"{shown!r} {why or f'is not supported; expressions consist of {KNOWN}'}")


def _value(node: ast.expr, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested too deeply: more than {MAX_DEPTH} levels")
    if (path := path_of(node)) is not None:
        return _field(path, isinstance(node, ast.Attribute))
    match node:
        case ast.Constant() | ast.Name():
            single = constant(node)
            return lambda _: single
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            constants = [constant(part) for part in parts]
            return lambda _: constants
        case ast.BoolOp():
            return _boolean(node, depth)
        case ast.UnaryOp(op=ast.Not()):
            value = _value(node.operand, depth + 1)
            return lambda document: not value(document)
        case ast.UnaryOp(op=ast.USub()):
            return _arithmetic(operator.sub, lambda _: 0, _value(node.operand, depth + 1))
        case ast.BinOp():
            if type(node.op) not in ARITHMETIC:
                _refuse(node)
            left, right = _value(node.left, depth + 1), _value(node.right, depth + 1)
            return _arithmetic(ARITHMETIC[type(node.op)], left, right)
        case ast.Compare():
            return _comparisons(node, depth)
        case ast.Call(keywords=[]):
            return _call(node, depth)
    _refuse(node)


def constant(node: ast.expr) -> Any:  # noqa: ANN401 - what JSON has
    """Returns the value of a constant; raises ValueError for anything else."""
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str() as value):
            return value
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
    _refuse(node)


# Fields


def path_of(node: ast.expr) -> list[str | int] | None:
    """Returns the names and indices that lead to a field; None if `node` is something else."""
    match node:
        case ast.Name(id=name):
            return None if name in CONSTANTS else [] if name == RECORD else [name]
        case ast.Attribute(value=value, attr=name):
            path = path_of(value)
            return None if path is None else [*path, name]
        case ast.Subscript(value=value, slice=index):
            path, key = path_of(value), _index(index)
            return None if path is None or key is None else [*path, key]
    return None


def _index(node: ast.expr) -> str | int | None:
    match node:
        case ast.Constant(value=str() | int() as key) if not isinstance(key, bool):
            return key
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as index)):
            return -index
    return None


def named_field(name: str) -> Value:
    """Returns a function for a field; `a.b` is the field `b` of the object `a`, or else the field `a.b`."""
    return _field(list(name.split(".")), True)


def _field(path: list[str | int], is_dotted: bool) -> Value:
    if len(path) == 1 and isinstance(path[0], str):
        name = path[0]
        return lambda document: document.get(name, MISSING) if type(document) is dict else MISSING
    steps: list[tuple[Any, Any]] = [(key, dict if isinstance(key, str) else list) for key in path]

    def find(document: Any) -> Any:  # noqa: ANN401 - any value of JSON
        found = document
        for key, kind in steps:
            if type(found) is not kind:
                return MISSING
            try:
                found = found[key]
            except LookupError:
                return MISSING
        return found

    if not is_dotted or not all(isinstance(key, str) for key in path):
        return find
    joined = ".".join(map(str, path))

    def find_either(document: Any) -> Any:  # noqa: ANN401
        found = find(document)
        return document.get(joined, MISSING) if found is MISSING and type(document) is dict else found

    return find_either


# Operators

ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left is not MISSING and right is not MISSING and left not in right,
    ast.Is: operator.is_,
    ast.IsNot: lambda left, right: left is not MISSING and left is not right,
}


def _boolean(node: ast.BoolOp, depth: int) -> Value:
    values = [_value(each, depth + 1) for each in node.values]
    if isinstance(node.op, ast.And):
        if len(values) == 2:
            left, right = values
            return lambda document: bool(left(document) and right(document))
        return lambda document: all(value(document) for value in values)
    return lambda document: any(value(document) for value in values)


def _arithmetic(operation: Callable[[Any, Any], Any], left: Value, right: Value) -> Value:
    def compute(document: Any) -> Any:  # noqa: ANN401 - a number or MISSING
        values = left(document), right(document)
        if not all(type(value) in (int, float) for value in values):
            return MISSING
        try:
            return operation(*values)
        except ArithmeticError:
            return MISSING

    return compute


def _comparisons(node: ast.Compare, depth: int) -> Value:
    """Handles chains such as `1 < ms < 5`, in which all comparisons have to hold."""
    sides = [node.left, *node.comparators]
    values = [_value(side, depth + 1) for side in sides]
    for kind, right in zip(node.ops, node.comparators, strict=True):
        if isinstance(kind, ast.Is | ast.IsNot) and not _is_single(right):
            _refuse(node, "compares by is: expected true, false or null on its right; write == for others")
    each = [
        _comparison(COMPARISONS[type(kind)], *pair)
        for kind, *pair in zip(node.ops, values[:-1], values[1:], strict=True)
    ]
    return each[0] if len(each) == 1 else lambda document: all(holds(document) for holds in each)


def _is_single(node: ast.expr) -> bool:
    """Returns whether a value is the only one of its kind, so that `is` is meaningful."""
    match node:
        case ast.Constant(value=None | bool()):
            return True
    return isinstance(node, ast.Name) and node.id in CONSTANTS


def _comparison(operation: Callable[[Any, Any], Any], left: Value, right: Value) -> Value:
    def holds(document: Any) -> bool:  # noqa: ANN401 - any value of JSON
        try:
            return bool(operation(left(document), right(document)))
        except (TypeError, RecursionError):
            return False

    return holds


# Functions


def _call(node: ast.Call, depth: int) -> Value:
    match node:
        case ast.Call(func=ast.Name(id="len"), args=[argument]):
            value = _value(argument, depth + 1)
            return lambda document: len(found) if isinstance(found := value(document), str | list | dict) else MISSING
        case ast.Call(func=ast.Attribute(value=subject, attr="lower" | "upper" | "strip" as name), args=[]):
            return _changed(_value(subject, depth + 1), getattr(str, name))
        case ast.Call(
            func=ast.Attribute(value=subject, attr="startswith" | "endswith" as name),
            args=[ast.Constant(value=str() as text)],
        ):
            test = getattr(str, name)
            return _tested(_value(subject, depth + 1), lambda value: test(value, text))
        case ast.Call(func=ast.Attribute(value=subject, attr="matches"), args=[ast.Constant(value=str() as text)]):
            return _tested(_value(subject, depth + 1), _pattern(text))
    _refuse(node)


def _pattern(text: str) -> Callable[[str], bool]:
    try:
        pattern = _Pattern(text, ignore_case=False)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a valid regular expression in Rust's syntax: {error}") from error
    return lambda value: pattern.is_in(value.encode(errors="surrogatepass"))


def _changed(value: Value, change: Callable[[str], str]) -> Value:
    return lambda document: change(found) if isinstance(found := value(document), str) else MISSING


def _tested(value: Value, test: Callable[[str], bool]) -> Value:
    return lambda document: isinstance(found := value(document), str) and test(found)
