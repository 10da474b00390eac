"""Fields of JSON records, as text and as JSON."""

from __future__ import annotations

from capturefile._fields.expressions import MISSING, document, documents, named_field
from capturefile._json import compact, compact_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

ESCAPED = {ord("\\"): r"\\", ord("\t"): r"\t", ord("\n"): r"\n", ord("\r"): r"\r"}
"""Characters that would end a field or a line, and the backslash, with their replacements."""


class Projection:
    """Some fields of records. A record that is not JSON has none."""

    def __init__(self, names: Sequence[str]) -> None:
        """Takes the fields with these names, in this order."""
        self._fields = [(name, named_field(name)) for name in names]

    def values(self, record: bytes) -> list[object]:
        """Returns the values; MISSING for fields that the record does not have."""
        found = document(record)
        return [field(found) for _, field in self._fields]

    def as_text(self, record: bytes) -> bytes:
        """Returns the values separated by tabs; a single one unescaped."""
        texts = [in_text(value) for value in self.values(record)]
        joined = texts[0] if len(texts) == 1 else "\t".join(map(_escaped, texts))
        return joined.encode(errors="backslashreplace")

    def as_lines(self, records: Sequence[bytes]) -> bytes:
        """Returns such a line for each record, in less time."""
        found = documents(records)
        columns = [
            [value if type(value) is str else in_text(value) for value in map(field, found)]
            for _, field in self._fields
        ]
        if len(columns) > 1:
            columns = [column if _is_plain("".join(column)) else list(map(_escaped, column)) for column in columns]
        lines = columns[0] if len(columns) == 1 else map("\t".join, zip(*columns, strict=True))
        return ("\n".join(lines) + "\n").encode(errors="backslashreplace")

    def as_json(self, record: bytes) -> str:
        """Returns an object with the fields that the record has."""
        names = (name for name, _ in self._fields)
        pairs = zip(names, self.values(record), strict=True)
        return compact({name: value for name, value in pairs if value is not MISSING})

    def as_objects(self, records: Sequence[bytes]) -> list[str]:
        """Returns such an object for each record, in less time."""
        found = documents(records)
        names = [name for name, _ in self._fields]
        rows = zip(*(map(field, found) for _, field in self._fields), strict=True)
        return compact_lines(
            [{name: value for name, value in zip(names, row, strict=True) if value is not MISSING} for row in rows]
        )


def in_text(value: object) -> str:
    """Returns text unchanged, nothing for null and missing values, and anything else as JSON."""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    if value is None or value is MISSING:
        return ""
    # Numbers that JSON does not support become text there.
    return compact(value).strip('"') if isinstance(value, float) else compact(value)


def _escaped(text: str) -> str:
    # Most values need no escaping, and checking takes only a tenth of the time.
    return text if _is_plain(text) else text.translate(ESCAPED)


def _is_plain(text: str) -> bool:
    """Returns whether text needs no escaping."""
    return text.isprintable() and "\\" not in text
