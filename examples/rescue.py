"""Find the damage in a file, and recover the rest into a sound file.

Run it as it is: it makes its own files in a temporary folder, and damages one of them.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import capturefile


def damage(path: Path) -> None:
    """Overwrites a few bytes in the middle of the second block."""
    with capturefile.open(path) as log:
        blocks = list(log.blocks())
    with path.open("r+b") as file:
        file.seek((blocks[1].position or 0) + (blocks[1].compressed_size or 0) // 2)
        file.write(b"a few wrong bytes")


def main() -> None:
    """Damages a file, verifies it, and recovers what is left."""
    with TemporaryDirectory() as folder:
        path, rescued = Path(folder) / "damaged.capture", Path(folder) / "rescued.capture"
        with capturefile.open(path, "x") as log:
            log.add_records(f"record {number}" for number in range(1, 10_001))
            log.commit()
        print("sound:", not capturefile.verify(path).problems)

        damage(path)
        report = capturefile.verify(path)
        print("sound:", not report.problems)
        for lost in report.unreadable:
            print(f"unreadable: {lost.first} to {lost.last}")

        recovery = capturefile.recover(path, rescued, keep_numbers=True)
        print("recovered:", recovery.recovered)
        with capturefile.open(rescued) as log:
            print("record 10,000:", log[10_000])


if __name__ == "__main__":
    main()
