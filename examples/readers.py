"""Read a file in several processes while another one writes to it: each sees complete commits, and finally all of them.

Run it as it is: it makes its own file in a temporary folder.
"""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from tempfile import TemporaryDirectory

import capturefile

COMMITS = 50
RECORDS_A_COMMIT = 20


def write(path: Path) -> None:
    """Adds records in transactions of twenty."""
    with capturefile.open(path, "a", sync="none") as log:
        for commit in range(COMMITS):
            with log.transaction():
                log.add_records(f"{commit},{number}" for number in range(RECORDS_A_COMMIT))


def read(path: Path) -> str:
    """Refreshes until all records are there; no refresh ever shows part of a commit."""
    with capturefile.open(path) as log:
        while len(log) < COMMITS * RECORDS_A_COMMIT:
            log.refresh()
            if len(log) % RECORDS_A_COMMIT:
                return "part of a commit"
        last = log[-1]
    return f"{len(log)} records, the last of them {last}"


def main() -> None:
    """Starts the readers, writes at the same time, and prints what they have seen."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "shared.capture"
        capturefile.open(path, "x").close()
        with multiprocessing.get_context("spawn").Pool(3) as pool:
            readers = [pool.apply_async(read, [path]) for _ in range(2)]
            pool.apply_async(write, [path]).get()
            for reader in readers:
                print(reader.get())


if __name__ == "__main__":
    main()
