"""The counters of an object for its own commits."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from capturefile import CaptureFile, Stats
from capturefile._capturefile import set_commit_hook
from files import RefusedError, write
from forking import fork

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def counts(stats: Stats) -> tuple[int, int, int]:
    """The numbers of records, bytes and commits."""
    return stats.records, stats.bytes, stats.commits


def test_committed_records_are_counted(path: Path) -> None:
    with CaptureFile(path, True) as cf:
        assert cf.stats() == Stats(0, 0, 0, 0.0)
        cf.add_record("four")
        assert counts(cf.stats()) == (0, 0, 0)
        cf.commit()
        with cf.transaction():
            cf.add_records(["Grüße", b"", bytearray(100_000)])
        first = cf.stats()
        assert counts(first) == (4, 100_011, 2)
        cf.commit()
        cf.set_metadata(b"metadata")
        cf.commit()
        assert counts(cf.stats()) == (4, 100_011, 3)
        assert 0 < first.commit_seconds < cf.stats().commit_seconds < 60


def test_rolled_back_records_are_not_counted(path: Path) -> None:
    def refuse_late(size: int) -> Iterator[bytes]:
        yield from [bytes(size)] * 100
        raise RefusedError

    with CaptureFile(path, True, sync=False) as cf:
        cf.add_record("gone")
        cf.rollback()
        cf.add_record("stays")
        for size in (10, 100_000):
            with pytest.raises(RefusedError):
                cf.add_records(refuse_late(size))
        cf.commit()
        assert counts(cf.stats()) == (1, 5, 1)
        with pytest.raises(RefusedError), cf.transaction():
            cf.add_records(refuse_late(10))
        cf.add_record("stays")
        cf.commit()
        assert counts(cf.stats()) == (2, 10, 2)


def test_a_closed_object_keeps_its_counters_until_it_is_reopened(path: Path) -> None:
    cf = CaptureFile(path, True)
    cf.add_record("one")
    cf.commit()
    cf.close()
    assert counts(cf.stats()) == (1, 3, 1)
    cf.open()
    assert counts(cf.stats()) == (0, 0, 0)
    cf.close()


def test_readers_and_forked_children_have_committed_nothing(full: Path) -> None:
    with CaptureFile(full) as reader:
        assert reader.stats() == Stats(0, 0, 0, 0.0)
    with CaptureFile(full, True) as cf:
        cf.add_record("three")
        cf.commit()
        child = fork()
        if not child:
            os._exit(0 if cf.stats() == Stats(0, 0, 0, 0.0) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert counts(cf.stats()) == (1, 5, 1)


# The hook for commits


def test_each_commit_is_reported_once_with_its_counts(path: Path) -> None:
    calls: list[tuple[int, int, float]] = []
    with CaptureFile(path, True, sync=False) as cf:
        set_commit_hook(cf, lambda *commit: calls.append(commit))

        def write_some() -> None:
            for _ in range(50):
                cf.add_record("some")
                cf.commit()

        threads = [threading.Thread(target=write_some) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stats = cf.stats()
        cf.commit()
        set_commit_hook(cf, None)
        cf.add_record("not told")
        cf.commit()
    assert sum(records for records, _, _ in calls) == 200
    assert sum(bytes_ for _, bytes_, _ in calls) == 800
    assert len(calls) == stats.commits
    assert sum(seconds for _, _, seconds in calls) == pytest.approx(stats.commit_seconds)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_error_in_the_hook_does_not_affect_the_commit(path: Path) -> None:
    def refuse(*_: object) -> None:
        raise RefusedError

    with CaptureFile(path, True) as cf:
        set_commit_hook(cf, refuse)
        cf.add_record("one")
        cf.commit()
        assert capturefile.open(path)[:] == ["one"]


def test_a_hook_that_references_its_object_is_collected_with_it(full: Path) -> None:
    class Owned(CaptureFile[Any]):
        """A subclass with a dictionary, so that a reference cycle is possible."""

    def drop_a_cycle() -> weakref.ref[Owned]:
        cf = Owned(full, True)
        set_commit_hook(cf, lambda *_: cf)
        return weakref.ref(cf)

    reference = drop_a_cycle()
    gc.collect()
    assert reference() is None


def test_readers_do_not_call_a_hook(full: Path) -> None:
    with CaptureFile(full) as cf:
        set_commit_hook(cf, lambda *_: pytest.fail("called"))
        write(full, "three")
        cf.refresh()
