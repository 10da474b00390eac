"""What a file tells about itself: its sizes and numbers, and what is damaged in it."""

from __future__ import annotations

import dataclasses
import random
from functools import partial
from typing import TYPE_CHECKING

import capturefile
import pytest
from builder import Geometry, build_file, parse
from capturefile import CaptureFile

if TYPE_CHECKING:
    from pathlib import Path

TINY = Geometry(page_size=512, block_size=512, fan_out=2)


def test_the_facts_are_those_of_the_file(path: Path) -> None:
    records = [f"record {number}".encode() * 20 for number in range(100)]
    path.write_bytes(build_file(records, b"metadata", TINY, serial=2**32 - 1))
    parsed = parse(path.read_bytes())
    expected = capturefile.Info(
        version=2,
        page_size=512,
        block_size=512,
        fan_out=2,
        serial_number=2**32 - 1,
        record_count=100,
        tree_height=7,
        file_limit=parsed.current.file_limit,
        file_size=path.stat().st_size,
        pending_bytes=len(parsed.current.pending),
        metadata_length=8,
    )
    with CaptureFile(path) as cf:
        facts = cf.info()
        assert facts == expected
        with pytest.raises(dataclasses.FrozenInstanceError):
            facts.version = 1  # type: ignore[misc]


def test_the_facts_of_a_writer_are_those_that_it_sees(path: Path) -> None:
    with CaptureFile(path, True, compression_block_size=4096) as cf:
        before = cf.info()
        assert (before.record_count, before.tree_height, before.serial_number, before.metadata_length) == (
            0,
            0,
            2,
            None,
        )
        cf.add_records(["x" * 1000] * 10)
        cf.set_metadata(b"12345")
        after = cf.info()
        assert (after.record_count, after.tree_height, after.metadata_length) == (10, 1, 5)
        assert (after.serial_number, after.file_limit > before.file_limit) == (2, True)
        assert after.pending_bytes < 4096
        cf.commit()
        assert cf.info() == dataclasses.replace(after, serial_number=3)


def test_a_sound_file_is_reported_with_all_that_was_looked_at(path: Path) -> None:
    records = [f"record {number}".encode() * 20 for number in range(100)]
    path.write_bytes(build_file(records, b"metadata", TINY))
    report = capturefile.verify(path)
    frames = len(list(parse(path.read_bytes()).frames()))
    nodes = sum(100 // 2**height for height in range(1, 7))
    assert report == capturefile.Report(100, 100, frames, nodes, ())
    assert report.sound is True


def test_damage_is_reported_where_it_is_and_the_rest_is_still_checked(path: Path) -> None:
    records = [f"record {number}".encode() * 20 for number in range(100)]
    data = build_file(records, b"metadata", TINY)
    frames = list(parse(data).frames())
    damaged = frames[len(frames) // 2]
    at = damaged.position + damaged.length // 2
    path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
    before = path.read_bytes()
    report = capturefile.verify(path)
    assert not report.sound
    assert {problem.position for problem in report.problems} == {damaged.position}
    assert all("found" in problem.message and "expected" in problem.message for problem in report.problems)
    assert 0 < report.records_checked < report.record_count == 100
    assert path.read_bytes() == before


def test_a_damaged_slot_is_reported_though_the_other_is_read(path: Path) -> None:
    data = build_file([b"1", b"2"], None, TINY, previous=1)
    position = TINY.slot_position(1)
    path.write_bytes(data[:position] + b"\0" + data[position + 1 :])
    (problem,) = capturefile.verify(path).problems
    assert problem.position == position
    with CaptureFile(path) as cf:
        assert list(cf) == ["1", "2"]


def test_a_damaged_block_costs_its_own_records_and_no_others(path: Path) -> None:
    records = [random.Random(number).randbytes(200) for number in range(30)]
    data = build_file(records, None, Geometry(512, 512, 35))
    damaged = list(parse(data).frames())[2].position
    path.write_bytes(data[: damaged + 10] + bytes(8) + data[damaged + 18 :])
    lost = [number for number, child in enumerate(parse(data).current.children) if child.position == damaged]
    assert len(lost) == 3
    with CaptureFile(path, encoding=None) as cf:
        in_order = iter(cf)
        for number, record in enumerate(records):
            if number not in lost:
                assert cf.record_at(number + 1) == next(in_order) == record
                continue
            for read in (partial(cf.record_at, number + 1), partial(next, in_order)):
                with pytest.raises(capturefile.InvalidCaptureFile, match=rf"log\.capture.*at byte {damaged}"):
                    read()
        assert next(in_order, None) is None
