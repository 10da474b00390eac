"""Appending in asyncio: shared commits, acknowledgements, and tasks that fail or are cancelled."""

from __future__ import annotations

import asyncio
import errno
import functools
import gc
import os
import pickle
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from capturefile import CaptureFile, CaptureFileNotOpen, CaptureFileNotOpenForWrite, CommitUncertain, aio
from capturefile.aio import writer
from capturefile.rotating import RotatingReader, RotatingWriter
from files import RefusedError, committed, write
from forking import fork
from processes import PATIENCE, wait_until
from test_failures import disk, fill

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

__all__ = ["disk"]


@pytest.fixture(autouse=True)
def in_both_formats(both_formats: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs each test with files of each format."""
    monkeypatch.setattr(writer, "open_file", functools.partial(capturefile.open, format=both_formats))


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine, which must complete in time."""
    asyncio.run(asyncio.wait_for(work, PATIENCE))


class Held:
    """A capture file whose commits each wait for a permit, or fail."""

    def __init__(self, path: Path) -> None:
        """Opens the file."""
        self.cf = CaptureFile(path, True, sync="none")
        self.begun = 0
        self.allowed = 0
        self.error: BaseException | None = None

    def __getattr__(self, name: str) -> object:
        """Everything else is the capture file's."""
        return getattr(self.cf, name)

    def commit(self) -> None:
        """Commits once there is a permit."""
        self.begun += 1
        number = self.begun
        wait_until(lambda: self.allowed >= number)
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        self.cf.commit()


def commits(log: aio.Writer) -> int:
    """The number of commits."""
    file: Any = log.file
    number: int = file.stats().commits
    return number


async def until(condition: Any) -> None:  # noqa: ANN401
    """Waits in the event loop until a condition holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


# Shared commits


def test_an_append_returns_its_number_once_others_see_it(path: Path) -> None:
    async def work() -> None:
        async with aio.open(path) as log:
            assert await log.append("one") == 1
            assert committed(path) == [b"one"]
            assert await log.append_many(["two", b"three"]) == 3
            assert await log.append_many([]) == 3
            assert committed(path) == [b"one", b"two", b"three"]
            assert log.file_name == str(path)
            assert commits(log) == 2
        assert log.closed
        assert repr(log) == f"<Writer of {str(path)!r}, closed>"

    run(work())


def test_two_thousand_tasks_share_a_few_commits(path: Path) -> None:
    async def work() -> None:
        async with aio.open(path) as log:
            numbers = await asyncio.gather(*(log.append(str(number)) for number in range(2000)))
            assert numbers == list(range(1, 2001))
            assert commits(log) <= 3
            # In rounds, like those of clients that wait for their answers.
            for _ in range(3):
                await asyncio.gather(*(log.append("again") for _ in range(16)))
            assert commits(log) <= 3 + 2 * 3
        assert [record.decode() for record in committed(path)[:2000]] == [str(number) for number in range(2000)]

    run(work())


def test_records_appended_during_a_commit_are_in_the_next_one(path: Path) -> None:
    async def work() -> None:
        held: Any = Held(path)
        async with aio.open(held) as log:
            first = asyncio.create_task(log.append("first"))
            await until(lambda: held.begun == 1)
            more = [asyncio.create_task(log.append(str(number))) for number in range(50)]
            await asyncio.sleep(0.01)
            assert not first.done()
            held.allowed = 1
            assert await first == 1
            await until(lambda: held.begun == 2)
            assert not any(task.done() for task in more)
            held.allowed = 10
            assert await asyncio.gather(*more) == list(range(2, 52))
            assert held.begun == 2
        held.cf.close()

    run(work())


def test_the_queue_is_bounded_in_records_and_bytes_and_keeps_its_order(path: Path) -> None:
    async def work(bound: dict[str, int], expected: int) -> None:
        held: Any = Held(path)
        before = held.record_count()
        async with aio.open(held, **bound) as log:
            tasks = [asyncio.create_task(log.append("0123456789")) for _ in range(40)]
            tasks.append(asyncio.create_task(log.append("x" * 1000)))
            await until(lambda: held.begun == 1)
            await asyncio.sleep(0.01)
            assert held.record_count() - before + len(log._queue) == expected
            held.allowed = 1000
            assert await asyncio.gather(*tasks) == list(range(before + 1, before + 42))
        held.cf.close()

    run(work({"max_queued": 5}, 5))
    run(work({"max_queued_bytes": 79}, 7))
    run(work({}, 41))


# Closing and opening


def test_a_writer_is_opened_with_await_with_or_its_first_append(path: Path) -> None:
    async def work() -> None:
        log = await aio.open(path, "x", encoding="latin-1", sync="none")
        await log.append("\xe9")
        await log.aclose()
        await log.aclose()
        log = aio.open(path)
        assert log.file is None
        assert await log.append("two") == 2
        with pytest.raises(capturefile.CaptureFileAlreadyOpen):
            await aio.open(path)
        await log.aclose()
        for call in (log.append("three"), log.append_many(["three"])):
            with pytest.raises(CaptureFileNotOpen, match="closed"):
                await call
        with pytest.raises(FileExistsError):
            await aio.open(path, "x")
        await aio.open(path).aclose()

    run(work())
    assert committed(path) == [b"\xe9", b"two"]


def test_a_wrong_use_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match=r"mode cannot be 'r'.*follow"):
        aio.open(path, "r")  # type: ignore[call-overload]
    for name in ("max_queued", "max_queued_bytes"):
        with pytest.raises(ValueError, match=f"{name} cannot be 0"):
            aio.open(path, **{name: 0})  # type: ignore[call-overload]
    with pytest.raises(RuntimeError, match="a running event loop of asyncio"):
        aio.open(path).append("one").send(None)
    with pytest.raises(TypeError, match="one writer"):
        pickle.dumps(aio.open(path))

    async def work(log: aio.Writer) -> None:
        await log.append("one")
        for records in ("one", b"one"):
            with pytest.raises(TypeError, match="use append for one"):
                await log.append_many(records)

    log = aio.open(path)
    run(work(log))
    with pytest.raises(RuntimeError, match="another event loop"):
        run(work(log))


def test_closing_commits_appended_records(path: Path) -> None:
    async def work() -> None:
        log = await aio.open(path)
        tasks = [asyncio.create_task(log.append(str(number))) for number in range(100)]
        await asyncio.sleep(0)
        await log.aclose()
        assert await asyncio.gather(*tasks) == list(range(1, 101))
        assert len(committed(path)) == 100

    run(work())


def test_closing_fails_tasks_that_wait_for_room(path: Path) -> None:
    async def work() -> None:
        held: Any = Held(path)
        log = await aio.open(held, max_queued=1)
        tasks = [asyncio.create_task(log.append(str(number))) for number in range(10)]
        await until(lambda: held.begun == 1)
        closing = asyncio.create_task(log.aclose())
        await asyncio.sleep(0)
        held.allowed = 100
        await closing
        results = await asyncio.gather(*tasks, return_exceptions=True)
        refused = [result for result in results if isinstance(result, CaptureFileNotOpen)]
        assert (results[0], len(refused)) == (1, 9)
        held.cf.close()

    run(work())
    assert len(committed(path)) == 1


def test_a_dropped_writer_leaves_the_file_to_others(path: Path) -> None:
    async def work() -> None:
        log = await aio.open(path)
        await log.append("one")

    run(work())
    gc.collect()
    write(path, "two")
    assert committed(path) == [b"one", b"two"]


def test_a_rotated_log_is_appended_to(tmp_path: Path) -> None:
    async def work() -> None:
        with RotatingWriter(tmp_path / "log", max_bytes=100_000) as rotating:
            async with aio.open(rotating) as log:
                for _ in range(4):
                    await asyncio.gather(*(log.append(random.randbytes(20_000)) for _ in range(4)))
            assert not rotating.closed
            assert rotating.record_count() == 16

    run(work())
    with RotatingReader(tmp_path / "log") as reader:
        assert len(reader.files()) > 1
        assert len(reader) == 16


# Errors


def test_a_refused_record_fails_only_its_own_task(path: Path) -> None:
    async def work() -> None:
        async with aio.open(path) as log:
            wrong: Any = 3
            calls = [
                log.append("one"),
                log.append(wrong),
                log.append_many(["no", wrong]),
                log.append("\ud800"),
                log.append("two"),
            ]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(result) for result in results] == [int, TypeError, TypeError, UnicodeEncodeError, int]
            with pytest.raises(RefusedError):
                await log.append_many(refuse())

    def refuse() -> Any:  # noqa: ANN401
        yield "no"
        raise RefusedError

    run(work())
    assert committed(path) == [b"one", b"two"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full", "log"), CommitUncertain(errno.EIO, "unsure", "log")])
def test_the_error_of_a_commit_reaches_all_its_tasks_and_none_of_it_is_committed_later(
    path: Path, error: OSError
) -> None:
    async def work() -> None:
        held: Any = Held(path)
        async with aio.open(held) as log:
            held.allowed = 100
            assert await log.append("one") == 1
            held.error = error
            results = await asyncio.gather(*(log.append("no") for _ in range(5)), return_exceptions=True)
            assert {(type(result), str(result)) for result in results} == {(type(error), str(error))}
            assert len({id(result) for result in results}) == 5
            assert await log.append("two") == 2
        held.cf.close()

    run(work())
    assert committed(path) == [b"one", b"two"]


def test_a_full_disk_loses_nothing_that_was_acknowledged(disk: Path) -> None:
    path = disk / "log.capture"

    async def work() -> None:
        async with aio.open(path) as log:
            fill(disk, left=400_000)
            results = []
            for _ in range(100):
                results += await asyncio.gather(
                    *(log.append(os.urandom(9000)) for _ in range(4)), return_exceptions=True
                )
            numbers = [result for result in results if isinstance(result, int)]
            assert {type(result) for result in results} == {int, OSError}
            assert numbers == list(range(1, len(numbers) + 1))
            assert len(committed(path)) == len(numbers)
            (disk / "filler").unlink()
            assert await log.append("more") == len(numbers) + 1

    run(work())


# Cancelling, signals and forks


def test_a_cancelled_append_commits_all_or_nothing_and_the_others_continue(path: Path) -> None:
    source = random.Random(7)

    async def work() -> None:
        async with aio.open(path, max_queued=50) as log:

            async def append(number: int) -> bool:
                with suppress(TimeoutError):
                    async with asyncio.timeout(source.random() * 0.002):
                        await log.append_many([f"{number}.{part}" for part in range(5)])
                        return True
                return False

            for start in range(0, 2000, 100):
                done = await asyncio.gather(*map(append, range(start, start + 100)))
                found = [record.decode() for record in committed(path)]
                numbers = [record.partition(".")[0] for record in found[::5]]
                assert found == [f"{number}.{part}" for number in numbers for part in range(5)]
                acknowledged = {str(start + number) for number, is_done in enumerate(done) if is_done}
                assert len(set(numbers)) == len(numbers)
                assert acknowledged <= set(numbers)
            assert await log.append("last") == len(found) + 1

    run(work())


def test_a_forked_child_is_refused(path: Path) -> None:
    async def work() -> None:
        async with aio.open(path) as log:
            await log.append("one")
            child = fork()
            if not child:
                code = 1
                try:
                    await log.append("two")
                except CaptureFileNotOpenForWrite:
                    code = 7
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            assert await log.append("two") == 2

    run(work())
