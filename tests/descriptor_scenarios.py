"""Scenarios with few descriptors or without standard streams; see `subprocess_scenarios.py`."""

from __future__ import annotations

import errno
import os
import resource
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import capturefile
import subprocess_scenarios
from capturefile import CaptureFile, rotating
from capturefile.logging import CaptureHandler
from subprocess_scenarios import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

STANDARD = (0, 1, 2)


def _reader(folder: Path) -> AbstractContextManager[Any]:
    return CaptureFile(folder / "full.capture")


def _appender(folder: Path) -> AbstractContextManager[Any]:
    return CaptureFile(folder / "full.capture", True)


def _creator(folder: Path) -> AbstractContextManager[Any]:
    return capturefile.open(folder / "new.capture", "x")


def _replacer(folder: Path) -> AbstractContextManager[Any]:
    return capturefile.open(folder / "full.capture", "w")


def _filler(folder: Path) -> AbstractContextManager[Any]:
    (folder / "empty.capture").touch()
    return capturefile.open(folder / "empty.capture", "a")


def _rotating_writer(folder: Path) -> AbstractContextManager[Any]:
    return rotating.RotatingWriter(folder / "rotated.capture", max_bytes=1)


def _handler(folder: Path) -> AbstractContextManager[Any]:
    return closing(CaptureHandler(folder / "handled.capture"))


OPENERS: dict[str, Callable[[Path], AbstractContextManager[Any]]] = {
    "read": _reader,
    "append": _appender,
    "create": _creator,
    "replace": _replacer,
    "fill": _filler,
    "rotate": _rotating_writer,
    "handle": _handler,
}


def _open_ones() -> Iterator[int]:
    for descriptor in STANDARD:
        with suppress(OSError):
            os.fstat(descriptor)
            yield descriptor


def open_without_standard_streams(folder: str) -> None:
    """Opens files in all ways with descriptors 0 to 2 closed, and reports which ways took one of them."""
    kept = [os.dup(descriptor) for descriptor in STANDARD]
    for descriptor in STANDARD:
        os.close(descriptor)
    taken = []
    for name, opener in OPENERS.items():
        with opener(Path(folder)):
            taken += [f"{name}:{descriptor}" for descriptor in _open_ones()]
    for descriptor, copy in zip(STANDARD, kept, strict=True):
        os.dup2(copy, descriptor)
    say("taken", *taken)


def write_with_free_descriptors(path: str, free: str) -> None:
    """Opens a file for writing with only this many descriptors left, and prints the error."""
    highest = os.dup(1)
    os.close(highest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + int(free), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    try:
        CaptureFile(path, True).close()
    except OSError as error:
        say(errno.errorcode[error.errno or 0])
    else:
        say("opened")


def read_with_few_addresses(path: str, addresses: str) -> None:
    """Reads a file with a limit on the address space, and prints how many records it has."""
    resource.setrlimit(resource.RLIMIT_AS, (int(addresses), int(addresses)))
    with CaptureFile(path, encoding=None) as cf:
        say(len(list(cf)))


if __name__ == "__main__":
    subprocess_scenarios.main(globals(), *sys.argv[1:])
