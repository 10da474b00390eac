"""Every use of a sound file with too many records to read, ended by a signal; see `subprocess_scenarios.py`."""

from __future__ import annotations

import asyncio
import operator
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import arrow_c
import capturefile
import subprocess_scenarios
from capturefile import CaptureFile, aio, checkpoint, cli
from capturefile._capturefile import block_range
from capturefile.cli.exit_codes import INTERRUPTED
from capturefile.rotating import RotatingReader, RotatingWriter
from capturefile.view.app import Viewer
from capturefile.view.sources import ViewedFile
from capturefile.view.worker import TASKS
from starlette.exceptions import HTTPException
from starlette.requests import Request
from subprocess_scenarios import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from capturefile import ArrowRecords

BEFORE_SIGNAL = 0.1
"""Seconds after which a call that is still running is interrupted."""
MEMORY = 4 << 30
"""Bytes of address space that the calls may use."""


class EndedError(Exception):
    """Raised by the signal handler."""


def _end(*_: object) -> NoReturn:
    raise EndedError


def _recover(cf: CaptureFile[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        capturefile.recover(cf.file_name, Path(folder) / "target", keep_numbers=False)


def _exhaust(iterator: object) -> None:
    # In C, where only the iterator checks for signals.
    deque(iterator, maxlen=0)  # type: ignore[call-overload]


def _pull(table: ArrowRecords) -> None:
    table.__arrow_c_schema__()
    stream = arrow_c.stream_of(table)
    while True:
        code, batch = stream.next()
        assert code == 0, stream.error()
        if batch.release is arrow_c.RELEASED:
            return
        batch.dispose()


def _finish(iterator: AsyncIterator[object]) -> None:
    async def run() -> None:
        async for _ in iterator:
            pass

    asyncio.run(run())


async def _follow(path: Path) -> AsyncIterator[object]:
    async with aio.follow(path, start=1, timeout=0) as follower:
        async for each in follower:
            yield each


async def _follow_batches(path: Path) -> AsyncIterator[object]:
    async with aio.follow(path, start=1, timeout=0) as follower:
        assert follower.lag() > 0
        async for each in follower.batches():
            yield each


def _ask_a_follower(cf: CaptureFile[bytes]) -> None:
    follower = cf.follow(1, timeout=0)
    next(follower)
    assert follower.lag() > 0
    operator.length_hint(follower)
    follower.ready()
    follower.close()


def _write(cf: CaptureFile[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copied = shutil.copy(cf.path, folder)
        with capturefile.open(copied, "a", encoding=None) as copy:
            with copy.transaction():
                copy.add_record(b"one more")
            copy.add_records([b"and", b"two"])
            copy.set_metadata(b"metadata")
            copy.rollback()
            copy.metadata = b"metadata"
            copy.commit()
            assert copy[-1] == b"one more"


def _consume(cf: CaptureFile[bytes], batch_size: int, *, exactly: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "target"
        if exactly:
            with checkpoint.consume(cf.path, target, name="copy", batch_size=batch_size) as consumer:
                for batch in consumer:
                    consumer.add_all(batch)
                    consumer.add(b"one more")
        else:
            with checkpoint.consume_at_least_once(cf.path, target, batch_size=batch_size) as at_least_once:
                _exhaust(at_least_once)


@contextmanager
def _log(cf: CaptureFile[bytes]) -> Iterator[RotatingReader[bytes]]:
    """A rotated log with this file and one more."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(cf.path, Path(folder) / f"{1:020}.capture")
        with RotatingWriter(folder, encoding=None) as log:
            log.add_record(b"one more")
            log.commit()
            log.rotate()
        with RotatingReader(folder, encoding=None) as reader:
            yield reader


def _read_log(cf: CaptureFile[bytes], read: Callable[[RotatingReader[bytes]], object]) -> None:
    with _log(cf) as log:
        read(log)


def _ask_a_log(log: RotatingReader[bytes]) -> None:
    count = len(log)
    assert log.record_count() == count
    assert log.files()
    log.get_metadata()
    assert log.record_at(log.first_record) is not None
    assert log.record_at(count) == b"one more"
    log.refresh()


def _backup(cf: CaptureFile[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        capturefile.backup(cf.path, Path(folder) / "copy")


def _ask_viewer(cf: CaptureFile[bytes], *names: str) -> None:
    # It answers in threads, which no signal interrupts: they must finish on their own.
    signal.setitimer(signal.ITIMER_REAL, 0)
    viewer, count = Viewer([ViewedFile(cf.path)]), len(cf)
    for name in names:
        for number in (1, count // 2, count, count + 1):
            query = f"first={number}&count=500".encode()
            path = {"file": "0", "number": str(number)}
            # There may be no metadata, and there is no record after the last one.
            with suppress(HTTPException, IndexError):
                getattr(viewer, name)(Request({"type": "http", "path_params": path, "query_string": query}))


def _do_job(cf: CaptureFile[bytes], kind: str) -> None:
    texts = {"text": "nowhere", "where": "", "time": "", "field": "key"}
    flags = {"pattern": False, "any_case": False, "whole": False}
    span = {"since": None, "until": None, "first": 1, "last": 0}
    _exhaust(TASKS[kind]({"kind": kind, "path": cf.path, "fields": ["key"], **texts, **flags, **span}))


CALLS: dict[str, Callable[[CaptureFile[bytes], int], Any]] = {
    "CaptureFile.__len__ __bool__ record_count info stats metadata get_metadata is_being_written": lambda cf, _: (
        *(len(cf), bool(cf), cf.record_count(), str(cf), repr(cf), cf.info()),
        *(cf.stats(), cf.metadata, cf.get_metadata(), cf.is_being_written()),
    ),
    "CaptureFile._repr_html_": lambda cf, _: cf._repr_html_(),
    "CaptureFile.blocks": lambda cf, _: list(cf.blocks()),
    "CaptureFile.blocks: the first": lambda cf, _: next(cf.blocks()),
    "BlockIterator.__iter__ __next__": lambda cf, _: _exhaust(cf.blocks()),
    "_block_range": lambda cf, count: [block_range(cf, number) for number in (1, count // 2, count)],
    "CaptureFile.record_at record": lambda cf, count: [
        read(number) for read in (cf.record_at, cf.record) for number in (1, count // 2, count)
    ],
    "CaptureFile.__iter__": lambda cf, _: list(cf),
    "CaptureFile.__iter__: in C": lambda cf, _: _exhaust(iter(cf)),
    "RecordIterator.__iter__ __next__ __length_hint__": lambda cf, _: (
        operator.length_hint(iter(cf)),
        sum(map(len, iter(cf))),
    ),
    "CaptureFile.__reversed__": lambda cf, _: _exhaust(reversed(cf)),
    "CaptureFile.__iter__: for a search": lambda cf, _: b"nowhere" in cf,
    "CaptureFile.record_generator": lambda cf, _: _exhaust(cf.record_generator(2)),
    "CaptureFile.records": lambda cf, _: _exhaust(cf.records(2)),
    "CaptureFile.follow Follower.__iter__ __next__": lambda cf, _: _exhaust(cf.follow(1, timeout=0)),
    "Follower.lag ready close __length_hint__": lambda cf, _: _ask_a_follower(cf),
    "CaptureFile.__getitem__": lambda cf, _: cf[:],
    "CaptureFile.__getitem__: in steps": lambda cf, _: cf[::1000],
    "CaptureFile.__getitem__: in wide steps": lambda cf, count: cf[:: count // 100_000],
    "CaptureFile.__getitem__: backwards": lambda cf, _: cf[::-1],
    "CaptureFile.records_at": lambda cf, count: cf.records_at(range(1, count, 1000)),
    "CaptureFile.records_at: one again and again": lambda cf, _: cf.records_at([1] * 5_000_000),
    "CaptureFile.read_range": lambda cf, count: cf.read_range(1, count),
    "CaptureFile.read_range_buffers": lambda cf, count: cf.read_range_buffers(1, count),
    "CaptureFile.find": lambda cf, _: cf.find(b"nowhere"),
    "CaptureFile.find_all": lambda cf, _: _exhaust(cf.find_all("key", "nowhere")),
    "CaptureFile.refresh": lambda cf, _: (cf.refresh(), cf.refresh(durable=True)),
    "CaptureFile.add_record add_records set_metadata metadata commit rollback transaction Transaction.__enter__ "
    "__exit__": lambda cf, _: _write(cf),
    "CaptureFile.as_arrow ArrowRecords.__arrow_c_stream__ __arrow_c_schema__": lambda cf, _: _pull(cf.as_arrow()),
    "ArrowRecords._repr_html_": lambda cf, _: cf.as_arrow()._repr_html_(),
    "CaptureFile.as_sequence RecordSequence.__iter__": lambda cf, _: _exhaust(iter(cf.as_sequence())),
    "RecordSequence.__getitem__ __reversed__": lambda cf, _: _exhaust(reversed(cf.as_sequence()[::3])),
    "RecordSequence.__getitems__": lambda cf, count: cf.as_sequence().__getitems__(range(0, count, 1000)),
    "RecordSequence.__len__ _repr_html_": lambda cf, _: (len(cf.as_sequence()), cf.as_sequence()._repr_html_()),
    "RecordSequence.__contains__": lambda cf, _: b"nowhere" in cf.as_sequence(),
    "RecordSequence.index": lambda cf, _: cf.as_sequence().index(b"nowhere"),
    "RecordSequence.count": lambda cf, _: cf.as_sequence().count(b"nowhere"),
    "RecordSequence.find": lambda cf, _: cf.as_sequence().find(b"nowhere"),
    "RecordSequence.split": lambda cf, _: cf.as_sequence().split(7),
    "RecordSequence.as_arrow": lambda cf, _: _pull(cf.as_sequence()[::3].as_arrow()),
    "concat": lambda cf, _: _exhaust(iter(capturefile.concat([cf.path, cf.path], encoding=None))),
    "verify": lambda cf, _: capturefile.verify(cf.path),
    "verify: quickly": lambda cf, _: capturefile.verify(cf.path, quick=True),
    "recover": lambda cf, _: _recover(cf),
    "backup": lambda cf, _: _backup(cf),
    "index": lambda cf, _: capturefile.index(cf.path, "key"),
    "aio.follow aio.Follower.__aiter__ __anext__": lambda cf, _: _finish(_follow(cf.path)),
    "aio.Follower.batches lag": lambda cf, _: _finish(_follow_batches(cf.path)),
    "checkpoint.consume": lambda cf, _: _consume(cf, 1000, exactly=True),
    "checkpoint.consume: all at once": lambda cf, count: _consume(cf, count, exactly=True),
    "checkpoint.consume_at_least_once": lambda cf, _: _consume(cf, 1000, exactly=False),
    "checkpoint.consume_at_least_once: all at once": lambda cf, count: _consume(cf, count, exactly=False),
    "rotating.RotatingReader.__len__ __bool__ files record_count record_at first_record get_metadata "
    "refresh": lambda cf, _: _read_log(cf, _ask_a_log),
    "rotating.RotatingReader.__iter__": lambda cf, _: _read_log(cf, _exhaust),
    "rotating.RotatingReader._repr_html_": lambda cf, _: _read_log(cf, lambda log: log._repr_html_()),
    "rotating.RotatingReader.__getitem__": lambda cf, _: _read_log(cf, lambda log: log[::1000]),
    "rotating.RotatingReader.find": lambda cf, _: _read_log(cf, lambda log: log.find(b"nowhere")),
    "rotating.RotatingReader.find_all": lambda cf, _: _read_log(cf, lambda log: _exhaust(log.find_all("key", 1))),
    "rotating.RotatingReader.as_sequence": lambda cf, _: _read_log(cf, lambda log: _exhaust(log.as_sequence()[::-3])),
    "rotating.RotatingReader.as_arrow": lambda cf, _: _read_log(cf, lambda log: _pull(log.as_arrow())),
    "rotating.RotatingReader.follow": lambda cf, _: _read_log(cf, lambda log: _exhaust(log.follow(1, timeout=0))),
    "view.files file reopen structure": lambda cf, _: _ask_viewer(cf, "files", "file", "reopen", "structure"),
    "view.page": lambda cf, _: _ask_viewer(cf, "page"),
    "view.record download": lambda cf, _: _ask_viewer(cf, "record", "download"),
    "view.metadata download_metadata": lambda cf, _: _ask_viewer(cf, "metadata", "download_metadata"),
    "view.way": lambda cf, _: _ask_viewer(cf, "way"),
    "view.jobs.search": lambda cf, _: _do_job(cf, "search"),
    "view.jobs.fields": lambda cf, _: _do_job(cf, "fields"),
    "view.jobs.values": lambda cf, _: _do_job(cf, "values"),
    "view.jobs.timeline": lambda cf, _: _do_job(cf, "timeline"),
    "view.jobs.verify": lambda cf, _: _do_job(cf, "verify"),
    "view.jobs.blocks": lambda cf, _: _do_job(cf, "blocks"),
    "view.jobs.sizes": lambda cf, _: _do_job(cf, "sizes"),
}
"""By the names that they test, each with a remark; a name without a class belongs to the class before it."""

COMMANDS: dict[str, Callable[[str, str], list[str]]] = {
    "append": lambda path, target: ["append", path, "/dev/null"],
    "backup": lambda path, target: ["backup", path, target],
    "cat": lambda path, target: ["cat", path],
    "cat --format jsonl": lambda path, target: ["cat", "--format", "jsonl", path],
    "head": lambda path, target: ["head", "-n", "100000000", path],
    "tail": lambda path, target: ["tail", "-n", "100000000", path],
    "sample": lambda path, target: ["sample", "-n", "1000000", path],
    "get": lambda path, target: ["get", path, "1-100000000"],
    "count": lambda path, target: ["count", path],
    "follow": lambda path, target: ["follow", "--from", "begin", path],
    "grep": lambda path, target: ["grep", "nowhere", path],
    "grep --count": lambda path, target: ["grep", "--count", "", path],
    "index": lambda path, target: ["index", "--key", "key", path],
    "info": lambda path, target: ["info", path],
    "info --blocks": lambda path, target: ["info", "--blocks", path],
    "info --blocks --json": lambda path, target: ["info", "--blocks", "--json", path],
    "du": lambda path, target: ["du", path],
    "verify": lambda path, target: ["verify", path],
    "verify --quick": lambda path, target: ["verify", "--quick", path],
    "recover": lambda path, target: ["recover", path, target],
    "copy": lambda path, target: ["copy", path, target],
    "merge": lambda path, target: ["merge", "--key", "t", path, target],
    "import": lambda path, target: ["import", target, "/dev/null"],
    "export": lambda path, target: ["export", path, f"{target}.jsonl"],
    "export .csv": lambda path, target: ["export", path, f"{target}.csv"],
    "metadata": lambda path, target: ["metadata", "get", path],
    "upload": lambda path, target: ["upload", path, target],
    "view": lambda path, target: ["view", "--no-browser", "--port", "0", path],
    "completion": lambda path, target: ["completion", "bash"],
}
"""The arguments of each command, given the paths of the file and of a new one; by the command and the special case."""


def use(path: str, name: str) -> None:
    """Makes one of the calls, and reports how long after the signal it ended."""
    with CaptureFile(path, encoding=None) as cf, _ended(_end) as took:
        count = cf.record_count()
        with suppress(EndedError, MemoryError, capturefile.InvalidCaptureFile):
            CALLS[name](cf, count)
    say(round(took(), 2))


def use_command(path: str, name: str) -> None:
    """Runs one of the commands, which Ctrl-C ends; reports the same, and its exit code."""
    saved = os.dup(1)
    # Importing the command is not part of what is measured.
    cli.parser()
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("r+b") as nothing:
        for standard in (0, 1, 2):
            os.dup2(nothing.fileno(), standard)
        with _ended(lambda *_: signal.raise_signal(signal.SIGINT)) as took:
            code = INTERRUPTED
            # On a busy machine, the signal may come before the command has begun.
            with suppress(KeyboardInterrupt):
                code = cli.main(COMMANDS[name](path, str(Path(folder) / "target")))
    os.dup2(saved, 1)
    say(round(took(), 2))
    say(code)


@contextmanager
def _ended(handler: Callable[..., object]) -> Iterator[Callable[[], float]]:
    """Interrupts the block after a while; gives a function for how long the block took from then on."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, BEFORE_SIGNAL)
    began = time.monotonic()
    ended: list[float] = []
    yield lambda: ended[0] - began - BEFORE_SIGNAL
    ended.append(time.monotonic())
    signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    subprocess_scenarios.main(globals(), *sys.argv[1:])
