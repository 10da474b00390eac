"""The command `sample`: prints records chosen at random."""

from __future__ import annotations

from bisect import bisect_left
from contextlib import ExitStack

import capturefile
from capturefile.cli.arguments import add_bare, integer, natural
from capturefile.cli.encoders import Headers, add_format, add_headers, encoder, write_records
from capturefile.cli.exit_codes import DONE
from capturefile.cli.reports import unreadable
from capturefile.cli.sources import NAMED, check, opened

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands
    from capturefile.cli.sources import Source

EXAMPLE = """\
capturefile sample log.capture
capturefile sample -n 100 --seed 7 --format jsonl monday.capture orders/"""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    sample = add_bare(commands, "sample", summary, EXAMPLE)
    sample.add_argument("files", metavar="FILE", nargs="+", help=f"{NAMED}; - is a capture file on standard input")
    sample.add_argument(
        "-n",
        "--number",
        type=natural,
        default=10,
        metavar="N",
        help="number of records, from all files together (default: %(default)s)",
    )
    sample.add_argument("--seed", type=integer, metavar="N", help="choose the same records in each run with this seed")
    add_headers(sample)
    add_format(sample)
    sample.set_defaults(run=_sample)


def _sample(options: argparse.Namespace, output: BinaryIO) -> int:
    headers = Headers(options)
    with ExitStack() as stack:
        check(options.files)
        sources = [stack.enter_context(opened(name)) for name in options.files]
        total = sum(map(len, sources))
        # Positions among the records of all files, from 0.
        from random import Random

        chosen = sorted(Random(options.seed).sample(range(total), min(options.number, total)))
        place = start = 0
        for source in sources:
            end = bisect_left(chosen, place + len(source), start)
            if end > start:
                headers.write(output, source.name)
                numbers = (source.first + at - place for at in chosen[start:end])
                write_records(output, encoder(options, source.name), _records(source, numbers))
            place, start = place + len(source), end
    return DONE


def _records(source: Source, numbers: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    for number in numbers:
        try:
            yield number, source.reader.record_at(number)
        except capturefile.InvalidCaptureFile as error:
            raise unreadable(error, source.name, number) from error
