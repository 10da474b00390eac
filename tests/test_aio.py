"""Following in asyncio: which records a follower gives, what ends it, and what it costs while it waits."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from capturefile import CaptureFile, aio
from capturefile.aio import follower as following
from files import write
from forking import fork
from processes import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

pytestmark = pytest.mark.usefixtures("both_formats")


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine, which must complete in time."""
    asyncio.run(asyncio.wait_for(work, PATIENCE))


def add(path: Path, *records: str) -> None:
    """Commits more records, without waiting for the disk; creates the file if it does not exist."""
    with CaptureFile(path, True, sync=False) as cf:
        cf.add_records(records)
        cf.commit()


@pytest.fixture
def full(path: Path) -> Path:
    """A file of the records "one" and "two"."""
    add(path, "one", "two")
    return path


async def take(follower: aio.Follower[str], count: int) -> list[str]:
    """The next records."""
    return [await anext(follower) for _ in range(count)]


def open_files(path: Path) -> int:
    """How many descriptors this process has for the file."""
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return links.count(path)


# Records


def test_existing_and_later_records_are_given_in_order(full: Path) -> None:
    async def work() -> None:
        follower = aio.follow(full, 1)
        assert await take(follower, 2) == ["one", "two"]
        coming = asyncio.create_task(take(follower, 3))
        await asyncio.sleep(0.01)
        add(full, "three")
        add(full, "four", "five")
        assert await coming == ["three", "four", "five"]

    run(work())


def test_without_a_start_only_later_records_are_given(full: Path) -> None:
    async def work() -> None:
        async with aio.follow(full) as follower:
            add(full, "three")
            assert await anext(follower) == "three"
        with CaptureFile(full) as cf:
            add(full, "four")
            assert await anext(aio.follow(cf)) == "four"

    run(work())


def test_batches_have_the_available_records_up_to_a_size(path: Path) -> None:
    add(path, *(str(number) for number in range(1, 2501)))

    async def work() -> None:
        follower = aio.follow(path, 1, batch_size=1000)
        batches = follower.batches()
        assert [len(await anext(batches)) for _ in range(3)] == [1000, 1000, 500]
        add(path, "2501", "2502")
        assert await anext(batches) == ["2501", "2502"]
        add(path, *["x" * 1_000_000] * 5)
        assert [len(await anext(batches)) for _ in range(3)] == [2, 2, 1]

    run(work())


def test_records_and_batches_of_one_follower_form_one_stream(path: Path) -> None:
    add(path, "1", "2", "3", "4", "5")

    async def work() -> None:
        follower = aio.follow(path, 1, batch_size=3, timeout=0)
        assert await anext(follower) == "1"
        assert [batch async for batch in follower.batches()] == [["2", "3"], ["4", "5"]]

    run(work())


def test_records_are_decoded_as_requested(path: Path) -> None:
    with CaptureFile(path, True, encoding="latin-1") as cf:
        cf.add_record("Grüße")
        cf.commit()

    async def work() -> None:
        assert await anext(aio.follow(path, 1, encoding="latin-1")) == "Grüße"
        assert await anext(aio.follow(path, 1, encoding=None)) == b"Gr\xfc\xdfe"
        with pytest.raises(UnicodeDecodeError):
            await anext(aio.follow(path, 1))

    run(work())


def test_the_lag_is_the_number_of_records_not_given_yet(path: Path) -> None:
    add(path, "1", "2", "3")

    async def work() -> None:
        follower = aio.follow(path, 1, batch_size=2)
        assert (follower.lag(), follower.file_name) == (0, str(path))
        assert await anext(follower) == "1"
        assert follower.lag() == 2
        add(path, "4")
        assert follower.lag() == 3
        await take(follower, 3)
        assert follower.lag() == 0

    run(work())


def test_a_commit_is_seen_soon(path: Path) -> None:
    add(path)
    late: list[float] = []

    async def work() -> None:
        with CaptureFile(path, True, sync=False) as cf:
            async with aio.follow(path) as follower:
                for _ in range(20):
                    coming = asyncio.create_task(anext(follower))
                    await asyncio.sleep(0.1)
                    cf.add_record("news")
                    cf.commit()
                    committed = time.monotonic()
                    await coming
                    late.append(time.monotonic() - committed)

    run(work())
    # The fastest one must be quick; on a busy machine, others may be slow.
    assert min(late) < 0.05


# The end


def test_it_ends_after_a_timeout(full: Path) -> None:
    async def work() -> None:
        assert [record async for record in aio.follow(full, 1, timeout=0)] == ["one", "two"]
        began = time.monotonic()
        assert [record async for record in aio.follow(full, timeout=0.1)] == []
        assert time.monotonic() - began >= 0.1

    run(work())


