"""Capture a growing text file line by line, and continue exactly where an earlier run stopped.

Run it as it is: it makes its own files in a temporary folder.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import capturefile

LINES_A_COMMIT = 100


def capture(source: Path, target: Path) -> int:
    """Adds the lines that are not in `target` yet, and returns their number."""
    added = 0
    with source.open("rb") as lines, capturefile.open(target, "a", encoding=None) as log:
        bookmark = json.loads(log.get_metadata() or b'{"position": 0}')
        lines.seek(bookmark["position"])
        while batch := list(islice(iter(lines.readline, b""), LINES_A_COMMIT)):
            # Either both the records and the bookmark are committed, or neither.
            with log.transaction():
                log.add_records(line.rstrip(b"\n") for line in batch)
                log.set_metadata(json.dumps({"position": lines.tell()}).encode())
            added += len(batch)
    return added


def main() -> None:
    """Captures the source, extends it, and captures the rest."""
    with TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.txt", Path(folder) / "lines.capture"
        source.write_text("".join(f"line {number}\n" for number in range(1, 251)))
        print(capture(source, target), "lines added")
        with source.open("a") as more:
            more.write("line 251\nline 252\n")
        print(capture(source, target), "lines added")
        print(capture(source, target), "lines added")
        with capturefile.open(target) as log:
            print(len(log), "records, the last of them", log[-1])


if __name__ == "__main__":
    main()
