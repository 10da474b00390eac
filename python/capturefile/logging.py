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
    """Writes each formatted log record as a record of a capture file, and commits them in groups.

        handler = CaptureHandler("service.capture", level="INFO")
        handler.setFormatter(JSONFormatter())
        logging.getLogger("service").addHandler(handler)

    They are committed when there are `commit_every`, when the oldest is `commit_interval` seconds old, at once when
    one has at least the level `commit_level`, when `flush()` is called, and at the end of the process. What is not
    committed is lost if the process is killed, and nobody else sees it. Handlers of one process may write the same
    file; the settings of the one that opened it last apply.

    All errors while logging, also of commits, go to `handleError`, as with the handlers of the standard library: they
    are printed to standard error while `logging.raiseExceptions` is true, and never reach the code that logs. A forked
    child cannot write the file of its parent: each of its records is such an error, CaptureFileNotOpenForWrite, unless
    the path has `{pid}`.

    Arguments:
        filename: path of the file, which is created if there is none. `{pid}` in it is the number of the process, so
            that each process has a file of its own.
        level: the least level that is written.
        commit_every: how many records are committed together at most.
        commit_interval: seconds after which a record is committed at the latest; None sets no limit.
        commit_level: the level, as a number or a name, from which on a record is committed at once; None for none.
        delay: open the file only for the first record. What opening raises goes to `handleError` then.
        max_bytes, max_age: write a log in several files, for `RotatingReader`, with these limits of `RotatingWriter`;
            `filename` is its folder then.
        encoding: of the records.
        errors: what becomes of text that cannot be encoded, as for `open`; by default it is written as escape
            sequences.
        options: as for `CaptureFile`, such as `sync` or `compression_level`.

    Raises what `CaptureFile` raises, and ValueError for a setting that cannot be.
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
        encoding: str = "utf_8",
        errors: str = "backslashreplace",
        **options: Any,  # noqa: ANN401
    ) -> None:
        self._commit_level = _level_number(commit_level)
        self._last: logging.LogRecord | None = None
        rule, limits = CommitRule(commit_every, commit_interval), Limits(max_bytes, max_age)
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
            # This has `logging` close the handler at the end of the process, so the handler has to be whole.
            super().__init__(level)
        except BaseException:
            self._log.close()
            raise

    @property
    def file_name(self) -> str:
        """The path of the file, or of the folder, in this process."""
        return self._log.file_name

    def __repr__(self) -> str:
        """Where it writes, and from which level on."""
        return f"<{type(self).__name__} {self.file_name} ({logging.getLevelName(self.level)})>"

    def __reduce__(self) -> Never:
        """Raises TypeError: a file has one writer."""
        self._log.__reduce__()

    def handle(self, record: logging.LogRecord) -> bool:
        """Writes a record, if no filter is against it, without a lock of the handler.

        A commit by age is done in a thread of its own and may call what logs, such as a meter of OpenTelemetry: it
        would wait for a lock whose holder waits for the commit.
        """
        passed = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record."""
        try:
            self._last = record
            urgent = self._commit_level is not None and record.levelno >= self._commit_level
            self._log.add(self.format(record), urgent=urgent)
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Commits what has been written."""
        try:
            self._log.commit()
        except Exception:
            self._handle_last()

    def close(self) -> None:
        """Commits what has been written, and closes the file. `logging.shutdown` calls it at the end of the process.

        A record that still comes opens the file again, is committed, and closes it.
        """
        try:
            self._log.close()
        except Exception:
            self._handle_last()
        super().close()

    def _handle_last(self) -> None:
        """Handles an error that no single record caused, in the name of the last one."""
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
"""Attributes that every log record has; others are the program's own."""


class JSONFormatter(logging.Formatter):
    """Formats a log record as one JSON object.

    It has the keys `time` (ISO 8601, UTC), `level`, `logger` and `message`; `exception` and `stack` where there is
    one; and what the program has given by `extra`, where the name is free. What JSON does not know becomes text: `str`
    of an object, and of a key; "NaN" and "Infinity"; in base 16 an integer with thousands of digits. Where something
    contains itself, and where it is nested too deep for JSON, it has "..." instead.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON, in one line."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        # Only the text of an exception comes from another process.
        if exception := self.formatException(record.exc_info) if record.exc_info else record.exc_text:
            entry["exception"] = exception
        if record.stack_info:
            entry["stack"] = self.formatStack(record.stack_info)
        own = {name: value for name, value in vars(record).items() if name not in {*_STANDARD, *entry}}
        return as_json({**entry, **own})
