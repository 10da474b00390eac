"""Searching the records of a file for a text or a regular expression, with progress."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import capturefile
from capturefile._previews import visible
from capturefile.rotating import RecordsDeleted, RotatingReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capturefile import CaptureFile

MAX_HITS = 1000
REPORT_EVERY = 0.15
"""Seconds between two lines of progress."""
CHECK_CLOCK_EVERY = 64
"""Number of records between two looks at the clock."""
BEFORE, BEHIND = 40, 160
"""Characters shown around what was found."""


def search(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the hits from record `first` to record `last` of the file, and progress in between."""
    find = finder(task["text"], is_pattern=task["pattern"], any_case=task["any_case"])
    path = Path(task["path"])
    with RotatingReader(path, encoding=None) if path.is_dir() else capturefile.open(path, encoding=None) as cf:
        first = max(cf.first_record if isinstance(cf, RotatingReader) else 1, task["first"])
        last = min(cf.record_count(), task["last"] or cf.record_count())
        hits = unreadable = 0
        read = reading(cf, first)
        last_report = time.monotonic()
        number = first - 1
        for number in range(first, last + 1):
            try:
                excerpt = find(read(number))
            except (capturefile.InvalidCaptureFile, RecordsDeleted):
                unreadable += 1
                excerpt = None
            if excerpt is not None:
                hits += 1
                yield {"hit": {"number": str(number), "text": excerpt}}
            if hits >= MAX_HITS:
                break
            if number % CHECK_CLOCK_EVERY == 0 and (now := time.monotonic()) > last_report + REPORT_EVERY:
                last_report = now
                yield {"progress": {"at": str(number), "of": str(last)}}
        yield {"done": {"at": str(number), "of": str(last), "hits": hits, "unreadable": unreadable}}


def reading(cf: CaptureFile[bytes] | RotatingReader[bytes], first: int) -> Callable[[int], bytes]:
    """Returns what reads one record after the other, from number `first` on, also behind one that cannot be read."""
    if isinstance(cf, RotatingReader):
        return cf.record_at
    records = cf.record_generator(first)
    return lambda _: next(records)


def finder(text: str, *, is_pattern: bool, any_case: bool) -> Callable[[bytes], list[str] | None]:
    """Returns a function that splits a record into the text before, in and after the first hit; None without a hit.

    Raises:
        re.error: The pattern is invalid.
    """
    wanted = text.encode(errors="surrogateescape")
    compiled = re.compile(text if is_pattern else re.escape(text), re.IGNORECASE if any_case else re.NOFLAG)
    plain = not (is_pattern or any_case)

    def find(record: bytes) -> list[str] | None:
        if plain and wanted not in record:
            return None
        decoded = record.decode(errors="surrogateescape")
        found = compiled.search(decoded)
        return None if found is None else _excerpt(decoded, *found.span())

    return find


def _excerpt(text: str, start: int, end: int) -> list[str]:
    first, last = max(0, start - BEFORE), start + BEHIND
    before, found, behind = text[first:start], text[start : min(end, last)], text[end:last]
    dots = "…" if len(text) > last else ""
    return [("…" if first else "") + _shown(before), _shown(found), _shown(behind) + dots]


def _shown(text: str) -> str:
    return visible(text.encode(errors="surrogateescape").decode(errors="replace"))
