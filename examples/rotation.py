"""Write a log in files of limited size, read it as one, follow it over its rotations, and delete what is old.

Run it as it is: it makes its own files in a temporary folder.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import capturefile
from capturefile.rotating import RecordsDeleted, RotatingReader, RotatingWriter


def write(folder: Path) -> None:
    """Writes a hundred thousand orders."""
    with RotatingWriter(folder, max_bytes=128 * 1024, sync="none") as log:
        for number in range(1, 100_001):
            log.add_record(f"order {number}")
            if number % 1000 == 0:
                log.commit()


async def print_orders(log: RotatingReader[str]) -> None:
    """Prints each order as soon as it is committed, and stops after 0.2 seconds without one."""
    async for order in capturefile.aio.follow(log, start=100_000, timeout=0.2):
        print(order)


def main() -> None:
    """Runs all parts of the example."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "orders"
        write(folder)

        with RotatingReader(folder) as log:
            print(log.record_count(), "records in", len(log.files()), "files")
            print(log.record_at(26_000), "and", log.record_at(26_001))
            records = log.as_sequence()
        print(len(records), "records, from", records[0], "to", records[-1])

        with RotatingReader(folder) as log:
            for order in log.follow(start=99_999, timeout=0.2):
                print(order)
            asyncio.run(print_orders(log))

        with RotatingReader(folder) as log:
            for file in log.files()[:-3]:
                file.path.unlink(missing_ok=True)

        with RotatingReader(folder) as log:
            try:
                log.record_at(1)
            except RecordsDeleted as gap:
                print("continued with", log.record_at(gap.first_record), "of", len(log.files()), "files")


if __name__ == "__main__":
    main()
