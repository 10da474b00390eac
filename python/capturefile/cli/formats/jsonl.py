"""Records as lines of JSON: `{"record_number": 7, "record": "text"}`, or `record_base64` for other bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from capturefile.cli.encoders import json_encoder, write_records
from capturefile.cli.formats.fields import checked_text, decoded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO


def read(source: BinaryIO, column: str) -> Iterator[bytes]:
    """The records in the lines of `source`; empty lines are none."""
    for number, line in enumerate(source, 1):
        if line.isspace():
            continue
        try:
            fields = json.loads(line)
            if not isinstance(fields, dict):
                raise ValueError("expected an object in braces")
            record = decoded(fields, column)
        except RecursionError as error:
            raise ValueError(f"line {number}: it is nested too deeply to be read") from error
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        yield record


def write(target: BinaryIO, records: Iterable[tuple[int, bytes]], *, text: bool) -> None:
    """Writes a line for each record."""
    write_records(target, json_encoder(on_terminal=target.isatty()), checked_text(records) if text else records)
