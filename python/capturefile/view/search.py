"""Searching the records of a file, with progress, for one page of hits at a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from capturefile._previews import text_of, visible
from capturefile.view.fields import Columns
from capturefile.view.query import Query
from capturefile.view.reading import opened, stretches

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_HITS = 1000
"""Maximum number of hits on a page; the next page begins after the last one."""
REPORT_EVERY = 0.15
"""Seconds between two lines of progress."""
BEFORE, BEHIND = 40, 160
"""Number of characters shown before and after a hit."""


def search(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the hits from record `first` to record `last` of the file, and progress in between."""
    query, columns = Query(task), Columns(task["fields"])
    with opened(task["path"]) as reader:
        span = query.span(reader)
        hits = unreadable = 0
        last_report = time.monotonic()
        at = span.first - 1
        for stretch in stretches(reader, query.spans(reader, span), query.pattern):
            for number, record in stretch.records:
                excerpt = _excerpt_of(query, record)
                if excerpt is None:
                    continue
                hits += 1
                yield {"hit": {"number": str(number), "text": excerpt, **columns.of(record)}}
                if hits >= MAX_HITS:
                    yield _done(number, span.last, hits, unreadable)
                    return
            at = stretch.end
            unreadable += stretch.unreadable
            if (now := time.monotonic()) > last_report + REPORT_EVERY:
                last_report = now
                yield {"progress": {"first": str(span.first), "at": str(at), "of": str(span.last)}}
        yield _done(max(at, span.last), span.last, hits, unreadable)


def _done(at: int, last: int, hits: int, unreadable: int) -> dict[str, Any]:
    return {"done": {"at": str(at), "of": str(max(at, last)), "hits": hits, "unreadable": unreadable}}


def _excerpt_of(query: Query, record: bytes) -> list[str] | None:
    """Returns the text before, in and after the first hit in a record; None without a hit."""
    if query.find is None:
        return ["", "", text_of(record, with_tabs=True)[0]] if query.allows(record) else None
    found = query.find(record)
    return None if found is None or not query.allows(record) else _excerpt(*found)


def _excerpt(text: str, start: int, end: int) -> list[str]:
    first, last = max(0, start - BEFORE), start + BEHIND
    before, found, behind = text[first:start], text[start : min(end, last)], text[end:last]
    dots = "…" if len(text) > last else ""
    return [("…" if first else "") + _shown(before), _shown(found), _shown(behind) + dots]


def _shown(text: str) -> str:
    return visible(text.encode(errors="surrogateescape").decode(errors="replace"), with_tabs=True)
