"""Fixtures that many tests use."""

from __future__ import annotations

import functools
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from CaptureFile import CaptureFile as Reference
from capturefile import CaptureFile
from command import DATA_START, make, noise
from files import write

if TYPE_CHECKING:
    from collections.abc import Iterator


# Background jobs of a shell, as in many CI systems, ignore Ctrl-C, which the processes that tests start would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same for SIGHUP, which processes started by `nohup` ignore.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _close_file(unused: object) -> None:
    file = getattr(unused, "_file", None)
    if file:
        file.close()


# An object of the pure-Python package closes itself when it is garbage-collected, and takes locks to do so. That can
# happen at any moment, even while another object holds those locks in the same thread: a deadlock.
Reference.__del__ = _close_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a file that a test creates."""
    return tmp_path / "log.capture"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Removes the runs with format 3 of tests that are marked as tests of format 2 only."""
    params = {item: getattr(item, "callspec", None) for item in items}
    items[:] = [
        item
        for item in items
        if not (
            item.get_closest_marker("only_format_2") and (at := params[item]) and at.params.get("both_formats") == 3
        )
    ]


@pytest.fixture(params=[2, 3], ids=["format_2", "format_3"])
def both_formats(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Runs a test once for each format; files that this process creates by default are in that format."""
    version: int = request.param
    if version == 3:
        plain, here = CaptureFile, Path(__file__).parent
        making = functools.partial(plain, format=3)
        monkeypatch.setattr(capturefile, "CaptureFile", making)
        monkeypatch.setattr(capturefile, "open", functools.partial(capturefile.open, format=3))
        for module in list(sys.modules.values()):
            where = getattr(module, "__file__", None)
            if where and Path(where).parent == here and vars(module).get("CaptureFile") is plain:
                monkeypatch.setattr(module, "CaptureFile", making)
    return version


@pytest.fixture
def full(path: Path) -> Path:
    """A file of the records "one" and "two" with metadata."""
    write(path, "one", "two", metadata=b"metadata")
    return path


@pytest.fixture
def writer(path: Path) -> Iterator[Any]:
    """A new file, open for writing, with records as bytes."""
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
    """A file with a wrong byte in its second compressed block."""
    make(path, noise(2000))
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[DATA_START : DATA_START + 4])
    data[DATA_START + 4 + length + 1000] ^= 0xFF
    path.write_bytes(data)
    return path
