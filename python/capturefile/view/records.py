"""Pages of records as previews, and single records as bytes, always of limited length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from capturefile._errors import in_words
from capturefile._previews import text_of
from capturefile.view.sources import BROKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capturefile import CaptureFile
    from capturefile.rotating import RotatingReader
    from capturefile.view.fields import Columns

MAX_RECORDS = 500
"""Maximum number of records on a page."""
MAX_BYTES = 1024 * 1024
"""Maximum number of bytes of a record in one response; longer ones are fetched in parts, or downloaded."""
PART = 256 * 1024
"""Number of bytes in each part of a download."""


def page(cf: CaptureFile[bytes] | RotatingReader[bytes], first: int, count: int, columns: Columns) -> dict[str, Any]:
    """Returns records from number `first` on; a damaged one has an error instead of a text."""
    total = cf.record_count()
    first = max(1, first)
    last = min(total, first + min(count, MAX_RECORDS) - 1)
    rows = [row(cf, number, columns) for number in range(first, last + 1)]
    return {"count": str(total), "first": str(first), "records": rows}


def row(cf: CaptureFile[bytes] | RotatingReader[bytes], number: int, columns: Columns) -> dict[str, Any]:
    """Returns a record as the list shows it."""
    try:
        record = cf.record_at(number)
    except BROKEN as error:
        # The name of the file is omitted, because it is known in a list, and space is limited.
        return {"number": str(number), "error": in_words(error).partition("capture file: ")[2] or in_words(error)}
    text, is_text = text_of(record, with_tabs=True)
    return {"number": str(number), "size": len(record), "text": text, "utf8": is_text, **columns.of(record)}


def part(data: bytes, start: int, length: int) -> bytes:
    """Returns at most MAX_BYTES of a record."""
    return data[start : start + min(length, MAX_BYTES)]


def parts(data: bytes) -> Iterator[bytes]:
    """Yields all of a record, in parts."""
    for start in range(0, len(data), PART):
        yield data[start : start + PART]
