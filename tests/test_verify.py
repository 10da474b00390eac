"""Information about a file: its sizes and counts, and the damage in it."""

from __future__ import annotations

import dataclasses
import random
import struct
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import capturefile
import pytest
from builder import (
    FileBuilder,
    Frame,
    Geometry,
    build_file,
    encode_slot,
    index_node,
    parse,
    put_slot,
    sized,
    trillion_file,
)
from capturefile import CaptureFile

if TYPE_CHECKING:
    from pathlib import Path

TINY = Geometry(page_size=512, block_size=512, fan_out=2)


def test_info_describes_the_file(path: Path) -> None:
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
        compression="zlib",
    )
    with CaptureFile(path) as cf:
        facts = cf.info()
        assert facts == expected
        with pytest.raises(dataclasses.FrozenInstanceError):
            facts.version = 1  # type: ignore[misc]


def test_info_of_a_writer_describes_what_it_sees(path: Path) -> None:
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


def test_the_report_of_a_sound_file_counts_all_that_was_checked(path: Path) -> None:
    records = [f"record {number}".encode() * 20 for number in range(100)]
    path.write_bytes(build_file(records, b"metadata", TINY))
    report = capturefile.verify(path)
    frames = len(list(parse(path.read_bytes()).frames()))
    nodes = sum(100 // 2**height for height in range(1, 7))
    assert report == capturefile.Report(100, 100, frames, nodes, ())
    assert report.sound is True


def test_damage_is_reported_with_its_position_and_the_rest_is_still_checked(path: Path) -> None:
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
    for problem in report.problems:
        assert str(problem) == f"at byte {damaged.position}: found {problem.found}, expected {problem.expected}"
    assert 0 < report.records_checked < report.record_count == 100
    assert path.read_bytes() == before


def test_a_damaged_slot_is_reported_although_the_other_is_used(path: Path) -> None:
    data = build_file([b"1", b"2"], None, TINY, previous=1)
    position = TINY.slot_position(1)
    path.write_bytes(data[:position] + b"\0" + data[position + 1 :])
    (problem,) = capturefile.verify(path).problems
    assert problem.position == position
    with CaptureFile(path) as cf:
        assert list(cf) == ["1", "2"]


def test_a_damaged_block_loses_only_its_own_records(path: Path) -> None:
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


# Effects of a crash, and damage


def torn(data: bytes, geometry: Geometry, parity: int) -> bytes:
    """The file with a torn slot, part of which is from another commit."""
    position = geometry.slot_position(parity)
    half = position + geometry.slot_size // 2
    return data[:half] + b"\x5a" * 700 + data[half + 700 :]


@pytest.mark.parametrize("parity", [0, 1])
def test_a_torn_slot_is_not_damage_and_the_next_writer_repairs_it(path: Path, parity: int) -> None:
    path.write_bytes(torn(build_file([b"1", b"2"], previous=1), Geometry(), parity))
    report = capturefile.verify(path)
    assert (report.sound, report.problems) == (True, ())
    (repairable,) = report.repairable
    assert repairable.position == Geometry().slot_position(parity)
    assert "checksum" in repairable.found
    CaptureFile(path, to_write=True).close()
    assert capturefile.verify(path).repairable == ()


@pytest.mark.parametrize("offset", [0, 3, 4, 20, 5000, 40_959])
def test_one_flipped_bit_in_a_slot_is_damage(path: Path, offset: int) -> None:
    data = bytearray(build_file([b"1", b"2"], previous=1))
    data[Geometry().slot_position(0) + offset] ^= 1 << offset % 8
    path.write_bytes(data)
    report = capturefile.verify(path)
    assert [problem.position for problem in report.problems] == [Geometry().slot_position(0)]
    assert report.repairable == ()


def test_a_gap_between_the_serial_numbers_is_repairable(path: Path) -> None:
    data = build_file([b"1"], serial=6)
    older = encode_slot(replace(parse(data).current, serial=3))
    path.write_bytes(put_slot(data, older, 1))
    report = capturefile.verify(path)
    assert report.sound
    assert "commits 6 and 3" in str(report.repairable[0])


def test_frames_of_an_abandoned_transaction_are_not_checked(path: Path) -> None:
    with CaptureFile(path, True, encoding=None, compression_block_size=4096) as cf:
        cf.add_record(b"committed")
        cf.commit()
        limit = cf.info().file_limit
        cf.add_records(random.Random(n).randbytes(3000) for n in range(30))
        assert cf.info().file_limit > limit + 50_000
        with path.open("r+b") as file:
            file.seek(limit + 20_000)
            file.write(bytes(5000))
        assert capturefile.verify(path) == capturefile.Report(1, 1, 0, 0, ())
        cf.rollback()


def numbers_in(ranges: tuple[capturefile.RecordRange, ...]) -> set[int]:
    """All numbers in the ranges."""
    return {number for numbers in ranges for number in range(numbers.first, numbers.last + 1)}


def readable(path: Path) -> set[int]:
    """The numbers of the records that can be read."""
    found = set()
    with CaptureFile(path, encoding=None, cache_size=0) as cf:
        for number in range(1, len(cf) + 1):
            with suppress(capturefile.InvalidCaptureFile):
                cf.record_at(number)
                found.add(number)
    return found


def frames_in_file(data: bytes) -> list[Frame]:
    """The frames that are largely in the complete pages of the file, not in a slot's partial page."""
    parsed = parse(data)
    whole = parsed.geometry.page_floor(parsed.current.file_limit)
    return [frame for frame in parsed.frames() if frame.position + 30 < whole]


def destroyed(data: bytes, frame: Frame) -> bytes:
    """The file with zeros in place of a frame's stream, and the frame's length unchanged."""
    start, end = frame.position + 6, frame.position + frame.length
    return data[:start] + bytes(end - start) + data[end:]


@pytest.mark.parametrize("late_nodes", [False, True])
def test_the_unreadable_records_of_any_destroyed_block_are_reported(path: Path, late_nodes: bool) -> None:
    records = [b"%d" % number * 20 for number in range(100)]
    data = build_file(records, b"metadata", TINY, late_nodes=late_nodes)
    everything = set(range(1, 101))
    assert len(frames_in_file(data)) > 8
    for frame in frames_in_file(data):
        path.write_bytes(destroyed(data, frame))
        report = capturefile.verify(path)
        assert numbers_in(report.unreadable) == everything - readable(path)
        assert {problem.position for problem in report.problems} == {frame.position}
        assert report.records_checked == 100 - len(numbers_in(report.unreadable))


def test_a_range_of_records_has_a_readable_text() -> None:
    assert str(capturefile.RecordRange(1025, 2048)) == "records 1025 to 2048"
    assert str(capturefile.RecordRange(7, 7)) == "record 7"


# The header


def with_fan_out(data: bytes, fan_out: int) -> bytes:
    """The file with a different fan-out in its header."""
    return data[:23] + struct.pack(">I", fan_out) + data[27:]


@pytest.mark.parametrize("bit", range(32))
def test_the_headers_checksum_detects_a_flipped_bit_of_the_fan_out(path: Path, bit: int) -> None:
    # Without metadata, a byte of 0 in the header would look like a file whose creation was interrupted.
    CaptureFile(path, True, initial_metadata=b"metadata").close()
    path.write_bytes(with_fan_out(path.read_bytes(), 32 ^ 1 << bit))
    for use in (CaptureFile, partial(CaptureFile, to_write=True), capturefile.verify):
        with pytest.raises(capturefile.InvalidCaptureFile, match=r"checksum 0x\w+ on the header|fan-out"):
            use(path)


@pytest.mark.parametrize("bit", [*range(11), 20, 31])
@pytest.mark.parametrize("count", [33, 1024, 1025, 1500])
def test_without_a_checksum_opening_detects_a_flipped_bit_of_the_fan_out(path: Path, count: int, bit: int) -> None:
    records = [random.Random(number).randbytes(number % 50) for number in range(count)]
    path.write_bytes(with_fan_out(build_file(records), 32 ^ 1 << bit))
    for use in (CaptureFile, partial(CaptureFile, to_write=True)):
        with pytest.raises(capturefile.InvalidCaptureFile, match=r"fan-out|bytes from there"):
            use(path)


@pytest.mark.parametrize("geometry", [TINY, Geometry(512, 1024, 3), Geometry(1024, 4096, 5), Geometry(4096, 8192, 24)])
@pytest.mark.parametrize("late_nodes", [False, True])
def test_without_a_checksum_any_wrong_fan_out_is_detected(path: Path, geometry: Geometry, late_nodes: bool) -> None:
    records = [random.Random(number).randbytes(number % 40) for number in range(1000)]
    data = build_file(records, b"metadata", geometry, late_nodes=late_nodes)
    path.write_bytes(data)
    assert capturefile.verify(path).sound
    for fan_out in range(2, 70):
        if fan_out != geometry.fan_out:
            path.write_bytes(with_fan_out(data, fan_out))
            with suppress(capturefile.InvalidCaptureFile):
                assert not capturefile.verify(path).sound, fan_out


def test_a_fan_out_that_only_makes_nodes_overlap_is_detected(path: Path) -> None:
    builder = FileBuilder(Geometry(512, 4096, 2))
    level = [builder.add_entry(sized(b"%d" % number)) for number in range(8)]
    while len(level) > 1:
        below = level
        level = [builder.add_entry(index_node(pair)) for pair in zip(below[::2], below[1::2], strict=True)]
    builder.levels = [[], [], [], level]
    builder.add_entry(index_node(below))
    builder.commit()
    builder.commit()
    data = builder.image()
    path.write_bytes(data)
    assert capturefile.verify(path).sound
    path.write_bytes(with_fan_out(data, 4))
    problems = capturefile.verify(path).problems
    assert "index nodes at offsets" in str(problems[0])
    assert "fan-out of 4 may be wrong" in str(problems[0])


def test_an_invalid_tag_is_damage_that_does_not_prevent_opening(path: Path) -> None:
    CaptureFile(path, True).close()
    data = bytearray(path.read_bytes())
    data[33] ^= 1
    path.write_bytes(data)
    assert [problem.position for problem in capturefile.verify(path).problems] == [32]
    CaptureFile(path, True).close()


# Quick checks


def test_a_quick_check_of_a_sound_file_finds_nothing(path: Path) -> None:
    records = [b"%d" % number * 20 for number in range(300)]
    for geometry in (TINY, Geometry(512, 1024, 7), Geometry()):
        path.write_bytes(build_file(records, b"metadata", geometry))
        report = capturefile.verify(path, quick=True)
        assert (report.sound, report.record_count, report.unreadable) == (True, 300, ())
        assert 0 < report.records_checked < 60
    path.write_bytes(trillion_file())
    assert capturefile.verify(path, quick=True).sound
    assert capturefile.verify(path).sound
    CaptureFile(path, force_new_empty_file=True).close()
    assert capturefile.verify(path, quick=True) == capturefile.Report(0, 0, 0, 0, ())


def test_a_quick_check_finds_damage_at_both_ends_and_not_in_the_middle(path: Path) -> None:
    records = [b"%d" % number * 20 for number in range(300)]
    data = build_file(records, b"metadata", TINY)
    frames = frames_in_file(data)
    found = []
    for frame in (frames[0], frames[5], frames[-1]):
        path.write_bytes(destroyed(data, frame))
        found.append([problem.position for problem in capturefile.verify(path, quick=True).problems])
    assert found == [[frames[0].position], [], [frames[-1].position]]


def test_a_quick_check_finds_a_torn_slot_and_lost_metadata(path: Path) -> None:
    data = build_file([random.Random(1).randbytes(600)], b"metadata", TINY)
    (frame,) = frames_in_file(data)
    path.write_bytes(torn(destroyed(data, frame), TINY, 1))
    report = capturefile.verify(path, quick=True)
    assert {problem.position for problem in report.problems} == {frame.position}
    assert [problem.position for problem in report.repairable] == [TINY.slot_position(1)]


@pytest.fixture
def long_work(tmp_path: Path) -> Path:
    """A file that takes a while to read."""
    path = tmp_path / "long"
    with capturefile.open(path, "x", encoding=None, sync=False) as cf:
        cf.add_records(b"%d" % number for number in range(1_000_000))
        cf.commit()
    return path


@pytest.mark.usefixtures("both_formats")
def test_progress_goes_from_zero_to_the_total_at_most_ten_times_a_second(long_work: Path) -> None:
    result: list[tuple[int, int, float]] = []
    assert capturefile.verify(long_work, progress=lambda *at: result.append((*at, time.monotonic()))).sound
    with capturefile.open(long_work) as cf:
        limit = cf.info().file_limit
    assert [result[0][:2], result[-1][:2]] == [(0, limit), (limit, limit)]
    assert [done for done, _, _ in result] == sorted(done for done, _, _ in result)
    assert len(result) <= 2 + 10 * (result[-1][2] - result[0][2])


@pytest.mark.usefixtures("both_formats")
def test_an_error_in_the_progress_callback_stops_the_work(long_work: Path) -> None:
    calls: list[int] = []

    def stop(done: int, total: int) -> None:
        calls.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        capturefile.verify(long_work, progress=stop)
    assert calls == [0]


@pytest.mark.usefixtures("both_formats")
def test_a_quick_check_has_no_progress(long_work: Path) -> None:
    assert capturefile.verify(long_work, quick=True, progress=lambda *_: pytest.fail("it was called")).sound
