"""Objects that an exception has interrupted at any moment can still be used, and each record is there once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import pathlib
import random
import signal
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from capturefile import CaptureFile, CaptureFileAlreadyOpen, aio, checkpoint, cli
from capturefile._files import replacing
from capturefile.aio import writer as appending
from capturefile.logging import CaptureHandler
from capturefile.rotating import RotatingReader, RotatingWriter
from capturefile.structlog import LoggerFactory
from files import RefusedError, write
from interruptions import InterruptError, Interruption, TickError, at_each_boundary, each_interruption, until_done
from processes import wait_until
from rotating_logs import check, numbered, write_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COUNT = 10
# The result of `open` is lost if the exception comes before it is assigned; it is closed when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, if the system has one."""
    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def source(memory: Path) -> Path:
    """A file of ten records."""
    write(memory / "source.capture", *numbered(1, COUNT))
    return memory / "source.capture"


CONSUMERS = ("checkpoint/__init__.py", "checkpoint/consumers.py", "checkpoint/source.py", "_cursor.py", "_files.py")
ROTATION = ("rotating/writer.py", "rotating/manifest.py", "_alone.py", "_files.py")
READING = ("rotating/reader.py", "rotating/follower.py", "rotating/log.py", "rotating/manifest.py", "_at_hand.py")
HANDLERS = ("_group_commit.py", "_log_file.py", "logging.py", "structlog.py")


# Consumers


def test_an_exactly_once_consumer(source: Path, memory: Path) -> None:
    def consume(interruption: Interruption, folder: Path) -> None:
        path = folder / "results.capture"
        consumers: list[checkpoint.ExactlyOnceConsumer[str]] = []

        def action() -> None:
            if not consumers:
                consumers.append(checkpoint.consume(source, path, name="c", batch_size=3, sync="none"))
            for batch in consumers[0]:
                consumers[0].add_all(batch)
                if len(batch) == 1:
                    consumers[0].commit()

        for _ in each_interruption(interruption, action):
            if consumers:
                assert consumers[0].position == committed_position(path)
        until_done(interruption, consumers[0].close)
        assert consumers[0].position == COUNT
        with CaptureFile(path, True) as results:
            assert list(results) == numbered(1, COUNT)

    assert at_each_boundary(consume, memory, *CONSUMERS) > 100


def committed_position(path: Path) -> int:
    """The position of a consumer, according to the metadata of its results."""
    with CaptureFile(path) as results:
        metadata = json.loads(results.get_metadata() or b"{}")
        records: int = metadata[checkpoint.KEY]["c"]["records"] if metadata else 0
        assert results.record_count() == records
        return records


def test_an_at_least_once_consumer(source: Path, memory: Path) -> None:
    def consume(interruption: Interruption, folder: Path) -> None:
        path = folder / "cursor"
        consumers: list[checkpoint.AtLeastOnceConsumer[str]] = []
        delivered: list[str] = []

        def action() -> None:
            if not consumers:
                consumers.append(checkpoint.consume_at_least_once(source, path, batch_size=3))
            for batch in consumers[0]:
                assert consumers[0].position <= len(delivered) <= consumers[0].position + 3
                del delivered[consumers[0].position :]
                delivered.extend(batch)

        for _ in each_interruption(interruption, action):
            if consumers:
                kept = json.loads(path.read_bytes())["records"] if path.exists() else 0
                assert consumers[0].position == kept
        until_done(interruption, consumers[0].close)
        assert consumers[0].position == COUNT
        assert delivered == numbered(1, COUNT)
        assert list(folder.iterdir()) == [path]

    assert at_each_boundary(consume, memory, *CONSUMERS) > 100


# Rotation


@pytest.mark.parametrize("explicit", [False, True])
def test_a_rotating_writer(memory: Path, explicit: bool) -> None:
    last = 3

    def write_log(interruption: Interruption, folder: Path) -> None:
        logs: list[RotatingWriter] = []

        def action() -> None:
            if not logs:
                logs.append(RotatingWriter(folder / "log", max_bytes=None if explicit else 1, sync="none"))
            while (count := logs[0].record_count()) < last:
                with logs[0].transaction():
                    logs[0].add_record(f"record {count + 1}")
                    logs[0].set_metadata(b"%d" % (count + 1))
                if explicit:
                    logs[0].rotate()

        for _ in each_interruption(interruption, action):
            if logs:
                assert logs[0].record_count() == int(logs[0].get_metadata() or b"0")
        until_done(interruption, logs[0].close)
        check(folder / "log", last)
        with RotatingReader(folder / "log") as log:
            firsts = [file.first_record for file in log.files()]
        assert set(range(1, last + 1)) - set(firsts) <= (set(range(2, last + 1)) if explicit else set())
        assert len(list((folder / "log").glob("0*"))) in (len(firsts), len(firsts) + explicit)

    assert at_each_boundary(write_log, memory, *ROTATION) > 200


