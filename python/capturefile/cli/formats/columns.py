"""Records of JSON as rows of a table, with a column for each field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capturefile._fields.expressions import MISSING, document, named_field
from capturefile._fields.projection import in_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeAlias

    Row: TypeAlias = dict[str, object]
    """The fields of a record; null is None."""

EXACT = 2**53
"""Integers up to this are exactly representable as floats."""
INTEGERS = range(-(2**63), 2**63)


class Rows:
    """The fields of all records, or those with some names. Can be iterated over several times."""

    def __init__(self, records: Iterable[tuple[int, bytes]], names: Sequence[str] | None) -> None:
        """Reads nothing yet."""
        self.records = records
        self._names = names
        self._fields = [(name, named_field(name)) for name in names or ()]

    def __iter__(self) -> Iterator[Row]:
        """Iterates over the rows; raises ValueError for a record that is not a JSON object."""
        for number, record in self.records:
            yield self.row(number, record)

    def row(self, number: int, record: bytes) -> Row:
        """Returns the fields of a record."""
        found = document(record)
        if not isinstance(found, dict):
            raise ValueError(
                f"record {number} is not a JSON object, and so has no columns; select the others with --where"
            )
        if self._names is None:
            return found
        values = ((name, field(found)) for name, field in self._fields)
        return {name: value for name, value in values if value is not MISSING}

    def batches(self, most: int, most_bytes: int) -> Iterator[list[Row]]:
        """Yields lists of at most `most` rows, from records with about `most_bytes` bytes."""
        batch: list[Row] = []
        room = most_bytes
        for number, record in self.records:
            batch.append(self.row(number, record))
            room -= len(record)
            if room <= 0 or len(batch) == most:
                yield batch
                batch, room = [], most_bytes
        if batch:
            yield batch

    def names(self) -> list[str]:
        """Returns the names of the columns: the requested ones, or all fields in order of appearance."""
        if self._names is not None:
            return list(self._names)
        found: dict[str, None] = {}
        for row in self:
            found.update(dict.fromkeys(row))
        return list(found)


class Kind:
    """The common type of the values of a column."""

    def __init__(self) -> None:
        """Starts without values."""
        self.types: set[type] = set()
        self.is_exact = True
        self.fits = True

    def add(self, value: object) -> None:
        """Takes a value into account."""
        self.types.add(type(value))
        if type(value) is int:
            self.is_exact = self.is_exact and abs(value) <= EXACT
            self.fits = self.fits and value in INTEGERS

    @property
    def name(self) -> str:
        """Returns the Arrow type of the column: `string` if there is no better one."""
        types = self.types - {type(None)}
        if types == {bool}:
            return "bool"
        if types == {int} and self.fits:
            return "int64"
        if types == {float} or (types == {int, float} and self.is_exact):
            return "float64"
        return "string"


def kinds(rows: Rows) -> dict[str, Kind]:
    """Returns the types of the columns of rows."""
    found: dict[str, Kind] = {name: Kind() for name in rows._names or ()}
    for row in rows:
        for name, value in row.items():
            found.setdefault(name, Kind()).add(value)
    return found


def as_text(value: object) -> str | None:
    """Returns a value as the text in a cell; None for null."""
    if value is None:
        return None
    text = in_text(value)
    # JSON can contain unpaired surrogates, which are not valid text elsewhere.
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
