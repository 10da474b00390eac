"""Capture files: compressed, transactional, append-only record logs.

    import capturefile

    with capturefile.open("log.capture", "a") as cf:
        cf.add_record("first")
        cf.commit()

Records are numbered from 1. `help(capturefile.CaptureFile)` says the rest.
"""

from capturefile._capturefile import (
    BlockIterator,
    CaptureFile,
    Follower,
    RecordIterator,
    Transaction,
    __version__,
    open,
    recover,
    verify,
)
from capturefile._errors import (
    CaptureFileAlreadyOpen,
    CaptureFileError,
    CaptureFileNotOpen,
    CaptureFileNotOpenForWrite,
    CaptureFileReplaced,
    CommitUncertain,
    InvalidCaptureFile,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from capturefile._info import Block, Info, LostRange, Problem, RecordRange, Recovery, Report

__all__ = [
    "Block",
    "BlockIterator",
    "CaptureFile",
    "CaptureFileAlreadyOpen",
    "CaptureFileError",
    "CaptureFileNotOpen",
    "CaptureFileNotOpenForWrite",
    "CaptureFileReplaced",
    "CommitUncertain",
    "Follower",
    "Info",
    "InvalidCaptureFile",
    "LostRange",
    "Problem",
    "RecordIterator",
    "RecordRange",
    "Recovery",
    "Report",
    "Transaction",
    "__version__",
    "open",
    "recover",
    "verify",
]

if not TYPE_CHECKING:
    _DESCRIPTIONS = ("Block", "Info", "LostRange", "Problem", "RecordRange", "Recovery", "Report")

    def __getattr__(name: str) -> type:
        """Loads what describes a file when it is first asked for.

        These are dataclasses, and the module that makes those takes longer to load than all the rest.
        """
        if name not in _DESCRIPTIONS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from capturefile import _info

        return getattr(_info, name)

    def __dir__() -> list[str]:
        return [*globals(), *_DESCRIPTIONS]
