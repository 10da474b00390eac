"""A capture file that all handlers and loggers of a process share, committed in groups.

If its name contains `{pid}`, each process, including a forked one, has its own file.
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

from capturefile._capturefile import CaptureFile, is_in_place
from capturefile._errors import CaptureFileError, CaptureFileNotOpen
from capturefile._group_commit import GroupCommit

if TYPE_CHECKING:
    from capturefile._group_commit import CommitRule, Failed
    from capturefile._typing import StrPath
    from capturefile.rotating import RotatingWriter

_OPTIONS = frozenset(
    (
        "cache_size",
        "compression",
        "compression_block_size",
        "compression_level",
        "format",
        "initial_metadata",
        "sync",
        "threads",
        "use_os_file_locking",
    )
)


@dataclass(frozen=True)
class Limits:
    """The limits at which a rotated log starts a new file and deletes old ones; none for a log in a single file."""

    max_bytes: int | None = None
    max_age: float | None = None
    keep_files: int | None = None
    keep_bytes: int | None = None
    keep_age: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError if old files are to be deleted, but a second file would never be started."""
        if any(vars(self).values()) and self.max_bytes is None and self.max_age is None:
            raise ValueError(
                "keep_files, keep_bytes and keep_age delete old files, which exist only with max_bytes or max_age"
            )


class _Shared:
    """The file that is open at one path in this process, and its users."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.lock = threading.RLock()
        """Held while opening and closing."""
        self.group: GroupCommit | None = None
        self.settings: object = None
        self.users: weakref.WeakSet[LogFile] = weakref.WeakSet()
        self.is_comparable = False
        """Whether the file system reports the same identity for an open file and its path."""

    def is_in_place(self) -> bool:
        """Returns whether the open file is still the one at the path; `logrotate` renames or truncates it."""
        group = self.open_group()
        return group is not None and (not self.is_comparable or _is_at_its_path(group.cf))

    def open_group(self) -> GroupCommit | None:
        """Returns the group that this process writes to, unless it is closed."""
        if self.process != os.getpid() or self.group is None or self.group.cf.closed:
            return None
        return self.group


def _is_at_its_path(cf: CaptureFile[Any] | RotatingWriter) -> bool:
    if not isinstance(cf, CaptureFile):
        return True
    try:
        return is_in_place(cf)
    except CaptureFileError:
        return False
    except OSError:
        return True


_shared: weakref.WeakValueDictionary[str, _Shared] = weakref.WeakValueDictionary()
_sharing = threading.RLock()
_commits_at_the_end = False


def _start_anew() -> None:
    global _shared, _sharing, _commits_at_the_end
    _shared, _sharing, _commits_at_the_end = weakref.WeakValueDictionary(), threading.RLock(), False


def _commit_at_the_end() -> None:
    """Makes a process of `multiprocessing` commit at its end, when `atexit` handlers do not run."""
    global _commits_at_the_end
    if not _commits_at_the_end and (util := sys.modules.get("multiprocessing.util")):
        _commits_at_the_end = True
        # After everything else that runs at the end and may log.
        util.Finalize(None, _commit_all, exitpriority=-1000)


def _commit_all() -> None:
    for shared in list(_shared.values()):
        if group := shared.open_group():
            group.commit()


# A forked child cannot write its parent's files, and a thread of its parent may have held the lock.
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_start_anew)


class LogFile:
    """One writer's access to a file.

    Writers of one process at the same path share the file, with the settings of the one that opened it last. After
    `close`, each further record opens the file again, as with the handlers of the standard library.
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
        """Opens the file, or with `delay` waits for the first record; `failed` is passed to `GroupCommit`."""
        codecs.lookup(encoding)
        codecs.lookup_error(errors)
        if unknown := options.keys() - _OPTIONS:
            raise TypeError(f"there is no option {min(unknown)!r}; the options are those of CaptureFile")
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
        """The path of the file in this process."""
        return self._path.replace("{pid}", str(os.getpid()))

    def __reduce__(self) -> Never:
        """Refuses pickling with TypeError: another process needs its own file."""
        raise TypeError(
            f"the writer of {self.file_name!r} cannot be pickled or copied: a file has one writer; create one in each "
            "process, with {pid} in the path, which is the number of the process"
        )

    def add(self, record: str | bytes, *, urgent: bool) -> None:
        """Adds a record.

        Raises:
            UnicodeEncodeError: The record cannot be encoded.
            CaptureFileError: As for opening the file and `GroupCommit.add`.
            OSError: As for opening the file and `GroupCommit.add`.
        """
        # Encoded here, because writers that share the file may use different encodings.
        data = record.encode(self._encoding, self._errors) if isinstance(record, str) else record
        try:
            group = self._group()
            try:
                group.add(data, urgent=urgent or self._closed)
            except CaptureFileError as error:
                # Another thread has closed it meanwhile, or an earlier commit has failed: the record was not added.
                if type(error) not in (CaptureFileError, CaptureFileNotOpen):
                    raise
                self._replace(group).add(data, urgent=urgent or self._closed)
        finally:
            if self._closed:
                self.close()

    def commit(self) -> None:
        """Commits the records added so far. Does nothing in a forked child."""
        if self._shared and (group := self._shared.open_group()):
            group.commit()

    def close(self) -> None:
        """Commits the records added so far, and closes the file if no other writer in this process uses it."""
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
        # Only now, so that after an exception in a signal handler another call can close the file.
        self._shared = None

    def _group(self) -> GroupCommit:
        """Returns the group to add to in this process; in a forked child whose path lacks `{pid}`, it refuses.

        No lock is held while records are added, because a commit may call code that logs, and wait for other threads
        that log.
        """
        shared = self._shared
        if shared is None or (shared.process != os.getpid() and "{pid}" in self._path):
            shared = self._open()
        group = shared.group
        if group is None or (shared.process == os.getpid() and not group.uncommitted and not shared.is_in_place()):
            return self._replace(group)
        return group

    def _replace(self, group: GroupCommit | None) -> GroupCommit:
        """Opens the file again, replacing a group that is closed, has failed, or whose file was renamed or removed."""
        shared = self._shared or self._open()
        with shared.lock:
            if shared.group is group:
                if group is not None:
                    # A failed group has raised its error already, and reports lost records with a warning.
                    with suppress(CaptureFileError, OSError):
                        group.close()
                self._start(shared)
            return shared.group or self._start(shared)

    def _open(self) -> _Shared:
        """Opens the file in this process, or joins the writers that have it open."""
        with _sharing:
            shared = _shared.setdefault(os.path.realpath(self.file_name), _Shared())
        with shared.lock:
            group = shared.open_group()
            if group is not None and shared.settings != self._settings() and not self._closed:
                # If this fails, the other writers continue with the open file.
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

        return RotatingWriter(self.file_name, **vars(self._limits), **self._options)
