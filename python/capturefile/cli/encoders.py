"""The formats in which records are printed and read by `append`."""

from __future__ import annotations

import os

from capturefile._capturefile import _json_lines
from capturefile.cli.streams import BUFFER_SIZE, refuse_terminal, write_line, writes_to_terminal
from capturefile.cli.where import add_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import BinaryIO, TypeAlias

    from capturefile._fields.projection import Projection

    Encoder: TypeAlias = Callable[[int, bytes], bytes]
    """Converts a record and its number to output."""

FORMATS = ("text", "jsonl", "raw", "hex", "nul", "prefixed")
BINARY = frozenset({"raw", "nul", "prefixed"})
LENGTH_SIZE = 4
"""Size of the big-endian length before each record in the format `prefixed`."""

FORMATS_HELP = (
    "text: the record and a newline (default); jsonl: a line of JSON; raw: the records and nothing else; "
    "hex: a line of hexadecimal digits; nul: the record and a zero byte; prefixed: a length of four bytes, "
    "big-endian, and the record"
)

CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}
CONTROLS_IN_JSON = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}
"""Characters that a terminal would interpret as commands, with their visible replacements."""


def add_format(command: argparse.ArgumentParser) -> None:
    """Adds the options for the format of output."""
    command.add_argument("--format", choices=FORMATS, default="text", help=FORMATS_HELP)
    command.add_argument("--force", action="store_true", help="write raw, nul and prefixed records even to a terminal")
    add_fields(command)


def add_headers(command: argparse.ArgumentParser) -> None:
    """Adds the options for headings with the names of sources."""
    command.add_argument("-q", "--quiet", action="store_true", help="print no headings with the names of files")
    command.add_argument("-v", "--verbose", action="store_true", help="print a heading even for a single file")


