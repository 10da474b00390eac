"""The most frequent values of a field, in the results of a query, or in a sample of them."""

from __future__ import annotations

import json
import keyword
from collections import Counter
from typing import TYPE_CHECKING, Any

from capturefile._fields.expressions import CONSTANTS, MISSING, RECORD, compiled, document, named_field
from capturefile._fields.projection import in_text
from capturefile.view.fields import short
from capturefile.view.query import Query
from capturefile.view.reading import opened
from capturefile.view.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_VALUES = 24
"""Maximum number of values that are shown."""
MAX_DISTINCT = 10_000
"""Maximum number of values that are counted individually; further values are counted together."""
MAX_LITERAL = 200
"""Maximum length of a value in a condition, in characters."""


class Tally:
    """Counts the records with each value."""

    def __init__(self, name: str) -> None:
        """Counts the values of the field of this name."""
        self._name = name
        self._field = named_field(name)
        self._counts: Counter[tuple[type, str]] = Counter()
        self._reference: str | None = None
        self.found = self.missing = self.others = 0

    def add(self, record: bytes) -> None:
        """Counts the value in a record."""
        self.found += 1
        content = document(record)
        value = self._field(content)
        if value is MISSING:
            self.missing += 1
            return
        if self._reference is None:
            self._reference = reference(self._name, content, value)
        text = in_text(value)
        # Longer texts with the same beginning are counted as one.
        key = (type(value), text[: MAX_LITERAL + 1])
        if key in self._counts or len(self._counts) < MAX_DISTINCT:
            self._counts[key] += 1
        else:
            self.others += 1

    def result(self) -> dict[str, Any]:
        """Returns the counts of the most frequent values, and the conditions that select their records."""
        most = self._counts.most_common(MAX_VALUES)
        values = [
            {"text": short(text) if kind is not type(None) else "null", "count": count, **self._conditions(kind, text)}
            for (kind, text), count in most
        ]
        others = self.others + self._counts.total() - sum(count for _, count in most)
        numbers = {"distinct": len(self._counts), "others": others, "missing": self.missing, "found": self.found}
        return {"values": values, "is_cut": self.others > 0, **numbers}

    def _conditions(self, kind: type, text: str) -> dict[str, str]:
        if not self._reference or len(text) > MAX_LITERAL or kind in (dict, list):
            return {}
        if kind is type(None):
            return {"is": f"{self._reference} is null", "is_not": f"not {self._reference} is null"}
        literal = json.dumps(text, ensure_ascii=not text.isprintable()) if kind is str else text
        if kind is float and not text.lstrip("-")[:1].isdigit():
            return {}
        return {"is": f"{self._reference} == {literal}", "is_not": f"not {self._reference} == {literal}"}


def reference(name: str, content: object, value: object) -> str:
    """Returns the expression for the field of this name, or an empty text if none has this value in this record."""
    parts = name.split(".")
    candidates = [RECORD + "".join(f"[{json.dumps(part)}]" for part in parts), f"{RECORD}[{json.dumps(name)}]"]
    is_name = all(part.isascii() and part.isidentifier() and not keyword.iskeyword(part) for part in parts)
    if is_name and parts[0] not in (*CONSTANTS, RECORD):
        candidates.insert(0, name)
    for candidate in candidates:
        if compiled(candidate)[0](content) is value:
            return candidate
    return ""


def values(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields progress, and the values of the field `field`."""
    query, tally = Query(task), Tally(task["field"])
    with opened(task["path"]) as reader:
        sample = Sample(reader, query, query.span(reader), whole=task["whole"])
        yield from sample.passed_to(lambda _, record: tally.add(record))
    yield {"done": {**tally.result(), **sample.counts()}}
