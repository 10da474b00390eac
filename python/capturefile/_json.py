"""JSON of whatever a program gives: what JSON has no form for becomes text, and nothing is an error."""

from __future__ import annotations

import json
import math

_MAX_DEPTH = 50
"""How deep containers may be nested in others."""


def as_json(value: object) -> str:
    """The value as JSON, in one line."""
    try:
        return json.dumps(value, default=_text, allow_nan=False)
    except Exception:
        # Rare, and slower: keys that are no text, a container in itself, numbers that JSON has not.
        return json.dumps(_plain(value, ()), allow_nan=False)


def _plain(value: object, above: tuple[int, ...]) -> object:
    """The same of what JSON has a form for; `above` are the identities of the containers that it is in."""
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
        # More digits than this are an error in `json`, too.
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
    """An object as text, whatever it does when it is asked for that."""
    try:
        return str(value)
    except Exception as error:
        return f"<{type(value).__name__}, str() of which raises {type(error).__name__}>"
