"""Distribute the records of several files to worker processes, and fetch random batches.

Run it as it is: it makes its own files in a temporary folder.
"""

from __future__ import annotations

import random
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import capturefile

if TYPE_CHECKING:
    from capturefile import RecordSequence


def make_files(folder: Path) -> list[Path]:
    """Creates three files of 10,000 records each."""
    paths = [folder / f"{name}.capture" for name in ("first", "second", "third")]
    for path in paths:
        with capturefile.open(path, "w", sync="none") as cf:
            cf.add_records(f"{path.stem} {'word ' * (number % 20)}" for number in range(10_000))
            cf.commit()
    return paths


def count_words(records: RecordSequence[str]) -> int:
    """Counts the words of a share, in a worker, which opens the files itself."""
    return sum(len(record.split()) for record in records)


def count_in_parallel(paths: list[Path]) -> int:
    """Returns the number of words in all files."""
    records = capturefile.concat(paths)
    with ProcessPoolExecutor(2) as workers:
        return sum(workers.map(count_words, records.split(8)))


def sample(records: RecordSequence[str]) -> list[str]:
    """Returns a random batch of records; each block is inflated only once."""
    indices = random.sample(range(len(records)), 100)
    return records.__getitems__(indices)


def main() -> None:
    """Counts the words, and shows views of parts of the records."""
    with TemporaryDirectory() as folder:
        paths = make_files(Path(folder))
        print(f"{count_in_parallel(paths):,} words")

        with capturefile.open(paths[0]) as cf:
            records = cf.as_sequence()
        every_tenth = records[::10]
        last_hundred = records[-100:]
        print(len(records), len(every_tenth), len(last_hundred))
        print(every_tenth[1] == records[10], last_hundred[0] == records[9_900])
        print(len(sample(records)), "records at random")


if __name__ == "__main__":
    main()
