"""Following sources: records as they are committed, from one source or from several in turn."""

from __future__ import annotations

import os
import time
from itertools import islice
from operator import length_hint

import capturefile
from capturefile._errors import in_words
from capturefile.cli.arguments import Span
from capturefile.cli.exit_codes import DONE, LOSSY
from capturefile.cli.messages import say
from capturefile.cli.records import Selection
from capturefile.cli.reports import unreadable
from capturefile.cli.sources import opened
from capturefile.cli.times import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO, Self

    from capturefile import Follower
    from capturefile._cursor import CursorFile
    from capturefile._fields.conditions import Condition
    from capturefile.cli.encoders import Encoder, Headers
    from capturefile.cli.sources import Source
    from capturefile.cli.times import Times
    from capturefile.rotating import RotatingFollower

MAX_AT_RISK = 1.0
"""Maximum seconds of output that may be repeated after a crash, if there is no pause."""
LOOK_EVERY = 256
"""Number of records after which the clock, or another source, is checked."""
MIN_PAUSE = 0.001
MAX_PAUSE = 0.02
"""Maximum seconds between two checks of several sources; the pauses grow while there is nothing new."""
GROWTH = 1.5
LOOK_FOR_FILE_EVERY = 0.1
"""Seconds between two checks for a missing file."""
LATENESS = 1.0
"""Seconds after a time for which a commit with an earlier time may still arrive."""


