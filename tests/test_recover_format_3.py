"""`recover` of files in format 3 through the public API; `src/recover/v3/tests.rs` destroys each part in turn."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import capturefile
import pytest
from command import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COUNT = 20_000
"""Enough that the log has wrapped around and that its first commits are only in blocks."""
RECORDS = [random.Random(number).randbytes(60) + b"%d" % number for number in range(1, COUNT + 1)]
PAGE = 4096


@pytest.fixture
def source(path: Path) -> Path:
    """A file of 200 commits, most of whose records are in blocks."""
    with capturefile.open(path, "x", format=3, encoding=None, compression_block_size=8192, sync="none") as cf:
        for start in range(0, COUNT, 100):
            cf.add_records(RECORDS[start : start + 100])
            cf.set_metadata(b"up to %d" % (start + 100))
            cf.commit()
    return path


@pytest.fixture
def target(path: Path) -> Path:
    """The path of the new file."""
    return path.with_name("new.capture")


def destroy(path: Path, *parts: tuple[int, int]) -> None:
    """Fills parts of a file with noise."""
    with path.open("r+b") as file:
        for start, end in parts:
            file.seek(start)
            file.write(random.Random(start).randbytes(end - start))


def blocks_of(path: Path) -> list[capturefile.BlockInfo]:
    with capturefile.open(path) as cf:
        return [block for block in cf.blocks() if block.position is not None and block.records]


def contents(path: Path) -> list[tuple[bytes, object]]:
    """All records with the times of their commits."""
    assert capturefile.verify(path).sound
    with capturefile.open(path, encoding=None) as cf:
        return [(record, cf.commit_time(number)) for number, record in enumerate(cf, start=1)]


def without(numbers: Sequence[int], everything: list[tuple[bytes, object]]) -> list[tuple[bytes, object]]:
    return [each for number, each in enumerate(everything, start=1) if number not in numbers]


def test_a_sound_file_is_recovered_completely_with_the_times_of_its_commits(source: Path, target: Path) -> None:
    report = capturefile.recover(source, target)
    assert (report.complete, report.expected, report.problems) == (True, COUNT, ())
    assert contents(target) == contents(source)
    with capturefile.open(target) as new, capturefile.open(source) as old:
        assert new.get_metadata() == old.get_metadata() == b"up to 20000"
        assert (new.info().version, new.info().block_size) == (3, 8192)
    with capturefile.open(target, "a", encoding=None) as cf:
        cf.add_record(b"one more")
        cf.commit()
    assert len(contents(target)) == COUNT + 1


@pytest.mark.parametrize("destroyed", [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]], ids=str)
def test_nothing_is_lost_with_the_header_and_the_heads(source: Path, target: Path, destroyed: list[int]) -> None:
    before = contents(source)
    destroy(source, *((PAGE * page, PAGE * (page + 1)) for page in destroyed))
    report = capturefile.recover(source, target)
    assert (report.recovered, report.lost, report.uncertain) == (COUNT, (), ())
    assert report.problems
    assert contents(target) == before


def test_a_destroyed_frame_loses_only_its_own_records_which_are_named(source: Path, target: Path) -> None:
    before = contents(source)
    first, second = blocks_of(source)[2], blocks_of(source)[5]
    for block in (first, second):
        assert block.position is not None
        destroy(source, (block.position, block.position + 1000))
    report = capturefile.recover(source, target)
    numbers = [block.records for block in (first, second)]
    assert all(numbers)
    lost = [(each.first, each.last) for each in numbers if each]
    assert [(each.first, each.last, each.exact) for each in report.lost] == [(*each, True) for each in lost]
    all_lost = [number for start, end in lost for number in range(start, end + 1)]
    assert contents(target) == without(all_lost, before)

    done = run("recover", "--overwrite", "--keep-numbers", "--json", source, target)
    told = json.loads(done.stdout)
    assert (done.returncode, told["record_count"], told["expected"]) == (3, COUNT, COUNT)
    kept = contents(target)
    assert [number for number, each in enumerate(kept, start=1) if each != before[number - 1]] == all_lost
    assert run("recover", "--overwrite", source, target).stdout.decode().splitlines()[1].startswith("lost: records")


def test_a_destroyed_frame_whose_records_are_still_in_the_log_loses_nothing(source: Path, target: Path) -> None:
    before, block = contents(source), blocks_of(source)[-1]
    assert block.position is not None
    destroy(source, (block.position, block.position + 1000))
    report = capturefile.recover(source, target)
    assert (report.lost, report.uncertain, len(report.problems)) == ((), (), 1)
    assert contents(target) == before


def test_a_record_of_a_destroyed_entry_is_taken_from_a_later_entry_that_repeats_it(path: Path, target: Path) -> None:
    records = [bytes([number]) * 50 for number in b"abc"]
    with capturefile.open(path, "x", format=3, encoding=None) as cf:
        for record in records:
            cf.add_record(record)
            cf.commit()
        # Too large for an entry, so that this commit replaces the entries before it.
        cf.set_metadata(b"m" * 2 * PAGE)
        cf.commit()
    place = path.read_bytes().index(records[1])
    destroy(path, (place, place + 50))
    report = capturefile.recover(path, target)
    assert (report.lost, report.uncertain, report.recovered, len(report.problems)) == ((), (), 3, 1)
    with capturefile.open(target, encoding=None) as cf:
        assert (list(cf), cf.get_metadata()) == (records, b"m" * 2 * PAGE)


def test_without_the_log_all_records_in_frames_are_recovered(source: Path, target: Path) -> None:
    before, blocks = contents(source), blocks_of(source)
    with capturefile.open(source) as cf:
        log = next(block.records for block in cf.blocks() if block.position is None)
    assert log is not None
    position = blocks[0].position
    assert position is not None
    destroy(source, (3 * PAGE, position))
    report = capturefile.recover(source, target)
    assert report.later_commit_lost
    assert report.recovered >= log.first - 1
    assert contents(target) == before[: report.recovered]


def test_without_the_beginning_of_a_file_all_else_comes_back_under_its_number(source: Path, target: Path) -> None:
    before, blocks = contents(source), blocks_of(source)
    first, last = blocks[len(blocks) // 2], blocks[-1]
    assert first.position is not None
    assert first.records is not None
    assert last.records is not None
    destroy(source, (0, first.position))
    report = capturefile.recover(source, target, keep_numbers=True)
    lost = first.records.first - 1
    assert [(each.first, each.last, each.exact) for each in report.lost] == [(1, lost, True)]
    assert report.recovered == last.records.last - lost
    assert contents(target)[lost:] == before[lost : report.record_count]


def test_the_first_64_kib_cost_no_more_than_the_entries_of_the_log_in_them(source: Path, target: Path) -> None:
    before, destroyed = contents(source), 64 << 10
    destroy(source, (0, destroyed))
    report = capturefile.recover(source, target, keep_numbers=True)
    lost = {number for each in report.lost for number in range(each.first, each.last + 1)}
    assert len(lost) + COUNT - report.record_count <= destroyed / 60
    for number, (found, original) in enumerate(zip(contents(target), before, strict=False), start=1):
        assert found == original or (number in lost and found[0] == b"")


def test_without_the_beginning_of_a_short_file_all_else_comes_back_under_its_number(path: Path, target: Path) -> None:
    records = RECORDS[:1500]
    with capturefile.open(path, "x", format=3, encoding=None) as cf:
        for record in records:
            cf.add_record(record)
            cf.commit()
    assert not blocks_of(path)
    destroy(path, (0, 64 << 10))
    report = capturefile.recover(path, target, keep_numbers=True)
    (lost,) = report.lost
    assert (lost.first, lost.exact, report.uncertain) == (1, True, ())
    with capturefile.open(target, encoding=None) as cf:
        assert list(cf)[lost.last :] == records[lost.last :]
        assert len(cf) == len(records)


def test_verify_reports_what_recover_would_save(source: Path) -> None:
    block = blocks_of(source)[1]
    assert block.position is not None
    assert block.records is not None
    destroy(source, (block.position + 500, block.position + 600))
    done = run("verify", source)
    assert done.returncode == 1
    assert f"{block.records.first} to {block.records.last}" in done.stdout.decode()


def test_damage_to_the_copy_of_the_header_is_found_by_verify_and_repaired_by_the_next_writer(source: Path) -> None:
    position, before = 3 * PAGE + (1 << 20), contents(source)
    destroy(source, (position, position + 72))
    (problem,) = capturefile.verify(source).problems
    assert (problem.position, problem.expected) == (position, "a copy of the first 72 bytes")
    with capturefile.open(source, encoding=None) as cf:
        assert len(cf) == COUNT
    capturefile.open(source, "a").close()
    assert contents(source) == before
