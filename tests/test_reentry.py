"""Signal handlers that use an object that their own thread is using: an error or a result, never a hang."""

from __future__ import annotations

import operator
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from capturefile import CaptureFile
from processes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from capturefile import Follower


class Alarm:
    """Calls a function from a signal handler, repeatedly, until it has completed once."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.results: list[object] = []

    def __enter__(self) -> Alarm:
        self.before = signal.signal(signal.SIGALRM, self.ring)
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.before)

    def ring(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            self.results.append(self.work())
        except Exception as error:
            self.results.append(error)


@pytest.fixture
def follower(full: Path) -> Iterator[Follower[str]]:
    with CaptureFile(full) as cf:
        yield cf.follow(timeout=0.2)


@pytest.mark.parametrize("use", [next, operator.length_hint, list])
def test_a_signal_handler_cannot_use_a_follower_in_which_its_thread_waits(
    use: Callable[[Any], Any], follower: Follower[str]
) -> None:
    with Alarm(lambda: use(follower)) as alarm:
        assert list(follower) == []
    (result,) = alarm.results
    assert isinstance(result, ValueError), result
    assert "already executing" in str(result)


def test_a_signal_handler_can_query_a_follower_in_which_its_thread_waits(follower: Follower[str]) -> None:
    with Alarm(lambda: (follower.lag(), follower.ready(), follower.file_name[-11:])) as alarm:
        assert list(follower) == []
    assert alarm.results == [(0, False, "log.capture")]


def test_a_signal_handler_can_close_a_follower_in_which_its_thread_waits(full: Path) -> None:
    with CaptureFile(full) as cf:
        follower = cf.follow(1)
        with Alarm(follower.close):
            assert list(follower) == ["one", "two"]
        assert list(follower) == []


def test_a_signal_handler_can_use_an_object_in_whose_follower_its_thread_waits(full: Path) -> None:
    with CaptureFile(full, True) as cf:
        follower = cf.follow(1)

        def handle() -> None:
            cf.add_record("three")
            cf.commit()
            alarm.work = cf.close
            signal.setitimer(signal.ITIMER_REAL, 0.01)

        with Alarm(handle) as alarm:
            assert list(follower) == ["one", "two", "three"]


def test_a_thread_that_waits_for_another_in_a_follower_handles_signals(full: Path) -> None:
    with CaptureFile(full) as cf:
        follower = cf.follow()
        thread = threading.Thread(target=lambda: list(follower))
        thread.start()
        seen: list[int] = []

        def handle(*_: object) -> None:
            seen.append(1)
            cf.close()

        before = signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            assert list(follower) == []
        finally:
            signal.signal(signal.SIGALRM, before)
        assert seen == [1]
        thread.join(PATIENCE)
        assert not thread.is_alive()
