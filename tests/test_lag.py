"""How far behind a follower is, and whether it would wait; both can be asked without waiting."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from capturefile import CaptureFile
from files import write
from processes import PATIENCE, wait_until

if TYPE_CHECKING:
    from pathlib import Path


def test_a_follower_knows_how_far_behind_it_is(full: Path) -> None:
    with CaptureFile(full) as cf:
        follower = cf.follow(1)
        assert (follower.lag(), follower.file_name) == (2, str(full))
        next(follower)
        assert follower.lag() == 1
        write(full, "three")
        assert follower.lag() == 2
        assert [next(follower), next(follower)] == ["two", "three"]
        assert follower.lag() == 0
        assert cf.follow(10).lag() == 0


def test_the_lag_is_available_while_another_thread_waits(full: Path) -> None:
    with CaptureFile(full) as cf:
        follower = cf.follow()
        seen: list[str] = []
        thread = threading.Thread(target=lambda: seen.extend(follower))
        thread.start()
        for _ in range(100):
            assert follower.lag() == 0
            assert not follower.ready()
        write(full, "three")
        wait_until(lambda: seen == ["three"])
    thread.join(PATIENCE)
    assert seen == ["three"]


def test_a_follower_knows_whether_it_would_wait(full: Path) -> None:
    cf = CaptureFile(full)
    follower = cf.follow(2, timeout=0)
    assert follower.ready()
    assert list(follower) == ["two"]
    assert not follower.ready()
    write(full, "three")
    assert follower.ready()
    assert list(follower) == ["three"]
    full.unlink()
    assert follower.ready()
    cf.close()
    assert follower.ready()
    assert list(follower) == []
