"""What the modules that make and find files share: how the files are called, and how they get to the disk."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager

from capturefile._capturefile import _Replacement
from capturefile._capturefile import _sync_path as sync_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from capturefile._typing import StrPath

__all__ = ["SUFFIX", "opener", "replacing", "sync_path"]

SUFFIX = ".capture"
"""What the names of capture files end with."""
_STANDARD_ERROR = 2


def opener(path: str, flags: int) -> int:
    """For `open`: opens a file above the descriptors of the standard streams, where nothing is printed into it."""
    descriptor = os.open(path, flags, 0o666)
    if descriptor > _STANDARD_ERROR:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _STANDARD_ERROR + 1)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(target: StrPath, *, overwrite: bool = True, sync: bool = True) -> Iterator[str]:
    """The name of an empty hidden file beside `target`, which takes its place at the end if nothing fails before.

    A file that is replaced keeps its mode and owner, and whoever writes it keeps it: meanwhile it cannot be opened for
    writing. With `sync` the new file and its name are on the disk at the end. Raises FileExistsError for a file that
    exists where `overwrite` is false, InvalidCaptureFile for what is no regular file, and CaptureFileAlreadyOpen for
    one that is being written.
    """
    new = _Replacement(target, overwrite=overwrite)
    try:
        yield new.temporary
        new.finish(sync=sync)
    except OSError as error:
        if error.filename in (None, new.temporary):
            error.filename, error.filename2 = os.fspath(target), None
        raise
    finally:
        new.discard()
