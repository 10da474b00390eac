"""Looking up values in an index, to determine which records may have them."""

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
from capturefile._index.contents import GROUPS_PER_PAGE, Contents, Damaged, identity_of, parts_of, store_of
from capturefile._index.ranges import union

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capturefile._index.contents import Log, Run
    from capturefile._index.ranges import Ranges

    Numbers = tuple[float | None, float | None] | None
    Texts = tuple[bytes | None, bytes | None] | None

_SCALARS = (str, int, float, bool, type(None))


def hash_of(value: object) -> int | None:
    """Returns the hash of a value in an index, or None if it has none."""
    if type(value) in (list, dict):
        return _index_hash(b"[]" if type(value) is list else b"{}")
    if type(value) not in _SCALARS:
        return None
    try:
        return _index_hash(json.dumps(value).encode())
    except ValueError:  # A number with more digits than Python converts to text.
        return None


def as_number(value: float) -> float | None:
    """Returns a number in the form of bounds, or None if it is too large."""
    try:
        return float(value)
    except OverflowError:
        return None


def as_text(value: str) -> bytes:
    """Returns a text in the form of bounds."""
    return value.encode(errors="surrogatepass")


class View(NamedTuple):
    """The state of an index at one commit."""

    file: CaptureFile[bytes]
    contents: Contents

    @property
    def covered(self) -> int:
        """The number of the last record that was indexed."""
        return self.contents.position.records

    @property
    def first(self) -> int:
        """The number of the first record that was indexed."""
        return self.contents.runs[0].first if self.contents.runs else 1

    def key(self, path: list[str | int]) -> int | None:
        """Returns the position of the key for the field at this path, or None if the field is not indexed."""
        for place, key in enumerate(self.contents.keys):
            if path in ([key], key.split(".")):
                return place
        return None

    def equal(self, key: int, value: object) -> Ranges | None:
        """Returns the indexed records in which a key may equal a value, or None if the index cannot exclude any.

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
        start, part = run.parts[key][0], run.part(key, self.contents.keys[key])
        page = self.file.record_at(start + run.group_pages + _index_page(part, value_hash))
        groups = _index_matches(page, part, value_hash)
        for place, group in groupby(groups, lambda group: group // GROUPS_PER_PAGE):
            wanted = [each % GROUPS_PER_PAGE for each in group]
            page = self.file.record_at(start + place)
            yield from _index_groups(page, part, place, wanted, numbers, texts)

    def between(self, key: int, *, numbers: Numbers = None, texts: Texts = None) -> Ranges:
        """Returns the indexed records in which a key may be a number or a text between two.

        Raises:
            Damaged: The index is damaged.
        """
        found: Ranges = []
        try:
            for run in self.contents.runs:
                found += run.unreadable
                start, part = run.parts[key][0], run.part(key, self.contents.keys[key])
                for place in range(run.group_pages):
                    page = self.file.record_at(start + place)
                    found += _index_groups(page, part, place, None, numbers, texts)
        except (ValueError, LookupError, OverflowError, CaptureFileError) as error:
            raise Damaged from error
        return union(found)


class Index:
    """An index that is open for reading."""

    view: View

    def __init__(self, path: str, store: object = None) -> None:
        """Opens the index at a path, which may be the URL of an object or the path of one in a store.

        Raises:
            Damaged: The file is not an index.
            FileNotFoundError: There is no such file.
        """
        try:
            self._file = CaptureFile(path, encoding=None, store=store)
        except CaptureFileError as error:
            raise Damaged from error
        self._metadata: bytes | None = None
        self._log_fits: bool | None = None

    def refresh(self) -> bool:
        """Updates the view to the last commit; returns whether the path still leads to this index.

        Raises:
            Damaged: The file is not an index.
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
        """Returns whether this is an index of the log, and agrees with it on the records that both have."""
        if self._log_fits is None:
            self._log_fits = _fits(self.view.contents, log)
        return self._log_fits


def _fits(contents: Contents, log: Log) -> bool:
    is_local = store_of(log) is None
    if is_local and contents.identity != identity_of(log):
        return False
    seen = log.record_count()
    for run in reversed(contents.runs):
        if run.last <= seen:
            with suppress(RecordsDeleted, InvalidCaptureFile):
                is_same = _checksum(log, run.last) == run.checksum
                # An object has no identity, so that all runs have to be of the log.
                if is_local or not is_same:
                    return is_same
    return True


def _checksum(log: Log, number: int) -> int:
    with closing(parts_of(log, number, number)) as parts:
        cf, numbers, _ = next(parts)
        return crc32(cf.read_range_buffers(numbers[0], numbers[0])[1])
