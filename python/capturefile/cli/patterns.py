"""Regular expressions of `grep`, in Rust's or Python's syntax, and of options that extract parts of records."""

from __future__ import annotations

import re

from capturefile._capturefile import _Pattern
from capturefile._fields.patterns import for_rust
from capturefile.cli.exit_codes import WrongUsage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

HALF_BORDERS = (r"\b{start-half}", r"\b{end-half}")
"""The boundaries of a word in Rust's syntax."""
BORDERS = (r"(?<!\w)", r"(?!\w)")
"""The boundaries of a word in Python's syntax."""


class RustPattern:
    """A pattern in Rust's syntax; the extension searches for it."""

    def __init__(self, options: argparse.Namespace, patterns: list[str]) -> None:
        """Raises WrongUsage if one of the patterns is not valid."""
        parts = [for_rust(pattern, fixed=options.fixed) for pattern in patterns]
        for part, pattern in zip(parts, patterns, strict=True):
            _compiled(part, pattern, ignore_case=options.ignore_case)
        start, end = HALF_BORDERS if options.word else ("", "")
        joined = "|".join(f"{start}(?:{part}){end}" for part in parts)
        self.core = _compiled(joined, joined, ignore_case=options.ignore_case)

    def is_in(self, record: bytes) -> bool:
        """Returns whether one of the patterns is found."""
        return self.core.is_in(record)

    def spans(self, record: bytes) -> list[tuple[int, int]]:
        """Returns the ranges of the matches."""
        return self.core.spans(record)


def _compiled(part: str, pattern: str, *, ignore_case: bool) -> _Pattern:
    try:
        return _Pattern(part, ignore_case=ignore_case)
    except ValueError as error:
        raise WrongUsage(
            f"{pattern!r} is not a valid regular expression in Rust's syntax: {error}; use -P for Python's syntax"
        ) from error


class PythonPattern:
    """A pattern in Python's syntax; the module re searches each record for it."""

    core = None

    def __init__(self, options: argparse.Namespace, patterns: list[str]) -> None:
        """Raises WrongUsage if one of the patterns is not valid."""
        flags = re.IGNORECASE if options.ignore_case else re.NOFLAG
        start, end = BORDERS if options.word else ("", "")
        try:
            for pattern in patterns:
                re.compile(pattern, flags)
            joined = "|".join(f"{start}(?:{pattern}){end}" for pattern in patterns)
            self._pattern = re.compile(joined, flags)
        except re.error as error:
            raise WrongUsage(f"{pattern!r} is not a valid regular expression in Python's syntax: {error}") from error

    def is_in(self, record: bytes) -> bool:
        """Returns whether one of the patterns is found."""
        return self._pattern.search(_as_text(record)) is not None

    def spans(self, record: bytes) -> list[tuple[int, int]]:
        """Returns the ranges of the matches, in bytes."""
        text = _as_text(record)

        def offset(index: int) -> int:
            return len(text[:index].encode(errors="surrogateescape"))

        found = (match.span() for match in self._pattern.finditer(text))
        return [(offset(start), offset(end)) for start, end in found if start < end]


def _as_text(data: bytes) -> str:
    """Returns text for patterns; bytes that are not UTF-8 are preserved and match only themselves."""
    return data.decode(errors="surrogateescape")


def part_of(text: str) -> Callable[[bytes], str | None]:
    """Returns a function for the match of a pattern, in Python's syntax, in a text record: group 1, or the whole match.

    Raises WrongUsage if the pattern is not valid.
    """
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise WrongUsage(f"{text!r} is not a valid regular expression: {error}") from error
    group = 1 if pattern.groups else 0

    def part(record: bytes) -> str | None:
        found = pattern.search(record.decode(errors="replace"))
        return None if found is None else found[group]

    return part
