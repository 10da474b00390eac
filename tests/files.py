"""Files that many tests make and read, in few words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import capturefile
from capturefile import CaptureFile

if TYPE_CHECKING:
    from pathlib import Path

MEBIBYTE = 1024 * 1024


class RefusedError(Exception):
    """What the tests raise in the middle of things."""


def write(path: Path, *records: str | bytes, metadata: bytes | None = None) -> None:
    """Makes a file, or appends to it."""
    with CaptureFile(path, True, initial_metadata=metadata) as cf:
        cf.add_records(records)
        cf.commit()


def committed(path: Path) -> list[bytes]:
    """All records that others see, which a check of the whole file finds sound."""
    assert capturefile.verify(path).problems == ()
    with CaptureFile(path, encoding=None) as cf:
        return list(cf)
