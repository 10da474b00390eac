"""The command `du`: prints the disk space of files and the size of their records."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

import capturefile
from capturefile.cli.arguments import add_bare
from capturefile.cli.exit_codes import DONE
from capturefile.cli.facts import record_bytes
from capturefile.cli.progress import progress
from capturefile.cli.sources import NAMED, Rotated, each_of, is_url, shown_url
from capturefile.cli.streams import write_json, write_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands
    from capturefile.cli.sources import Source

EXAMPLE = """\
capturefile du log.capture
capturefile du --files orders/"""
ROW = "{:>10}  {:>12}  {:>6}  {:>14}  {}"
DISK_UNIT = 512
"""The unit in bytes in which the system counts space on any disk."""
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class Usage:
    """The disk space and the records of one or several files."""

    def __init__(self, name: str, disk: int = 0, records: int = 0, record_bytes: int | None = 0) -> None:
        """Sets the numbers; `record_bytes` is None if no record can be read."""
        self.name = name
        self.disk = disk
        self.records = records
        self.record_bytes = record_bytes

    def add(self, other: Usage) -> None:
        """Adds the numbers of another object."""
        self.disk += other.disk
        self.records += other.records
        if self.record_bytes is not None:
            self.record_bytes = None if other.record_bytes is None else self.record_bytes + other.record_bytes

    def fields(self) -> dict[str, object]:
        """Returns the fields for JSON."""
        return {
            "file": self.name,
            "disk_bytes": self.disk,
            "record_count": self.records,
            "record_bytes": self.record_bytes,
        }

    def row(self) -> str:
        """Returns a line of the table."""
        ratio = f"{self.record_bytes / self.disk:.2f}" if self.record_bytes and self.disk else ""
        size = in_units(self.record_bytes) if self.record_bytes is not None else "unknown"
        return ROW.format(in_units(self.disk), size, ratio, f"{self.records:,}", self.name)


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    du = add_bare(commands, "du", summary, EXAMPLE)
    du.add_argument("files", metavar="FILE", nargs="+", help=NAMED)
    du.add_argument("--files", dest="each", action="store_true", help="also list the files of rotated logs")
    du.add_argument("--json", action="store_true", help="print a JSON list, with sizes in bytes")
    du.set_defaults(run=_du)


def _du(options: argparse.Namespace, output: BinaryIO) -> int:
    rows: list[Usage] = []
    total = Usage("total")
    with progress("du", "files", beside_output=True) as shown:
        for source in each_of(options.files):
            whole = Usage(source.name)
            for usage in shown.over(_usages(source)):
                whole.add(usage)
                if options.each and usage.name != source.name:
                    rows.append(usage)
            rows.append(whole)
            total.add(whole)
    if options.json:
        write_json(output, [usage.fields() for usage in rows])
        return DONE
    write_line(output, ROW.format("on disk", "uncompressed", "ratio", "records", "file"))
    for usage in [*rows, total] if len(options.files) > 1 else rows:
        write_line(output, usage.row())
    return DONE


def _usages(source: Source) -> Iterator[Usage]:
    """Yields the usage of each file of a source; files that are deleted meanwhile are left out."""
    if not isinstance(source, Rotated):
        (path,) = source.paths()
        yield _usage(path, source.name)
        return
    from capturefile._folders import folder_at
    from capturefile.rotating.manifest import NAME

    manifest = folder_at(source.reader.file_name).file(NAME)
    yield Usage(shown_url(manifest), _on_disk(manifest))
    for path in source.paths():
        with suppress(FileNotFoundError):
            yield _usage(path, shown_url(path))


def _usage(path: str, name: str) -> Usage:
    with capturefile.open(path, encoding=None) as cf:
        return Usage(name, _on_disk(path), cf.record_count(), record_bytes(cf)[0])


def _on_disk(path: str) -> int:
    if not is_url(path):
        return os.stat(path).st_blocks * DISK_UNIT
    from capturefile._folders import size_of

    size = size_of(path)
    if size is None:
        raise FileNotFoundError(errno.ENOENT, "there is no such object in the store", shown_url(path))
    return size


def in_units(size: int) -> str:
    """Formats a number of bytes in a suitable unit."""
    value, unit = float(size), 0
    while value >= 1000 and unit + 1 < len(UNITS):
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {UNITS[unit]}" if unit == 0 or value >= 100 else f"{value:.1f} {UNITS[unit]}"