class Headers:
    """Headings with the name of the source of the following records: `==> log.capture <==`.

    They are omitted in a format without lines of text, or with the name in each line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        """Writes headings by default if there are several sources."""
        several = options.verbose or (len(options.files) > 1 and not options.quiet)
        self.wanted = several and options.format in ("text", "hex")
        self.last: str | None = None

    def write(self, output: BinaryIO, name: str) -> None:
        """Writes the heading unless the last one was the same."""
        if not self.wanted or name == self.last:
            return
        start = "" if self.last is None else "\n"
        write_line(output, f"{start}==> {name} <==")
        self.last = name


def encoder(options: argparse.Namespace, file: str | None = None) -> Encoder:
    """Returns the encoder for the selected format; JSON includes the name of the file if there are several."""
    name: str = options.format
    if name in BINARY:
        refuse_terminal(f"the format {name}", force=options.force)
    on_terminal = writes_to_terminal()
    if name == "jsonl":
        several = file is not None and len(options.files) > 1
        return json_encoder(on_terminal=on_terminal, file=file if several else None, fields=options.fields)
    if options.fields:
        from capturefile._fields.projection import Projection

        if name == "text" and not on_terminal:
            return FieldLines(Projection(options.fields))
        as_text = Projection(options.fields).as_text
        encode = _plain(name, on_terminal=on_terminal)
        return lambda number, record: encode(number, as_text(record))
    return _plain(name, on_terminal=on_terminal)


def _plain(name: str, *, on_terminal: bool) -> Encoder:
    if name == "text" and on_terminal:
        return lambda _, record: printable(record).encode() + b"\n"
    return PLAIN[name]


PLAIN: dict[str, Encoder] = {
    "text": lambda _, record: record + b"\n",
    "raw": lambda _, record: record,
    "hex": lambda _, record: record.hex().encode() + b"\n",
    "nul": lambda _, record: record + b"\0",
    "prefixed": lambda _, record: len(record).to_bytes(LENGTH_SIZE) + record,
}


def printable(data: bytes) -> str:
    """Returns the text in `data`, with everything escaped that a terminal cannot show."""
    return data.decode(errors="backslashreplace").translate(CONTROLS)


def json_encoder(*, on_terminal: bool = False, file: str | None = None, fields: Sequence[str] | None = None) -> Encoder:
    """Returns an encoder to JSON lines, of records or some fields; bytes that are not UTF-8 become base 64."""
    from json.encoder import encode_basestring as quoted

    name = "" if file is None else f'"file": {quoted(os.fsencode(file).decode(errors="backslashreplace"))}, '
    start = f'{{{name}"record_number": '
    encode: Encoder = JsonFieldLines(start, fields) if fields else JsonLines(start)
    return (lambda number, record: _for_terminal(encode(number, record))) if on_terminal else encode


class Lines:
    """Converts records to lines, many together in less time."""

    def __call__(self, number: int, record: bytes) -> bytes:
        """Returns the line of one record."""
        return self.lines([number], [record])

    def lines(self, numbers: list[int], records: list[bytes]) -> bytes:
        """Returns the lines of many records."""
        raise NotImplementedError


class FieldLines(Lines):
    """Converts fields of records to lines of text."""

    def __init__(self, projection: Projection) -> None:
        """Selects the fields."""
        self._projection = projection

    def lines(self, numbers: list[int], records: list[bytes]) -> bytes:
        """Returns the lines of many records."""
        return self._projection.as_lines(records) if records else b""


class JsonLines(Lines):
    """Converts records to lines of JSON."""

    def __init__(self, start: str) -> None:
        """Lines begin with `start`, before the number."""
        from json.encoder import encode_basestring

        self._quoted = encode_basestring
        self._start = start

    def __call__(self, number: int, record: bytes) -> bytes:
        """Returns the line for one record."""
        try:
            return f'{self._start}{number}, "record": {self._quoted(record.decode())}}}\n'.encode()
        except UnicodeDecodeError:
            from base64 import b64encode

            return b'%b%d, "record_base64": "%b"}\n' % (self._start.encode(), number, b64encode(record))

    def lines(self, numbers: list[int], records: list[bytes]) -> bytes:
        """Returns the lines for many records."""
        lines = _json_lines(self._start, numbers, records)
        return b"".join(map(self, numbers, records)) if lines is None else lines


class JsonFieldLines(Lines):
    """Converts fields of records to lines of JSON."""

    def __init__(self, start: str, fields: Sequence[str]) -> None:
        """Lines begin with `start`, before the number."""
        from capturefile._fields.projection import Projection

        self._start = start
        self._projection = Projection(fields)

    def lines(self, numbers: list[int], records: list[bytes]) -> bytes:
        """Returns the lines of many records."""
        objects = self._projection.as_objects(records) if records else []
        pairs = zip(numbers, objects, strict=True)
        lines = [f'{self._start}{number}, "record": {found}}}\n' for number, found in pairs]
        return "".join(lines).encode(errors="backslashreplace")


def _for_terminal(line: bytes) -> bytes:
    return line.decode().translate(CONTROLS_IN_JSON).encode()


def write_records(output: BinaryIO, encode: Encoder, records: Iterable[tuple[int, bytes]]) -> None:
    """Writes records with their numbers."""
    write = output.write
    if isinstance(encode, Lines):
        for batch in _batches(records):
            write(encode.lines(*batch))
        return
    for number, record in records:
        write(encode(number, record))


def _batches(records: Iterable[tuple[int, bytes]]) -> Iterator[tuple[list[int], list[bytes]]]:
    """Yields numbers and records in batches that are hardly larger than a single large record."""
    numbers: list[int] = []
    values: list[bytes] = []
    room = BUFFER_SIZE
    try:
        for number, record in records:
            numbers.append(number)
            values.append(record)
            room -= len(record) + 1
            if room <= 0:
                yield numbers, values
                numbers, values, room = [], [], BUFFER_SIZE
    except Exception:  # Records before one that cannot be read are written.
        yield numbers, values
        raise
    yield numbers, values
