"""A handler for the standard library's logging that writes to a capture file.

import logging
from capturefile.logging import CaptureHandler

logging.getLogger().addHandler(CaptureHandler("service.capture"))
"""

from __future__ import annotations

import logging
import weakref
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Never

from capturefile._group_commit import CommitRule
from capturefile._json import as_json
from capturefile._log_file import Limits, LogFile

if TYPE_CHECKING:
    from capturefile._typing import StrPath

__all__ = ["CaptureHandler", "JSONFormatter"]


def __dir__() -> list[str]:
    return sorted(__all__)


class CaptureHandler(logging.Handler):
    """Writes each formatted log record as a record of a capture file, and commits the records in groups.

    Records are committed when there are `commit_every` of them, when the oldest is `commit_interval` seconds old,
    immediately for a record of at least `commit_level`, when `flush()` is called, and at the end of the process.
    Uncommitted records are lost if the process is killed, and invisible to others. Handlers of one process may write
    the same file; the settings of the one that opened it last apply.

    All errors while logging, including those of commits, go to `handleError`, as with the handlers of the standard
    library: they are printed to standard error if `logging.raiseExceptions` is true, and never reach the code that
    logs. A forked child cannot write the file of its parent: each of its records causes such an error,
    CaptureFileNotOpenForWrite, unless the path contains `{pid}`.

    Args:
        filename: Path of the file, which is created if necessary. `{pid}` in it is replaced by the process ID, so
            that each process has its own file.
        level: The minimum level of records that are written.
        commit_every: Maximum number of records that are committed together.
        commit_interval: Maximum age of an uncommitted record in seconds; None for no limit.
        commit_level: The level, as a number or a name, from which records are committed immediately; None for none.
        delay: Open the file only for the first record. Errors of opening it then go to `handleError`.
        max_bytes: Write a rotated log, to the folder `filename`, with this limit of `RotatingWriter`.
        max_age: Write a rotated log, to the folder `filename`, with this limit of `RotatingWriter`, in seconds.
        keep_files: Delete old files of a rotated log, as `RotatingWriter` does.
        keep_bytes: Likewise, by the size of all files.
        keep_age: Likewise, by the seconds since the end of a file.
        encoding: Encoding of the records.
        errors: How to handle text that cannot be encoded, as for `open`; by default it is written as escape sequences.
        options: Other settings of `CaptureFile`, such as `sync` or `compression_level`.

    Raises:
        ValueError: A setting is out of range, there is no such level, or files are to be deleted without `max_bytes` or
            `max_age`.
        TypeError: There is no such option.
        LookupError: There is no such encoding or error handler.
        CaptureFileError: As for `CaptureFile`.
        OSError: As for `CaptureFile`.

    Examples:
        >>> import logging
        >>> handler = CaptureHandler("service.capture", level="INFO")
        >>> handler.setFormatter(JSONFormatter())
        >>> logging.getLogger("service").addHandler(handler)
    """

    def __init__(
        self,
        filename: StrPath,
        level: int | str = logging.NOTSET,
        *,
        commit_every: int = 1000,
        commit_interval: float | None = 1.0,
        commit_level: int | str | None = logging.ERROR,
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
        self._commit_level = _level_number(commit_level)
        self._last: logging.LogRecord | None = None
        rule = CommitRule(commit_every, commit_interval)
        limits = Limits(max_bytes, max_age, keep_files, keep_bytes, keep_age)
        self._log = LogFile(
            filename,
            rule,
            limits,
            encoding=encoding,
            errors=errors,
            delay=delay,
            failed=weakref.WeakMethod(self._handle_last),
            **options,
        )
        try:
            # Registers the handler for closing at the end of the process, so it must be complete at this point.
            super().__init__(level)
        except BaseException:
            self._log.close()
            raise

    @property
    def file_name(self) -> str:
        """The path of the file or folder that this process writes."""
        return self._log.file_name

    def __repr__(self) -> str:
        """Shows the path and the level."""
        return f"<{type(self).__name__} to {self.file_name!r} ({logging.getLevelName(self.level)})>"

    def __reduce__(self) -> Never:
        """Refuses pickling with TypeError: a file has one writer."""
        self._log.__reduce__()

    def handle(self, record: logging.LogRecord) -> bool:
        """Writes a record unless a filter rejects it, without holding the handler's lock.

        A commit by age happens in a separate thread and may call code that logs, such as a meter of OpenTelemetry.
        With the lock, that code would wait for a thread that waits for the commit.

        Args:
            record: The log record.

        Returns:
            Whether the record was accepted.

        Examples:
            >>> handler.handle(logging.makeLogRecord({"msg": "ready", "levelno": logging.INFO}))
            True
        """
        passed = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record without applying the filters.

        Args:
            record: The log record.

        Examples:
            >>> handler.emit(logging.makeLogRecord({"msg": "ready", "levelno": logging.INFO}))
        """
        try:
            self._last = record
            urgent = self._commit_level is not None and record.levelno >= self._commit_level
            self._log.add(self.format(record), urgent=urgent)
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Commits the records written so far.

        Examples:
            >>> logging.getLogger("service").addHandler(handler)
            >>> logging.getLogger("service").warning("ready")
            >>> handler.flush()
            >>> capturefile.open("messages.capture")[1]
            'ready'
        """
        try:
            self._log.commit()
        except Exception:
            self._handle_last()

    def close(self) -> None:
        """Commits the records written so far, and closes the file.

        `logging.shutdown` calls it at the end of the process. A later record opens the file again, is committed, and
        closes it.

        Examples:
            >>> handler.close()
        """
        try:
            self._log.close()
        except Exception:
            self._handle_last()
        super().close()

    def _handle_last(self) -> None:
        """Handles an error that no single record caused, on behalf of the last one."""
        if self._last is None:
            raise
        self.handleError(self._last)


def _level_number(level: int | str | None) -> int | None:
    if not isinstance(level, str):
        return level
    number = logging.getLevelNamesMapping().get(level)
    if number is None:
        raise ValueError(f"there is no level {level!r}")
    return number


_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
"""Attributes that every log record has; all others come from the program."""


class JSONFormatter(logging.Formatter):
    """Formats a log record as one JSON object.

    The object has the keys `time` (ISO 8601, UTC), `level`, `logger` and `message`; `exception` and `stack` if there
    are any; and the values that the program passed as `extra`, unless their names are taken. Values that JSON does not
    support become text: `str` of objects and keys, "NaN" and "Infinity", hexadecimal digits for integers with thousands
    of digits. A value that contains itself, or is nested too deeply for JSON, becomes "...".
    """

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record.

        Args:
            record: The log record.

        Returns:
            One line of JSON.

        Examples:
            >>> line = JSONFormatter().format(logging.makeLogRecord({"msg": "ready"}))
            >>> line.partition('"message": ')[2]
            '"ready"}'
        """
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        # A record from another process carries only the text of an exception.
        if exception := self.formatException(record.exc_info) if record.exc_info else record.exc_text:
            entry["exception"] = exception
        if record.stack_info:
            entry["stack"] = self.formatStack(record.stack_info)
        own = {name: value for name, value in vars(record).items() if name not in {*_STANDARD, *entry}}
        return as_json({**entry, **own})
