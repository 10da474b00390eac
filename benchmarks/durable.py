"""Measures durable commits: by threads, by tasks of asyncio, and by a thread that does not wait; compares with py-lmdb.

    python benchmarks/durable.py [FOLDER]

The folder should be on the disk of interest; a file system in memory has no syncs. The stores alternate, and each
figure is the median of three rounds.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import capturefile
import capturefile.aio
import corpus
import lmdb

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 3
THREADS = 16
EACH = 40
"""Number of commits of each thread."""
TASKS = 2000
GROUP = 1000
"""Number of lines in a commit."""
LINES = corpus.lines(100_000)
MAP = 1 << 30

Result = tuple[int, int]
"""The number of records that became durable, and of commits."""


def lmdb_put(environment: lmdb.Environment, records: list[bytes]) -> None:
    """Commits records with the next numbers as keys."""
    with environment.begin(write=True) as transaction:
        first = transaction.stat()["entries"]
        for number, record in enumerate(records, first):
            transaction.put(number.to_bytes(8, "big"), record, append=True)


def in_threads(work: Callable[[], None]) -> None:
    """Runs `work` in all threads."""
    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def ours_in_threads(folder: Path) -> Result:
    """In each thread, repeatedly adds a record and commits."""
    with capturefile.open(folder / "threads.capture", "w") as log:

        def work() -> None:
            for line in LINES[:EACH]:
                log.add_record(line)
                log.commit()

        in_threads(work)
        return THREADS * EACH, log.stats().commits


def one_thread(folder: Path) -> Result:
    """Does the same in only one thread."""
    with capturefile.open(folder / "one.capture", "w") as log:
        for line in LINES[:EACH]:
            log.add_record(line)
            log.commit()
        return EACH, log.stats().commits


def lmdb_in_threads(folder: Path) -> Result:
    """Does the same in py-lmdb, where a transaction excludes the other threads until it is durable."""
    with lmdb.open(str(folder / "threads.mdb"), map_size=MAP) as environment:

        def work() -> None:
            for line in LINES[:EACH]:
                lmdb_put(environment, [line])

        in_threads(work)
    return THREADS * EACH, THREADS * EACH


def ours_in_tasks(folder: Path) -> Result:
    """Runs as many tasks as a busy service has at a time; each waits until its record is durable."""

    async def work() -> int:
        async with capturefile.aio.open(folder / "tasks.capture", "w") as log:
            await asyncio.gather(*map(log.append, LINES[:TASKS]))
            file = log.file
            assert isinstance(file, capturefile.CaptureFile)
            return file.stats().commits

    return TASKS, asyncio.run(work())


def started(folder: Path) -> Result:
    """In one thread, starts a commit after every thousand lines."""
    with capturefile.open(folder / "started.capture", "w") as log:
        for start in range(0, len(LINES), GROUP):
            for line in LINES[start : start + GROUP]:
                log.add_record(line)
            ticket = log.start_commit()
        ticket.result()
        return len(LINES), log.stats().commits


def waited_for(folder: Path) -> Result:
    """Does the same, but waits for each commit."""
    with capturefile.open(folder / "waited.capture", "w") as log:
        for start in range(0, len(LINES), GROUP):
            for line in LINES[start : start + GROUP]:
                log.add_record(line)
            log.commit()
        return len(LINES), log.stats().commits


def lmdb_in_groups(folder: Path) -> Result:
    """Does the same in py-lmdb."""
    with lmdb.open(str(folder / "groups.mdb"), map_size=MAP) as environment:
        for start in range(0, len(LINES), GROUP):
            lmdb_put(environment, LINES[start : start + GROUP])
    return len(LINES), len(LINES) // GROUP


LOADS: dict[str, list[Callable[[Path], Result]]] = {
    "a record and a commit": [ours_in_threads, lmdb_in_threads, one_thread, ours_in_tasks],
    "lines, a commit each 1,000": [started, lmdb_in_groups, waited_for],
}


def main() -> None:
    """Measures everything and prints a table."""
    root = sys.argv[1] if len(sys.argv) > 1 else None
    for load, stores in LOADS.items():
        rates: dict[str, list[float]] = {store.__name__: [] for store in stores}
        counts: dict[str, int] = {}
        for _ in range(ROUNDS):
            for store in stores:
                with tempfile.TemporaryDirectory(dir=root) as folder:
                    began = time.perf_counter()
                    records, counts[store.__name__] = store(Path(folder))
                    rates[store.__name__].append(records / (time.perf_counter() - began))
        medians = {name: statistics.median(figures) for name, figures in rates.items()}
        print(f"{load}: durable records a second, times the first, commits")
        for name, rate in medians.items():
            ratio = medians[stores[0].__name__] / rate
            print(f"  {name:<20}{rate:12,.0f}{ratio:9.2f}{counts[name]:8}")


if __name__ == "__main__":
    main()
