"""Patterns in the syntax of Rust's crate regex."""

from __future__ import annotations

import re


def for_rust(pattern: str, *, fixed: bool) -> str:
    """Returns the pattern in Rust's syntax; bytes of the command line that are not UTF-8 match themselves."""
    escaped = re.sub(r"[\\.+*?()|\[\]{}^$#&~-]", r"\\\g<0>", pattern) if fixed else pattern
    return re.sub("[\udc80-\udcff]", lambda found: rf"(?-u:\x{ord(found[0]) - 0xDC00:02x})", escaped)
