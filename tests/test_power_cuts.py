"""The power goes while a file is written, created or replaced, on real file systems: what was acknowledged is there."""

from __future__ import annotations

import random
from itertools import cycle, islice
from typing import TYPE_CHECKING

import capturefile
import power_cuts
import pytest
from capturefile import CaptureFile
from power_cuts import KINDS, MOMENTS, Disk, History, metadata, work_until_cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CUTS = 9
"""Power cuts on each of three file systems, for each promise."""
FEW_CUTS = 4
"""The same where a few show enough."""


@pytest.fixture(params=KINDS)
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Disk]:
    """A file system whose power can be cut."""
    try:
        with power_cuts.disk(tmp_path, KINDS[request.param]) as disk:
            yield disk
    except power_cuts.Impossible as reason:
        pytest.skip(str(reason))


@pytest.fixture
def source() -> random.Random:
    """Random numbers, by a seed that a failure shows."""
    seed = random.randrange(2**32)
    print("seed", seed)
    return random.Random(seed)


@pytest.fixture
def path(disk: Disk) -> Path:
    """A file that is on the disk for sure, with commit 0."""
    path = disk.root / "log.capture"
    CaptureFile(path, to_write=True, initial_metadata=metadata(0, 0)).close()
    return path


def cut_again_and_again(
    disk: Disk, path: Path, source: random.Random, sync: str, *, cuts: int = CUTS, replacements: int = 0
) -> None:
    """Cuts the power while one writer after another goes on with the file, and checks it each time."""
    lost = int(sync == "barrier")
    commit = acknowledged = 0
    for lines in islice(cycle(MOMENTS), cuts):
        history = History(acknowledged=[commit])
        work_until_cut(disk, power_cuts.write, path, sync, replacements, source=source, history=history, lines=lines)
        power_cuts.check(path, history.allowed(lost))
        acknowledged += len(history.acknowledged) - 1
        commit = power_cuts.write_on(path)
    assert acknowledged > 0, "the writers got nothing done"


def test_a_power_cut_takes_back_no_acknowledged_commit(disk: Disk, path: Path, source: random.Random) -> None:
    cut_again_and_again(disk, path, source, "full")


def test_a_power_cut_takes_back_one_commit_at_most_in_barrier_mode(
    disk: Disk, path: Path, source: random.Random
) -> None:
    cut_again_and_again(disk, path, source, "barrier")


def test_a_power_cut_leaves_the_file_or_its_replacement(disk: Disk, path: Path, source: random.Random) -> None:
    cut_again_and_again(disk, path, source, "full", cuts=FEW_CUTS, replacements=50)


def test_a_file_that_was_created_is_there_after_a_power_cut(disk: Disk, source: random.Random) -> None:
    created: set[int] = set()
    for lines, sync in zip(MOMENTS, cycle(["barrier", "full"]), strict=False):
        history = History()
        work_until_cut(disk, power_cuts.create, disk.root, sync, source=source, history=history, lines=lines)
        created |= set(history.acknowledged)
        there = {int(path.stem) for path in disk.root.glob("[0-9]*.capture")}
        assert created <= there <= created | history.allowed()
        for number in there:
            assert power_cuts.check(disk.root / f"{number}.capture", {number}) == number
        created = there
    assert created, "nothing was created"


def count_losses(disk: Disk, path: Path, source: random.Random, actor: Callable[..., None], *arguments: object) -> int:
    """Cuts the power `FEW_CUTS` times; returns how many times the file was lost, or commits that were acknowledged."""
    losses = 0
    for _ in range(FEW_CUTS):
        CaptureFile(path, to_write=True, force_new_empty_file=True, initial_metadata=metadata(0, 0)).close()
        history = History()
        work_until_cut(disk, actor, path, *arguments, source=source, history=history, lines=MOMENTS[-1], stir=False)
        assert history.acknowledged
        try:
            power_cuts.check(path, history.allowed())
        except (AssertionError, OSError, capturefile.CaptureFileError):
            losses += 1
    return losses


def test_the_cuts_show_that_nothing_is_promised_without_syncs(disk: Disk, path: Path, source: random.Random) -> None:
    assert count_losses(disk, path, source, power_cuts.write, "none", 0) > FEW_CUTS / 2


def test_the_cuts_show_that_the_reference_loses_what_it_acknowledged(
    disk: Disk, path: Path, source: random.Random
) -> None:
    assert count_losses(disk, path, source, power_cuts.write_by_reference) > FEW_CUTS / 2
