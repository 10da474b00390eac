"""What many tests start from."""

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out what would run over both formats, and is about one."""
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
    """Runs a test once for each format: what it, or a module next to it, creates in this process is in that format."""
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
