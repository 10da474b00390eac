"""Every use of a sound file of too many records to read, until a signal ends it; see `subprocess_scenarios.py`."""

from __future__ import annotations

import resource
import signal
import sys
import tempfile
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import capturefile
import subprocess_scenarios
from capturefile import CaptureFile
from subprocess_scenarios import say

if TYPE_CHECKING:
    from collections.abc import Callable

BEFORE_SIGNAL = 0.1
"""Seconds after which a call that is still at work is told to end."""
MEMORY = 4 << 30
"""Bytes of addresses that the calls may take."""


class EndedError(Exception):
    """What the signal raises."""


def _end(*_: object) -> NoReturn:
    raise EndedError


def _recover(cf: CaptureFile[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        capturefile.recover(cf.file_name, Path(folder) / "target", keep_numbers=False)


def _exhaust(iterator: object) -> None:
    # In C, where nobody but the iterator looks for signals.
    deque(iterator, maxlen=0)  # type: ignore[call-overload]


CALLS: dict[str, Callable[[CaptureFile[bytes], int], Any]] = {
    "len": lambda cf, _: (len(cf), cf.record_count(), str(cf), cf.info(), cf.stats(), cf.get_metadata()),
    "first-block": lambda cf, _: next(cf.blocks()),
    "blocks": lambda cf, _: list(cf.blocks()),
    "block-of": lambda cf, count: [cf._block_of(number) for number in (1, count // 2, count)],
    "record": lambda cf, count: [cf.record_at(number) for number in (1, count // 2, count)],
    "list": lambda cf, _: list(cf),
    "exhaust": lambda cf, _: _exhaust(iter(cf)),
    "reversed": lambda cf, _: _exhaust(reversed(cf)),
    "generator": lambda cf, _: _exhaust(cf.record_generator(2)),
    "follow": lambda cf, _: _exhaust(cf.follow(1, timeout=0)),
    "slice": lambda cf, _: cf[:],
    "slice-in-steps": lambda cf, _: cf[::1000],
    "slice-in-wide-steps": lambda cf, count: cf[:: count // 100_000],
    "slice-backwards": lambda cf, _: cf[::-1],
    "records-at": lambda cf, count: cf.records_at(range(1, count, 1000)),
    "one-record-again-and-again": lambda cf, _: cf.records_at([1] * 5_000_000),
    "range": lambda cf, count: cf.read_range(1, count),
    "buffers": lambda cf, count: cf.read_range_buffers(1, count),
    "refresh": lambda cf, _: (cf.refresh(), cf.refresh(durable=True)),
    "sequence": lambda cf, _: _exhaust(cf.as_sequence()[::-3]),
    "split": lambda cf, _: cf.as_sequence().split(7),
    "verify": lambda cf, _: capturefile.verify(cf.file_name),
    "verify-quickly": lambda cf, _: capturefile.verify(cf.file_name, quick=True),
    "recover": lambda cf, _: _recover(cf),
}


def use(path: str, name: str) -> None:
    """Does one of the calls, and says whether it came to its end, and how long after the signal if not."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _end)
    with CaptureFile(path, encoding=None) as cf:
        count = cf.record_count()
        signal.setitimer(signal.ITIMER_REAL, BEFORE_SIGNAL)
        began = time.monotonic()
        with suppress(EndedError, MemoryError, capturefile.InvalidCaptureFile):
            CALLS[name](cf, count)
        took = time.monotonic() - began - BEFORE_SIGNAL
        signal.setitimer(signal.ITIMER_REAL, 0)
    say(round(took, 2))


if __name__ == "__main__":
    subprocess_scenarios.main(globals(), *sys.argv[1:])
