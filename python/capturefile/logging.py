"""A handler for the standard library's logging that writes to a capture file.

import logging
from capturefile.logging import CaptureHandler

logging.getLogger().addHandler(CaptureHandler("service.capture"))
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from capturefile._capturefile import CaptureFile
from capturefile._group_commit import GroupCommit

if TYPE_CHECKING:
    from capturefile._typing import StrPath

__all__ = ["CaptureHandler", "JSONFormatter"]


class CaptureHandler(logging.Handler):
    """Writes each formatted log record as a record of a capture file, and commits them in groups.

    They are committed when there are `commit_every`, when the oldest is `commit_interval` seconds old, at once when
    one has at least the level `commit_level`, when `flush()` is called, and at the end of the process. What is not
    committed is lost if the process is killed, and nobody else sees it.

    All errors, also of commits, go to `handleError`, as with the handlers of the standard library: they are printed
    to standard error while `logging.raiseExceptions` is true, and never reach the code that logs. A forked child
    cannot write the file of its parent: each of its records is such an error, CaptureFileNotOpenForWrite.

    Arguments:
        filename: path of the file, which is created if there is none.
        level: the least level that is written.
        commit_every: how many records are committed together at most.
        commit_interval: seconds after which a record is committed at the latest; None sets no limit.
        commit_level: the level, as a number or a name, from which on a record is committed at once; None for none.
        encoding: of the records. What cannot be encoded is written as an escape sequence.
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
        encoding: str = "utf_8",
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(level)
        self._encoding = encoding
        self._commit_level = _level_number(commit_level)
        self._last: logging.LogRecord | None = None
        cf = CaptureFile(filename, to_write=True, encoding=encoding, **options)
        try:
            self._group = GroupCommit(
                cf, commit_every=commit_every, commit_interval=commit_interval, failed=self._handle_last
            )
        except BaseException:
            cf.close()
            raise

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record."""
        try:
            self._last = record
            text = self.format(record).encode(self._encoding, "backslashreplace")
            self._group.add(text, urgent=self._commit_level is not None and record.levelno >= self._commit_level)
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Commits what has been written."""
        try:
            self._group.commit()
        except Exception:
            self._handle_last()

    def close(self) -> None:
        """Commits what has been written, and closes the file. `logging.shutdown` calls it at the end of the process."""
        try:
            self._group.close()
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
    one; and what the program has given by `extra`, where the name is free. What JSON does not know becomes its `str`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON, in one line."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            entry["stack"] = self.formatStack(record.stack_info)
        own = {name: value for name, value in vars(record).items() if name not in {*_STANDARD, *entry}}
        return json.dumps({**entry, **own}, default=str)
