"""The capture file that all handlers and loggers of a process write together, committed in groups.

Where its name has `{pid}`, each process has a file of its own, also one that was forked.
"""

from __future__ import annotations

import codecs
import os
import sys
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Never

from capturefile._capturefile import CaptureFile
from capturefile._errors import CaptureFileError, CaptureFileNotOpen
from capturefile._group_commit import GroupCommit

if TYPE_CHECKING:
    from capturefile._group_commit import CommitRule, Failed
    from capturefile._typing import StrPath
    from capturefile.rotating import RotatingWriter

_OPTIONS = frozenset(
    (
        "cache_size",
        "compression_block_size",
        "compression_level",
        "initial_metadata",
        "sync",
        "threads",
        "use_os_file_locking",
    )
)


@dataclass(frozen=True)
class Limits:
    """Where a log is in several files: when a new one is started."""

    max_bytes: int | None = None
    max_age: float | None = None


class _Shared:
    """What is open at one path in this process, and who writes to it."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.lock = threading.RLock()
        """Held to open and close."""
        self.group: GroupCommit | None = None
        self.settings: object = None
        self.users: weakref.WeakSet[LogFile] = weakref.WeakSet()
        self.is_comparable = False
        """Whether the file system gives a file and its path the same identity, at least for a file just opened."""

    def is_in_place(self) -> bool:
        """Whether what is open is the file at the path; `logrotate` renames it, or cuts it down to nothing."""
        group = self.open_group()
        return group is not None and (not self.is_comparable or _is_at_its_path(group.cf))

    def open_group(self) -> GroupCommit | None:
        """What this process writes to, unless it is closed."""
        if self.process != os.getpid() or self.group is None or self.group.cf.closed:
            return None
        return self.group


def _is_at_its_path(cf: CaptureFile[Any] | RotatingWriter) -> bool:
    if not isinstance(cf, CaptureFile):
        return True
    try:
        status = os.stat(cf.file_name)  # noqa: PTH116  (half the time)
        identity = cf._identity()
    except (FileNotFoundError, CaptureFileError):
        return False
    except OSError:
        return True
    return (status.st_dev, status.st_ino) == identity[:2] and status.st_size > 0


_shared: weakref.WeakValueDictionary[str, _Shared] = weakref.WeakValueDictionary()
_sharing = threading.RLock()
_commits_at_the_end = False


def _start_anew() -> None:
    global _shared, _sharing, _commits_at_the_end
    _shared, _sharing, _commits_at_the_end = weakref.WeakValueDictionary(), threading.RLock(), False


def _commit_at_the_end() -> None:
    """Sees that a process of `multiprocessing` commits at its end, which runs nothing that `atexit` knows."""
    global _commits_at_the_end
    if not _commits_at_the_end and (util := sys.modules.get("multiprocessing.util")):
        _commits_at_the_end = True
        # Behind whatever else it does at the end and may log.
        util.Finalize(None, _commit_all, exitpriority=-1000)


def _commit_all() -> None:
    for shared in list(_shared.values()):
        if group := shared.open_group():
            group.commit()


# A forked child cannot write what its parent has open, and a thread of its parent may have held the lock.
os.register_at_fork(after_in_child=_start_anew)


class LogFile:
    """One writer's part in a file.

    Writers of one process at the same path share the file, with the settings of the one that opened last. Once closed,
    it opens the file again for each record that still comes, as the handlers of the standard library do.
    """

    def __init__(
        self,
        path: StrPath,
        rule: CommitRule,
        limits: Limits,
        *,
        encoding: str,
        errors: str,
        delay: bool,
        failed: Failed | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Opens the file, unless `delay` leaves that to the first record; `failed` is that of `GroupCommit`."""
        codecs.lookup(encoding)
        codecs.lookup_error(errors)
        if unknown := options.keys() - _OPTIONS:
            raise TypeError(f"there is no option {min(unknown)!r}; there are those of CaptureFile")
        self._path = os.path.abspath(path)  # noqa: PTH100  (a Path would change the spelling)
        self._rule = rule
        self._limits = limits
        self._encoding = encoding
        self._errors = errors
        self._options = options
        self._failed = failed
        self._shared: _Shared | None = None
        self._closed = False
        if not delay:
            self._open()

    @property
    def file_name(self) -> str:
        """The path in this process."""
        return self._path.replace("{pid}", str(os.getpid()))

    def __reduce__(self) -> Never:
        """Raises TypeError: another process can have a file of its own only."""
        raise TypeError(
            f"what writes to {self.file_name!r} cannot be pickled or copied: a file has one writer; make one in each "
            "process, with {pid} in the path, which is the number of the process"
        )

    def add(self, record: str | bytes, *, urgent: bool) -> None:
        """Adds a record; raises what encoding it, opening the file and `GroupCommit.add` raise."""
        # Here, since those who share the file may want other encodings.
        data = record.encode(self._encoding, self._errors) if isinstance(record, str) else record
        try:
            group = self._group()
            try:
                group.add(data, urgent=urgent or self._closed)
            except CaptureFileError as error:
                # Closed by another thread in between, or failed by an earlier commit; then the record is not in it.
                if type(error) not in (CaptureFileError, CaptureFileNotOpen):
                    raise
                self._replace(group).add(data, urgent=urgent or self._closed)
        finally:
            if self._closed:
                self.close()

    def commit(self) -> None:
        """Commits what has been added. Does nothing in a forked child."""
        if self._shared and (group := self._shared.open_group()):
            group.commit()

    def close(self) -> None:
        """Commits what has been added, and closes the file if nobody else in this process writes to it."""
        self._closed = True
        shared = self._shared
        if shared is None or shared.group is None:
            return
        if shared.process != os.getpid():
            shared.group.close()
        else:
            with shared.lock:
                shared.users.discard(self)
                if not shared.users:
                    shared.group.close()
                elif group := shared.open_group():
                    group.commit()
        # Only now: an exception from a signal leaves a file that another call closes.
        self._shared = None

    def _group(self) -> GroupCommit:
        """What to add to, in this process; in a forked child whose path has no `{pid}` it refuses.

        No lock is held while something is added: a commit may call what logs, and wait for others who log.
        """
        shared = self._shared
        if shared is None or (shared.process != os.getpid() and "{pid}" in self._path):
            shared = self._open()
        group = shared.group
        if group is None or (shared.process == os.getpid() and not group.uncommitted and not shared.is_in_place()):
            return self._replace(group)
        return group

    def _replace(self, group: GroupCommit | None) -> GroupCommit:
        """Opens the file anew, in place of what is closed, has failed, or is of a file that was renamed or removed."""
        shared = self._shared or self._open()
        with shared.lock:
            if shared.group is group:
                if group is not None:
                    # What has failed has told so, and what it has lost it tells by a warning.
                    with suppress(CaptureFileError, OSError):
                        group.close()
                self._start(shared)
            return shared.group or self._start(shared)

    def _open(self) -> _Shared:
        """Opens the file in this process, or joins those who have it open."""
        with _sharing:
            shared = _shared.setdefault(os.path.realpath(self.file_name), _Shared())
        with shared.lock:
            group = shared.open_group()
            if group is not None and shared.settings != self._settings() and not self._closed:
                # If this fails, the others still have what they had.
                group.commit()
                group.close()
                group = None
            if group is None:
                self._start(shared)
            shared.users.add(self)
        self._shared = shared
        return shared

    def _settings(self) -> object:
        return self._rule, self._limits, self._options

    def _start(self, shared: _Shared) -> GroupCommit:
        _commit_at_the_end()
        shared.group = GroupCommit(self._open_file(), self._rule, self._failed)
        shared.settings = self._settings()
        shared.is_comparable = _is_at_its_path(shared.group.cf)
        return shared.group

    def _open_file(self) -> CaptureFile[Any] | RotatingWriter:
        if self._limits == Limits():
            return CaptureFile(self.file_name, to_write=True, **self._options)
        from capturefile.rotating import RotatingWriter

        limits = self._limits
        return RotatingWriter(self.file_name, max_bytes=limits.max_bytes, max_age=limits.max_age, **self._options)
