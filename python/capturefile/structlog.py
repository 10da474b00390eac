"""Loggers for structlog that write rendered events to a capture file.

import structlog
from capturefile.structlog import LoggerFactory

structlog.configure(
    processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
    logger_factory=LoggerFactory("service.capture"),
)
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from capturefile._capturefile import CaptureFile
from capturefile._group_commit import GroupCommit

if TYPE_CHECKING:
    from collections.abc import Collection

    from capturefile._typing import StrPath

__all__ = ["CaptureLogger", "LoggerFactory"]


class CaptureLogger:
    """Writes each event, which the last processor has rendered as `str` or `bytes`, as a record."""

    def __init__(self, factory: LoggerFactory) -> None:
        """Use `LoggerFactory`."""
        self._factory = factory

    def __repr__(self) -> str:
        """Where it writes."""
        return f"<CaptureLogger to {self._factory.file_name!r}>"

    def _add(self, level: str, event: str | bytes) -> None:
        self._factory._group.add(event, urgent=level in self._factory._urgent)

    def msg(self, message: str | bytes) -> None:
        """Writes an event without a level. Raises what `CaptureFile.add_record` and `commit` raise."""
        self._add("msg", message)

    def debug(self, message: str | bytes) -> None:
        """Writes an event."""
        self._add("debug", message)

    def info(self, message: str | bytes) -> None:
        """Writes an event."""
        self._add("info", message)

    def warning(self, message: str | bytes) -> None:
        """Writes an event."""
        self._add("warning", message)

    def error(self, message: str | bytes) -> None:
        """Writes an event."""
        self._add("error", message)

    def critical(self, message: str | bytes) -> None:
        """Writes an event."""
        self._add("critical", message)

    log = msg
    warn = warning
    err = failure = exception = error
    fatal = critical


class LoggerFactory:
    """Makes loggers that write to one capture file, and commits what they write in groups.

    Events are committed when there are `commit_every`, when the oldest is `commit_interval` seconds old, at once when
    one has a level of `commit_levels`, when `flush()` is called, and at the end of the process. What is not committed
    is lost if the process is killed, and nobody else sees it. A forked child cannot write the file of its parent:
    CaptureFileNotOpenForWrite.

    Arguments:
        filename: path of the file, which is created if there is none.
        commit_every: how many events are committed together at most.
        commit_interval: seconds after which an event is committed at the latest; None sets no limit.
        commit_levels: names of the levels whose events are committed at once.
        encoding: of events that are `str`.
        options: as for `CaptureFile`, such as `sync` or `compression_level`.

    Raises what `CaptureFile` raises, and ValueError for a setting that cannot be.
    """

    def __init__(
        self,
        filename: StrPath,
        *,
        commit_every: int = 1000,
        commit_interval: float | None = 1.0,
        commit_levels: Collection[str] = ("error", "critical"),
        encoding: str = "utf_8",
        **options: Any,  # noqa: ANN401
    ) -> None:
        self._urgent = frozenset(commit_levels)
        cf = CaptureFile(filename, to_write=True, encoding=encoding, **options)
        try:
            self._group = GroupCommit(cf, commit_every=commit_every, commit_interval=commit_interval)
        except BaseException:
            cf.close()
            raise
        # Called when the factory and its loggers are forgotten, or else at the end of the process.
        self._finalizer = weakref.finalize(self, self._group.close)

    @property
    def file_name(self) -> str:
        """The path of the file."""
        return self._group.cf.file_name

    def __call__(self, *_names: object) -> CaptureLogger:
        """A logger, as structlog asks for it."""
        return CaptureLogger(self)

    def flush(self) -> None:
        """Commits what has been written. Raises what `CaptureFile.commit` raises."""
        self._group.commit()

    def close(self) -> None:
        """Commits what has been written, and closes the file, also if the commit fails with what `commit` raises."""
        self._finalizer()