@pytest.mark.parametrize("refused", [False, True])
def test_a_transaction_of_a_rotated_log(memory: Path, refused: bool) -> None:
    """Nothing uncommitted is left once an exception has reached its handler."""

    def write(interruption: Interruption, folder: Path) -> None:
        with RotatingWriter(folder / "log", sync="none") as log:
            try:
                with interruption, log.transaction():
                    log.add_record("record")
                    if refused:
                        raise RefusedError
            except (TickError, InterruptError, RefusedError):
                with RotatingReader(folder / "log") as reader:
                    assert log.record_count() == reader.record_count() <= (not refused)
            else:
                assert log.record_count() == 1

    assert at_each_boundary(write, memory, *ROTATION, contextlib.__file__) > 20


def test_replacing_a_file_by_another(memory: Path) -> None:
    """No name and no lock is left once an exception has reached its handler."""

    def write(interruption: Interruption, folder: Path) -> None:
        target = folder / "target"
        CaptureFile(target, True).close()
        try:
            with interruption, replacing(target, sync=False) as new:
                Path(new).write_bytes(b"new")
        except (TickError, InterruptError):
            assert list(folder.iterdir()) == [target]
            if target.read_bytes() != b"new":
                CaptureFile(target, True).close()
        else:
            assert target.read_bytes() == b"new"

    assert at_each_boundary(write, memory, "_files.py", contextlib.__file__, pathlib.__file__) > 5


def test_a_reader_and_a_follower_of_a_rotated_log(memory: Path) -> None:
    write_files(memory / "log", 2, 3, 2)

    def read(interruption: Interruption, _: Path) -> None:
        made: list[Any] = []
        followed: list[str] = []

        def action() -> None:
            if not made:
                made.append(RotatingReader(memory / "log"))
            if len(made) == 1:
                made.append(made[0].follow(1, timeout=0))
            followed.extend(made[1])
            assert made[1].lag() == 0
            assert [made[0].record_at(number) for number in (7, 1, 3)] == ["record 7", "record 1", "record 3"]
            assert list(made[0].as_sequence(2)) == numbered(2, 7)
            assert made[0].refresh() is False

        until_done(interruption, action)
        until_done(interruption, made[0].close)
        assert followed == numbered(1, 7)

    assert at_each_boundary(read, memory, *READING) > 200


def test_a_follower_of_a_log_that_grows(memory: Path) -> None:
    def follow(interruption: Interruption, folder: Path) -> None:
        write_files(folder / "log", 1)
        with RotatingReader(folder / "log") as reader:
            follower = reader.follow(1, timeout=0)
            followed: list[str] = []
            for last in (1, 3):
                until_done(interruption, lambda: followed.extend(follower))
                assert followed == numbered(1, last)
                if last == 1:
                    write_files(folder / "log", 2)
            until_done(interruption, lambda: reader.refresh() and None)
            assert (reader.record_count(), reader.get_metadata()) == (3, b"3")

    assert at_each_boundary(follow, memory, *READING) > 200


# Following in asyncio


@pytest.mark.parametrize("in_batches", [False, True])
def test_a_follower_in_asyncio(memory: Path, in_batches: bool) -> None:
    def follow(interruption: Interruption, folder: Path) -> None:
        path = folder / "log.capture"
        write(path, *numbered(1, 4))
        follower = aio.follow(path, 1, timeout=10, batch_size=3)
        followed: list[str] = []

        def grow() -> None:
            with CaptureFile(path, True, sync="none") as cf:
                cf.add_records(["record 5"] if len(cf) == 4 else [])
                cf.commit()

        async def consume() -> None:
            while len(followed) < 5:
                if len(followed) == 4:
                    # During the wait.
                    asyncio.get_running_loop().call_later(0.001, grow)
                if in_batches:
                    async for batch in follower.batches():
                        followed.extend(batch)
                        break
                else:
                    followed.append(await anext(follower))
            await follower.aclose()

        for _ in each_interruption(interruption, lambda: asyncio.run(consume())):
            if len(followed) < 4:
                assert followed == numbered(1, len(followed))
        assert followed == numbered(1, 5)

    assert at_each_boundary(follow, memory, "aio/follower.py", "_at_hand.py") > 50


