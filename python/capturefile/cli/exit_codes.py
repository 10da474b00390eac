"""The exit codes of the command, and the errors that lead to them."""

from __future__ import annotations

import signal

import capturefile

DONE = 0
FAILED = 1
WRONG_USAGE = 2
UNUSABLE = 2
"""For `verify` and `grep`, for which 1 is a result: the file could not be read."""
LOSSY = 3
"""Done, but something of the source is not in the result."""
INTERRUPTED = 128 + signal.SIGINT
BROKEN_PIPE = 128 + 13
"""As by SIGPIPE, which Windows does not have."""

EXPECTED_ERRORS = (capturefile.CaptureFileError, OSError, IndexError, ValueError, MemoryError)
"""What a file, a disk or an argument can cause; anything else is a mistake in this program."""


class Terminated(BaseException):
    """The system or somebody asks the process to end; the work is to be cleared away first."""

    def __init__(self, number: int) -> None:
        """`number` is that of the signal."""
        super().__init__(number)
        self.number = number


class WrongUsage(Exception):  # noqa: N818 - the name is that of the exit code
    """Arguments that are well formed, but cannot be meant together or with these files."""
