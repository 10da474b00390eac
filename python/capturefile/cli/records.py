"""Selecting records of a source for output, and reporting those that cannot be read."""

from __future__ import annotations

import capturefile
from capturefile.cli.arguments import EVERYTHING
from capturefile.cli.exit_codes import DONE, LOSSY, WrongUsage
from capturefile.cli.messages import say
from capturefile.cli.times import Times

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from capturefile.cli.sources import Part, Source


def check_range(options: argparse.Namespace, names: list[str]) -> None:
    """Refuses `--range` where there are several sources, each with numbers of its own."""
    if len(names) > 1 and options.range is not EVERYTHING:
        raise WrongUsage("--range goes with one file or log: its numbers are those of one")


class Selection:
    """The records that `--range` selects; with `--skip-unreadable`, without those that cannot be read."""

    def __init__(self, source: Source, options: argparse.Namespace) -> None:
        """Selects from an open source."""
        self.source = source
        self.lenient: bool = options.skip_unreadable
        self.times = Times(options)
        self.span = self.times.narrowed(source, source.resolve(options.range), lenient=self.lenient)
        self.skipped = 0
        self._gap: capturefile.RecordRange | None = None

    def __len__(self) -> int:
        """Returns the number of selected records."""
        return self.span.last + 1 - self.span.first

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Iterates over the records with their numbers."""
        return self.times.chosen(self._in_span())

    def _in_span(self) -> Iterator[tuple[int, bytes]]:
        for part in self.source.parts(self.span):
            yield from self._readable(part) if self.lenient else part

    def _readable(self, part: Part) -> Iterator[tuple[int, bytes]]:
        records = part.cf.record_generator(part.first)
        for number in range(part.before + part.first, part.before + part.last + 1):
            try:
                record = next(records)
            except capturefile.InvalidCaptureFile:
                self.skip(number)
                continue
            self.tell_skipped()
            yield number, record
        self.tell_skipped()

    def skip(self, number: int) -> None:
        """Notes that a record cannot be read, behind those that were noted before."""
        self.skipped += 1
        if self._gap is not None and number != self._gap.last + 1:
            self.tell_skipped()
        self._gap = capturefile.RecordRange(number if self._gap is None else self._gap.first, number)

    def tell_skipped(self) -> None:
        """Says which records were noted and not told yet."""
        gap, self._gap = self._gap, None
        if gap is not None:
            say(f"{self.source.name}: {gap} cannot be read and {'is' if gap.first == gap.last else 'are'} left out")

    @property
    def code(self) -> int:
        """The exit code of a command that has processed these records."""
        return LOSSY if self.skipped else DONE
