"""Finding records by the values of fields, with the index of the log if it has one."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from capturefile._capturefile import _IndexKey, is_in_place
from capturefile._decoder import Decoder
from capturefile._errors import CaptureFileError
from capturefile._fields.expressions import document, named_field
from capturefile._index.contents import Damaged, file_of, first_record, parts_of, store_of
from capturefile._index.lookup import Index, hash_of
from capturefile._index.place import place_of
from capturefile._index.ranges import intersection, union
from capturefile._index.update import MIN_RUN, index, renew

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capturefile._index.contents import Log
    from capturefile._index.lookup import View
    from capturefile._index.ranges import Ranges

EVERYTHING = sys.maxsize
_open: WeakKeyDictionary[Log, Index] = WeakKeyDictionary()
"""The open indexes of logs that have been searched."""


def find_all(log: Log, key: str, value: object) -> Iterator[tuple[int, Any]]:
    """Implements `CaptureFile.find_all`."""
    ranges = narrowed(log, lambda view: _equal(view, key, value))
    span = (first_record(log), log.record_count())
    return _found(log, [span] if ranges is None else intersection(ranges, [span]), key, value)


def _equal(view: View, key: str, value: object) -> Ranges | None:
    place = view.key(list(key.split(".")))
    return None if place is None else view.equal(place, value)


def _found(log: Log, ranges: Ranges, key: str, value: object) -> Iterator[tuple[int, Any]]:
    field = named_field(key)
    decoder: Decoder | None = None
    for number, record, cf in _candidates(log, ranges, key, hash_of(value)):
        try:
            is_equal = bool(field(document(record)) == value)
        except (TypeError, RecursionError):
            is_equal = False
        if is_equal:
            if decoder is None:
                decoder = Decoder(None if cf.codec else cf.encoding, cf.errors, cf.codec)
            yield number, decoder.decode([record], number, log.file_name)[0]


def _candidates(log: Log, ranges: Ranges, key: str, value_hash: int | None) -> Iterator[tuple[int, bytes, Any]]:
    """Yields the records in which the key may have a value with this hash, with their numbers and files."""
    field = _IndexKey(key)
    for first, last in ranges:
        if first > last:
            continue
        with closing(parts_of(log, first, last)) as parts:
            for cf, numbers, before in parts:
                for found in field.search(cf, numbers[0], numbers[-1], value_hash):
                    for number, record in found:
                        yield before + number, record, cf


def narrowed(log: Log, find: Callable[[View], Ranges | None], *, updates: bool = True) -> Ranges | None:
    """Returns what `find` finds in the index of a log, and all records that are not indexed.

    Returns None if there is no usable index, or it cannot exclude any records. With `updates`, an outdated index is
    brought up to date if possible, and one that is damaged or belongs to another file is created again.
    """
    updates = updates and store_of(log) is None
    for _ in range(2):
        try:
            view = _usable(log, updates=updates)
            if view is None:
                return None
            ranges = find(view)
            if ranges is None:
                return None
            return union([(1, view.first - 1), *ranges, (view.covered + 1, EVERYTHING)])
        except Damaged:
            broken = _open.pop(log, None)
            if broken is None or not updates or not _renewed(log, broken.view):
                return None
        except OSError:
            return None  # A search without an index reports what cannot be read.
    return None


def _usable(log: Log, *, updates: bool) -> View | None:
    """Returns the index of a log; with `updates`, after bringing it up to date if that is possible and worthwhile."""
    found = _opened(log)
    if found is None:
        return None
    is_of_log = found.fits(log)
    if not updates:
        return found.view if is_of_log else None
    if is_of_log and log.record_count() - found.view.covered < MIN_RUN:
        return found.view
    if not (_tried(lambda: index(log.file_name)) if is_of_log else _renewed(log, found.view)):
        return found.view if is_of_log else None
    found = _opened(log)
    return found.view if found is not None and found.fits(log) else None


def _opened(log: Log) -> Index | None:
    """Returns the index of a log in its current state, or None if it has none."""
    found = _open.get(log)
    if found is not None and found.refresh():
        return found
    _open.pop(log, None)
    place, store = place_of(log.file_name), store_of(log)
    if store is None and not Path(place).exists():
        return None
    try:
        found = Index(place) if store is None else Index(place, store[1])
    except OSError:
        return None
    if not found.refresh():
        return None
    _open[log] = found
    return found


def _renewed(log: Log, view: View) -> bool:
    """Creates the index again, unless the path leads to another log now; returns whether this succeeded."""
    try:
        is_here = is_in_place(file_of(log))
    except (CaptureFileError, OSError):
        return False
    return is_here and _tried(lambda: renew(log.file_name, view.contents.keys))


def _tried(work: Callable[[], object]) -> bool:
    """Returns whether `work`, which writes an index, succeeds: another user may own it, or another process write it."""
    try:
        work()
    except (CaptureFileError, OSError, ValueError):
        return False
    return True
