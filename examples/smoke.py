"""Checks whether an installed package works on this machine: writing, commits, reading, locks, verifying, following."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import capturefile

RECORDS = 20_000


def write(path: Path) -> None:
    """Adds records in two transactions, and checks that a second writer is refused, in this process and in another."""
    with capturefile.open(path, "x") as log:
        with log.transaction():
            log.add_records(f"record {number}" for number in range(1, RECORDS))
            log.set_metadata(b"nearly all")
        for mode in ("a", "w"):
            try:
                capturefile.open(path, mode)
            except capturefile.CaptureFileAlreadyOpen:
                continue
            raise AssertionError("two writers in one process")
        other = [sys.executable, "-c", f"import capturefile; capturefile.open({str(path)!r}, 'a')"]
        refused = subprocess.run(other, capture_output=True, encoding="utf-8", check=False)
        assert "CaptureFileAlreadyOpen" in refused.stderr, refused
        log.add_record(f"record {RECORDS}")
        log.commit()


def read(path: Path) -> None:
    """Reads everything, in several ways."""
    with capturefile.open(path) as log:
        expected = [f"record {number}" for number in range(1, RECORDS + 1)]
        assert list(log) == expected
        assert log[-1] == log.record_at(RECORDS) == expected[-1]
        assert log.records_at([RECORDS, 1]) == [expected[-1], expected[0]]
        assert log.get_metadata() == b"nearly all"
        assert list(log.follow(RECORDS, timeout=0.1)) == expected[-1:]
    assert capturefile.verify(path).problems == ()


def main() -> None:
    """Prints that the package works, or raises."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "smoke.capture"
        write(path)
        read(path)
    print(f"capturefile {capturefile.__version__} works on {platform.platform()}, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
