"""Exporting the results of a query, as lines of JSON or as CSV, in the same forms as `capturefile export`."""

from __future__ import annotations

import csv
import io
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from capturefile._fields.expressions import MISSING
from capturefile._fields.projection import Projection, in_text
from capturefile.view.query import Query
from capturefile.view.reading import opened, stretches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Encode = Callable[[list[tuple[int, bytes]]], str]


def export(task: dict[str, Any]) -> Iterator[str]:
    """Yields all results in parts; the first part is empty, and shows that the query is valid."""
    query = Query(task)
    encode, heading = FORMATS[task["format"]](task["fields"])
    with opened(task["path"]) as reader:
        span = query.span(reader)
        yield ""
        yield heading
        for stretch in stretches(reader, query.spans(reader, span), query.pattern):
            found = [(number, record) for number, record in stretch.records if query.finds(record)]
            if found:
                yield encode(found)


def _as_lines(names: Sequence[str]) -> tuple[Encode, str]:
    """Returns the encoder to lines of JSON, and an empty head."""
    projection = Projection(names) if names else None

    def line(number: int, record: bytes) -> str:
        if projection is not None:
            return f'{{"record_number": {number}, "record": {projection.as_json(record)}}}\n'
        try:
            return f'{{"record_number": {number}, "record": {json.dumps(record.decode(), ensure_ascii=False)}}}\n'
        except UnicodeDecodeError:
            return f'{{"record_number": {number}, "record_base64": "{b64encode(record).decode()}"}}\n'

    return lambda records: "".join(line(number, record) for number, record in records), ""


def _as_table(names: Sequence[str]) -> tuple[Encode, str]:
    """Returns the encoder to CSV, and the row with the names of the columns."""
    projection = Projection(names) if names else None

    def row(number: int, record: bytes) -> list[object]:
        if projection is not None:
            return [number, *(_cell(value) for value in projection.values(record))]
        try:
            return [number, record.decode(), ""]
        except UnicodeDecodeError:
            return [number, "", b64encode(record).decode()]

    columns = ("record_number", *names) if names else ("record_number", "record", "record_base64")
    return lambda records: _rows([row(number, record) for number, record in records]), _rows([columns])


def _cell(value: object) -> object:
    return value if type(value) is int else "" if value is MISSING else in_text(value)


def _rows(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerows(rows)
    return text.getvalue()


FORMATS: dict[str, Callable[[Sequence[str]], tuple[Encode, str]]] = {"jsonl": _as_lines, "csv": _as_table}
