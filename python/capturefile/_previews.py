"""Converting bytes to text that is safe to display: bounded, and without control characters."""

from __future__ import annotations

import re

MAX_PREVIEW = 400
"""Maximum number of bytes of a record that are shown in a list."""

UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
"""Characters without a glyph: control characters, and those that change the direction of the text around them."""


def text_of(data: bytes | memoryview, *, with_tabs: bool = False) -> tuple[str, bool]:
    """Returns the first bytes of a record as visible text, and whether they are UTF-8."""
    part = bytes(data[:MAX_PREVIEW])
    if len(part) < len(data):
        part = _whole_characters(part)
    try:
        return visible(part.decode(), with_tabs=with_tabs), True
    except UnicodeDecodeError:
        return visible(part.decode(errors="replace"), with_tabs=with_tabs), False


def visible(text: str, *, with_tabs: bool = False) -> str:
    """Returns the text with each character that has no glyph, except tabs if they are wanted, as a visible symbol."""
    return UNSEEN.sub(lambda found: "\t" if with_tabs and found[0] == "\t" else _picture(ord(found[0])), text)


def _picture(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"⟨U+{code:04X}⟩"


def _whole_characters(part: bytes) -> bytes:
    """Returns the bytes without an incomplete character at the end."""
    for back in range(1, min(4, len(part)) + 1):
        byte = part[-back]
        if byte & 0xC0 != 0x80:
            length = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return part[:-back] if length > back else part
    return part
