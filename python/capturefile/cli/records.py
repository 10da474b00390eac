"""Records on their way out of a source: which ones, and what is told of those that cannot be read."""

from __future__ import annotations

import capturefile
from capturefile.cli.arguments import EVERYTHING
from capturefile.cli.exit_codes import DONE, LOSSY, WrongUsage
from capturefile.cli.messages import say

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
    """The records that `--range` asks for, without those that cannot be read if `--skip-unreadable` says so."""

    def __init__(self, source: Source, options: argparse.Namespace) -> None:
        """Selects from an open source."""
        self.source = source
        self.lenient: bool = options.skip_unreadable
        self.span = source.resolve(options.range)
        self.skipped = 0

    def __len__(self) -> int:
        """How many records are selected."""
        return self.span.last + 1 - self.span.first

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """The records with their numbers."""
        for part in self.source.parts(self.span):
            yield from self._readable(part) if self.lenient else part

    def _readable(self, part: Part) -> Iterator[tuple[int, bytes]]:
        records = part.cf.record_generator(part.first)
        first_skipped = None
        for number in range(part.before + part.first, part.before + part.last + 1):
            try:
                record = next(records)
            except capturefile.InvalidCaptureFile:
                self.skipped += 1
                first_skipped = first_skipped or number
                continue
            if first_skipped is not None:
                self._tell_loss(first_skipped, number - 1)
                first_skipped = None
            yield number, record
        if first_skipped is not None:
            self._tell_loss(first_skipped, part.before + part.last)

    def _tell_loss(self, first: int, last: int) -> None:
        lost = capturefile.RecordRange(first, last)
        say(f"{self.source.name}: {lost} cannot be read and {'is' if first == last else 'are'} left out")

    @property
    def code(self) -> int:
        """The exit code for work on these records that is done."""
        return LOSSY if self.skipped else DONE
