"""Real power cuts: file systems on loop devices that are shut down at random moments; nothing is written after that.

`Disk` is such a file system. `work_until_cut` lets a process work there until the power is cut, and `check` examines
what is left. The scenarios of the processes are at the end, as in `subprocess_scenarios.py`.
"""

from __future__ import annotations

import fcntl
import os
import random
import struct
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import capturefile
import subprocess_scenarios
from capturefile import CaptureFile
from mounts import Impossible, require, run
from processes import acting
from subprocess_scenarios import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from concurrency_workload import SyncMode

SHUT_DOWN = 0x8004587D
"""FS_IOC_SHUTDOWN, which ext4 and xfs share."""
WITHOUT_LOG = 2
"""Its flag that leaves the journal in memory unwritten, as a power cut does."""
MOMENTS = (1, 2, 10, 50)
"""The power is cut after the writer has printed this many lines: while it opens the file, and later."""
Version = Literal[2, 3]
"""The version of the format."""
VERSIONS: tuple[Version, ...] = (2, 3)
SLOTS = {2: (4096, 45_056), 3: (4096, 8192)}
"""Where the two master slots, or heads, begin in a file of a format with the default sizes."""


class Kind(NamedTuple):
    """A kind of file system: the size of its image, the command that makes it, and how it is mounted."""

    size: int
    make: Sequence[str]
    options: str = "loop"


KINDS = {
    "ext4": Kind(64 << 20, ["mkfs.ext4", "-q", "-F"]),
    "ext4 data=writeback": Kind(64 << 20, ["mkfs.ext4", "-q", "-F"], "loop,data=writeback"),
    "xfs": Kind(300 << 20, ["mkfs.xfs", "-q"]),
}


