"""Committing single records in groups: by count, by age, or immediately for an urgent one."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from capturefile._errors import CaptureFileError, CaptureFileNotOpenForWrite

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from capturefile._capturefile import CaptureFile
    from capturefile.rotating import RotatingWriter

# Weak, so that the object that handles failures is not kept alive.
Failed: TypeAlias = weakref.WeakMethod[Callable[[], object]]


@dataclass(frozen=True)
class CommitRule:
    """The latest time of a commit: when there are `every` records, or the oldest is `interval` seconds old."""

    every: int
    interval: float | None

    def __post_init__(self) -> None:
        """Checks the limits.

        Raises:
            ValueError: A limit is out of range.
        """
        if self.every < 1:
            raise ValueError(f"commit_every cannot be {self.every}: it must be a number of records, at least 1")
        if self.interval is not None and not self.interval > 0:
            raise ValueError(f"commit_interval cannot be {self.interval}: it must be a number of seconds, or None")

    @property
    def timer(self) -> float | None:
        """The interval for a timer; None if it is longer than a timer supports, which is for centuries."""
        return None if self.interval is None or self.interval > threading.TIMEOUT_MAX else self.interval


class GroupCommit:
    """Adds records to a file that is open for writing, and commits them in groups.

    While there are uncommitted records, a thread waits for the oldest to reach the age limit; it does not keep the
    process alive. A forked child is refused before it touches a lock that a thread of its parent may have held.
    """

    def __init__(self, cf: CaptureFile[Any] | RotatingWriter, rule: CommitRule, failed: Failed | None = None) -> None:
        """Takes over `cf`; `failed` is called in the `except` block of a failed commit by age."""
        self.cf = cf
        self._commit_every = rule.every
        self._commit_interval = rule.timer
        self._failed = failed
        self._lock = threading.RLock()
        self._committing = threading.Lock()
        self._uncommitted = 0
        self._timer: threading.Timer | None = None
        self._process = os.getpid()

    @property
    def uncommitted(self) -> int:
        """The number of records added since the last commit."""
        return self._uncommitted

    def add(self, record: str | Buffer, *, urgent: bool = False) -> None:
        """Adds a record, and commits if it is urgent or the group is full.

        If only the commit fails, the record remains.

        Raises:
            CaptureFileNotOpenForWrite: This process is a forked child of the writer.
            CaptureFileError: As for adding and committing.
            OSError: As for adding and committing.
        """
        if self._forked():
            raise CaptureFileNotOpenForWrite(
                f"{self.cf.file_name!r} is written by process {self._process}, the parent of this forked child; "
                "open a separate file in the child, or send its records to the parent"
            )
        with self._lock:
            # Counted before it is added, so that an exception at any moment leaves no uncounted record.
            self._uncommitted += 1
            in_time = urgent or self._wait_for_age()
            self.cf.add_record(record)
            if urgent or self._uncommitted >= self._commit_every or not in_time:
                try:
                    self.commit()
                except BaseException:
                    # The commit is retried when the records reach the age limit.
                    self._wait_for_age()
                    raise

    def commit(self) -> None:
        """Commits the records added so far. Does nothing in a forked child, whose parent commits."""
        if self._forked():
            return
        with self._lock:
            if not self._uncommitted or self._committing.locked():
                return
            with self._committing:
                count = self._uncommitted
                self.cf.commit()
                self._uncommitted -= count
            if self._uncommitted:
                # A commit hook has added records; it must not trigger another commit.
                self._wait_for_age()

    def close(self) -> None:
        """Commits the records and closes the file, even if the commit fails. A forked child only closes it."""
        if self._forked():
            self.cf.close()
            return
        with self._lock:
            try:
                if not self.cf.closed:
                    self.commit()
            except (CaptureFileError, OSError):
                self._close_file()
                raise
            # After an exception from a signal handler, another call commits the records.
            self._close_file()

    def _forked(self) -> bool:
        return os.getpid() != self._process

    def _wait_for_age(self) -> bool:
        """Makes sure that a timer commits the records in time. Returns False if no timer can be started."""
        # A timer is not alive, either, if an exception interrupted its start.
        if self._commit_interval is None or (self._timer is not None and self._timer.is_alive()):
            return True
        # The timer must not keep an unreferenced object alive.
        self._timer = threading.Timer(self._commit_interval, _come_of_age, [weakref.ref(self)])
        self._timer.daemon = True
        try:
            self._timer.start()
        except RuntimeError:
            # The interpreter is shutting down and no longer starts threads.
            self._timer = None
            return False
        return True

    def _close_file(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._uncommitted = 0
        self.cf.close()

    def _commit_old(self) -> None:
        try:
            with self._lock:
                self._timer = None
                if not self.cf.closed:
                    self.commit()
        except Exception:
            # Not under the lock: the handler may add records, or wait for a thread that does.
            failed = self._failed and self._failed()
            if failed is None:
                raise
            failed()
        finally:
            self._try_again()

    def _try_again(self) -> None:
        with self._lock:
            if self._uncommitted and not self.cf.closed:
                self._wait_for_age()


def _come_of_age(reference: weakref.ref[GroupCommit]) -> None:
    group = reference()
    if group is not None:
        group._commit_old()
