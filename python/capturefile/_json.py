"""JSON of arbitrary values: those that JSON does not support become text, and nothing is an error."""

from __future__ import annotations

import json
import math
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_DEPTH = 50
"""Maximum nesting depth of containers."""


def as_json(value: object) -> str:
    """Returns the value as one line of JSON."""
    try:
        return json.dumps(value, default=_text, allow_nan=False)
    except Exception:
        # Rare and slower: keys that are not text, containers that contain themselves, numbers that JSON does not
        # support.
        return json.dumps(_plain(value, ()), allow_nan=False)


_MARK = os.urandom(16).hex()
"""Between values that are encoded together: what none has in it."""
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def compact(value: object) -> str:
    """Returns a value parsed from JSON as one line of JSON, without escaping non-ASCII text."""
    try:
        return _encode(value)
    except (ValueError, RecursionError):  # It contains numbers that JSON does not support, or is deeply nested.
        return as_json(value)


def compact_lines(values: Sequence[object]) -> list[str]:
    """Returns many values, each like `compact`, in less time."""
    between: list[object] = [_MARK] * (2 * len(values) - 1)
    between[::2] = values
    try:
        return _encode(between)[1:-1].split(f', "{_MARK}", ')
    except (ValueError, RecursionError):
        return list(map(compact, values))


def _plain(value: object, above: tuple[int, ...]) -> object:
    """Returns a copy that JSON supports; `above` are the identities of the enclosing containers."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _NOT_FINITE[str(float(value))]
    if isinstance(value, int):
        return _integer(value)
    if not isinstance(value, dict | list | tuple):
        return _text(value)
    if id(value) in above or len(above) == _MAX_DEPTH:
        return "..."
    above = (*above, id(value))
    try:
        if isinstance(value, dict):
            return {_key(key): _plain(each, above) for key, each in value.copy().items()}
        return [_plain(each, above) for each in value]
    except Exception:
        return _text(value)


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _integer(value: int) -> int | str:
    try:
        # `json` fails for more digits, too.
        str(int(value))
    except ValueError:
        return hex(value)
    return int(value)


def _key(key: object) -> str:
    if isinstance(key, str):
        return key
    plain = _plain(key, ()) if key is None or isinstance(key, bool | int | float) else _text(key)
    return plain if isinstance(plain, str) else json.dumps(plain)


def _text(value: object) -> str:
    """Returns an object as text, even if its `str` raises."""
    try:
        return str(value)
    except Exception as error:
        return f"<{type(value).__name__}, str() of which raises {type(error).__name__}>"
