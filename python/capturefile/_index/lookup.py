"""Looking values up in an index: which records may have them."""

from __future__ import annotations

import json
from contextlib import closing, suppress
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from capturefile._capturefile import (
    CaptureFile,
    _index_groups,
    _index_hash,
    _index_matches,
    _index_page,
    is_in_place,
)
from capturefile._errors import CaptureFileError, InvalidCaptureFile, RecordsDeleted
from capturefile._index.contents import GROUPS_PER_PAGE, Contents, Damaged, identity_of, parts_of
from capturefile._index.ranges import union

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capturefile._index.contents import Log, Run
    from capturefile._index.ranges import Ranges

    Numbers = tuple[float | None, float | None] | None
    Texts = tuple[bytes | None, bytes | None] | None

_SCALARS = (str, int, float, bool, type(None))


def hash_of(value: object) -> int | None:
    """Returns what an index knows a value by; None if that is nothing."""
    if type(value) in (list, dict):
        return _index_hash(b"[]" if type(value) is list else b"{}")
    if type(value) not in _SCALARS:
        return None
    try:
        return _index_hash(json.dumps(value).encode())
    except ValueError:  # A number with more digits than Python makes text of.
        return None


def as_number(value: float) -> float | None:
    """Returns a number as bounds have it; None if it is too large."""
    try:
        return float(value)
    except OverflowError:
        return None


def as_text(value: str) -> bytes:
    """Returns a text as bounds have it."""
    return value.encode(errors="surrogatepass")


class View(NamedTuple):
    """What an index has, as of one commit."""

    file: CaptureFile[bytes]
    contents: Contents

    @property
    def covered(self) -> int:
        """The number of the last record that was indexed."""
        return self.contents.position.records

    def key(self, path: list[str | int]) -> int | None:
        """Returns which of the keys a field is that names lead to; None if it is none of them."""
        for place, key in enumerate(self.contents.keys):
            if path in ([key], key.split(".")):
                return place
        return None

    def equal(self, key: int, value: object) -> Ranges | None:
        """Returns the indexed records in which a key may equal a value; None if nothing can be said.

        Raises:
            Damaged: The index is damaged.
        """
        value_hash = hash_of(value)
        if value_hash is None:
            return None
        numbers: Numbers = None
        texts: Texts = None
        if isinstance(value, int | float) and (number := as_number(value)) is not None:
            numbers = number, number
        elif isinstance(value, str):
            texts = as_text(value), as_text(value)
        try:
            return union(
                found for run in self.contents.runs for found in self._equal(run, key, value_hash, numbers, texts)
            )
        except (ValueError, LookupError, OverflowError, CaptureFileError) as error:
            raise Damaged from error

    def _equal(self, run: Run, key: int, value_hash: int, numbers: Numbers, texts: Texts) -> Iterator[tuple[int, int]]:
        yield from run.unreadable
        start, pages = run.parts[key]
        number = start + run.group_pages + _index_page(value_hash, run.groups, pages)
        page = self.file.record_at(number)
        groups = _index_matches(page, run.first, key, run.groups, pages, value_hash)
        for place, group in groupby(groups, lambda group: group // GROUPS_PER_PAGE):
            wanted = [each % GROUPS_PER_PAGE for each in group]
            page = self.file.record_at(start + place)
            yield from _index_groups(page, run.first, key, place, wanted, numbers, texts)

    def between(self, key: int, *, numbers: Numbers = None, texts: Texts = None) -> Ranges:
        """Returns the indexed records in which a key may be a number or a text between two.

        Raises:
            Damaged: The index is damaged.
        """
        found: Ranges = []
        try:
            for run in self.contents.runs:
                found += run.unreadable
                start = run.parts[key][0]
                for place in range(run.group_pages):
                    page = self.file.record_at(start + place)
                    found += _index_groups(page, run.first, key, place, None, numbers, texts)
        except (ValueError, LookupError, OverflowError, CaptureFileError) as error:
            raise Damaged from error
        return union(found)


class Index:
    """An index that is open for reading."""

    view: View

    def __init__(self, path: str) -> None:
        """Opens the index at `path`.

        Raises:
            Damaged: It is no index.
            FileNotFoundError: There is none.
        """
        try:
            self._file = CaptureFile(path, encoding=None)
        except CaptureFileError as error:
            raise Damaged from error
        self._metadata: bytes | None = None
        self._log_fits: bool | None = None

    def refresh(self) -> bool:
        """Looks at what has been committed since; returns whether the path still leads to this index.

        Raises:
            Damaged: It is no index.
        """
        try:
            if not is_in_place(self._file):
                return False
            self._file.refresh()
            metadata = self._file.get_metadata()
        except CaptureFileError as error:
            raise Damaged from error
        if metadata is None or metadata != self._metadata:
            self.view = View(self._file, Contents.decode(metadata))
            self._metadata, self._log_fits = metadata, None
        return True

    def fits(self, log: Log) -> bool:
        """Whether this is an index of the log, and of the records that it has, as far as both have the same ones."""
        if self._log_fits is None:
            self._log_fits = _fits(self.view.contents, log)
        return self._log_fits


def _fits(contents: Contents, log: Log) -> bool:
    if contents.identity != identity_of(log):
        return False
    seen = log.record_count()
    for run in reversed(contents.runs):
        if run.last <= seen:
            with suppress(RecordsDeleted, InvalidCaptureFile):
                return _checksum(log, run.last) == run.checksum
    return True


def _checksum(log: Log, number: int) -> int:
    with closing(parts_of(log, number, number)) as parts:
        cf, numbers, _ = next(parts)
        return crc32(cf.read_range_buffers(numbers[0], numbers[0])[1])
