"""The command `grep`: prints the records that match a pattern."""

from __future__ import annotations

import argparse
import sys

from capturefile._errors import in_words
from capturefile.cli.arguments import Span, add_bare, add_selection, natural
from capturefile.cli.colours import RED, RESET, has_colours
from capturefile.cli.encoders import BINARY, PLAIN, add_format, encoder, printable
from capturefile.cli.exit_codes import DONE, EXPECTED_ERRORS, FAILED, UNUSABLE, WrongUsage
from capturefile.cli.messages import say
from capturefile.cli.patterns import PythonPattern, RustPattern
from capturefile.cli.progress import progress
from capturefile.cli.records import Selection, check_range
from capturefile.cli.sources import SEVERAL, opened
from capturefile.cli.streams import STANDARD_OUTPUT, write_line, writes_to_terminal
from capturefile.cli.times import add_times
from capturefile.cli.where import add_where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from capturefile._capturefile import _Pattern
    from capturefile.cli.arguments import Commands
    from capturefile.cli.encoders import Encoder
    from capturefile.cli.progress import Progress
    from capturefile.cli.sources import Source

EXAMPLE = """\
capturefile grep 'error|warning' log.capture
capturefile grep -i -n --fixed 'disk full' monday.capture orders/
capturefile grep -C 2 -e timeout -e refused log.capture
capturefile grep -c -v ok --range -1000- log.capture"""
SEPARATOR = b"--\n"


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    grep = add_bare(commands, "grep", summary, EXAMPLE)
    pattern = "a regular expression in the syntax of Rust's crate regex; omitted with -e"
    grep.add_argument("words", metavar="[PATTERN] FILE ...", nargs="+", help=f"PATTERN: {pattern}. FILE: {SEVERAL}")
    grep.add_argument(
        "-e", "--regexp", action="append", metavar="PATTERN", default=[], help="a pattern; may be given several times"
    )
    grep.add_argument("-i", "--ignore-case", action="store_true", help="ignore case")
    grep.add_argument("-v", "--invert-match", action="store_true", help="print the records that do not match")
    grep.add_argument("-w", "--word", action="store_true", help="match whole words only")
    grep.add_argument(
        "-F", "--fixed", action="store_true", help="treat patterns as plain text, not as regular expressions"
    )
    grep.add_argument("-P", "--python", action="store_true", help="use Python's regular expressions, which is slower")
    grep.add_argument("-m", "--max-count", type=natural, metavar="N", help="stop after N records of each file")
    shown = grep.add_mutually_exclusive_group()
    shown.add_argument("-c", "--count", action="store_true", help="print only the number of matching records")
    shown.add_argument("-l", "--files-with-matches", action="store_true", help="print only the names of files")
    shown.add_argument("-q", "--quiet", action="store_true", help="print nothing; the exit code is the result")
    shown.add_argument("-o", "--only-matching", action="store_true", help="print only the matching parts, one per line")
    grep.add_argument("-n", "--number", action="store_true", help="print the number before each record: 7:record")
    name = grep.add_mutually_exclusive_group()
    name.add_argument("-H", "--with-filename", action="store_true", help="print the file's name before each record")
    name.add_argument("--no-filename", action="store_true", help="print no names, even with several files")
    for short, long, where in (("-A", "after", "after"), ("-B", "before", "before"), ("-C", "context", "around")):
        option = f"--{long}-context" if long != "context" else "--context"
        grep.add_argument(
            short, option, dest=long, type=natural, metavar="N", help=f"also print N records {where} each match"
        )
    grep.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="show matches in red (default: %(default)s)",
    )
    add_selection(grep)
    add_times(grep)
    add_where(grep)
    add_format(grep)
    codes = "Exit codes: 0 match, 1 no match, 2 failure, 3 unreadable records were skipped."
    grep.epilog = f"{grep.epilog}\n\n{codes}"
    grep.complaint = _complaint
    grep.set_defaults(run=_grep)


def _complaint(options: argparse.Namespace) -> str | None:
    is_complete = options.regexp or len(options.words) > 1
    return None if is_complete else "the following arguments are required: FILE"


def _grep(options: argparse.Namespace, output: BinaryIO) -> int:
    patterns = options.regexp or [options.words.pop(0)]
    options.files = options.words
    check_range(options, options.files)
    pattern = (
        PythonPattern(options, patterns) if options.python and not options.fixed else RustPattern(options, patterns)
    )
    search = Search(options, pattern)
    found, code = False, DONE
    with progress("grep", "records", beside_output=True) as shown:
        for name in options.files:
            try:
                with opened(name) as source:
                    selection = Selection.of(source, options)
                    shown.expect(len(selection), alone=len(options.files) == 1)
                    found |= Printer(search, selection, shown).write(output)
                    code = code or selection.code
            except BrokenPipeError:
                raise
            except EXPECTED_ERRORS as error:
                say(in_words(error))
                code = UNUSABLE
            if found and options.quiet:
                return DONE
    return code or (DONE if found else FAILED)