# Appending in asyncio


def is_free(path: Path) -> bool:
    """Whether nobody is writing the file; creates it if it does not exist."""
    try:
        CaptureFile(path, True, sync="none").close()
    except CaptureFileAlreadyOpen:
        return False
    return True


def test_a_writer_in_asyncio(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appending, "_TELL_AGAIN", 0.01)

    def append(interruption: Interruption, folder: Path) -> None:
        path = folder / "log.capture"
        tried: list[str] = []
        acknowledged: dict[int, str] = {}

        async def append_one(log: aio.Writer) -> None:
            record = f"record {len(tried) + 1}"
            tried.append(record)
            acknowledged[await log.append(record)] = record

        async def append_all() -> None:
            async with asyncio.timeout(10), aio.open(path, sync="none", max_queued=1) as log:
                await append_one(log)
                await asyncio.gather(append_one(log), append_one(log))

        until_done(interruption, lambda: is_free(path) and asyncio.run(append_all()))
        while not acknowledged:
            # The interrupted writer is closed by its thread, or released together with the exception.
            gc.collect()
            until_done(interruption, lambda: is_free(path) and asyncio.run(append_all()))
        with CaptureFile(path) as cf:
            found = list(cf)
        assert all(found[number - 1] == record for number, record in acknowledged.items())
        assert len(set(found)) == len(found)
        assert set(found) <= set(tried)

    assert at_each_boundary(append, memory, "aio/writer.py") > 50


# Group commits


@pytest.mark.parametrize("interval", [None, 1000.0])
def test_a_handler(memory: Path, interval: float | None) -> None:
    class RaisingHandler(CaptureHandler):
        def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
            raise

    def log(interruption: Interruption, folder: Path) -> None:
        path = folder / "log.capture"
        handlers: list[CaptureHandler] = []
        tried: list[str] = []
        written: list[str] = []

        def action() -> None:
            if not handlers:
                handlers.append(RaisingHandler(path, sync="none", commit_every=3, commit_interval=interval))
            while len(tried) < 8:
                tried.append(f"record {len(tried) + 1}")
                level = logging.ERROR if len(tried) == 5 else logging.INFO
                handlers[0].emit(logging.LogRecord("name", level, "file", 1, tried[-1], None, None))
                written.append(tried[-1])
            handlers[0].flush()
            with CaptureFile(path) as cf:
                assert set(cf) >= set(written)

        until_done(interruption, action)
        until_done(interruption, handlers[0].close)
        with CaptureFile(path, True) as cf:
            found = list(cf)
        assert [record for record in tried if record in set(found)] == found
        assert set(found) >= set(written)
        assert len(written) >= 7
        wait_until(lambda: not any(isinstance(thread, threading.Timer) for thread in threading.enumerate()))

    assert at_each_boundary(log, memory, *HANDLERS) > 50
    logging.shutdown()


def test_a_logger_of_structlog(memory: Path) -> None:
    def log(interruption: Interruption, folder: Path) -> None:
        path = folder / "log.capture"
        factories: list[LoggerFactory] = []
        tried: list[str] = []
        written: list[str] = []

        def action() -> None:
            if not factories:
                factories.append(LoggerFactory(path, sync="none", commit_every=3, commit_interval=None))
            while len(tried) < 8:
                tried.append(f"record {len(tried) + 1}")
                factories[0]().info(tried[-1])
                written.append(tried[-1])

        until_done(interruption, action)
        until_done(interruption, factories[0].close)
        with CaptureFile(path, True) as cf:
            found = list(cf)
        assert [record for record in tried if record in set(found)] == found
        assert set(found) >= set(written)

    assert at_each_boundary(log, memory, *HANDLERS) > 50


# Commands


