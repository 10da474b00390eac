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
from typing import TYPE_CHECKING, Any, Never

from capturefile._group_commit import CommitRule
from capturefile._log_file import Limits, LogFile

if TYPE_CHECKING:
    from collections.abc import Collection

    from capturefile._typing import StrPath

__all__ = ["CaptureLogger", "LoggerFactory"]


def __dir__() -> list[str]:
    return sorted(__all__)


class CaptureLogger:
    """Writes each event, which the last processor has rendered as `str` or `bytes`, as a record."""

    def __init__(self, factory: LoggerFactory) -> None:
        """Use `LoggerFactory`."""
        self._factory = factory

    def __repr__(self) -> str:
        """Where it writes."""
        return f"<CaptureLogger to {self._factory.file_name!r}>"

    def _add(self, level: str, event: str | bytes) -> None:
        self._factory._log.add(event, urgent=level in self._factory._urgent)

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

        structlog.configure(
            processors=[structlog.processors.JSONRenderer()], logger_factory=LoggerFactory("events.capture")
        )

    Events are committed when there are `commit_every`, when the oldest is `commit_interval` seconds old, at once when
    one has a level of `commit_levels`, when `flush()` is called, and at the end of the process. What is not committed
    is lost if the process is killed, and nobody else sees it. Factories and handlers of one process may write the same
    file. A forked child cannot write the file of its parent: CaptureFileNotOpenForWrite, unless the path has `{pid}`.

    Arguments:
        filename: path of the file, which is created if there is none. `{pid}` in it is the number of the process, so
            that each process has a file of its own.
        commit_every: how many events are committed together at most.
        commit_interval: seconds after which an event is committed at the latest; None sets no limit.
        commit_levels: names of the levels whose events are committed at once.
        delay: open the file only for the first event.
        max_bytes, max_age: write a log in several files, for `RotatingReader`, with these limits of `RotatingWriter`;
            `filename` is its folder then.
        encoding: of events that are `str`.
        errors: what becomes of text that cannot be encoded, as for `open`.
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
        delay: bool = False,
        max_bytes: int | None = None,
        max_age: float | None = None,
        encoding: str = "utf_8",
        errors: str = "backslashreplace",
        **options: Any,  # noqa: ANN401
    ) -> None:
        if isinstance(commit_levels, str):
            raise TypeError(f"commit_levels must be a collection of names, such as [{commit_levels!r}], not str")
        self._urgent = frozenset(commit_levels)
        rule, limits = CommitRule(commit_every, commit_interval), Limits(max_bytes, max_age)
        self._log = LogFile(filename, rule, limits, encoding=encoding, errors=errors, delay=delay, **options)
        # Called when the factory and its loggers are forgotten, or else at the end of the process.
        self._finalizer = weakref.finalize(self, self._log.close)

    @property
    def file_name(self) -> str:
        """The path of the file, or of the folder, in this process."""
        return self._log.file_name

    def __repr__(self) -> str:
        """Where its loggers write."""
        return f"<LoggerFactory to {self.file_name!r}>"

    def __reduce__(self) -> Never:
        """Raises TypeError: a file has one writer."""
        self._log.__reduce__()

    def __call__(self, *_names: object) -> CaptureLogger:
        """A logger, as structlog asks for it."""
        return CaptureLogger(self)

    def flush(self) -> None:
        """Commits what has been written. Raises what `CaptureFile.commit` raises."""
        self._log.commit()

    def close(self) -> None:
        """Commits what has been written, and closes the file, also if the commit fails with what `commit` raises.

        An event that still comes opens it again, is committed, and closes it.
        """
        self._log.close()
        self._finalizer.detach()