class Search:
    """The pattern, and how matching records are printed."""

    def __init__(self, options: argparse.Namespace, pattern: RustPattern | PythonPattern) -> None:
        """Raises WrongUsage for options that cannot be combined."""
        self.options = options
        self.pattern = pattern
        self.invert: bool = options.invert_match
        self.limit: int = sys.maxsize if options.max_count is None else options.max_count
        context = options.context or 0
        self.before: int = context if options.before is None else options.before
        self.after: int = context if options.after is None else options.after
        self.named: bool = options.with_filename or (len(options.files) > 1 and not options.no_filename)
        is_binary = options.format in BINARY
        for wanted, option in (
            (options.number, "--number"),
            (options.with_filename, "--with-filename"),
            (self.before or self.after, "context"),
        ):
            if wanted and is_binary:
                raise WrongUsage(f"{option} cannot be distinguished from the records in the format {options.format}")
        if options.only_matching and (options.format != "text" or options.fields):
            raise WrongUsage("--only-matching requires the format text, and cannot be combined with --field")
        self.labelled = not is_binary and options.format != "jsonl"
        coloured = options.color == "always" or (options.color == "auto" and has_colours(STANDARD_OUTPUT))
        self.coloured = coloured and options.format == "text" and not (self.invert or options.fields)

    def label(self, name: str, number: int, sign: str = ":") -> bytes:
        """Returns the text before a record."""
        if not self.labelled:
            return b""
        file = f"{name}{sign}" if self.named else ""
        place = f"{number}{sign}" if self.options.number else ""
        return (file + place).encode(errors="surrogateescape")

    def pieces(self, record: bytes) -> bytes:
        """Returns the record with a newline, and with matches in red."""
        show = (lambda data: printable(data).encode()) if writes_to_terminal() else bytes
        end, pieces = 0, []
        for start, behind in self.pattern.spans(record):
            pieces += [show(record[end:start]), RED.encode(), show(record[start:behind]), RESET.encode()]
            end = behind
        return b"".join([*pieces, show(record[end:]), b"\n"])


class Printer:
    """Prints the matches in one source."""

    def __init__(self, search: Search, selection: Selection, shown: Progress) -> None:
        """Reads nothing yet."""
        self.search = search
        self.options = search.options
        self.selection = selection
        self.source: Source = selection.source
        self.shown = shown
        self.encode: Encoder = encoder(self.options, self.source.name)

    def write(self, output: BinaryIO) -> bool:
        """Writes the matching records, or their number; returns whether there are any."""
        options = self.options
        if options.quiet or options.files_with_matches:
            is_found = self._count(min(1, self.search.limit)) > 0
            if is_found and options.files_with_matches:
                write_line(output, self.source.name)
            return is_found
        if options.count:
            count = self._count(self.search.limit)
            write_line(output, f"{self.source.name}:{count}" if self.search.named else str(count))
            return count > 0
        if not self.search.limit:
            return False
        if self._bulk_pattern is not None and self._is_plain:
            return self._write_lines(output, self._bulk_pattern)
        count, last = 0, self.selection.span.first - 1
        until = last
        for number, record in self._found():
            if self.search.after or self.search.before:
                self._write_context(output, last + 1, min(until, number - 1))
                start = max(last + 1, until + 1, number - self.search.before)
                if count and start > max(last, until) + 1:
                    output.write(SEPARATOR if self.search.labelled else b"")
                self._write_context(output, start, number - 1)
                last, until = number, number + self.search.after
            self._write_found(output, number, record)
            count += 1
            if count >= self.search.limit:
                break
        self._write_context(output, last + 1, min(until, self.selection.span.last))
        return count > 0

    @property
    def _is_plain(self) -> bool:
        """Whether matching records are printed as they are, one after the other."""
        search = self.search
        is_text = self.encode is PLAIN["text"] and not (search.coloured or self.options.only_matching)
        is_bare = not (search.named or self.options.number or search.before or search.after)
        return is_text and is_bare and search.limit == sys.maxsize and self.selection.where is None

    def _write_lines(self, output: BinaryIO, pattern: _Pattern) -> bool:
        """Writes many records together, which takes less time."""
        is_found = False
        steps = self.selection.searched(
            pattern, lambda search: next(search, None), self.shown, invert=self.search.invert
        )
        for _, found in steps:
            if found:
                is_found = True
                output.write(b"\n".join([record for _, record in found]) + b"\n")
        return is_found

    def _write_found(self, output: BinaryIO, number: int, record: bytes) -> None:
        label = self.search.label(self.source.name, number)
        if self.options.only_matching:
            for start, end in () if self.search.invert else self.search.pattern.spans(record):
                piece = record[start:end]
                output.write(
                    label + (self.search.pieces(piece) if self.search.coloured else self.encode(number, piece))
                )
        else:
            output.write(label + (self.search.pieces(record) if self.search.coloured else self.encode(number, record)))

    def _write_context(self, output: BinaryIO, first: int, last: int) -> None:
        if first > last or self.options.only_matching:
            return
        for number, record in self.source.records(Span(first, last)):
            output.write(self.search.label(self.source.name, number, "-") + self.encode(number, record))

    def _count(self, limit: int) -> int:
        pattern = self._bulk_pattern
        if pattern is None or self.selection.where is not None:
            return sum(1 for _ in zip(range(limit), self._found(), strict=False))
        count = 0
        steps = self.selection.searched(
            pattern, lambda search: search.count(limit), self.shown, invert=self.search.invert
        )
        for _, more in steps if limit else ():
            count += more
            if count >= limit:
                return limit
        return count

    def _found(self) -> Iterator[tuple[int, bytes]]:
        """Yields the matching records, with their numbers."""
        if self._bulk_pattern is None:
            is_in, wanted = self.search.pattern.is_in, not self.search.invert
            return (pair for pair in self.selection.records(self.shown) if is_in(pair[1]) is wanted)
        found = self.selection.found(self._bulk_pattern, self.shown, invert=self.search.invert)
        where = self.selection.where
        return found if where is None else where.among(found)

    @property
    def _bulk_pattern(self) -> _Pattern | None:
        """Returns the pattern for searching many records together, if each is tested individually."""
        return None if self.selection.has_slack else self.search.pattern.core