class Followed:
    """A source with its follower."""

    def __init__(
        self, name: str, encode: Encoder, where: Condition | None, times: Times, *, by_name: bool = False
    ) -> None:
        """Opens the source called `name`; with `by_name`, any file of that name, even if it appears later."""
        self.name = name
        self.encode = encode
        self.where = where
        self.times = times
        self.by_name = by_name
        self.is_over = False
        """Whether a record was too late, so that all later ones are too."""
        self.source: Source | None = None
        self.code = DONE
        self._follower: Follower[bytes] | RotatingFollower[bytes] | None = None
        self._past: Iterator[tuple[int, bytes]] | None = None
        """Existing records to write before the follower starts, which an index has led to."""
        self._watch: Watch | None = None
        self._waits = False
        self._next = 1
        self._due = 0.0
        self._is_missing = False
        self._open()

    def _open(self) -> bool:
        """Opens the file of that name; returns False if there is none and it may appear later."""
        try:
            if self.by_name and os.path.isfile(self.name) and not os.path.getsize(self.name):
                return False
            self.source = opened(self.name)
        except FileNotFoundError as error:
            if not self.by_name:
                raise
            if not self._is_missing:
                say(f"{in_words(error)}; waiting for it to appear")
            self._is_missing = True
            return False
        return True

    def start(self, number: int, *, waits: bool = False) -> None:
        """Follows the source from record `number` on; with `waits`, the follower waits for new records."""
        assert self.source is not None
        self._next = max(number, 1)
        self._waits = waits
        self._watch = Watch(self.times, self.source) if self.times.wanted else None
        self._past = self._by_index(self.source)
        if self._past is None:
            self._follow()

    def _follow(self) -> None:
        assert self.source is not None
        timeout = (None if self.times.deadline is None else LATENESS) if self._waits else 0
        self._follower = self.source.reader.follow(self._next, timeout=timeout)

    def _by_index(self, source: Source) -> Iterator[tuple[int, bytes]] | None:
        """The existing records to write, if an index says where they can be; the follower reads only later ones."""
        if self.where is None or self.times.slack or self.times.until is not None:
            return None
        if not source.first <= self._next <= source.last or source.narrowed(self.where) is None:
            return None
        selection = Selection(source, Span(self._next, source.last), self.where)
        selection.is_silent = True
        return selection.records()

    def _write_past(self, output: BinaryIO, headers: Headers | None) -> None:
        """Writes some of the records that an index has led to; after the last one, the follower starts."""
        assert self._past is not None
        assert self.source is not None
        written = 0
        try:
            for number, record in islice(self._past, LOOK_EVERY):
                if headers is not None:
                    headers.write(output, self.name)
                output.write(self.encode(number, record))
                self._next = number + 1
                written += 1
            if written == LOOK_EVERY:
                return
            self._next = self.source.last + 1
        except capturefile.CaptureFileError:
            pass  # The follower meets the same error.
        self._past = None
        self._follow()

    def write_new(self, output: BinaryIO, headers: Headers | None, limit: int | None = None) -> bool:
        """Writes the available records, at most `limit`. Returns whether there were any."""
        if self.is_over or (self._follower is None and self._past is None and not self._appears()):
            return False
        if self._past is not None:
            self._write_past(output, headers)
            return True
        assert self._follower is not None
        if not self._follower.ready():
            return False
        before, watch = self._next, self._watch
        try:
            for number, record in enumerate(islice(self._follower, limit), before):
                self._next = number + 1
                if watch is not None and watch.is_over(number, record):
                    self.is_over = True
                    break
                if not self._wants(record):
                    continue
                if headers is not None:
                    headers.write(output, self.name)
                output.write(self.encode(number, record))
        except capturefile.CaptureFileError as error:
            self._meet(error)
            return True
        return self._next > before

    def write_all(self, output: BinaryIO, cursor: CursorFile | None = None) -> int:
        """Writes records until the follower ends, and flushes before each wait; returns the exit code.

        The cursor moves only after the output has been flushed.
        """
        self._write_all_past(output, cursor)
        assert self._follower is not None
        follower, watch, saved = self._follower, self._watch, time.monotonic()
        last: bytes | None = None
        while True:
            is_late = has_passed(self.times.deadline)
            # An error of the cursor file is not an error of a record.
            try:
                record = next(follower, None)
            except capturefile.CaptureFileError as error:
                self._meet(error)
                continue
            if record is None:
                if is_late or not self._waits:
                    return self.code
                continue
            if watch is not None and watch.is_over(self._next, record):
                if cursor is not None and last is not None:
                    output.flush()
                    cursor.save_behind(self._next - 1, last)
                return self.code
            last = record
            number, self._next = self._next, self._next + 1
            if self._wants(record):
                output.write(self.encode(number, record))
            now = 0.0 if number % LOOK_EVERY else time.monotonic()
            if length_hint(follower) == 0 or now > saved + MAX_AT_RISK:
                output.flush()
                if cursor is not None:
                    cursor.save_behind(number, record)
                saved = time.monotonic()

    def _write_all_past(self, output: BinaryIO, cursor: CursorFile | None) -> None:
        saved = time.monotonic()
        while self._past is not None:
            self._write_past(output, None)
            if self._past is None or time.monotonic() > saved + MAX_AT_RISK:
                output.flush()
                if cursor is not None and self.source is not None:
                    cursor.save_before(self._next, self.source.reader)
                saved = time.monotonic()

    def _wants(self, record: bytes) -> bool:
        """Returns whether to write a record that is not too late."""
        if self._watch is not None and not self._watch.belongs(record):
            return False
        return self.where is None or self.where.holds(record)

    def _meet(self, error: capturefile.CaptureFileError) -> None:
        """Continues after deleted records, and with a file that has replaced the followed one."""
        first_there: int | None = getattr(error, "first_record", None)
        if first_there is not None:
            say(in_words(error))
            self.code = LOSSY
            self._next = first_there
        elif self.by_name and isinstance(error, capturefile.CaptureFileReplaced):
            self.close()
            if os.path.exists(self.name):
                say(f"{self.name}: it was replaced; following the new file")
            else:
                say(f"{self.name}: it was removed; waiting for a new file")
                self._is_missing = True
        elif isinstance(error, capturefile.InvalidCaptureFile) and self.source is not None:
            raise unreadable(error, self.source.name, self._next) from error
        else:
            raise error

    def _appears(self) -> bool:
        """Returns whether a missing file exists now; if so, follows it from its start."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + LOOK_FOR_FILE_EVERY
        if not self._open():
            return False
        if self._is_missing:
            say(f"{self.name}: it has appeared")
        self._is_missing = False
        assert self.source is not None
        self.start(self.times.narrowed(self.source, self.source.everything()).first)
        return True

    def __enter__(self) -> Self:
        """Returns the object itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the source."""
        self.close()

    def close(self) -> None:
        """Closes the source."""
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.close()
        if self.source is not None:
            self.source.reader.close()
            self.source = None


def has_passed(deadline: float | None) -> bool:
    """Returns whether no further commit can have a time before the deadline."""
    return deadline is not None and time.time() > deadline + LATENESS


def deliver(followed: list[Followed], output: BinaryIO, headers: Headers | None, *, to_end: bool = False) -> int:
    """Writes records from several sources in turn; with `to_end`, returns after the last existing record."""
    pause = MIN_PAUSE
    while True:
        is_late = has_passed(followed[0].times.deadline)
        news = [each.write_new(output, headers, LOOK_EVERY) for each in followed]
        if any(news):
            pause = MIN_PAUSE
            continue
        output.flush()
        if to_end or is_late or all(each.is_over for each in followed):
            return max(each.code for each in followed)
        time.sleep(pause)
        pause = min(pause * GROWTH, MAX_PAUSE)
