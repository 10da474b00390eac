"""Helpers to create and check rotated logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capturefile.rotating import RotatingReader, RotatingWriter

if TYPE_CHECKING:
    from pathlib import Path


def write_files(folder: Path, *sizes: int) -> None:
    """Creates a log or continues one, adding files with these numbers of records, which state their numbers."""
    with RotatingWriter(folder, sync="none") as log:
        for size in sizes:
            log.rotate()
            first = log.record_count() + 1
            log.add_records(f"record {number}" for number in range(first, first + size))
            log.set_metadata(str(log.record_count()).encode())
            log.commit()


def numbered(first: int, last: int) -> list[str]:
    """The records from one number to another."""
    return [f"record {number}" for number in range(first, last + 1)]


def check(folder: Path, count: int) -> None:
    """Checks that a log has this many records, each once, and the metadata of the last one."""
    with RotatingReader(folder) as log:
        assert list(log.as_sequence()) == numbered(1, count)
        assert list(log.follow(1, timeout=0)) == numbered(1, count)
        assert log.record_count() == count
        assert int(log.get_metadata() or b"0") == count
