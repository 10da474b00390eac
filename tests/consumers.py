"""Consumers that are killed at random moments, and the checks after each kill.

The functions at the end are scenarios, like those of `subprocess_scenarios.py`, and are run in the same way.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import capturefile
import subprocess_scenarios
from capturefile import CaptureFile, checkpoint
from subprocess_scenarios import PATIENCE, fork, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NAME = "doubler"


def results(record: str) -> list[str]:
    """The results of a record: none to three records that state where they come from."""
    return [f"{record} {turn}" for turn in range(int(record) % 4)]


def all_results(count: int) -> list[str]:
    """The results of the first `count` records of a source."""
    while len(_ends) <= count:
        _known.extend(results(str(len(_ends))))
        _ends.append(len(_known))
    return _known[: _ends[count]]


_known: list[str] = []
_ends = [0]


class Growing:
    """A source that gets more records, each its own number, while it is consumed."""

    def __init__(self, path: str) -> None:
        """Creates the file."""
        self.cf = CaptureFile(path, to_write=True, sync="none")

    def grow(self, count: int) -> None:
        """Commits more records."""
        first = len(self.cf) + 1
        self.cf.add_records(str(number) for number in range(first, first + count))
        self.cf.commit()


def transform(source: str, destination: str, batch_size: int, *, follow: bool) -> None:
    """Consumes a source exactly once.

    A killed process loses nothing that it has passed to the operating system, so no sync is needed here; power cuts are
    tested elsewhere.
    """
    consumer = checkpoint.consume(
        source, destination, name=NAME, batch_size=batch_size, follow=follow, timeout=PATIENCE, sync="none"
    )
    with consumer:
        for batch in consumer:
            for record in batch:
                consumer.add_all(results(record))


def position_in(destination: str, *, whole: bool = False) -> int:
    """How many records have been consumed according to the metadata; the file must have exactly their results."""
    if not Path(destination).exists():
        return 0
    with CaptureFile(destination) as cf:
        metadata = json.loads(cf.get_metadata() or b"{}")
        position: int = metadata[checkpoint.KEY][NAME]["records"] if metadata else 0
        expected = all_results(position)
        assert len(cf) == len(expected), f"{len(cf)} results of the first {position} records, not {len(expected)}"
        assert cf[-20:] == expected[-20:]
        assert not whole or list(cf) == expected
        return position


def deliver(source: str, cursor: str, sink: str, batch_size: int, *, follow: bool) -> None:
    """Consumes a source at least once, into a file of lines that only grows."""
    consumer = checkpoint.consume_at_least_once(source, cursor, batch_size=batch_size, follow=follow, timeout=PATIENCE)
    with consumer, Path(sink).open("a") as lines:
        for batch in consumer:
            for record in batch:
                lines.write(f"{record}\n")
                lines.flush()


def position_of(cursor: str) -> int:
    """How many records have been consumed according to the cursor file."""
    if not Path(cursor).exists():
        return 0
    position: int = json.loads(Path(cursor).read_text())["records"]
    return position


def check_sink(cursor: str, sink: str) -> None:
    """Checks that all records up to the position in the cursor file have been delivered, in order."""
    assert position_of(cursor) <= check_delivered(map(int, Path(sink).read_text().splitlines()))


def check_delivered(numbers: Iterable[int]) -> int:
    """Checks that no number is skipped, though some may be repeated; returns the highest one."""
    highest = 0
    for number in numbers:
        assert number <= highest + 1, f"{number} after {highest}"
        highest = max(highest, number)
    return highest


def kill_again_and_again(
    source: str, kills: int, seed: int, consume: Callable[[int], None], position: Callable[[], int]
) -> None:
    """Starts a consumer and kills it at a random moment, `kills` times; reports how often it had made progress."""
    chance = random.Random(seed)
    growing = Growing(source)
    progress = last = 0
    for turn in range(kills):
        consumer = fork()
        if not consumer:
            consume(chance.randint(1, 40))
            os._exit(1)
        growing.grow(chance.randint(1, 100))
        if turn % 2:
            await_progress(position, last)
        time.sleep(0.01 * chance.random() ** 2)
        os.kill(consumer, signal.SIGKILL)
        assert os.waitpid(consumer, 0)[1] == signal.SIGKILL, "the consumer exited before it was killed"
        now = position()
        assert now >= last
        progress += now > last
        last = now
    say("progress", progress)


def await_progress(position: Callable[[], int], last: int) -> None:
    """Waits until the consumer has made progress, which takes longer on a busy machine."""
    deadline = time.monotonic() + PATIENCE / 4
    while position() == last and time.monotonic() < deadline:
        time.sleep(0.002)


# Scenarios


def kill_transformers(source: str, destination: str, kills: str, seed: str) -> None:
    """Kills consumers that write their results to a capture file."""
    kill_again_and_again(
        source,
        int(kills),
        int(seed),
        lambda batch_size: transform(source, destination, batch_size, follow=True),
        lambda: position_in(destination),
    )
    transform(source, destination, 100, follow=False)
    with CaptureFile(source) as cf:
        assert position_in(destination, whole=True) == len(cf) > int(kills)
    assert capturefile.verify(destination).sound


def kill_deliverers(source: str, cursor: str, sink: str, kills: str, seed: str) -> None:
    """Kills consumers that write their results to another file."""
    kill_again_and_again(
        source,
        int(kills),
        int(seed),
        lambda batch_size: deliver(source, cursor, sink, batch_size, follow=True),
        lambda: position_of(cursor),
    )
    deliver(source, cursor, sink, 100, follow=False)
    check_sink(cursor, sink)
    with CaptureFile(source) as cf:
        assert position_of(cursor) == len(cf)


if __name__ == "__main__":
    import sys

    subprocess_scenarios.main(globals(), *sys.argv[1:])
