"""Records in the fields of a row: as text if they are text, otherwise in base 64."""

from __future__ import annotations

from json import JSONEncoder
from typing import TYPE_CHECKING

from capturefile._json import as_json as with_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

IN_BASE64 = "_base64"


def decoded(fields: Mapping[str, object], column: str) -> bytes:
    """Returns the record in `fields`, under the name `column`, or that name followed by `_base64`."""
    encoded = fields.get(column + IN_BASE64)
    value = fields.get(column)
    # A table has both columns, and in each row one of them is empty.
    if encoded or value is None:
        if value:
            raise ValueError(f"both {column} and {column}{IN_BASE64} have a value")
        if encoded is None:
            raise ValueError(f"there is neither {column} nor {column}{IN_BASE64}")
        return from_base64(encoded, column + IN_BASE64)
    if not isinstance(value, str):
        raise ValueError(f"{column} is {type(value).__name__}, not text")
    return value.encode()


def from_base64(value: object, name: str) -> bytes:
    """Returns the bytes that the text `value` encodes."""
    from base64 import b64decode

    if not isinstance(value, str):
        raise ValueError(f"{name} is {type(value).__name__}, not text")
    try:
        return b64decode(value, validate=True)
    except ValueError as error:
        raise ValueError(f"{name} is not in base 64: {error}") from error


def checked_text(records: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Yields the same records, all of which must be UTF-8."""
    for number, record in records:
        as_text(number, record)
        yield number, record


def as_text(number: int, record: bytes) -> str:
    """Returns the text of record `number`."""
    try:
        return record.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"record {number} is not text in UTF-8: {error}") from error


def without_bytes(fields: Mapping[str, object]) -> dict[str, object]:
    """Returns the fields with text in place of bytes; other bytes are in base 64, under another name."""
    found: dict[str, object] = {}
    for name, value in fields.items():
        if isinstance(value, bytes):
            try:
                found[name] = value.decode()
            except UnicodeDecodeError:
                found[name + IN_BASE64] = _plain(value)
        else:
            found[name] = value
    return found


def _plain(value: object) -> str:
    from base64 import b64encode

    return b64encode(value).decode() if isinstance(value, bytes) else str(value)


_encode = JSONEncoder(ensure_ascii=False, allow_nan=False, default=_plain).encode


def as_json(fields: Mapping[str, object]) -> bytes:
    """Returns a record of JSON."""
    try:
        return _encode(fields).encode()
    except ValueError:  # It contains numbers that JSON does not support, or unpaired surrogates.
        return with_texts(fields).encode()
