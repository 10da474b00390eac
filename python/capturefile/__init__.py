"""Capture files: compressed, transactional, append-only record logs.

    import capturefile

    with capturefile.open("log.capture", "a") as cf:
        cf.add_record("first")
        cf.commit()

Records are numbered from 1. See `help(capturefile.CaptureFile)` for more.
"""

from capturefile._capturefile import (
    ArrowRecords,
    BlockIterator,
    CaptureFile,
    CommitTicket,
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
    CaptureFileAlreadyOpenError,
    CaptureFileError,
    CaptureFileNotOpen,
    CaptureFileNotOpenError,
    CaptureFileNotOpenForWrite,
    CaptureFileNotOpenForWriteError,
    CaptureFileReplaced,
    CaptureFileReplacedError,
    CommitUncertain,
    CommitUncertainError,
    InvalidCaptureFile,
    InvalidCaptureFileError,
    UncommittedWarning,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from capturefile import aio, checkpoint, codecs, dask, logging, otel, rotating, sequence, structlog
    from capturefile._backup import backup
    from capturefile._disk_cache import DiskCache
    from capturefile._index.update import index
    from capturefile._info import BlockInfo, Damage, Info, LostRange, RecordRange, Recovery, Report, Stats
    from capturefile._upload import upload
    from capturefile.sequence import RecordSequence, concat

__all__ = [
    "ArrowRecords",
    "BlockInfo",
    "BlockIterator",
    "CaptureFile",
    "CaptureFileAlreadyOpen",
    "CaptureFileAlreadyOpenError",
    "CaptureFileError",
    "CaptureFileNotOpen",
    "CaptureFileNotOpenError",
    "CaptureFileNotOpenForWrite",
    "CaptureFileNotOpenForWriteError",
    "CaptureFileReplaced",
    "CaptureFileReplacedError",
    "CommitTicket",
    "CommitUncertain",
    "CommitUncertainError",
    "Damage",
    "DiskCache",
    "Follower",
    "Info",
    "InvalidCaptureFile",
    "InvalidCaptureFileError",
    "LostRange",
    "RecordIterator",
    "RecordRange",
    "RecordSequence",
    "Recovery",
    "Report",
    "Stats",
    "Transaction",
    "UncommittedWarning",
    "__version__",
    "aio",
    "backup",
    "checkpoint",
    "codecs",
    "concat",
    "dask",
    "index",
    "logging",
    "open",
    "otel",
    "recover",
    "rotating",
    "sequence",
    "structlog",
    "upload",
    "verify",
]

if not TYPE_CHECKING:
    _MODULES = ("aio", "checkpoint", "codecs", "dask", "logging", "otel", "rotating", "sequence", "structlog")
    _HOMES = {
        "_backup": ("backup",),
        "_disk_cache": ("DiskCache",),
        "_index.update": ("index",),
        "_upload": ("upload",),
        "_info": ("BlockInfo", "Info", "LostRange", "Damage", "RecordRange", "Recovery", "Report", "Stats"),
        "sequence": ("RecordSequence", "concat"),
    }

    def __getattr__(name: str) -> object:
        """Imports names that many programs do not need on first use, because these imports take longest."""
        from importlib import import_module

        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{home}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted(__all__)
