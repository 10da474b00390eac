"""What many tests start from."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
from CaptureFile import CaptureFile as Reference
from capturefile import CaptureFile
from command import DATA_START, make, noise
from files import write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# Jobs that a shell runs in the background, as in many a CI, ignore Ctrl-C, and would hand that on to what tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same for the end of a terminal, as for what `nohup` starts.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _close_file(unused: object) -> None:
    file = getattr(unused, "_file", None)
    if file:
        file.close()


# An object of the pure-Python package that is found unused closes itself, for which it takes locks. That happens at any
# moment, also while another one, in the same thread, holds them: then both would wait for ever.
Reference.__del__ = _close_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test's file is to be."""
    return tmp_path / "log.capture"


@pytest.fixture
def full(path: Path) -> Path:
    """A file of the records "one" and "two" with metadata."""
    write(path, "one", "two", metadata=b"metadata")
    return path


@pytest.fixture
def writer(path: Path) -> Iterator[Any]:
    """A writing object over a new file, with records as bytes."""
    with CaptureFile(path, True, encoding=None) as cf:
        yield cf
        if not cf.closed:
            cf.rollback()


@pytest.fixture
def numbers(path: Path) -> Path:
    """A file of the records 1 to 20."""
    return make(path, [b"%d" % number for number in range(1, 21)])


@pytest.fixture
def damaged(path: Path) -> Path:
    """A file whose second compressed block has a byte that is wrong."""
    make(path, noise(2000))
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[DATA_START : DATA_START + 4])
    data[DATA_START + 4 + length + 1000] ^= 0xFF
    path.write_bytes(data)
    return path
