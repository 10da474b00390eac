"""Naming, replacing and syncing files, for the modules that create them."""

from __future__ import annotations

import os

from capturefile._capturefile import _Replacement
from capturefile._capturefile import _sync_path as sync_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from capturefile._typing import StrPath

__all__ = ["SUFFIX", "is_hidden", "opener", "replacing", "sync_path"]

SUFFIX = ".capture"
"""The extension of capture files."""
_STANDARD_ERROR = 2


def is_hidden(path: str) -> bool:
    """Returns whether a file's name excludes it from the folder's data: a manifest, or a part that is being written."""
    return os.path.basename(path).startswith((".", "_"))  # noqa: PTH119  (a Path takes longer to import)


def opener(path: str, flags: int) -> int:
    """Opens a file for `open`, avoiding the descriptors of the standard streams so that nothing is printed into it."""
    descriptor = os.open(path, flags, 0o666)
    low: list[int] = []
    try:
        while descriptor <= _STANDARD_ERROR:
            low.append(descriptor)
            descriptor = os.dup(descriptor)
        return descriptor
    finally:
        for each in low:
            os.close(each)


def replacing(target: StrPath, *, overwrite: bool = True, sync: bool = True) -> _Replacement:
    """Returns a context manager that creates an empty hidden file next to `target`; its value is the path of that file.

    The hidden file replaces `target` at the end of the block unless that raises. The mode and owner of a replaced file
    are kept, and it cannot be opened for writing meanwhile. With `sync`, the new file and its name are on the disk at
    the end. Entering the block raises the following exceptions.

    Raises:
        FileExistsError: The target exists, and `overwrite` is false.
        InvalidCaptureFile: The target is not a regular file.
        CaptureFileAlreadyOpen: The target is being written.
    """
    return _Replacement(target, overwrite=overwrite, sync=sync)
