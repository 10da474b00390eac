"""Checks in a minute that the library is still faster than other stores where it was: measures ratios against floors.

    python benchmarks/floors.py

A ratio says how many times as fast the library is. The floors are well below the measured ratios, so that only a
regression falls below them; use `compare.py` to measure. Exits with 1 if a ratio is below its floor.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import compare
import corpus

APPEND, SYNCED, SCAN, GET = (
    "append (records/s)",
    "append, synced (records/s)",
    "scan (records/s)",
    "random get, warm (us)",
)
SIZE = "size (% of the bytes)"
OURS, FAST = "capturefile", "capturefile, level 1"


class Floor(NamedTuple):
    """The minimum ratio for a load and a figure, between this library and another store."""

    load: str
    figure: str
    ours: str
    other: str
    ratio: float


FLOORS = [
    Floor("lines", APPEND, OURS, "CaptureFile", 3),
    Floor("lines", APPEND, OURS, "sqlite3", 1.3),
    Floor("lines", APPEND, OURS, "Bagz", 1.8),
    Floor("lines", APPEND, FAST, "ArrayRecord", 1.5),
    Floor("lines", SYNCED, OURS, "sqlite3", 1.5),
    Floor("lines", SCAN, OURS, "CaptureFile", 5),
    Floor("lines", SCAN, OURS, "ArrayRecord", 3),
    Floor("lines", SCAN, OURS, "py-lmdb", 0.8),
    Floor("lines", GET, OURS, "py-lmdb", 1.1),
    Floor("lines", GET, OURS, "sqlite3", 5),
    Floor("lines", SIZE, OURS, "CaptureFile", 0.99),
    Floor("1 KB records", APPEND, OURS, "CaptureFile", 2.5),
    Floor("1 KB records", APPEND, FAST, "ArrayRecord", 1.6),
    Floor("1 KB records", SCAN, OURS, "ArrayRecord", 1),
]


def ratio(floor: Floor, figures: compare.Figures) -> float | None:
    """Returns how many times as good this library is, or None if the other store is not installed."""
    by_store = figures[floor.figure]
    if floor.other not in by_store:
        return None
    quotient = by_store[floor.ours] / by_store[floor.other]
    return 1 / quotient if floor.figure in {GET, SIZE} else quotient


def main() -> None:
    """Measures the ratios and compares them with their floors."""
    loads = [
        compare.Load("lines", corpus.lines(60_000), 1000),
        compare.Load("1 KB records", corpus.pieces(8000), 1000),
    ]
    lost = 0
    with tempfile.TemporaryDirectory() as folder:
        figures = {load.name: compare.rounds(load, 2, Path(folder)) for load in loads}
    for floor in FLOORS:
        value = ratio(floor, figures[floor.load])
        if value is None:
            print(f"{floor.other} is not installed")
            continue
        verdict = "" if value >= floor.ratio else "LOST"
        lost += value < floor.ratio
        what = f"{floor.load}: {floor.figure.partition(' (')[0]}, {floor.ours} against {floor.other}"
        print(f"{what:<70}{value:8.2f}   at least {floor.ratio:<6}{verdict}")
    if lost:
        raise SystemExit(f"{lost} of {len(FLOORS)} ratios are lost")


if __name__ == "__main__":
    main()
