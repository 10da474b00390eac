"""The command `grep`: the records that a pattern is found in."""

from __future__ import annotations

import os
import re
from itertools import islice

from capturefile.cli.arguments import add_bare, add_selection, natural
from capturefile.cli.colours import RED, RESET, has_colours
from capturefile.cli.encoders import BINARY, add_format, encoder, printable, write_records
from capturefile.cli.exit_codes import DONE, EXPECTED_ERRORS, FAILED, UNUSABLE, WrongUsage
from capturefile.cli.messages import describe, say
from capturefile.cli.progress import progress
from capturefile.cli.records import Selection
from capturefile.cli.sources import add_source, opened
from capturefile.cli.streams import STANDARD_OUTPUT, write_line
from capturefile.cli.times import add_times

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands
    from capturefile.cli.encoders import Encoder

EXAMPLE = """\
capturefile grep 'error|warning' log.capture
capturefile grep -i -n --fixed 'disk full' log.capture
capturefile grep -c -v ok --range -1000- log.capture"""


def add_to(commands: Commands) -> None:
    """Defines the command."""
    grep = add_bare(commands, "grep", "print the records that match a pattern", EXAMPLE)
    grep.add_argument("pattern", metavar="PATTERN", help="a regular expression of Python's module re")
    add_source(grep)
    grep.add_argument("-i", "--ignore-case", action="store_true", help="ignore case")
    grep.add_argument("-v", "--invert-match", action="store_true", help="print the records that do not match")
    grep.add_argument("-c", "--count", action="store_true", help="print only the number of matching records")
    grep.add_argument("-n", "--number", action="store_true", help="print the number before each record: 7:record")
    grep.add_argument(
        "-F", "--fixed", action="store_true", help="treat PATTERN as a text instead of a regular expression"
    )
    grep.add_argument("-m", "--max-count", type=natural, metavar="N", help="stop after N records")
    add_selection(grep)
    add_times(grep)
    add_format(grep)
    codes = "Exit codes: 0 match, 1 no match, 2 failure, 3 unreadable records were skipped."
    grep.epilog = f"{grep.epilog}\n\n{codes}"
    grep.set_defaults(run=_grep)


def _grep(options: argparse.Namespace, output: BinaryIO) -> int:
    matches = _matcher(options)
    encode = _numbered(_encoder(options), options)
    try:
        with opened(options.file) as source:
            selection = Selection(source, options)
            with progress("grep", "records", len(selection), beside_output=True) as shown:
                found = (pair for pair in shown.over(selection) if matches(pair[1]))
                count = _write(output, encode, islice(found, options.max_count), only_count=options.count)
    except BrokenPipeError:
        raise
    except EXPECTED_ERRORS as error:
        say(describe(error))
        return UNUSABLE
    return selection.code or (DONE if count else FAILED)


def _write(output: BinaryIO, encode: Encoder, found: Iterator[tuple[int, bytes]], *, only_count: bool) -> int:
    """Writes what was found, or how much it is; returns how much it is."""
    if only_count:
        count = sum(1 for _ in found)
        write_line(output, str(count))
        return count
    count = 0

    def counted() -> Iterator[tuple[int, bytes]]:
        nonlocal count
        for pair in found:
            count += 1
            yield pair

    write_records(output, encode, counted())
    return count


def _matcher(options: argparse.Namespace) -> Callable[[bytes], bool]:
    wanted = not options.invert_match
    pattern = os.fsencode(options.pattern)
    if options.fixed and not options.ignore_case:
        return lambda record: (pattern in record) is wanted
    search = _compile(_as_text(pattern), options).search
    return lambda record: (search(_as_text(record)) is not None) is wanted


def _compile(pattern: str, options: argparse.Namespace) -> re.Pattern[str]:
    flags = re.IGNORECASE if options.ignore_case else re.NOFLAG
    try:
        return re.compile(re.escape(pattern) if options.fixed else pattern, flags)
    except re.error as error:
        raise WrongUsage(f"{options.pattern!r} is no regular expression: {error}") from error


def _as_text(data: bytes) -> str:
    """Text that patterns can be written for; bytes that are none stay, and equal only themselves."""
    return data.decode(errors="surrogateescape")


def _encoder(options: argparse.Namespace) -> Encoder:
    """The encoder that is asked for; on a terminal, text has in red what was found."""
    encode = encoder(options)
    if options.format != "text" or options.invert_match or not has_colours(STANDARD_OUTPUT):
        return encode
    matches = _compile(_as_text(os.fsencode(options.pattern)), options).finditer

    def highlight(_: int, record: bytes) -> bytes:
        text, end, pieces = _as_text(record), 0, []
        for found in matches(text):
            if found.end() > found.start():
                pieces += [_shown(text[end : found.start()]), RED, _shown(found[0]), RESET]
                end = found.end()
        return "".join([*pieces, _shown(text[end:]), "\n"]).encode()

    return highlight


def _shown(text: str) -> str:
    return printable(text.encode(errors="surrogateescape"))


def _numbered(encode: Encoder, options: argparse.Namespace) -> Encoder:
    """Puts the number before each record, in a format that does not have it anyway."""
    if not options.number or options.format == "jsonl":
        return encode
    if options.format in BINARY:
        raise WrongUsage(f"--number cannot be told from the records in the format {options.format}")
    return lambda number, record: b"%d:%b" % (number, encode(number, record))
