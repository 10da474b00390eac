"""Records as lines of JSON: `{"record_number": 7, "record": "text"}`, or `record_base64` for other bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from capturefile._json import compact
from capturefile.cli.encoders import CONTROLS_IN_JSON, json_encoder, write_records
from capturefile.cli.formats.fields import checked_text, decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from capturefile.cli.formats.columns import Rows


def read(source: BinaryIO, column: str) -> Iterator[bytes]:
    """Yields the records in the lines of `source`; empty lines are ignored."""
    return _records(source, lambda _, fields: decoded(fields, column))


def read_rows(source: BinaryIO, *, numbers: bool) -> Iterator[bytes]:
    """Yields the lines of `source` themselves, all of which must be objects; empty lines are ignored."""
    del numbers  # JSON has types, so `numbers` has no effect.
    return _records(source, lambda line, _: line.strip())


def _records(source: BinaryIO, record: Callable[[bytes, dict[str, object]], bytes]) -> Iterator[bytes]:
    for number, line in enumerate(source, 1):
        if line.isspace():
            continue
        try:
            fields = json.loads(line)
            if not isinstance(fields, dict):
                raise ValueError("expected an object in braces")
            found = record(line, fields)
        except RecursionError as error:
            raise ValueError(f"line {number}: it is nested too deeply to be read") from error
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        yield found


def write(target: BinaryIO, records: Iterable[tuple[int, bytes]], *, text: bool) -> None:
    """Writes a line for each record."""
    write_records(target, json_encoder(on_terminal=target.isatty()), checked_text(records) if text else records)


def write_columns(target: BinaryIO, rows: Rows) -> None:
    """Writes a line for each record, with its fields."""
    on_terminal = target.isatty()
    for row in rows:
        line = compact(row) + "\n"
        target.write((line.translate(CONTROLS_IN_JSON) if on_terminal else line).encode(errors="backslashreplace"))
