"""Records on their way out of a capture file: which ones, and what is told of those that cannot be read."""

from __future__ import annotations

from itertools import islice
from operator import length_hint

import capturefile
from capturefile.cli.arguments import EVERYTHING, Span
from capturefile.cli.exit_codes import DONE, LOSSY
from capturefile.cli.messages import counted, say
from capturefile.cli.reports import unreadable
from capturefile.cli.streams import STANDARD_OUTPUT, refuse_same_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def reading(options: argparse.Namespace) -> capturefile.CaptureFile[bytes]:
    """The file that the command is about, open for reading."""
    refuse_same_file(STANDARD_OUTPUT, options.file)
    return capturefile.open(options.file, encoding=None)


def in_span(cf: capturefile.CaptureFile[bytes], span: Span) -> Iterator[tuple[int, bytes]]:
    """The records of a span counted from the start, with their numbers.

    Raises InvalidCaptureFile, with its number, for one that cannot be read.
    """
    records = cf.record_generator(span.first)
    before = length_hint(records)
    try:
        yield from enumerate(islice(records, max(0, span.last + 1 - span.first)), span.first)
    except capturefile.InvalidCaptureFile as error:
        raise unreadable(error, cf.file_name, span.first + before - length_hint(records) - 1) from error


def resolve(span: Span, count: int, file: str) -> Span:
    """The same records of a file of `count` records, counted from the start."""
    for number in (span.first, span.last):
        if not 1 <= abs(number) <= count:
            raise IndexError(f"{file}: there is no record {number}, the file has {counted(count, 'record')}")
    first, last = (number if number > 0 else count + 1 + number for number in (span.first, span.last))
    if first > last:
        raise IndexError(f"{file}: range {span} runs backwards, from {first} to {last}")
    return Span(first, last)


class Selection:
    """The records that `--range` asks for, without those that cannot be read if `--skip-unreadable` says so."""

    def __init__(self, cf: capturefile.CaptureFile[bytes], options: argparse.Namespace, file: str) -> None:
        """Selects from an open file; `file` is its name."""
        self.cf = cf
        self.file = file
        self.lenient: bool = options.skip_unreadable
        count = cf.record_count()
        self.span = Span(1, count) if options.range is EVERYTHING else resolve(options.range, count, file)
        self.skipped = 0

    def __len__(self) -> int:
        """How many records are selected."""
        return self.span.last + 1 - self.span.first

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """The records with their numbers."""
        return self._readable() if self.lenient else in_span(self.cf, self.span)

    def _readable(self) -> Iterator[tuple[int, bytes]]:
        records = self.cf.record_generator(self.span.first)
        first_skipped = None
        for number in range(self.span.first, self.span.last + 1):
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
            self._tell_loss(first_skipped, self.span.last)

    def _tell_loss(self, first: int, last: int) -> None:
        lost = capturefile.RecordRange(first, last)
        say(f"{self.file}: {lost} cannot be read and {'is' if first == last else 'are'} left out")

    @property
    def code(self) -> int:
        """The exit code for work on these records that is done."""
        return LOSSY if self.skipped else DONE
