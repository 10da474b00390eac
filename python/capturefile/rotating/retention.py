"""Deleting old files of a rotated log."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capturefile._files import sync_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from capturefile.rotating.manifest import Entry


@dataclass(frozen=True)
class Retention:
    """How much of a log is kept: while any limit is exceeded, the oldest file is deleted."""

    keep_files: int | None
    keep_bytes: int | None
    keep_age: float | None
    """Seconds since the end of a file."""

    def __post_init__(self) -> None:
        """Checks the limits.

        Raises:
            ValueError: A limit is not above 0.
        """
        for name, limit in vars(self).items():
            if limit is not None and not limit > 0:
                raise ValueError(f"{name} cannot be {limit}: it must be more than 0")

    def delete_old(self, folder: Path, entries: Sequence[Entry]) -> None:
        """Deletes the oldest files of a log as long as a limit is exceeded; the last file always stays.

        Each deletion is on the disk before the next one, so that files are never missing between others.

        Raises:
            OSError: A file cannot be deleted; those before it are.
        """
        if self == Retention(None, None, None):
            return
        paths = [folder / entry.name for entry in entries]
        there = [index for index, path in enumerate(paths) if path.exists()]
        sizes = {index: paths[index].stat().st_size for index in there}
        size = sum(sizes.values())
        for done, index in enumerate(there):
            if index + 1 == len(entries):
                return
            is_too_old = self.keep_age is not None and time.time() - entries[index + 1].started > self.keep_age
            is_one_too_many = self.keep_files is not None and len(there) - done > self.keep_files
            is_too_large = self.keep_bytes is not None and size > self.keep_bytes
            if not (is_too_old or is_one_too_many or is_too_large):
                return
            try:
                paths[index].unlink(missing_ok=True)
            except PermissionError:
                if sys.platform == "win32":
                    return  # On Windows, a reader prevents the deletion; it will be retried.
                raise
            sync_path(folder)
            size -= sizes[index]
