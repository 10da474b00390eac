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
    """Writes each event as a record; the last processor must render it as `str` or `bytes`."""

    def __init__(self, factory: LoggerFactory) -> None:
        """Use `LoggerFactory`."""
        self._factory = factory

    def __repr__(self) -> str:
        """Shows the path."""
        return f"<CaptureLogger to {self._factory.file_name!r}>"

    def _add(self, level: str, event: str | bytes) -> None:
        self._factory._log.add(event, urgent=level in self._factory._urgent)

    def msg(self, message: str | bytes) -> None:
        """Writes an event without a level.

        Args:
            message: The rendered event.

        Raises:
            CaptureFileError: As for `CaptureFile.add_record` and `CaptureFile.commit`.
            OSError: As for `CaptureFile.add_record` and `CaptureFile.commit`.

        Examples:
            >>> logger.msg("ready")
        """
        self._add("msg", message)

    def debug(self, message: str | bytes) -> None:
        """Writes an event with the level "debug".

        Args:
            message: The rendered event.

        Raises:
            CaptureFileError: As for `msg`.
            OSError: As for `msg`.

        Examples:
            >>> logger.debug("ready")
        """
        self._add("debug", message)

    def info(self, message: str | bytes) -> None:
        """Writes an event with the level "info".

        Args:
            message: The rendered event.

        Raises:
            CaptureFileError: As for `msg`.
            OSError: As for `msg`.

        Examples:
            >>> logger.info("ready")
        """
        self._add("info", message)

    def warning(self, message: str | bytes) -> None:
        """Writes an event with the level "warning".

        Args:
            message: The rendered event.

        Raises:
            CaptureFileError: As for `msg`.
            OSError: As for `msg`.

        Examples:
            >>> logger.warning("ready")
        """
        self._add("warning", message)

    def error(self, message: str | bytes) -> None:
        """Writes an event with the level "error".

        Args:
            message: The rendered event.

        Raises:
            CaptureFileError: As for `msg`.
            OSError: As for `msg`.

        Examples:
            >>> logger.error("ready")
        """
        self._add("error", message)

    def critical(self, message: str | bytes) -> None:
        """Writes an event with the level "critical".

        Args:
            message: The rendered event.

        Raises:
            CaptureFileError: As for `msg`.
            OSError: As for `msg`.

        Examples:
            >>> logger.critical("ready")
        """
        self._add("critical", message)

    log = msg
    warn = warning
    err = failure = exception = error
    fatal = critical


class LoggerFactory:
    """Creates loggers that write to one capture file, and commits their events in groups.

    Events are committed when there are `commit_every` of them, when the oldest is `commit_interval` seconds old,
    immediately for an event with a level in `commit_levels`, when `flush()` is called, and at the end of the process.
    Uncommitted events are lost if the process is killed, and invisible to others. Factories and handlers of one
    process may write the same file. Logging in a forked child, which cannot write the file of its parent, raises
    CaptureFileNotOpenForWrite unless the path contains `{pid}`.

    Args:
        filename: Path of the file, which is created if necessary. `{pid}` in it is replaced by the process ID, so
            that each process has its own file.
        commit_every: Maximum number of events that are committed together.
        commit_interval: Maximum age of an uncommitted event in seconds; None for no limit.
        commit_levels: Names of the levels whose events are committed immediately.
        delay: Open the file only for the first event.
        max_bytes: Write a rotated log, to the folder `filename`, with this limit of `RotatingWriter`.
        max_age: Write a rotated log, to the folder `filename`, with this limit of `RotatingWriter`, in seconds.
        keep_files: Delete old files of a rotated log, as `RotatingWriter` does.
        keep_bytes: Likewise, by the size of all files.
        keep_age: Likewise, by the seconds since the end of a file.
        encoding: Encoding of events that are `str`.
        errors: How to handle text that cannot be encoded, as for `open`; by default it is written as escape sequences.
        options: Other settings of `CaptureFile`, such as `sync` or `compression_level`.

    Raises:
        ValueError: A setting is out of range, or files are to be deleted without `max_bytes` or `max_age`.
        TypeError: There is no such option, or `commit_levels` is a single name.
        LookupError: There is no such encoding or error handler.
        CaptureFileError: As for `CaptureFile`.
        OSError: As for `CaptureFile`.

    Examples:
        >>> import structlog
        >>> structlog.configure(
        ...     processors=[structlog.processors.JSONRenderer()], logger_factory=LoggerFactory("events.capture")
        ... )
        >>> structlog.get_logger().info("ready", port=8000)
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
        keep_files: int | None = None,
        keep_bytes: int | None = None,
        keep_age: float | None = None,
        encoding: str = "utf_8",
        errors: str = "backslashreplace",
        **options: Any,  # noqa: ANN401
    ) -> None:
        if isinstance(commit_levels, str):
            raise TypeError(f"commit_levels must be a collection of names, such as [{commit_levels!r}], not str")
        self._urgent = frozenset(commit_levels)
        rule = CommitRule(commit_every, commit_interval)
        limits = Limits(max_bytes, max_age, keep_files, keep_bytes, keep_age)
        self._log = LogFile(filename, rule, limits, encoding=encoding, errors=errors, delay=delay, **options)
        # Called when the factory and its loggers are garbage-collected, or else at the end of the process.
        self._finalizer = weakref.finalize(self, self._log.close)

    @property
    def file_name(self) -> str:
        """The path of the file or folder that this process writes."""
        return self._log.file_name

    def __repr__(self) -> str:
        """Shows the path."""
        return f"<LoggerFactory to {self.file_name!r}>"

    def __reduce__(self) -> Never:
        """Refuses pickling with TypeError: a file has one writer."""
        self._log.__reduce__()

    def __call__(self, *_names: object) -> CaptureLogger:
        """Returns a logger; structlog calls this."""
        return CaptureLogger(self)

    def flush(self) -> None:
        """Commits the events written so far.

        Raises:
            CaptureFileError: As for `CaptureFile.commit`.
            OSError: As for `CaptureFile.commit`.

        Examples:
            >>> logger.info("ready")
            >>> factory.flush()
            >>> capturefile.open("events.capture")[1]
            'ready'
        """
        self._log.commit()

    def close(self) -> None:
        """Commits the events written so far, and closes the file, even if the commit fails.

        A later event opens the file again, is committed, and closes it.

        Raises:
            CaptureFileError: As for `CaptureFile.commit`.
            OSError: As for `CaptureFile.commit`.

        Examples:
            >>> factory.close()
        """
        self._log.close()
        self._finalizer.detach()
