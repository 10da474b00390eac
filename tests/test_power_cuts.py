"""Power cuts while a file is written, created or replaced, on real file systems: acknowledged commits survive."""

from __future__ import annotations

import random
from itertools import cycle, islice
from typing import TYPE_CHECKING

import capturefile
import mounts
import power_cuts
import pytest
from capturefile import CaptureFile
from capturefile.rotating import RotatingReader, RotatingWriter
from power_cuts import KINDS, MOMENTS, Disk, History, cut_again_and_again, metadata, work_until_cut
from rotating_scenarios import rotate_until_cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from power_cuts import Version

CUTS = 9
"""Power cuts on each of three file systems, for each guarantee."""
FEW_CUTS = 4
"""The same for tests where a few are enough."""


@pytest.fixture(params=KINDS)
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Disk]:
    """A file system whose power can be cut."""
    try:
        with power_cuts.disk(tmp_path, KINDS[request.param]) as disk:
            yield disk
    except mounts.Impossible as reason:
        pytest.skip(str(reason))


@pytest.fixture
def source() -> random.Random:
    """Random numbers with a seed that a failure shows."""
    seed = random.randrange(2**32)
    print("seed", seed)
    return random.Random(seed)


@pytest.fixture(params=power_cuts.VERSIONS, ids=["format_2", "format_3"])
def version(request: pytest.FixtureRequest) -> Version:
    """The version of the format."""
    version: Version = request.param
    return version


def test_a_power_cut_loses_no_acknowledged_commit(disk: Disk, version: Version, source: random.Random) -> None:
    cut_again_and_again(disk, source, version, "full", CUTS)


def test_a_power_cut_loses_at_most_one_commit_in_barrier_mode(disk: Disk, source: random.Random) -> None:
    cut_again_and_again(disk, source, 2, "barrier", CUTS, replacements=10)


def test_a_power_cut_loses_at_most_the_last_commits_in_barrier_mode(disk: Disk, source: random.Random) -> None:
    cut_again_and_again(disk, source, 3, "barrier", CUTS, replacements=10)


def test_a_power_cut_leaves_the_file_or_its_replacement(disk: Disk, version: Version, source: random.Random) -> None:
    cut_again_and_again(disk, source, version, "full", CUTS, replacements=50)


def test_a_created_file_survives_a_power_cut(disk: Disk, version: Version, source: random.Random) -> None:
    created: set[int] = set()
    for lines, sync in zip(MOMENTS, cycle(["barrier", "full"]), strict=False):
        history = History()
        work_until_cut(disk, power_cuts.create, disk.root, version, sync, source=source, history=history, lines=lines)
        disk.restart()
        created |= set(history.acknowledged)
        there = {int(path.stem) for path in disk.root.glob("[0-9]*.capture")}
        assert created <= there <= created | history.allowed()
        for number in there:
            assert power_cuts.check(disk.root / f"{number}.capture", {number}) == number
        created = there
    assert created, "nothing was created"


@pytest.mark.parametrize("durable", [True, False])
def test_a_power_cut_loses_nothing_that_a_durable_refresh_has_shown(
    disk: Disk, version: Version, *, durable: bool
) -> None:
    path = disk.root / "log.capture"
    CaptureFile(path, to_write=True, initial_metadata=metadata(0, 0), format=version).close()
    losses = 0
    for _ in range(FEW_CUTS):
        with CaptureFile(path) as reader, CaptureFile(path, to_write=True, encoding=None, sync="barrier") as writer:
            commit = power_cuts.add_commit(writer, 1)
            assert reader.refresh(durable=durable)
            disk.cut_power()
        disk.restart()
        losses += power_cuts.check(path, {commit - 1, commit}) != commit
        power_cuts.write_on(path)
    assert not losses if durable else losses


@pytest.mark.parametrize("sync", ["full", "barrier"])
def test_a_power_cut_leaves_a_rotated_log_complete(disk: Disk, source: random.Random, sync: str) -> None:
    folder = disk.root / "log"
    RotatingWriter(folder, initial_metadata=b"0").close()
    last = 0
    for lines in islice(cycle(MOMENTS), FEW_CUTS):
        history = History(acknowledged=[last])
        work_until_cut(disk, rotate_until_cut, folder, sync, source=source, history=history, lines=lines)
        disk.restart()
        check_log(folder, history.allowed(lost=int(sync == "barrier")))
        with RotatingWriter(folder, encoding=None) as log:
            log.rotate()
            last = log.add_record(power_cuts.record(log.record_count() + 1))
            log.set_metadata(b"%d" % last)
            log.commit()
    with RotatingReader(folder) as reader:
        assert len(reader.files()) > FEW_CUTS / 2


def check_log(folder: Path, allowed: set[int]) -> None:
    """Checks that a rotated log has one of these numbers of records, without gaps."""
    with RotatingReader(folder, encoding=None) as log:
        assert log.record_count() in allowed
        assert log.get_metadata() == b"%d" % log.record_count()
        for number, found in enumerate(log.as_sequence(), start=1):
            assert found == power_cuts.record(number), f"record {number} has changed"


def count_losses(disk: Disk, source: random.Random, scenario: Callable[..., None], *arguments: object) -> int:
    """Cuts the power `FEW_CUTS` times; returns how many times the file or acknowledged commits were lost."""
    path = disk.root / "log.capture"
    losses = 0
    for _ in range(FEW_CUTS):
        CaptureFile(path, to_write=True, force_new_empty_file=True, initial_metadata=metadata(0, 0)).close()
        history = History()
        work_until_cut(disk, scenario, path, *arguments, source=source, history=history, lines=MOMENTS[-1], stir=False)
        disk.restart()
        assert history.acknowledged
        try:
            power_cuts.check(path, history.allowed())
        except (AssertionError, OSError, capturefile.CaptureFileError):
            losses += 1
    return losses


def test_without_syncs_power_cuts_lose_acknowledged_commits(disk: Disk, source: random.Random) -> None:
    assert count_losses(disk, source, power_cuts.write, 2, "none", 0) > FEW_CUTS / 2


def test_power_cuts_lose_acknowledged_commits_of_the_reference(disk: Disk, source: random.Random) -> None:
    assert count_losses(disk, source, power_cuts.write_by_reference) > FEW_CUTS / 2
