"""The description of an index in its metadata: its keys, the identity of its log, and its runs."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from capturefile._capturefile import CaptureFile, file_identity, place_in_store
from capturefile._cursor import Position
from capturefile.checkpoint.consumers import KEY as CHECKPOINTS
from capturefile.rotating.reader import RotatingReader, files_with, manifest_of

if TYPE_CHECKING:
    from collections.abc import Generator

    Log: TypeAlias = CaptureFile[Any] | RotatingReader[Any]

KEY = "capturefile.index"
"""The name under which the contents are stored in the metadata of an index, which is a JSON object."""
CONSUMER = "index"
"""The name of the consumer that writes an index."""
GROUPS_PER_PAGE = 128
"""Maximum number of groups in a page, as in the extension."""
MAX_RUN = 1 << 22
"""Maximum number of records in a run."""


class Damaged(Exception):  # noqa: N818 - it is never seen by users
    """A file is not an index, or the index is damaged, so it cannot be used."""


class Run(NamedTuple):
    """The pages of an index for consecutive records."""

    first: int
    """The number of the first record."""
    last: int
    """The number of the last record."""
    checksum: int | None
    """CRC-32 of the last record."""
    groups: int
    """The number of groups of records."""
    unreadable: list[tuple[int, int]]
    """The first and the last record of each range that could not be read; these records may have any values."""
    parts: list[tuple[int, int]]
    """For each key, the record of the index with the first page, and the number of pages of hashes."""

    @property
    def group_pages(self) -> int:
        """For each key, the number of pages of groups; the pages of hashes follow them."""
        return -(-self.groups // GROUPS_PER_PAGE)

    def part(self, place: int, key: str) -> tuple[int, str, int, int]:
        """Returns what the extension has to know of this run to read the pages of one of its keys."""
        return self.first, key, self.groups, self.parts[place][1]

    @property
    def pages(self) -> int:
        """The number of all pages."""
        return sum(self.group_pages + hash_pages for _, hash_pages in self.parts)


class Contents(NamedTuple):
    """The contents of an index, except its pages."""

    keys: list[str]
    identity: list[int | None]
    """The identity of the log's file; see `identity_of`."""
    runs: list[Run]
    position: Position
    """The position in the log up to which it is indexed."""

    def encode(self) -> dict[str, Any]:
        """Returns everything except the position, which the consumer stores, as a JSON object."""
        return {"version": 1, "keys": self.keys, "identity": self.identity, "runs": self.runs}

    @classmethod
    def decode(cls, metadata: bytes | None) -> Contents:
        """Parses the metadata of an index.

        Raises:
            Damaged: It is not the metadata of an index.
        """
        try:
            found = json.loads(metadata or b"{}")
            position = Position.decode(found[CHECKPOINTS][CONSUMER], "an index")
            match found[KEY]:
                case {"version": 1, "keys": [*keys], "identity": [*identity], "runs": [*runs]}:
                    decoded = [_run(run, len(keys)) for run in runs]
                    _check_order(decoded, position.records)
                    return cls(_texts(keys), identity, decoded, position)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Damaged from error
        raise Damaged


def _texts(values: list[Any]) -> list[str]:
    if not all(type(value) is str for value in values):
        raise ValueError(values)
    return values


def _run(value: list[Any], keys: int) -> Run:
    first, last, checksum, groups, unreadable, parts = value
    numbers = [first, last, checksum, groups, *(number for pair in [*unreadable, *parts] for number in pair)]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError(value)
    # Each group has a record.
    if len(parts) != keys or not (first >= 1 and 1 <= groups <= last + 1 - first <= MAX_RUN):
        raise ValueError(value)
    return Run(first, last, checksum, groups, [(a, b) for a, b in unreadable], [(a, b) for a, b in parts])


def _check_order(runs: list[Run], covered: int) -> None:
    """Raises ValueError unless the runs follow each other, up to the last record that is covered."""
    if any(run.last + 1 != later.first for run, later in pairwise(runs)) or covered != (runs[-1].last if runs else 0):
        raise ValueError(covered)


def identity_of(log: Log) -> list[int | None]:
    """Returns the inode and the creation time of a file, or of the manifest of a log.

    The device is not included, because its number may change after a reboot.
    """
    _, inode, birth = file_identity(file_of(log))
    return [inode, birth]


def store_of(log: Log) -> tuple[str, Any] | None:
    """Returns the path of a file in an object store and the store if one was given; None for what is local."""
    return place_in_store(log) if isinstance(log, CaptureFile) else None


def file_of(log: Log) -> CaptureFile[Any]:
    """Returns the file itself, or the manifest of a log."""
    return log if isinstance(log, CaptureFile) else manifest_of(log)


def parts_of(log: Log, first: int, last: int) -> Generator[tuple[CaptureFile[Any], range, int], None, None]:
    """Yields the files with the records from one number to another; see `files_with`."""
    if isinstance(log, CaptureFile):
        yield log, range(first, last + 1), 0
    else:
        yield from files_with(log, first, last)


def first_record(log: Log) -> int:
    """Returns the number of the first record that was not deleted."""
    return 1 if isinstance(log, CaptureFile) else log.first_record
