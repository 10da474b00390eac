"""Fields of JSON records, as text and as JSON."""

from __future__ import annotations

from capturefile._fields.expressions import MISSING, document, named_field
from capturefile._json import compact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

ESCAPED = {ord("\\"): r"\\", ord("\t"): r"\t", ord("\n"): r"\n", ord("\r"): r"\r"}
"""What would be taken for the end of a field or a line."""


class Projection:
    """Some fields of records. A record that is not JSON has none."""

    def __init__(self, names: Sequence[str]) -> None:
        """Takes the fields with these names, in this order."""
        self._fields = [(name, named_field(name)) for name in names]

    def values(self, record: bytes) -> list[object]:
        """Their values; MISSING for those that the record does not have."""
        found = document(record)
        return [field(found) for _, field in self._fields]

    def as_text(self, record: bytes) -> bytes:
        """Their values with tabs between them; one alone as it is."""
        texts = [in_text(value) for value in self.values(record)]
        joined = texts[0] if len(texts) == 1 else "\t".join(map(_escaped, texts))
        return joined.encode(errors="backslashreplace")

    def as_json(self, record: bytes) -> str:
        """An object of those that the record has."""
        names = (name for name, _ in self._fields)
        pairs = zip(names, self.values(record), strict=True)
        return compact({name: value for name, value in pairs if value is not MISSING})


def in_text(value: object) -> str:
    """A text as it is, nothing for null and what is missing, and anything else in JSON."""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    if value is None or value is MISSING:
        return ""
    # Numbers that JSON has not are texts there.
    return compact(value).strip('"') if isinstance(value, float) else compact(value)


def _escaped(text: str) -> str:
    # Most have nothing to be escaped, which takes a tenth of the time to find out.
    return text if text.isprintable() and "\\" not in text else text.translate(ESCAPED)
