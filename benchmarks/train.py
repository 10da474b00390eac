"""Runs the usual calls on text, to provide the profile for an optimised build.

`make trained` runs it.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import capturefile
import corpus

COUNT = 60_000
EVERY = 1000


def write(path: Path, records: list[bytes], threads: int) -> None:
    """Adds records one by one and in batches, with large commits and commits of one record."""
    with capturefile.open(path, "w", encoding=None, sync="none", threads=threads) as cf:
        for start in range(0, COUNT, EVERY):
            batch = records[start : start + EVERY]
            if start % (2 * EVERY):
                cf.add_records(batch)
            else:
                for record in batch:
                    cf.add_record(record)
            cf.commit()
        for record in records[: 3 * EVERY]:
            cf.add_record(record)
            cf.commit()


def read(path: Path, encoding: str | None, threads: int) -> None:
    """Reads in order, in ranges, and at random."""
    with capturefile.open(path, encoding=encoding, threads=threads) as cf:
        numbers = random.Random(0).choices(range(1, COUNT), k=COUNT)
        for _ in cf:
            pass
        for number in numbers:
            cf.record_at(number)
        cf.records_at(numbers[: 10 * EVERY])
        cf.read_range(1, COUNT // 2)
        cf.read_range_buffers(1, COUNT // 2)


if __name__ == "__main__":
    lines = corpus.lines(COUNT)
    with tempfile.TemporaryDirectory() as folder:
        for threads in (1, 2):
            log = Path(folder) / f"{threads}.capture"
            write(log, lines, threads)
            for encoding in (None, "utf-8"):
                read(log, encoding, threads)
