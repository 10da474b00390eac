"""Bytes as text that is safe to look at: bounded, and with nothing that a screen would obey."""

from __future__ import annotations

import re

MAX_PREVIEW = 400
"""Of a record, in a list."""

UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
"""What has no picture of its own: controls, and what changes the direction of the text around it."""


def text_of(data: bytes | memoryview) -> tuple[str, bool]:
    """The first bytes of a record as visible text, and whether they are UTF-8."""
    part = bytes(data[:MAX_PREVIEW])
    if len(part) < len(data):
        part = _whole_characters(part)
    try:
        return visible(part.decode()), True
    except UnicodeDecodeError:
        return visible(part.decode(errors="replace")), False


def visible(text: str) -> str:
    """The text with a picture in the place of each character that has none."""
    return UNSEEN.sub(lambda found: _picture(ord(found[0])), text)


def _picture(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"⟨U+{code:04X}⟩"


def _whole_characters(part: bytes) -> bytes:
    """The bytes without a character at their end that was cut in two."""
    for back in range(1, min(4, len(part)) + 1):
        byte = part[-back]
        if byte & 0xC0 != 0x80:
            length = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return part[:-back] if length > back else part
    return part
