"""Records as HTML tables, which notebooks show instead of the plain representation."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

from capturefile._previews import MAX_PREVIEW, text_of, visible

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_ROWS = 10
MAX_BYTES = 64 * 1024
"""Maximum number of bytes of a record that are examined."""

_STYLE = "text-align: left; font-family: monospace; white-space: pre-wrap; overflow-wrap: anywhere"


def table(
    title: str, rows: Iterable[tuple[int, int, bytes]], count: int, encoding: str | None, problem: str | None = None
) -> str:
    """Returns a table of records, given as their numbers, sizes, and first bytes.

    `count` is the total number of records, and `problem` explains why rows are missing. Content is escaped, so that
    no record can become part of the page's markup.
    """
    lines = [_row(number, size, beginning, encoding) for number, size, beginning in rows]
    end = f"... {count - len(lines):,} more" if len(lines) < count else ""
    footer = "".join(f"<p>{escape(visible(text))}</p>" for text in (problem or "", end) if text)
    head = "".join(f"<th>{name}</th>" for name in ("record", "bytes", "type", "content"))
    return (
        f"<div><p>{escape(visible(title))}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>{footer}</div>"
    )


def _row(number: int, size: int, beginning: bytes, encoding: str | None) -> str:
    kind, text = _look(beginning, size, encoding)
    more = " ..." if size > MAX_PREVIEW else ""
    return f'<tr><td>{number}</td><td>{size:,}</td><td>{kind}</td><td style="{_STYLE}">{escape(text)}{more}</td></tr>'


def _look(beginning: bytes, size: int, encoding: str | None) -> tuple[str, str]:
    """Returns the type of a record, as far as its first bytes tell, and these bytes as visible text."""
    text, is_text = text_of(beginning)
    if not is_text and encoding is not None:
        try:
            return "text", visible(beginning.decode(encoding)[:MAX_PREVIEW])
        except UnicodeDecodeError:
            return "bytes", visible(beginning[:MAX_PREVIEW].decode(encoding, "replace"))
    if is_text and size == len(beginning) and beginning[:1] in (b"{", b"["):
        try:
            json.loads(beginning)
        except (ValueError, RecursionError):
            return "text", text
        return "JSON", text
    return ("text" if is_text else "bytes"), text
