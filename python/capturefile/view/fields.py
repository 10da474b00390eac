"""Fields of JSON records: the fields in a file, and their values as the columns of a list."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from capturefile._fields.expressions import MISSING, document, named_field
from capturefile._fields.instants import instant
from capturefile._fields.projection import in_text
from capturefile._previews import visible
from capturefile.view.commits import CommitTimes
from capturefile.view.reading import everything, opened, sampled, stretches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_TEXT = 200
"""Maximum number of characters of a value in a column."""
MAX_PARSED = 8 * 1024 * 1024
"""Maximum number of bytes of records that are parsed for the columns of one page."""
MAX_FIELDS = 300
"""Maximum number of fields that are offered."""
MAX_NAME = 100
"""Maximum length of the name of an offered field in characters."""
MAX_DEPTH = 4
"""Maximum number of names in the path of an offered field."""
LOOKED_AT = 1000
"""Number of records that are searched for fields."""
YEARS = (600_000_000.0, 4_100_000_000.0)
"""The range of plausible times in seconds since 1970, from 1989 to 2099: other numbers do not count as times."""


class Columns:
    """The values of some fields of records."""

    def __init__(self, names: Sequence[str]) -> None:
        """Selects the fields; without names, records have no columns."""
        self._fields = [named_field(name) for name in names]
        self._room = MAX_PARSED

    def of(self, record: bytes) -> dict[str, list[str | None]]:
        """Returns the texts of the fields under the key `fields`, or an empty dictionary if it is not an object.

        In total, not much more than MAX_PARSED bytes are parsed; further records have no fields either.
        """
        if not self._fields or self._room <= 0:
            return {}
        self._room -= len(record)
        found = document(record)
        if not isinstance(found, dict):
            return {}
        values = (field(found) for field in self._fields)
        return {"fields": [None if value is MISSING else short(in_text(value)) for value in values]}


def short(text: str) -> str:
    """Returns the beginning of a text, without characters that cannot be seen or encoded."""
    cut = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
    return visible(cut.encode(errors="replace").decode())


def fields(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the fields of some records, with their frequency, and whether their values look like times."""
    found: dict[str, list[int]] = {}
    looked = 0
    with opened(task["path"]) as reader:
        span = everything(reader)
        small = span.size <= LOOKED_AT
        for stretch in stretches(reader, [span]) if small else sampled(reader, span) if span.size else ():
            for _, record in stretch.records:
                _count(document(record), found)
                looked += 1
            if looked >= LOOKED_AT:
                break
        timed = CommitTimes(reader).exist(span)
    offered = [
        {"name": name, "count": count, "is_time": 10 * times >= 9 * count}
        for name, (count, times) in sorted(found.items(), key=lambda item: -item[1][0])
    ]
    yield {"done": {"fields": offered, "looked": looked, "commit_times": timed}}


def _count(record: object, found: dict[str, list[int]]) -> None:
    """Counts the fields of a record, and those that look like times."""
    for name, value in islice(_paths(record, "", 1), MAX_FIELDS):
        if name in found or len(found) < MAX_FIELDS:
            counts = found.setdefault(name, [0, 0])
            counts[0] += 1
            counts[1] += _looks_like_time(value)


def _paths(value: object, before: str, depth: int) -> Iterator[tuple[str, object]]:
    if not isinstance(value, dict):
        return
    for name, each in value.items():
        path = before + name
        if len(path) > MAX_NAME or not path.isprintable() or "," in path:
            continue
        if isinstance(each, dict) and each and depth < MAX_DEPTH:
            yield from _paths(each, f"{path}.", depth + 1)
        else:
            yield path, each


def _looks_like_time(value: object) -> bool:
    time = instant(value, utc=False)
    return time is not None and YEARS[0] < time < YEARS[1]
