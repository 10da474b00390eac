"""Helpers to create and read files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import capturefile
from capturefile import CaptureFile

if TYPE_CHECKING:
    from pathlib import Path

MEBIBYTE = 1024 * 1024
DAMAGE = {2: "zlib", 3: "a frame with a wrong checksum"}
"""What the error message says about a file that `damage` has damaged, by the file's format."""


class RefusedError(Exception):
    """An error that tests raise in the middle of an operation."""


def write(path: Path, *records: str | bytes, metadata: bytes | None = None) -> None:
    """Creates a file, or appends to it."""
    with CaptureFile(path, True, initial_metadata=metadata) as cf:
        cf.add_records(records)
        cf.commit()


def damage(path: Path) -> None:
    """Overwrites the end of the last compressed block of records."""
    with CaptureFile(path) as cf:
        blocks = [(block.position, block.compressed_size) for block in cf.blocks() if block.records]
    position, size = next((at, size) for at, size in reversed(blocks) if at is not None and size is not None)
    content = bytearray(path.read_bytes())
    part = min(size // 2, 64)
    content[position + size - part : position + size] = bytes(part)
    path.write_bytes(content)


def damage_some_blocks(path: Path) -> int:
    """Changes a byte in the middle of every fifth block of a file in format 2; returns how many are damaged."""
    with CaptureFile(path) as cf:
        blocks = [(block.position, block.compressed_size) for block in cf.blocks()]
        from_slot = cf.info().file_limit // 4096 * 4096
    middles = [at + size // 2 for at, size in blocks[3::5] if at is not None and size is not None]
    damaged = [middle for middle in middles if middle < from_slot]
    content = bytearray(path.read_bytes())
    for middle in damaged:
        content[middle] ^= 0xFF
    path.write_bytes(content)
    return len(damaged)


def committed(path: Path) -> list[bytes]:
    """All committed records; the file must pass verification."""
    assert capturefile.verify(path).problems == ()
    with CaptureFile(path, encoding=None) as cf:
        return list(cf)
