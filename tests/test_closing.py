"""The effects of closing, by any thread, and the state of an object during and after it."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import suppress
from operator import length_hint
from pathlib import Path

import capturefile
import pytest
from capturefile import CaptureFile, aio
from files import write
from processes import PATIENCE, wait_until

pytestmark = pytest.mark.usefixtures("both_formats")


def holds_open(path: Path) -> bool:
    """Whether this process has the file open."""
    opened = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            opened.add(descriptor.readlink())
    return path in opened


def test_a_follower_keeps_its_file_alive(full: Path) -> None:
    follower = CaptureFile(full).follow(1, timeout=PATIENCE)
    assert [next(follower), next(follower)] == ["one", "two"]
    write(full, "three")
    assert next(follower) == "three"
    del follower
    assert not holds_open(full)


def test_a_follower_of_a_writer_keeps_it_alive(full: Path) -> None:
    cf = CaptureFile(full, True)
    follower = cf.follow(1, timeout=PATIENCE)
    cf.add_record("three")
    cf.commit()
    del cf
    assert [next(follower) for _ in range(3)] == ["one", "two", "three"]
    with pytest.raises(capturefile.CaptureFileAlreadyOpen):
        CaptureFile(full, True)
    del follower
    CaptureFile(full, True).close()


@pytest.mark.only_format_2
def test_a_follower_and_its_object_in_a_reference_cycle_are_collected(full: Path) -> None:
    class Holder(CaptureFile[str]):
        follower: capturefile.Follower[str]

    cf = Holder(full)
    cf.follower = cf.follow()
    del cf
    gc.collect()
    assert not holds_open(full)


def test_a_closed_follower_ends_and_leaves_its_object_open(full: Path) -> None:
    cf = CaptureFile(full)
    follower = cf.follow(1)
    assert next(follower) == "one"
    follower.close()
    follower.close()
    assert (list(follower), length_hint(follower), follower.ready()) == ([], 0, True)
    with pytest.raises(capturefile.CaptureFileNotOpen):
        follower.lag()
    assert holds_open(full)
    cf.close()
    assert not holds_open(full)


def test_a_follower_whose_object_is_closed_keeps_no_file_open(full: Path) -> None:
    cf = CaptureFile(full)
    follower = cf.follow(3)
    cf.close()
    assert list(follower) == []
    assert not holds_open(full)


def test_a_follower_closed_by_another_thread_ends_and_keeps_no_file_open(full: Path) -> None:
    cf = CaptureFile(full)
    follower = cf.follow()
    thread = threading.Thread(target=lambda: list(follower))
    thread.start()
    follower.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    cf.close()
    assert not holds_open(full)


def test_an_asynchronous_follower_closes_its_file(full: Path) -> None:
    async def follow() -> list[str]:
        async with aio.follow(full, 1, timeout=0) as follower:
            assert holds_open(full)
            records = [record async for record in follower]
        assert not holds_open(full)
        return records

    assert asyncio.run(follow()) == ["one", "two"]


def test_an_object_reports_its_last_state_at_every_moment_while_it_is_closed(tmp_path: Path) -> None:
    for number in range(30):
        cf = CaptureFile(tmp_path / f"{number}.capture", True, sync=False)
        cf.add_records(f"{each}" * 50 for each in range(2000))
        cf.commit()
        seen: set[object] = set()
        stop = threading.Event()

        def look(cf: CaptureFile[str] = cf, seen: set[object] = seen, stop: threading.Event = stop) -> None:
            while not stop.is_set():
                seen.add((cf.record_count(), cf.stats().records, cf.stats().commits))

        threads = [threading.Thread(target=look) for _ in range(2)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(seen) > 0)  # noqa: B023
        cf.close()
        stop.set()
        for thread in threads:
            thread.join()
        assert seen == {(2000, 2000, 1)}