def test_it_ends_when_the_object_is_closed(full: Path) -> None:
    async def work() -> None:
        cf = CaptureFile(full)
        follower = aio.follow(cf, 2)
        assert await anext(follower) == "two"
        rest = asyncio.create_task(anext(follower, "the end"))
        await asyncio.sleep(0.01)
        assert not rest.done()
        cf.close()
        assert await rest == "the end"

    run(work())


def test_leaving_the_context_closes_the_file_that_was_opened_for_it(full: Path) -> None:
    async def work() -> None:
        async with aio.follow(full, 1) as follower:
            assert await anext(follower) == "one"
            assert open_files(full) == 1
        assert open_files(full) == 0
        assert [record async for record in follower] == []
        with CaptureFile(full) as cf:
            async with aio.follow(cf, 1) as follower:
                assert await anext(follower) == "one"
            assert cf[1] == "one"

    run(work())


def test_a_cancelled_loop_leaves_nothing_open_and_no_waiting_thread(full: Path) -> None:
    async def consume() -> None:
        async for _ in aio.follow(full):
            pytest.fail("there are no records")

    async def work() -> None:
        tasks = [asyncio.create_task(consume()) for _ in range(10)]
        while len(following._watcher._waiting) < len(tasks):
            await asyncio.sleep(0.01)
        assert open_files(full) == 10
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        assert not following._watcher._waiting
        del task, tasks
        # The loop drops a cancelled task in its next iteration, the waiting thread after its current check.
        while open_files(full):
            await asyncio.sleep(0.001)

    run(work())


def test_a_call_that_is_cancelled_loses_no_record(path: Path) -> None:
    count = 300

    def write_slowly() -> None:
        with CaptureFile(path, True, sync=False) as cf:
            for number in range(count):
                cf.add_record(str(number))
                cf.commit()
                time.sleep(0.001)

    add(path)

    async def work() -> None:
        found: list[str] = []
        cancelled = 0
        async with aio.follow(path, 1, batch_size=7) as follower:
            writing = asyncio.get_running_loop().run_in_executor(None, write_slowly)
            while len(found) < count:
                # Sometimes before it has begun, sometimes during a read, sometimes while it waits.
                step = asyncio.ensure_future(anext(follower))
                await asyncio.sleep(random.choice([0, 0, 0.0002, 0.002]))
                if not step.done() or step.cancelled():
                    step.cancel()
                    cancelled += 1
                with suppress(asyncio.CancelledError):
                    found.append(await step)
            await writing
        assert found == [str(number) for number in range(count)]
        assert cancelled > 20

    run(work())


# Errors


def test_a_replaced_file_is_reported_after_its_last_record(full: Path) -> None:
    async def work() -> None:
        async with aio.follow(full, 1) as follower:
            add(full, "three")
            capturefile.open(full, "w").close()
            assert await take(follower, 3) == ["one", "two", "three"]
            with pytest.raises(capturefile.CaptureFileReplaced):
                await anext(follower)

    run(work())


@pytest.mark.parametrize("harm", ["replace", "delete", "cut"])
def test_a_waiting_follower_reports_that_its_file_is_gone(full: Path, harm: str) -> None:
    with CaptureFile(full, True, sync=False) as cf:
        cf.add_records(os.urandom(20_000) for _ in range(20))
        cf.commit()
    errors: dict[str, type[Exception]] = {
        "replace": capturefile.CaptureFileReplaced,
        "delete": capturefile.CaptureFileReplaced,
        "cut": capturefile.InvalidCaptureFile,
    }

    async def work() -> None:
        async with aio.follow(full) as follower:
            waiting = asyncio.create_task(anext(follower))
            await asyncio.sleep(0.05)
            if harm == "replace":
                capturefile.open(full, "w").close()
            elif harm == "delete":
                full.unlink()
            else:
                os.truncate(full, 200_000)
            with pytest.raises(errors[harm]):
                await waiting

    run(work())


def test_a_file_that_cannot_be_followed_is_an_error_in_the_first_step(full: Path) -> None:
    async def work() -> None:
        with pytest.raises(FileNotFoundError):
            await anext(aio.follow(full.parent / "missing"))
        with pytest.raises(FileNotFoundError):
            async with aio.follow(full.parent / "missing"):
                pytest.fail("opened")
        with pytest.raises(IndexError):
            await anext(aio.follow(full, 0))
        closed = CaptureFile(full)
        closed.close()
        with pytest.raises(capturefile.CaptureFileNotOpen):
            await anext(aio.follow(closed))

    for wrong in ({"timeout": -1}, {"timeout": float("nan")}, {"batch_size": 0}):
        options: Any = wrong
        with pytest.raises(ValueError, match=next(iter(wrong))):
            aio.follow(full, **options)
    run(work())


