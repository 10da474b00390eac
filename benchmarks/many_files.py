"""Measures one reader of thousands of files: time, memory and open files. It creates a rotated log for this.

    python benchmarks/many_files.py FOLDER [FILES [RECORDS_IN_EACH]]

The folder is kept, and reused by the next run.
"""

from __future__ import annotations

import os
import random
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from capturefile.rotating import RotatingReader, RotatingWriter

if TYPE_CHECKING:
    from collections.abc import Callable

FETCHES = 20_000
LIMIT = 1024
"""Maximum number of open files of the process; this is the usual default."""
_ResultT = TypeVar("_ResultT")


def write(folder: Path, files: int, records: int) -> int:
    """Writes the log; returns its number of records."""
    with RotatingWriter(folder, sync="none") as log:
        for number in range(files):
            log.add_records(f"{number} record number {each} of some length, like a line" for each in range(records))
            log.rotate()
        return log.record_count()


def measured(what: str, work: Callable[[], _ResultT], count: int) -> _ResultT:
    """Prints the costs of `work` as a row of a table."""
    begun = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - begun
    memory = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    opened = len(list(Path("/proc/self/fd").iterdir()))
    print(f"| {what} | {seconds:.3g} | {seconds / count * 1e6:.3g} | {memory:.0f} | {opened} |", flush=True)
    return result


def main(folder: Path, files: int = 5000, records: int = 2000) -> None:
    """Measures everything and prints a table."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
    print(f"| {files:,} files of {records:,} records | seconds | us each | memory (MB) | open files |")
    print("|---|--:|--:|--:|--:|")
    if not folder.exists():
        measured("write them, a rotation each", lambda: write(folder, files, records), files)
    # Writing a new log to the disk is not part of the cost of reading.
    os.sync()
    log = measured("open the log", lambda: RotatingReader(folder), 1)
    measured("list the files", log.files, files)
    sequence = measured("make a sequence, which opens each file", log.as_sequence, files)
    count = len(sequence)
    measured("iterate over all records", lambda: sum(1 for _ in sequence), count)
    measured("follow from the first to the last", lambda: sum(1 for _ in log.follow(1, timeout=0)), count)
    places = [random.randrange(count) for _ in range(FETCHES)]
    measured("fetch records at random", lambda: [sequence[place] for place in places], FETCHES)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