def run(interruption: Interruption, output: Path, *arguments: str | Path) -> bool:
    """Runs a command as a process would, appending its output to a file; returns whether it completed."""
    streams = [os.dup(number) for number in (1, 2)]
    handlers = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGHUP)]
    with output.open("ab") as file, Path(os.devnull).open("ab") as nowhere:
        os.dup2(file.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    try:
        with interruption:
            return cli.main([str(argument) for argument in arguments]) == 0
    except (TickError, InterruptError):
        return False
    finally:
        for number, stream in enumerate(streams, 1):
            os.dup2(stream, number)
            os.close(stream)
        for number, handler in handlers:
            signal.signal(number, handler)


# Streams that are still open are closed when the process exits.
of_a_process = pytest.mark.filterwarnings("ignore::ResourceWarning")


@of_a_process
def test_following_with_a_cursor_file(source: Path, memory: Path) -> None:
    def follow(interruption: Interruption, folder: Path) -> None:
        cursor, output = folder / "cursor", folder / "output"
        options = ("follow", "--from", "begin", "--cursor-file", cursor, "--exit-at-end", source)
        done = False
        while not done:
            done = run(interruption, output, *options)
            assert done or interruption.raised
            written = output.read_text().splitlines()
            kept = json.loads(cursor.read_bytes())["records"] if cursor.exists() else 0
            assert set(written) >= set(numbered(1, kept))
        assert kept == COUNT
        assert list(dict.fromkeys(written)) == numbered(1, COUNT)
        assert {path.name for path in folder.iterdir()} == {"cursor", "output"}

    assert at_each_boundary(follow, memory, "cli/commands/follow.py", "cli/streams.py", "_cursor.py", "_files.py") > 50


@of_a_process
def test_appending(memory: Path) -> None:
    lines = memory / "lines"
    lines.write_text("".join(f"{line}\n" for line in numbered(1, 8)))

    def append(interruption: Interruption, folder: Path) -> None:
        path = folder / "log.capture"
        done = run(interruption, folder / "output", "append", "--commit-every", "3", path, lines)
        found: list[str] = []
        if path.exists():
            with CaptureFile(path, True) as cf:
                found = list(cf)
        assert found == numbered(1, len(found))
        assert len(found) in ((8,) if done else (0, 3, 6, 8))

    assert at_each_boundary(append, memory, "cli/commands/append.py", "cli/streams.py") > 50


@of_a_process
@pytest.mark.parametrize(("name", "target"), [("copy", "target.capture"), ("export", "target.jsonl")])
def test_making_a_file_from_another(source: Path, memory: Path, name: str, target: str) -> None:
    def make(interruption: Interruption, folder: Path) -> None:
        path, output = folder / target, folder / "output"
        if not run(interruption, output, name, "--overwrite", source, path):
            assert interruption.raised
            assert not path.exists() or is_whole(path)
            assert run(interruption, output, name, "--overwrite", source, path)
        assert is_whole(path)
        assert set(folder.iterdir()) == {path, output}

    def is_whole(path: Path) -> bool:
        if path.suffix == ".jsonl":
            return len(path.read_text().splitlines()) == COUNT
        with CaptureFile(path, True) as cf:
            return list(cf) == numbered(1, COUNT)

    files = (f"cli/commands/{name}.py", "cli/streams.py", "_files.py")
    assert at_each_boundary(make, memory, *files) > 50


# Signals


def test_timers_that_raise(source: Path, memory: Path) -> None:
    """At moments that the driver does not cover."""

    def tick(*_: object) -> None:
        raise TickError

    def interrupted(action: Callable[[], object]) -> None:
        """Repeats `action` until it completes before the timer expires."""
        pause = 0.0001
        while True:
            try:
                signal.setitimer(signal.ITIMER_REAL, pause)
                action()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except TickError:
                pause *= random.uniform(1, 1.3)
            else:
                return

    def consume() -> None:
        for batch in consumer:
            consumer.add_all(batch)

    def write_log() -> None:
        while (count := log.record_count()) < COUNT:
            with log.transaction():
                log.add_record(f"record {count + 1}")
                log.set_metadata(b"%d" % (count + 1))

    before = signal.signal(signal.SIGALRM, tick)
    try:
        for turn in range(20):
            path = memory / f"results {turn}.capture"
            consumer = checkpoint.consume(source, path, name="c", batch_size=3, sync="none")
            log = RotatingWriter(memory / f"log {turn}", max_bytes=1, sync="none")
            interrupted(consume)
            interrupted(write_log)
            consumer.close()
            log.close()
            with CaptureFile(path) as results:
                assert list(results) == numbered(1, COUNT)
            check(memory / f"log {turn}", COUNT)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
