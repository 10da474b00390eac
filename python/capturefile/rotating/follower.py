"""Following a rotated log across rotations: `RotatingFollower`, which `RotatingReader.follow` returns."""

from __future__ import annotations

import operator
import threading
import time
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from capturefile._alone import alone
from capturefile._at_hand import AtHand, size_of
from capturefile._errors import (
    CaptureFileError,
    CaptureFileNotOpen,
    CaptureFileReplaced,
    InvalidCaptureFile,
    RecordsDeleted,
)
from capturefile._typing import RecordT_co

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from capturefile._capturefile import CaptureFile, Follower
    from capturefile.rotating.log import Log

_STEP = 0.02
"""Seconds for which a follower waits for one file before it checks the manifest."""
_MAX_AT_HAND = 256
"""Maximum number of records that a follower takes together."""
_MAX_BYTES_AT_HAND = 1 << 18
"""Number of bytes after which a follower stops taking further records."""


class _CurrentFile(NamedTuple):
    """The current file of a follower."""

    place: int
    """Index of its entry in the manifest."""
    first: int
    """Number of its first record in the log."""
    file: CaptureFile[Any]
    follower: Follower[Any]


class RotatingFollower(Generic[RecordT_co]):
    """Iterates over the records of a rotated log as they are committed; see `RotatingReader.follow`."""

    def __init__(self, log: Log[RecordT_co], number: int, timeout: float | None) -> None:
        """Use `RotatingReader.follow`."""
        self._log = log
        self._manifest = log.manifest
        # The number of the next record to take.
        self._number = number
        self._timeout = timeout
        self._part: _CurrentFile | None = None
        # Records taken in advance, with their numbers, and the error that follows them.
        self._at_hand: AtHand[tuple[int, RecordT_co]] = AtHand()
        self._stepping = threading.RLock()
        self._closed = False

    def __repr__(self) -> str:
        """Shows the folder of the log."""
        return f"<RotatingFollower of {self._manifest.folder.name!r}>"

    def __iter__(self) -> Self:
        """Returns the object itself."""
        return self

    def __next__(self) -> RecordT_co:
        """Returns the next record, once it is committed."""
        given: list[tuple[int, RecordT_co]] = []
        try:
            with alone(self._stepping, "this follower"):
                if not self._at_hand:
                    self._fill()
                self._at_hand.give(1, given)
            return given[0][1]
        except BaseException:
            self._at_hand.put_back(given)
            raise

    def _fill(self) -> None:
        """Waits until records are available.

        Raises:
            StopIteration: None came within the timeout, or the follower or the log was closed.
        """
        self._at_hand.raise_error()
        since = time.monotonic()
        while not self._log.closed and not self._closed:
            known = len(self._manifest.entries)
            self._take()
            if self._at_hand:
                return
            self._manifest.look()
            # Another thread may have read the manifest meanwhile; its entries are new to this one.
            if len(self._manifest.entries) > known or self._left_behind():
                continue
            if self._timeout is not None and time.monotonic() - since >= self._timeout:
                break
        if self._closed:
            self._leave()
        raise StopIteration

    def close(self) -> None:
        """Ends the iteration and closes the current file.

        Another thread that waits for the next record stops waiting.

        Examples:
            >>> follower = reader.follow(1)
            >>> follower.close()
            >>> list(follower)
            []
        """
        self._closed = True
        self._leave()

    @property
    def file_name(self) -> str:
        """The path of the log's folder."""
        return self._manifest.folder.given

    def __length_hint__(self) -> int:
        """Returns the number of records that are available without checking for more."""
        return len(self._at_hand)

    def ready(self) -> bool:
        """Reports, without waiting, whether the next step may return immediately.

        It does not wait even if another thread is waiting for the next record.

        Returns:
            True if a record, an error or the end of the iteration may be available.

        Examples:
            >>> reader.follow(1).ready()
            True
        """
        part = self._part
        if self._at_hand or self._at_hand.error or self._closed or self._log.closed or self._manifest.has_news():
            return True
        if part is None:
            return bool(self._manifest.entries)
        return self._manifest.end(part.place) is not None or part.follower.ready()

    def lag(self) -> int:
        """Returns the number of records that are committed now and have not been returned yet.

        Records whose files were deleted count. It does not wait, even if another thread is waiting for the next record.

        Returns:
            The number of records.

        Raises:
            CaptureFileReplaced: The log was removed or replaced.
            InvalidCaptureFile: The manifest or the last file is damaged.

        Examples:
            >>> follower = reader.follow(1)
            >>> next(follower), follower.lag()
            ('first', 1)
        """
        self._manifest.look()
        part = self._part
        if part and self._manifest.end(part.place) is None:
            # Another thread may move from this file to the next one.
            with suppress(CaptureFileNotOpen):
                return part.follower.lag() + len(self._at_hand)
        last, _ = self._log.newest()
        return max(last + 1 - self._number, 0) + len(self._at_hand)

    def _take(self) -> None:
        """Takes available records of the current file, waiting only briefly."""
        part = self._part or self._enter()
        if part is None:
            # The writer has not announced the first file yet.
            time.sleep(self._step())
            return
        # Determined before reading the file: if it has an end, the file is complete.
        end = self._manifest.end(part.place)
        if end is not None and self._number >= end:
            return
        try:
            self._take_from(part.follower, end)
        except Exception as error:
            self._note_position(part)
            # The file may have been sealed before it was deleted.
            if isinstance(error, CaptureFileReplaced) and end is None and self._is_sealed(part):
                return
            if not self._at_hand or not _is_of_the_file(error):
                raise
            self._at_hand.error = error
        if end is not None and not self._at_hand:
            raise InvalidCaptureFile(
                f"{part.file.file_name!r} ends before record {self._number} of the log, but should continue to "
                f"{end - 1}"
            )

    def _take_from(self, follower: Follower[Any], end: int | None) -> None:
        """Takes one record, waiting briefly, and some of the available records after it."""
        # Records are counted in the same step in which they are taken.
        numbered = enumerate(follower, self._number)
        try:
            for _ in self._at_hand.taking(islice(numbered, 1)):
                more = min(operator.length_hint(follower), _MAX_AT_HAND)
                if end is not None:
                    more = min(more, end - self._number - 1)
                self._take_at_hand(islice(numbered, more))
            self._count()
        except BaseException:
            self._count()
            raise

    def _take_at_hand(self, numbered: Iterator[tuple[int, Any]]) -> None:
        size = 0
        for _ in self._at_hand.taking(numbered):
            size += size_of(self._at_hand.records[-1][1])
            if size >= _MAX_BYTES_AT_HAND:
                return

    def _count(self) -> None:
        """Derives the number of the next record from the last one taken. Idempotent."""
        if self._at_hand:
            self._number = max(self._number, self._at_hand.records[-1][0] + 1)

    def _enter(self) -> _CurrentFile | None:
        """Opens the file of the next record. Returns None if there is no file yet."""
        index = self._manifest.index_of(self._number)
        if index < 0:
            return None
        first = self._manifest.entries[index].first
        try:
            file = self._log.open_file(index, self._number)
        except RecordsDeleted as gap:
            self._number = gap.first_record
            raise
        follower = file.follow(self._number - first + 1, timeout=self._step())
        self._part = _CurrentFile(index, first, file, follower)
        return self._part

    def _left_behind(self) -> bool:
        """Leaves the current file if it is sealed and all its records are taken. Returns whether it did."""
        part = self._part
        end = self._manifest.end(part.place) if part else None
        if end is None or self._number < end:
            return False
        self._leave()
        return True

    def _leave(self) -> None:
        """Closes the current file."""
        part, self._part = self._part, None
        if part:
            part.follower.close()
            part.file.close()

    def _is_sealed(self, part: _CurrentFile) -> bool:
        self._manifest.look()
        return self._manifest.end(part.place) is not None

    def _step(self) -> float:
        return _STEP if self._timeout is None else min(self._timeout, _STEP)

    def _note_position(self, part: _CurrentFile) -> None:
        """Updates the position after an error: the file's follower has skipped a record that cannot be read."""
        with suppress(CaptureFileError, OSError):
            count = -1
            while count != part.file.record_count():
                count = part.file.record_count()
                lag = part.follower.lag()
                part.file.refresh()
            self._number = max(self._number, part.first + count - lag)


def _is_of_the_file(error: Exception) -> bool:
    """Returns whether an error comes from the file, not from a signal handler; system errors name the file."""
    return isinstance(error, CaptureFileError | UnicodeError) or getattr(error, "filename", None) is not None
