"""Reading the records of a file or a log in order or at random, while skipping those that cannot be read."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import capturefile
from capturefile.rotating import RecordsDeleted, RotatingReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from capturefile import CaptureFile
    from capturefile._capturefile import _Pattern

    Reader: TypeAlias = CaptureFile[bytes] | RotatingReader[bytes]

MAX_TOGETHER = 64
"""Maximum number of records that are read in one step, so that progress is reported and a job can be ended."""
MAX_BYTES_TOGETHER = 1024 * 1024
UNREADABLE = (capturefile.InvalidCaptureFile, RecordsDeleted)
"""Errors of single records: others may be readable."""
MAX_SAMPLED = 20_000
"""Maximum number of records in a sample."""
MAX_WHOLE = 50_000
"""Maximum number of records for which all are read instead of a sample."""
MAX_SECONDS = 4.0
"""Maximum time for reading a sample."""
STEP = (5**0.5 - 1) / 2
"""The golden ratio: the fractional parts of its multiples are evenly distributed for any number of them."""


class Span(NamedTuple):
    """The records from one number to another, both inclusive; none if `last` is less than `first`."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """Number of records."""
        return max(0, self.last + 1 - self.first)


class Stretch(NamedTuple):
    """Records that were read together."""

    end: int
    """Number of the last record that was examined."""
    records: list[tuple[int, bytes]]
    """The records that could be read, with their numbers."""
    unreadable: int = 0
    """Number of records that could not be read."""


def opened(path: str) -> Reader:
    """Opens a file, or a log by its folder."""
    return RotatingReader(path, encoding=None) if Path(path).is_dir() else capturefile.open(path, encoding=None)


def everything(reader: Reader) -> Span:
    """Returns the span of all records."""
    return Span(reader.first_record if isinstance(reader, RotatingReader) else 1, reader.record_count())


def stretches(reader: Reader, spans: Iterable[Span], pattern: _Pattern | None = None) -> Iterator[Stretch]:
    """Yields the records of spans in order; with a pattern, only those in which it is found."""
    for span in spans:
        yield from _in_span(reader, span, pattern)


def _in_span(reader: Reader, span: Span, pattern: _Pattern | None) -> Iterator[Stretch]:
    if isinstance(reader, RotatingReader):
        for file in reader.files():
            part = Span(max(span.first, file.first_record), min(span.last, file.last_record))
            if part.size:
                yield from _in_log(file.path, part, file.first_record - 1, pattern)
    elif span.size:
        yield from _in_file(reader, span, 0, pattern)


def _in_log(path: Path, span: Span, before: int, pattern: _Pattern | None) -> Iterator[Stretch]:
    """Yields the records of one file, whose numbers in the log are higher by `before`."""
    try:
        cf = capturefile.open(path, encoding=None)
    except (FileNotFoundError, capturefile.CaptureFileError):
        yield Stretch(span.last, [], span.size)
        return
    with cf:
        part = Span(span.first, min(span.last, before + cf.record_count()))
        if part.size:
            yield from _in_file(cf, part, before, pattern)
    if part.last < span.last:
        yield Stretch(span.last, [], span.last - part.last)


def _in_file(cf: CaptureFile[bytes], span: Span, before: int, pattern: _Pattern | None) -> Iterator[Stretch]:
    first, last = span.first - before, span.last - before
    if pattern is None:
        return _read(cf, first, last, before)
    return _searched(cf, first, last, before, pattern)


def _read(cf: CaptureFile[bytes], first: int, last: int, before: int) -> Iterator[Stretch]:
    read: list[tuple[int, bytes]] = []
    size = 0
    records = cf.record_generator(first)
    for number in range(before + first, before + last + 1):
        try:
            record = next(records)
        except capturefile.InvalidCaptureFile:
            yield Stretch(number - 1, read)
            yield Stretch(number, [], 1)
            read, size = [], 0
            continue
        read.append((number, record))
        size += len(record)
        if len(read) >= MAX_TOGETHER or size >= MAX_BYTES_TOGETHER:
            yield Stretch(number, read)
            read, size = [], 0
    yield Stretch(before + last, read)


def _searched(cf: CaptureFile[bytes], first: int, last: int, before: int, pattern: _Pattern) -> Iterator[Stretch]:
    search = pattern.search(cf, first, last, invert=False)
    while True:
        try:
            found = next(search, None)
        except capturefile.InvalidCaptureFile:
            yield Stretch(before + search.position() - 1, [], 1)
            continue
        if found is None:
            return
        yield Stretch(before + search.position() - 1, [(before + number, record) for number, record in found])


def sampled(reader: Reader, span: Span) -> Iterator[Stretch]:
    """Yields records distributed over a span, unordered, for some seconds; their `end` has no meaning."""
    end = time.monotonic() + MAX_SECONDS
    read: list[tuple[int, bytes]] = []
    unreadable = size = 0
    for index in range(MAX_SAMPLED):
        number = span.first + int(index * STEP % 1 * span.size)
        try:
            record = reader.record_at(number)
        except UNREADABLE:
            unreadable += 1
        else:
            read.append((number, record))
            size += len(record)
        is_late = time.monotonic() > end
        if is_late or len(read) + unreadable >= MAX_TOGETHER or size >= MAX_BYTES_TOGETHER:
            yield Stretch(number, read, unreadable)
            read, unreadable, size = [], 0, 0
        if is_late:
            return
    yield Stretch(span.last, read, unreadable)
