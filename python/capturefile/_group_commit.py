"""Records that come one by one, committed in groups: by count, by age, or at once where one is urgent."""

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

# Weak, so that whoever is told of a failure is not kept alive by what may fail.
Failed: TypeAlias = weakref.WeakMethod[Callable[[], object]]


@dataclass(frozen=True)
class CommitRule:
    """When records are committed at the latest: when there are `every`, or the oldest is `interval` seconds old."""

    every: int
    interval: float | None

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot be."""
        if self.every < 1:
            raise ValueError(f"commit_every cannot be {self.every}: it must be a number of records, from 1 up")
        if self.interval is not None and not self.interval > 0:
            raise ValueError(f"commit_interval cannot be {self.interval}: it must be a number of seconds, or None")

    @property
    def timer(self) -> float | None:
        """The seconds for a timer; None where they are more than one can count, which are centuries."""
        return None if self.interval is None or self.interval > threading.TIMEOUT_MAX else self.interval


class GroupCommit:
    """Adds records to a file that is open for writing, and commits them in groups.

    A thread waits for the oldest uncommitted record to come of age, and only while there is one; it never keeps the
    process alive. A forked child is refused before it touches anything that a thread of its parent may have held.
    """

    def __init__(self, cf: CaptureFile[Any] | RotatingWriter, rule: CommitRule, failed: Failed | None = None) -> None:
        """Takes over `cf`; `failed` is called in an `except` block where a commit by age has failed."""
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
        """How many records have been added since the last commit."""
        return self._uncommitted

    def add(self, record: str | Buffer, *, urgent: bool = False) -> None:
        """Adds a record, and commits if it is urgent or there are enough.

        Raises CaptureFileNotOpenForWrite in a forked child, and otherwise what adding and committing raise; the
        record stays if only the commit fails.
        """
        if self._forked():
            raise CaptureFileNotOpenForWrite(
                f"{self.cf.file_name!r} is written by process {self._process}, of which this one is a forked child; "
                "open a file of its own in the child, or send its records to the parent"
            )
        with self._lock:
            # Before the record is there: an exception at any moment leaves none that nobody knows of.
            self._uncommitted += 1
            in_time = urgent or self._wait_for_age()
            self.cf.add_record(record)
            if urgent or self._uncommitted >= self._commit_every or not in_time:
                try:
                    self.commit()
                except BaseException:
                    # What this call has not committed is tried again when it is of age.
                    self._wait_for_age()
                    raise

    def commit(self) -> None:
        """Commits what there is. Does nothing in a forked child, whose parent does it."""
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
                # What a commit calls has added something, which may not call for a commit again.
                self._wait_for_age()

    def close(self) -> None:
        """Commits what there is and closes the file, also if the commit fails. A forked child only closes it."""
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
            # What an exception from elsewhere has kept from being committed is committed by another call.
            self._close_file()

    def _forked(self) -> bool:
        return os.getpid() != self._process

    def _wait_for_age(self) -> bool:
        """Sees that the records are committed in time; false if nobody can."""
        # A timer is not alive either where an exception came before it was started.
        if self._commit_interval is None or (self._timer is not None and self._timer.is_alive()):
            return True
        # It must not keep alive what everybody else has forgotten.
        self._timer = threading.Timer(self._commit_interval, _come_of_age, [weakref.ref(self)])
        self._timer.daemon = True
        try:
            self._timer.start()
        except RuntimeError:
            # The interpreter is ending, and starts no threads any more.
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
            # Not under the lock: what is called here may add records, or wait for someone who does.
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
