"""What an index says of itself: its keys, the log that it is of, and its runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from capturefile._capturefile import CaptureFile, file_identity
from capturefile._cursor import Position
from capturefile.checkpoint.consumers import KEY as CHECKPOINTS
from capturefile.rotating.reader import RotatingReader, files_with, manifest_of

if TYPE_CHECKING:
    from collections.abc import Generator

    Log: TypeAlias = CaptureFile[Any] | RotatingReader[Any]

KEY = "capturefile.index"
"""The key in the metadata of an index, a JSON object, under which its contents are."""
CONSUMER = "index"
"""The name of the consumer that feeds an index."""
GROUPS_PER_PAGE = 128
"""As in the extension."""


class Damaged(Exception):  # noqa: N818 - it is never seen by users
    """An index is no index, or damaged: it says nothing."""


class Run(NamedTuple):
    """The pages of an index about consecutive records."""

    first: int
    """The number of the first record."""
    last: int
    """The number of the last record."""
    checksum: int | None
    """CRC-32 of the last record."""
    groups: int
    """The number of groups of records."""
    unreadable: list[tuple[int, int]]
    """The records that could not be read, which may have any values: the first and the last of each stretch."""
    parts: list[tuple[int, int]]
    """For each key, the record of the index with the first page, and the number of pages of hashes."""

    @property
    def group_pages(self) -> int:
        """The number of pages, for each key, that describe groups; those of hashes are behind them."""
        return -(-self.groups // GROUPS_PER_PAGE)

    @property
    def pages(self) -> int:
        """The number of all pages."""
        return sum(self.group_pages + hash_pages for _, hash_pages in self.parts)


class Contents(NamedTuple):
    """What an index has."""

    keys: list[str]
    identity: list[int | None]
    """That of the log's file; see `identity_of`."""
    runs: list[Run]
    position: Position
    """How much of the log has been indexed."""

    def encode(self) -> dict[str, Any]:
        """Returns all but the position, which the consumer keeps, as a JSON object."""
        return {"version": 1, "keys": self.keys, "identity": self.identity, "runs": self.runs}

    @classmethod
    def decode(cls, metadata: bytes | None) -> Contents:
        """Parses the metadata of an index.

        Raises:
            Damaged: It is that of something else.
        """
        try:
            found = json.loads(metadata or b"{}")
            position = Position.decode(found[CHECKPOINTS][CONSUMER], "an index")
            match found[KEY]:
                case {"version": 1, "keys": [*keys], "identity": [*identity], "runs": [*runs]}:
                    return cls(_checked(keys, str), identity, [_run(run, len(keys)) for run in runs], position)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Damaged from error
        raise Damaged


def _checked(values: list[Any], kind: type) -> list[Any]:
    if not all(type(value) is kind and value != -1 for value in values):
        raise ValueError(values)
    return values


def _run(value: list[Any], keys: int) -> Run:
    first, last, checksum, groups, unreadable, parts = value
    _checked([first, last, checksum, groups, *(number for pair in [*unreadable, *parts] for number in pair)], int)
    if len(parts) != keys or not 1 <= first <= last:
        raise ValueError(value)
    return Run(first, last, checksum, groups, [(a, b) for a, b in unreadable], [(a, b) for a, b in parts])


def identity_of(log: Log) -> list[int | None]:
    """Returns the inode and the creation time of a file, or of the manifest of a log.

    The device is no part of it, because its number may be another one after a reboot.
    """
    _, inode, birth = file_identity(file_of(log))
    return [inode, birth]


def file_of(log: Log) -> CaptureFile[Any]:
    """Returns the file itself, or the manifest of a log."""
    return log if isinstance(log, CaptureFile) else manifest_of(log)


def parts_of(log: Log, first: int, last: int) -> Generator[tuple[CaptureFile[Any], range, int], None, None]:
    """The files with the records from one number to another; see `Log.files_with`."""
    if isinstance(log, CaptureFile):
        yield log, range(first, last + 1), 0
    else:
        yield from files_with(log, first, last)


def first_record(log: Log) -> int:
    """Returns the number of the first record that was not deleted."""
    return 1 if isinstance(log, CaptureFile) else log.first_record