# Costs


class Watched(CaptureFile[str]):
    """Records which threads access the file, and when."""

    looks: list[tuple[str, int]]

    def follow(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """A follower that records its calls."""
        self.note("follow")
        return WatchedFollower(self, super().follow(*arguments, **options))

    def note(self, call: str) -> None:
        """Records a call."""
        self.looks.append((call, threading.get_ident()))


class WatchedFollower:
    """A follower that records its calls."""

    def __init__(self, cf: Watched, follower: Iterator[str]) -> None:
        self._cf = cf
        self._follower: Any = follower

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self._cf.note("next")
        return str(next(self._follower))

    def ready(self) -> bool:
        """Whether a record is available."""
        self._cf.note("ready")
        return bool(self._follower.ready())


def watched(path: Path) -> Watched:
    """An open file that records which threads access it."""
    cf = Watched(path)
    cf.looks = []
    return cf


def test_the_event_loop_itself_never_accesses_a_file(full: Path) -> None:
    cf = watched(full)

    async def work() -> None:
        follower = aio.follow(cf, 1, timeout=1)
        waiting = asyncio.create_task(take(follower, 3))
        while not any(call == "ready" for call, _ in cf.looks):
            await asyncio.sleep(0.01)
        add(full, "three")
        assert await waiting == ["one", "two", "three"]

    run(work())
    assert {call for call, _ in cf.looks} == {"follow", "next", "ready"}
    assert threading.get_ident() not in {thread for _, thread in cf.looks}


def test_a_waiting_follower_checks_less_and_less_often(full: Path) -> None:
    cf = watched(full)

    async def work() -> None:
        began = time.monotonic()
        assert [record async for record in aio.follow(cf, timeout=0.6)] == []
        looks = sum(1 for call, _ in cf.looks if call == "ready")
        assert 0 < looks < 20 + (time.monotonic() - began) / (following._MAX_PAUSE / 2)

    run(work())


def test_many_followers_share_one_waiting_thread_which_ends_with_them(
    full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_LINGER", 0.05)

    def threads() -> int:
        return sum(1 for thread in threading.enumerate() if thread.name == "capturefile-follow")

    wait_until(lambda: threads() == 0)

    async def work() -> None:
        with CaptureFile(full) as cf:
            waiting = [asyncio.create_task(take(aio.follow(cf), 1)) for _ in range(200)]
            while len(following._watcher._waiting) < len(waiting):
                await asyncio.sleep(0.01)
            assert threads() == 1
            add(full, "three")
            assert await asyncio.gather(*waiting) == [["three"]] * 200

    run(work())
    wait_until(lambda: threads() == 0)
    run(work_again(full))


async def work_again(path: Path) -> None:
    """Follows again, after the thread has ended."""
    async with aio.follow(path) as follower:
        add(path, "four")
        assert await anext(follower) == "four"


def test_a_forked_child_can_follow(full: Path) -> None:
    seen: list[str] = []
    from_child, to_parent = os.pipe()

    async def follow_in_child() -> None:
        follower = aio.follow(full, 1)
        seen.extend(await take(follower, 2))
        os.write(to_parent, b".")
        seen.extend(await take(follower, 1))

    async def work() -> None:
        async with aio.follow(full) as follower:
            waiting = asyncio.create_task(anext(follower))
            while not following._watcher._waiting:
                await asyncio.sleep(0.01)
            child = fork()
            if not child:
                ended = threading.Thread(target=lambda: run(follow_in_child()))
                ended.start()
                ended.join(PATIENCE / 3)
                os._exit(0 if seen == ["one", "two", "three"] else 1)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, os.read, from_child, 1)
            # By now the child waits, or is about to.
            await asyncio.sleep(0.1)
            add(full, "three")
            assert await waiting == "three"
            status = await loop.run_in_executor(None, os.waitpid, child, 0)
            assert os.waitstatus_to_exitcode(status[1]) == 0

    run(work())


def test_a_relative_path_is_resolved_when_the_follower_is_created(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, "one")
    monkeypatch.chdir(path.parent)
    follower = aio.follow(path.name, 1, timeout=0)
    monkeypatch.chdir("/")

    async def follow() -> list[str]:
        async with follower:
            return [record async for record in follower]

    assert asyncio.run(follow()) == ["one"]
    assert follower.file_name == path.name
