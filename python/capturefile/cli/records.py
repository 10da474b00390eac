"""Selecting records of a source for output, and reporting those that cannot be read."""

from __future__ import annotations

from collections import deque
from contextlib import suppress

import capturefile
from capturefile.cli.arguments import EVERYTHING, Span
from capturefile.cli.exit_codes import DONE, LOSSY, WrongUsage
from capturefile.cli.messages import say
from capturefile.cli.reports import unreadable
from capturefile.cli.times import Times

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from capturefile._capturefile import _Pattern, _Search
    from capturefile._fields.conditions import Condition
    from capturefile.cli.progress import Progress
    from capturefile.cli.sources import FileRange, Source

    T = TypeVar("T")

FIRST_STRETCH = 1024
MAX_STRETCH = 65_536
"""Number of records that are examined together in the search backwards for the last matching ones."""
SAMPLE = 100
"""Number of records that are examined to determine whether a source has any JSON."""


def check_range(options: argparse.Namespace, names: list[str]) -> None:
    """Refuses `--range` with several sources, each of which has its own numbers."""
    if len(names) > 1 and options.range is not EVERYTHING:
        raise WrongUsage("--range requires a single file or log, because each has its own record numbers")


class Selection:
    """Selected records of a source: those in a span, in a period of time, and for which a condition holds."""

    def __init__(
        self,
        source: Source,
        span: Span,
        where: Condition | None = None,
        *,
        times: Times | None = None,
        lenient: bool = False,
    ) -> None:
        """Selects from an open source; if `lenient`, skips records that cannot be read."""
        self.source = source
        self.lenient = lenient
        self.where = where
        self.times = times
        self.span = span if times is None else times.narrowed(source, span, lenient=lenient)
        self.skipped = 0
        self.is_silent = False
        """Whether neither unreadable records nor a lack of JSON is reported."""
        self._gap: capturefile.RecordRange | None = None

    @classmethod
    def of(cls, source: Source, options: argparse.Namespace) -> Selection:
        """Returns the selection of a command's options."""
        span, lenient = source.resolve(options.range), options.skip_unreadable
        return cls(source, span, options.where, times=Times(options), lenient=lenient)

    def __len__(self) -> int:
        """Returns the number of records that are examined."""
        return self.span.last + 1 - self.span.first

    @property
    def is_whole(self) -> bool:
        """Whether all records of the span are selected."""
        return self.where is None and not self.has_slack

    @property
    def has_slack(self) -> bool:
        """Whether other records determine if a record is in the period."""
        return self.times is not None and bool(self.times.slack)

    def records(self, shown: Progress | None = None) -> Iterator[tuple[int, bytes]]:
        """Iterates over the records with their numbers; `shown` counts all that are examined."""
        if self.where is None:
            return self._in_time(shown)
        pattern = self.where.pattern
        if pattern is None or self.has_slack:
            return self._some(self.where.among(self._in_time(shown)))
        return self._some(self.where.among(self.found(pattern, shown)))

    def _some(self, records: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """Yields the records; reports a lack of JSON if there are none."""
        first = next(records, None)
        if first is not None:
            yield first
            yield from records
        elif not self.is_silent:
            self.report_no_json()

    def report_no_json(self) -> None:
        """Prints a hint if `--where` finds nothing because the first records are not JSON."""
        report_no_json(self.source, self.span, "--where finds")

    def _in_time(self, shown: Progress | None) -> Iterator[tuple[int, bytes]]:
        records = self._in_span()
        if shown is not None:
            records = shown.over(records)
        return records if self.times is None else self.times.chosen(records)

    def _parts(self) -> Iterator[FileRange]:
        """Yields the records of the span by file, without those that an index excludes."""
        possible = None if self.where is None or self.has_slack else self.source.narrowed(self.where)
        if possible is None:
            yield from self.source.parts(self.span)
            return
        for first, last in possible:
            span = Span(max(first, self.span.first), min(last, self.span.last))
            if span.first <= span.last:
                yield from self.source.parts(span)

    def _in_span(self) -> Iterator[tuple[int, bytes]]:
        for part in self._parts():
            yield from self._readable(part) if self.lenient else part

    def _readable(self, part: FileRange) -> Iterator[tuple[int, bytes]]:
        records = part.cf.record_generator(part.first)
        for number in range(part.before + part.first, part.before + part.last + 1):
            try:
                record = next(records)
            except capturefile.InvalidCaptureFile:
                self.skip(number)
                continue
            self.report_skipped()
            yield number, record
        self.report_skipped()

    def found(
        self, pattern: _Pattern, shown: Progress | None = None, *, invert: bool = False
    ) -> Iterator[tuple[int, bytes]]:
        """Yields the records in which a pattern is found, or not found with `invert`, with their numbers."""
        for part, found in self.searched(pattern, lambda search: next(search, None), shown, invert=invert):
            for number, record in found:
                yield part.before + number, record

    def searched(
        self, pattern: _Pattern, step: Callable[[_Search], T | None], shown: Progress | None, *, invert: bool = False
    ) -> Iterator[tuple[FileRange, T]]:
        """Yields the result of each step of a search through all parts."""
        start = 0 if shown is None else shown.count
        for part in self._parts():
            search = pattern.search(part.cf, part.first, part.last, invert=invert)
            while True:
                try:
                    found = step(search)
                except capturefile.InvalidCaptureFile as error:
                    number = search.position() - 1
                    if not self.lenient:
                        raise unreadable(error, part.cf.file_name, number) from error
                    self.skip(part.before + number)
                    continue
                if found is None:
                    break
                if shown is not None:
                    shown.count = start + part.before + search.position() - self.span.first
                    shown.look()
                yield part, found
            self.report_skipped()

    def skip(self, number: int) -> None:
        """Notes that a record cannot be read; calls must be in ascending order."""
        self.skipped += 1
        if self._gap is not None and number != self._gap.last + 1:
            self.report_skipped()
        self._gap = capturefile.RecordRange(number if self._gap is None else self._gap.first, number)

    def report_skipped(self) -> None:
        """Prints the noted records that have not been reported yet."""
        gap, self._gap = self._gap, None
        if gap is not None and not self.is_silent:
            say(f"{self.source.name}: {gap} cannot be read and {'is' if gap.first == gap.last else 'are'} left out")

    @property
    def code(self) -> int:
        """Returns the exit code of a command that has processed these records."""
        return LOSSY if self.skipped else DONE


def report_no_json(source: Source, span: Span, what_finds: str) -> None:
    """Prints a hint if the first records of a span are not JSON."""
    from capturefile._fields.conditions import lacks_json

    sample = capturefile.RecordRange(span.first, min(span.first + SAMPLE - 1, span.last))
    with suppress(capturefile.CaptureFileError):
        if lacks_json(record for _, record in source.records(Span(sample.first, sample.last))):
            verb = "is" if sample.first == sample.last else "are"
            say(f"{source.name}: {what_finds} only JSON records, and {sample} {verb} not JSON")


def last_records(
    source: Source, span: Span, number: int, where: Condition | None, times: Times
) -> Iterator[tuple[int, bytes]]:
    """Yields the last matching records of a span within the period."""
    if times.slack:
        return iter(deque(Selection(source, span, where, times=times).records(), number))
    if where is None:
        return source.records(Span(max(span.first, span.last + 1 - number), span.last))
    found: list[tuple[int, bytes]] = []
    end, size = span.last, FIRST_STRETCH
    while len(found) < number and end >= span.first:
        stretch = Span(max(span.first, end + 1 - size), end)
        selection = Selection(source, stretch, where)
        selection.is_silent = True
        found = [*selection.records(), *found][-number:]
        end, size = stretch.first - 1, min(2 * size, MAX_STRETCH)
    if not found:
        Selection(source, span, where).report_no_json()
    return iter(found)