class Disk:
    """A separate file system whose power can be cut."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        """Creates and mounts it in `folder`."""
        require(kind.make[0], device="/dev/loop-control")
        self.kind = kind
        self.image = folder / "image"
        self.root = folder / "disk"
        self.root.mkdir()
        with self.image.open("wb") as file:
            file.truncate(kind.size)
        run(*kind.make, self.image)
        try:
            self.mount()
        except OSError as error:
            raise Impossible(str(error)) from error

    def mount(self) -> None:
        """Mounts it; the file system recovers from its journal."""
        run("mount", "-o", self.kind.options, self.image, self.root)

    def unmount(self) -> None:
        """Unmounts it."""
        run("umount", self.root)

    def cut_power(self) -> int:
        """From now on nothing reaches the disk, and every call fails; returns the time of the cut."""
        root = os.open(self.root, os.O_RDONLY)
        began = time.monotonic_ns()
        try:
            fcntl.ioctl(root, SHUT_DOWN, struct.pack("I", WITHOUT_LOG))
        finally:
            os.close(root)
        return began

    def restart(self) -> None:
        """Discards what is in memory; only what has reached the disk remains."""
        self.unmount()
        self.mount()


@contextmanager
def disk(folder: Path, kind: Kind) -> Iterator[Disk]:
    """A file system that exists while the block runs."""
    made = Disk(folder, kind)
    try:
        yield made
    finally:
        made.unmount()


def record(number: int) -> bytes:
    """The record with this number: mostly short, sometimes larger than a block; almost incompressible."""
    source = random.Random(number)
    return source.randbytes(source.choice([0, 20, 20, 20, 200, 200, 3000, 60_000 if number % 10 == 0 else 20]))


def metadata(commit: int, count: int) -> bytes:
    """The metadata of a commit, which states its number and the number of its records."""
    source = random.Random(commit)
    return b"%d %d " % (commit, count) + source.randbytes(source.choice([0, 0, 0, 100, 5000, 50_000]))


@dataclass
class History:
    """What a writer reports to have done."""

    acknowledged: list[int] = field(default_factory=list)
    """Numbers of the commits that were acknowledged."""
    begun: list[int] = field(default_factory=list)
    """Numbers of the commits that were begun after those."""
    cut: int = sys.maxsize
    """When the power was cut, by the monotonic clock of all processes. What is acknowledged later does not count: Linux
    can let a sync succeed that the shutdown interrupts (findings/ext4-sync-during-shutdown.sh), and after a power cut,
    no process is left that could rely on it."""
    failed: bool = False
    """Whether the writer noticed that its disk was gone."""

    def hear(self, line: str) -> None:
        """Records one line."""
        match line.split():
            case ["begun", number]:
                self.begun.append(int(number))
            case ["done", number, when]:
                assert self.begun[-1] == int(number)
                if int(when) < self.cut:
                    self.acknowledged.append(int(number))
                    self.begun.clear()
            case ["failed"]:
                self.failed = True
            case _:
                assert line == "opening", line

    def allowed(self, lost: int = 0) -> set[int]:
        """The commits that may be the last one on the disk, if `lost` acknowledged ones may be gone."""
        return {*self.acknowledged[-1 - lost :], *self.begun}


def may_be_lost(sync: str, version: int) -> int:
    """How many acknowledged commits a power cut may roll back: in format 3 those since the last sync."""
    return 0 if sync == "full" else 1 if version == 2 else sys.maxsize


def work_until_cut(
    disk: Disk,
    scenario: Callable[..., None],
    path: Path,
    *arguments: object,
    source: random.Random,
    history: History,
    lines: int,
    stir: bool = True,
) -> None:
    """Runs `scenario` on `path` and cuts the power at a random moment after it has printed some lines.

    With `stir`, the system is made to write parts of the file before the cut, in any order.
    """
    with acting(scenario, path, *arguments, source.getrandbits(32)) as process:
        for _ in range(lines):
            line = process.hear()
            assert line, process.errors()
            history.hear(line)
            if stir and path.is_file():
                write_some_pages(path, source)
        time.sleep(0.01 * source.random())
        history.cut = disk.cut_power()
        for line in process.finish():
            history.hear(line)
    assert history.failed, "the writer did not notice that the disk was gone"


def write_some_pages(path: Path, source: random.Random) -> None:
    """Makes the system start writing a part of the file to disk, as it does when it needs memory."""
    with path.open("rb") as file:
        start, length = 4096 * source.randrange(1, 100), 4096 * source.randrange(1, 20)
        os.posix_fadvise(file.fileno(), start, length, os.POSIX_FADV_DONTNEED)


def check(path: Path, allowed: set[int]) -> int:
    """Checks that the file holds exactly one of the `allowed` commits, complete; returns which."""
    with CaptureFile(path, encoding=None) as cf:
        commit, count = _identity(cf)
        assert commit in allowed, f"commit {commit} is left, not one of {allowed}"
        assert cf.record_count() == count
        assert cf.get_metadata() == metadata(commit, count)
        for number, found in enumerate(cf, start=1):
            assert found == record(number), f"record {number} has changed"
        slots = SLOTS[cf.info().version]
    damaged = {problem.position for problem in capturefile.verify(path).problems}
    assert damaged <= set(slots), "more than a slot that was being written is damaged"
    return commit


def _identity(cf: CaptureFile[bytes]) -> tuple[int, int]:
    """The numbers of the current commit and of its records, according to its metadata."""
    words = (cf.get_metadata() or b"").split(b" ", 2)
    return int(words[0]), int(words[1])


def write_on(path: Path) -> int:
    """Repairs what is left and adds to it, as the next writer would; returns the number of its commit."""
    with CaptureFile(path, to_write=True, encoding=None) as cf:
        commit = add_commit(cf, 1)
    check(path, {commit})
    assert capturefile.verify(path).sound
    return commit


def cut_again_and_again(
    disk: Disk, source: random.Random, version: Version, sync: str, cuts: int, replacements: int = 0
) -> None:
    """Cuts the power while one writer after another continues with a file, and checks it each time.

    In `replacements` of a hundred cases a writer replaces the file instead of making a commit.
    """
    path = disk.root / "log.capture"
    CaptureFile(path, to_write=True, initial_metadata=metadata(0, 0), format=version).close()
    commit = acknowledged = 0
    for lines in islice(cycle(MOMENTS), cuts):
        history = History(acknowledged=[commit])
        work_until_cut(disk, write, path, version, sync, replacements, source=source, history=history, lines=lines)
        disk.restart()
        check(path, history.allowed(may_be_lost(sync, version)))
        acknowledged += len(history.acknowledged) - 1
        commit = write_on(path)
    assert acknowledged > 0, "the writers have not completed any commit"


def add_commit(cf: CaptureFile[bytes], size: int, begin: Callable[[int], None] = lambda _: None) -> int:
    """Commits `size` more records; calls `begin` with the number of the commit first, and returns it at the end."""
    commit = _identity(cf)[0] + 1
    count = cf.record_count()
    cf.add_records(record(number) for number in range(count + 1, count + size + 1))
    cf.set_metadata(metadata(commit, count + size))
    begin(commit)
    cf.commit()
    return commit


# Scenarios


def say_done(number: int) -> None:
    """Reports which commit has been acknowledged, and when."""
    say("done", number, time.monotonic_ns())


def write(path: str, version: str, sync: SyncMode, replacements: str, seed: str) -> None:
    """Writes commits of all sizes; replaces the file in `replacements` of a hundred cases."""
    source = random.Random(int(seed))
    say("opening")
    try:
        _write(Path(path), VERSIONS[int(version) - 2], sync, int(replacements), source)
    except OSError:
        say("failed")
        os._exit(0)  # There is nothing left to close.


def _write(path: Path, version: Version, sync: SyncMode, replacements: int, source: random.Random) -> None:
    def opened(new: bytes | None = None) -> CaptureFile[bytes]:
        return CaptureFile(
            path,
            to_write=True,
            initial_metadata=new,
            force_new_empty_file=new is not None,
            encoding=None,
            sync=sync,
            format=version,
            threads=source.choice([1, 4]),
        )

    cf = opened()
    while True:
        if source.randrange(100) < replacements:
            number = _identity(cf)[0] + 1
            cf.close()
            say("begun", number)
            cf = opened(metadata(number, 0))
        else:
            number = add_commit(cf, source.choice([0, 1, 1, 1, 2, 10, 50]), lambda number: say("begun", number))
        say_done(number)
        if source.random() < 0.1:
            cf.add_records(source.randbytes(10_000) for _ in range(source.randrange(10)))
            cf.rollback()


def write_by_reference(path: str, seed: str) -> None:
    """Writes small commits with the reference."""
    from CaptureFile import CaptureFile as Reference

    source = random.Random(int(seed))
    say("opening")
    try:
        with Reference(path, to_write=True, encoding=None) as cf:
            commit, count = map(int, cf.get_metadata().split(b" ", 2)[:2])
            while True:
                commit += 1
                for _ in range(source.choice([1, 1, 2, 10])):
                    count += 1
                    cf.add_record(record(count))
                cf.set_metadata(metadata(commit, count))
                say("begun", commit)
                cf.commit()
                say_done(commit)
    except OSError:
        say("failed")


def create(folder: str, version: str, sync: SyncMode, _seed: str) -> None:
    """Creates one file after another; each is named by the number of its commit."""
    say("opening")
    first = 1 + max((int(path.stem) for path in Path(folder).glob("[0-9]*.capture")), default=0)
    try:
        for number in range(first, first + 10_000):
            say("begun", number)
            path = Path(folder) / f"{number}.capture"
            new = metadata(number, 0)
            cf = CaptureFile(path, to_write=True, initial_metadata=new, sync=sync, format=VERSIONS[int(version) - 2])
            say_done(number)
            cf.close()
    except OSError:
        say("failed")
        os._exit(0)


if __name__ == "__main__":
    subprocess_scenarios.main(globals(), *sys.argv[1:])
