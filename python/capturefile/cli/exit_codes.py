"""The exit codes of the command, and the errors that lead to them."""

from __future__ import annotations

import signal

import capturefile

DONE = 0
FAILED = 1
WRONG_USAGE = 2
UNUSABLE = 2
"""The file could not be read, for `verify` and `grep`, whose exit code 1 is a result."""
LOSSY = 3
"""Done, but parts of the source are missing in the result."""
INTERRUPTED = 128 + signal.SIGINT
BROKEN_PIPE = 128 + 13
"""The exit code of SIGPIPE, which Windows does not have."""

EXPECTED_ERRORS = (capturefile.CaptureFileError, OSError, IndexError, ValueError, MemoryError)
"""Errors that a file, a disk or an argument can cause; others are bugs of this program."""


class Terminated(BaseException):
    """A signal requests the end of the process; temporary files have to be removed first."""

    def __init__(self, number: int) -> None:
        """Stores the number of the signal."""
        super().__init__(number)
        self.number = number


class WrongUsage(Exception):  # noqa: N818 - named after the exit code
    """Arguments that are valid individually, but not together or not for these files."""
