"""Capture files: compressed, transactional, append-only record logs.

    import capturefile

    with capturefile.open("log.capture", "a") as cf:
        cf.add_record("first")
        cf.commit()

Records are numbered from 1. `help(capturefile.CaptureFile)` says the rest.
"""

from capturefile._capturefile import (
    CaptureFile,
    Follower,
    RecordIterator,
    Transaction,
    __version__,
    open,
    verify,
)
from capturefile._errors import (
    CaptureFileAlreadyOpen,
    CaptureFileError,
    CaptureFileNotOpen,
    CaptureFileNotOpenForWrite,
    CommitUncertain,
    InvalidCaptureFile,
)
from capturefile._info import Info, Problem, Report

__all__ = [
    "CaptureFile",
    "CaptureFileAlreadyOpen",
    "CaptureFileError",
    "CaptureFileNotOpen",
    "CaptureFileNotOpenForWrite",
    "CommitUncertain",
    "Follower",
    "Info",
    "InvalidCaptureFile",
    "Problem",
    "RecordIterator",
    "Report",
    "Transaction",
    "__version__",
    "open",
    "verify",
]
