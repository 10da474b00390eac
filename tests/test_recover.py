"""`recover`: each part of a real file is destroyed in turn, and the recovered records are counted."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import capturefile
import pytest
from builder import (
    Coordinates,
    FileBuilder,
    Frame,
    Geometry,
    Parsed,
    build_file,
    encode_slot,
    parse,
    put_slot,
    trillion_file,
    without_header_checksum,
)
from CaptureFile import CaptureFile as Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

TINY = Geometry(page_size=512, block_size=512, fan_out=2)
SMALL = Geometry(page_size=512, block_size=1024, fan_out=3)
COUNT = 2500
PATIENCE = 60.0


def some_records(count: int, longest: int = 90) -> list[bytes]:
    """Distinct records of many lengths."""
    source = random.Random(count)
    return [b"%d:" % number + source.randbytes(source.randrange(longest)) for number in range(1, count + 1)]


@dataclass(frozen=True)
class Sample:
    """A sound file and its content."""

    data: bytes
    records: Sequence[bytes]

    @cached_property
    def parsed(self) -> Parsed:
        """The parsed file."""
        return parse(self.data)

    @cached_property
    def frames(self) -> list[Frame]:
        """All frames in file order."""
        return list(self.parsed.frames())

    @cached_property
    def blocks(self) -> dict[int, bytes]:
        """All blocks by the positions of their frames, including the pending one."""
        blocks = {frame.position: frame.block for frame in self.frames}
        return {**blocks, self.parsed.current.file_limit: self.parsed.current.pending}

    @cached_property
    def places(self) -> list[Coordinates]:
        """Where the records are, in order."""

        def below(child: Coordinates, height: int) -> Iterable[Coordinates]:
            if height == 1:
                return [child]
            block, fan_out = self.blocks[child.position], self.parsed.geometry.fan_out
            node = (block[child.offset + 12 * index :][:12] for index in range(fan_out))
            found = [Coordinates(int.from_bytes(each[:8]), int.from_bytes(each[8:])) for each in node]
            return (place for each in found for place in below(each, height - 1))

        children = sorted(self.parsed.current.children, key=lambda child: -child.height)
        return [place for child in children for place in below(Coordinates(*child[1:]), child.height)]

    @property
    def whole(self) -> int:
        """The end of the complete pages; what follows is in a slot's partial page."""
        return self.parsed.geometry.page_floor(self.parsed.current.file_limit)

    def numbers_in(self, positions: Iterable[int]) -> set[int]:
        """The numbers of the records in the frames at these positions."""
        positions = set(positions)
        return {number for number, place in enumerate(self.places, start=1) if place.position in positions}

    def without(self, numbers: Iterable[int]) -> list[bytes]:
        """All records except those with these numbers."""
        numbers = set(numbers)
        return [record for number, record in enumerate(self.records, start=1) if number not in numbers]

    def slot(self, parity: int) -> tuple[int, int]:
        """The start and end of slot A (0) or B (1)."""
        start = self.parsed.geometry.slot_position(parity)
        return start, start + self.parsed.geometry.slot_size

    @property
    def current_slot(self) -> tuple[int, int]:
        """The start and end of the slot of the last commit."""
        return self.slot(self.parsed.current.serial % 2)


@dataclass(frozen=True)
class Outcome:
    """The result of a recovery."""

    report: capturefile.Recovery
    records: list[bytes]
    metadata: bytes | None
    geometry: Geometry

    @property
    def lost(self) -> set[int]:
        """The numbers that were reported as lost."""
        return {number for lost in self.report.lost for number in range(lost.first, lost.last + 1)}

    @property
    def uncertain(self) -> set[int]:
        """The numbers in the new file that were reported as uncertain."""
        return {number for each in self.report.uncertain for number in range(each.first, each.last + 1)}

    @property
    def certain(self) -> list[bytes]:
        """The records that were not reported as uncertain."""
        return [record for number, record in enumerate(self.records, start=1) if number not in self.uncertain]


@pytest.fixture
def recovered(tmp_path: Path) -> Callable[..., Outcome]:
    """A function that recovers a damaged file, given as bytes, and checks the result."""
    source, target = tmp_path / "source.capture", tmp_path / "target.capture"

    def recover(data: bytes, *, keep_numbers: bool = False) -> Outcome:
        source.write_bytes(data)
        report = capturefile.recover(source, target, overwrite=True, keep_numbers=keep_numbers)
        assert source.read_bytes() == data
        assert capturefile.verify(target).sound
        assert {path.name for path in tmp_path.iterdir()} == {source.name, target.name}
        with capturefile.open(target, encoding=None) as cf:
            outcome = Outcome(report, list(cf), cf.get_metadata(), parse(target.read_bytes()).geometry)
        assert report.record_count == len(outcome.records)
        return outcome

    return recover


def written_by_us(path: Path, metadata: bool) -> Sample:
    """A file with many commits, whose newest slot is B and whose metadata was replaced repeatedly."""
    records = some_records(COUNT)
    with capturefile.open(path, "w", encoding=None, threads=3, sync=False) as cf:
        for start in range(0, COUNT, 500):
            cf.add_records(records[start : start + 500])
            cf.set_metadata(b"up to %d" % start if metadata else None)
            cf.commit()
        assert cf.info().serial_number % 2 == 1
    return Sample(path.read_bytes(), records)


def written_by_the_reference(path: Path, metadata: bool) -> Sample:
    """A file with many commits of the reference package."""
    records = some_records(COUNT)
    with Reference(str(path), to_write=True, force_new_empty_file=True) as cf:
        for number, record in enumerate(records):
            cf.add_record(record)
            if number % 500 == 499:
                cf.set_metadata(b"up to %d" % number if metadata else None)
                cf.commit()
    return Sample(path.read_bytes(), records)


WRITERS = {"us": written_by_us, "the-reference": written_by_the_reference}


@pytest.fixture(scope="module", params=WRITERS)
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A real file without metadata."""
    return WRITERS[request.param](tmp_path_factory.mktemp("plain") / "file", False)


@pytest.fixture(scope="module", params=WRITERS)
def marked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A real file with metadata, old and new."""
    return WRITERS[request.param](tmp_path_factory.mktemp("marked") / "file", True)


def destroy(data: bytes, start: int, end: int, how: str = "zeros") -> bytes:
    """The file with the bytes from `start` to `end` replaced by zeros, noise, or their complement."""
    old = data[start:end]
    new = {
        "zeros": bytes(len(old)),
        "noise": random.Random(start).randbytes(len(old)),
        "flipped": bytes(byte ^ 0xFF for byte in old),
    }[how]
    return data[:start] + new + data[end:]


HOW = ["zeros", "noise", "flipped"]


def is_part_of(some: Iterable[bytes], everything: Iterable[bytes]) -> bool:
    """Whether all of `some` are in `everything`, in the same order."""
    rest = iter(everything)
    return all(record in rest for record in some)


# One part after another


def test_a_sound_file_is_recovered_completely(marked: Sample, recovered: Callable[..., Outcome]) -> None:
    outcome = recovered(marked.data)
    assert outcome.records == marked.records
    assert outcome.metadata == marked.parsed.metadata()
    assert (outcome.geometry.page_size, outcome.geometry.block_size, outcome.geometry.fan_out) == (4096, 32768, 32)
    report = outcome.report
    assert (report.complete, report.expected, report.metadata) == (True, COUNT, "recovered")
    assert (report.lost, report.uncertain, report.problems, report.last_metadata) == ((), (), (), None)


@pytest.mark.parametrize("how", HOW)
def test_nothing_is_lost_with_the_header(marked: Sample, recovered: Callable[..., Outcome], how: str) -> None:
    for end in (4096, 27):
        outcome = recovered(destroy(marked.data, 0, end, how))
        assert (outcome.records, outcome.metadata) == (marked.records, marked.parsed.metadata())
        assert outcome.geometry.fan_out == 32
        assert outcome.report.complete
        assert [problem.position for problem in outcome.report.problems] == [0]


@pytest.mark.parametrize("field", [11, 15, 19, 23])
def test_nothing_is_lost_with_any_number_in_the_header(
    plain: Sample, recovered: Callable[..., Outcome], field: int
) -> None:
    for bit in range(8 * field, 8 * field + 32):
        data = bytearray(plain.data)
        data[bit // 8] ^= 1 << bit % 8
        outcome = recovered(bytes(data))
        assert outcome.records == plain.records, bit
        assert outcome.report.complete
        assert {problem.position for problem in outcome.report.problems} <= {0}


@pytest.mark.parametrize("how", HOW)
def test_losing_the_slot_of_the_previous_commit_loses_nothing(
    marked: Sample, recovered: Callable[..., Outcome], how: str
) -> None:
    start, end = marked.slot(1 - marked.parsed.current.serial % 2)
    outcome = recovered(destroy(marked.data, start, end, how))
    assert (outcome.records, outcome.metadata) == (marked.records, marked.parsed.metadata())
    assert outcome.report.later_commit_lost, "nothing shows which commit it was"
    outcome = recovered(destroy(marked.data, start + 5000, end, how))
    assert outcome.records == marked.records
    assert outcome.report.complete, "its serial number shows that it was the previous one"


@pytest.mark.parametrize("how", HOW)
def test_without_the_current_slot_all_frames_in_the_file_are_recovered(
    marked: Sample, recovered: Callable[..., Outcome], how: str
) -> None:
    outcome = recovered(destroy(marked.data, *marked.current_slot, how))
    in_file = [frame.position for frame in marked.frames if frame.position + frame.length <= marked.whole]
    assert outcome.report.expected == COUNT - 500
    assert outcome.report.later_commit_lost
    assert outcome.metadata == b"up to %d" % (int(str(marked.parsed.metadata())[8:-1]) - 500)
    assert outcome.certain == marked.records[: COUNT - 500]
    records = [record for record in outcome.records if not record.startswith(b"up to")]
    assert is_part_of(records, marked.records)
    assert len(records) >= max(COUNT - 500, len(marked.numbers_in(in_file)))


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("with_header", [False, True])
def test_without_both_slots_all_but_the_pending_block_is_recovered(
    plain: Sample, recovered: Callable[..., Outcome], how: str, with_header: bool
) -> None:
    start = 0 if with_header else plain.slot(0)[0]
    outcome = recovered(destroy(plain.data, start, plain.parsed.geometry.data_start, how))
    pending = plain.numbers_in([plain.parsed.current.file_limit])
    last = plain.numbers_in([plain.frames[-1].position])
    assert is_part_of(outcome.records, plain.records)
    assert is_part_of(plain.without(pending | last), outcome.certain + outcome.records[-32:])
    # The last frame is complete except for what was in the partial page, 4 KB of its 30.
    assert len(outcome.records) >= COUNT - len(pending) - len(last) // 4
    report = outcome.report
    assert (report.complete, report.expected, report.metadata) == (False, None, "lost")
    assert report.later_commit_lost
    assert outcome.metadata is None


def test_without_both_slots_metadata_is_distinguished_from_records(
    marked: Sample, recovered: Callable[..., Outcome]
) -> None:
    outcome = recovered(destroy(marked.data, marked.slot(0)[0], marked.parsed.geometry.data_start))
    assert is_part_of(outcome.certain, marked.records)
    found = outcome.report.last_metadata
    assert found is not None
    assert found.startswith(b"up to")
    strange = [record for record in outcome.records if record.startswith(b"up to")]
    assert len(strange) <= 1
    assert outcome.metadata is None


@pytest.mark.parametrize("how", HOW)
def test_a_destroyed_frame_loses_only_its_own_records(
    plain: Sample, recovered: Callable[..., Outcome], how: str
) -> None:
    assert len(plain.frames) >= 3
    for frame in plain.frames:
        lost = plain.numbers_in([frame.position])
        outcome = recovered(destroy(plain.data, frame.position, frame.position + frame.length, how))
        assert outcome.records == plain.without(lost)
        assert outcome.lost == lost
        assert all(lost.exact for lost in outcome.report.lost)
        assert (outcome.uncertain, outcome.report.expected, outcome.report.complete) == (set(), COUNT, False)
        assert {problem.position for problem in outcome.report.problems} == {frame.position}


def test_in_a_file_with_metadata_a_destroyed_frame_loses_only_its_own_records(
    marked: Sample, recovered: Callable[..., Outcome]
) -> None:
    for frame in marked.frames:
        lost = marked.numbers_in([frame.position])
        outcome = recovered(destroy(marked.data, frame.position, frame.position + frame.length))
        assert is_part_of(marked.without(lost), outcome.records)
        assert is_part_of(outcome.certain, marked.records)
        assert len(outcome.records) - (COUNT - len(lost)) <= 1
        assert len(outcome.uncertain) < 32
        assert outcome.metadata == marked.parsed.metadata()


@pytest.mark.parametrize("geometry", [TINY, SMALL, replace(SMALL, block_size=0), Geometry(1024, 4096, 5)])
@pytest.mark.parametrize("late_nodes", [False, True])
def test_a_destroyed_frame_of_a_deep_tree_loses_only_its_own_records(
    recovered: Callable[..., Outcome], geometry: Geometry, late_nodes: bool
) -> None:
    records = some_records(150)
    sample = Sample(build_file(records, None, geometry, late_nodes=late_nodes), records)
    nodes_only = 0
    for frame in sample.frames[:: 1 if geometry.block_size else 7]:
        lost = sample.numbers_in([frame.position])
        nodes_only += not lost
        outcome = recovered(destroy(sample.data, frame.position, frame.position + frame.length))
        in_tail = frame.position >= sample.whole
        assert outcome.records == (records if in_tail else sample.without(lost))
        assert outcome.lost == (set() if in_tail else lost)
        assert all(lost.exact for lost in outcome.report.lost)
        assert outcome.report.complete == (in_tail or not lost)
    assert nodes_only or not late_nodes or geometry.block_size == 4096


@pytest.mark.parametrize("geometry", [TINY, SMALL, Geometry(4096, 8192, 100), Geometry(512, 512, 33)])
@pytest.mark.parametrize("late_nodes", [False, True])
def test_a_header_with_unusual_sizes_is_restored(
    recovered: Callable[..., Outcome], geometry: Geometry, late_nodes: bool
) -> None:
    records = some_records(700)
    data = build_file(records, b"metadata", geometry, late_nodes=late_nodes)
    outcome = recovered(destroy(data, 0, geometry.page_size))
    assert (outcome.records, outcome.metadata) == (records, b"metadata")
    assert outcome.geometry == geometry
    assert outcome.report.complete


@pytest.mark.parametrize("fan_out", [2, 16, 31, 33, 34, 48, 64, 96, 2**31 + 32])
def test_a_wrong_fan_out_without_a_checksum_is_corrected(recovered: Callable[..., Outcome], fan_out: int) -> None:
    records = some_records(COUNT)
    data = build_file(records)
    outcome = recovered(data[:23] + fan_out.to_bytes(4) + data[27:])
    assert outcome.records == records
    assert outcome.geometry.fan_out == 32
    assert [problem.position for problem in outcome.report.problems] == [0]


def test_a_fan_out_without_any_trace_is_not_invented(recovered: Callable[..., Outcome]) -> None:
    records = [random.Random(number).randbytes(150) for number in range(8)]
    sample = Sample(build_file(records, None, SMALL), records)
    (frame,) = sample.frames
    assert sample.parsed.current.counts() == [2, 2]
    outcome = recovered(destroy(destroy(sample.data, frame.position, frame.position + frame.length), 0, 512))
    assert outcome.records == sample.without(sample.numbers_in([frame.position]))
    assert outcome.report.expected is None
    assert not any(lost.exact for lost in outcome.report.lost)


def test_a_frame_with_only_its_length_destroyed_loses_nothing(plain: Sample, recovered: Callable[..., Outcome]) -> None:
    for frame in plain.frames[:-1]:
        for how in HOW:
            outcome = recovered(destroy(plain.data, frame.position, frame.position + 4, how))
            assert outcome.records == plain.records
            assert outcome.report.complete
            assert {problem.position for problem in outcome.report.problems} == {frame.position}


def test_a_truncated_file_gives_all_records_up_to_its_end(plain: Sample, recovered: Callable[..., Outcome]) -> None:
    source = random.Random(0)
    for length in [plain.parsed.geometry.data_start, *source.sample(range(90_000, plain.whole), 12)]:
        outcome = recovered(plain.data[:length])
        gone = {frame.position for frame in plain.frames if frame.position + frame.length > length}
        in_tail = {frame.position for frame in plain.frames if frame.position >= plain.whole}
        cut = plain.numbers_in(gone - in_tail)
        assert is_part_of(plain.without(cut), outcome.records)
        assert outcome.certain == plain.without(cut)
        assert is_part_of(outcome.records, plain.records)
        assert outcome.report.expected == COUNT
        assert not outcome.report.complete
        assert len(outcome.lost) == COUNT - len(outcome.records)
    assert len(outcome.records) > len(outcome.certain), "some of the last frame is recovered as well"


def test_complete_frames_in_a_slot_survive_truncation_of_the_data(
    recovered: Callable[..., Outcome],
) -> None:
    # Half a megabyte of these compresses to a few hundred bytes.
    records = [*some_records(COUNT), *(b"%d" % (number % 3) * 1000 for number in range(500))]
    sample = Sample(build_file(records), records)
    in_slot = [frame.position for frame in sample.frames if frame.position >= sample.whole]
    assert len(in_slot) > 2
    outcome = recovered(sample.data[: sample.parsed.geometry.data_start])
    kept = sample.numbers_in([*in_slot, sample.parsed.current.file_limit])
    assert outcome.records == [sample.records[number - 1] for number in sorted(kept)]
    assert outcome.report.expected == len(records)


def test_without_slots_and_with_a_destroyed_frame_the_rest_is_recovered(
    plain: Sample, recovered: Callable[..., Outcome]
) -> None:
    no_slots = destroy(plain.data, plain.slot(0)[0], plain.parsed.geometry.data_start)
    for frame in plain.frames[:-1]:
        lost = plain.numbers_in([frame.position])
        outcome = recovered(destroy(no_slots, frame.position + 6, frame.position + frame.length))
        after = plain.numbers_in([plain.parsed.current.file_limit, plain.frames[-1].position])
        assert is_part_of(plain.without(lost | after), outcome.records)
        assert is_part_of(outcome.records, plain.records)
        # For the second frame, the node at the start of the third shows it; for the others, it is the multiple of the
        # fan-out nearest to an estimate from their lengths.
        assert outcome.lost == lost


def test_a_length_that_is_too_large_loses_no_frame_even_if_nothing_else_refers_to_it(
    plain: Sample, recovered: Callable[..., Outcome]
) -> None:
    no_slots = destroy(plain.data, plain.slot(0)[0], plain.parsed.geometry.data_start)
    whole = recovered(no_slots).records
    for frame in plain.frames[:-1]:
        length = (frame.length - 4 + 50).to_bytes(4)
        outcome = recovered(no_slots[: frame.position] + length + no_slots[frame.position + 4 :])
        assert outcome.records == whole
        assert outcome.lost == set()


def test_nodes_far_above_show_how_many_records_a_gap_had(recovered: Callable[..., Outcome]) -> None:
    large = some_records(900, longest=200)
    records = [*large[:100], *(b"%d" % number for number in range(500)), *large[100:]]
    sample = Sample(build_file(records, None, Geometry(512, 1024, 4)), records)
    small = sample.numbers_in([sample.places[n].position for n in range(110, 590)])
    positions = {sample.places[number - 1].position for number in small}
    data = destroy(sample.data, sample.slot(0)[0], sample.parsed.geometry.data_start)
    for frame in sample.frames:
        if frame.position in positions:
            data = destroy(data, frame.position, frame.position + frame.length)
    outcome = recovered(data)
    assert outcome.lost == small, "far more than the length of the gap suggests"
    assert not any(lost.exact for lost in outcome.report.lost if lost.last - lost.first > 100)


@pytest.mark.parametrize(
    ("gap", "length"),
    [(range(17, 65), 1), (range(17, 41), 1000)],
    ids=["the-last-node-behind-it", "nodes-over-both-sides"],
)
def test_a_node_from_before_a_gap_shows_how_many_records_the_gap_had(
    gap: range, length: int, recovered: Callable[..., Outcome]
) -> None:
    source = random.Random(0)
    records = [source.randbytes(length if number in gap else 101 - length // 10) for number in range(1, 100)]
    sample = Sample(build_file(records, None, Geometry(512, 0, 4)), records)
    start, last = (sample.places[number - 1].position for number in (gap[0], gap[-1]))
    behind = [frame.position for frame in sample.frames if frame.position > last]
    # The nodes that the last record fills follow it directly; if there are several, the highest is left.
    full = sum(gap[-1] % 4**height == 0 for height in range(1, 4))
    end = behind[max(1, full - 1)]
    data = destroy(sample.data, sample.slot(0)[0], sample.parsed.geometry.data_start)
    outcome = recovered(destroy(data, start, end))
    assert outcome.lost == set(gap), "far from what the length of the gap suggests"
    assert outcome.records[:16] == records[:16]


def test_old_metadata_in_place_of_a_lost_record_is_uncertain(recovered: Callable[..., Outcome]) -> None:
    records = [b"%d" % number * 20 for number in range(40)]
    builder = FileBuilder(replace(TINY, block_size=0))
    builder.set_metadata(b"old")
    for record in records[:30]:
        builder.add_record(record)
    builder.set_metadata(b"new")
    for record in records[30:]:
        builder.add_record(record)
    builder.commit()
    builder.commit()
    data = builder.image()
    _, lost, _, node = list(parse(data).frames())[:4]
    data = destroy(data, lost.position, lost.position + lost.length)
    outcome = recovered(destroy(data, node.position, node.position + node.length))
    assert outcome.records == [b"old", *records[1:]]
    assert outcome.uncertain == {1, 2}
    assert not outcome.report.complete


# Any damage


def hits(source: random.Random, sample: Sample) -> list[tuple[int, int]]:
    """A few ranges to destroy: header, slots, frames, and any bytes."""
    geometry, limit = sample.parsed.geometry, sample.parsed.current.file_limit
    chosen = []
    for _ in range(source.randrange(1, 4)):
        frame = source.choice(sample.frames)
        start = source.randrange(limit)
        kinds = [
            (0, geometry.page_size),
            sample.slot(source.randrange(2)),
            (frame.position, frame.position + frame.length),
            (start, start + source.choice([1, 100, 2000])),
            (frame.position, frame.position + source.randrange(20)),
        ]
        chosen.append(source.choice(kinds))
    return chosen


def survivors(sample: Sample, chosen: Sequence[tuple[int, int]]) -> list[bytes]:
    """The records outside the destroyed ranges: in complete frames, and in the pending block if it is left."""

    def hit(start: int, end: int) -> bool:
        return any(first < end and start < last for first, last in chosen)

    slot_lost = hit(*sample.current_slot)
    good = {
        frame.position
        for frame in sample.frames
        if not hit(frame.position, frame.position + frame.length)
        and not (slot_lost and frame.position + frame.length > sample.whole)
    }
    good |= set() if slot_lost else {sample.parsed.current.file_limit}
    return [record for record, place in zip(sample.records, sample.places, strict=True) if place.position in good]


@pytest.mark.parametrize("seed", range(120))
def test_everything_outside_any_destroyed_ranges_is_recovered(recovered: Callable[..., Outcome], seed: int) -> None:
    source = random.Random(seed)
    records = some_records(source.randrange(60, 400))
    geometry = source.choice([TINY, SMALL, replace(TINY, block_size=0), Geometry(1024, 4096, 5), Geometry(4096, 4096)])
    data = build_file(
        records,
        source.choice([None, b"metadata"]),
        geometry,
        serial=source.choice([2, 3, 0]),
        previous=source.randrange(len(records)),
        late_nodes=source.random() < 0.3,
    )
    sample = Sample(data, records)
    chosen = hits(source, sample)
    for start, end in chosen:
        data = destroy(data, start, min(end, len(data)), source.choice(HOW))
    outcome = recovered(data)
    assert is_part_of(survivors(sample, chosen), outcome.records)
    assert is_part_of(outcome.certain, records)
    if outcome.report.complete:
        assert outcome.records == records
    if outcome.report.expected == len(records) and not outcome.uncertain and all(x.exact for x in outcome.report.lost):
        assert outcome.records == sample.without(outcome.lost)


def test_noise_and_empty_files_are_refused(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    target.write_bytes(b"old")
    for data in (b"", b"x", bytes(500_000), random.Random(1).randbytes(300_000), b"some text\n" * 30_000):
        source.write_bytes(data)
        for place in (None, target, tmp_path / "new"):
            with pytest.raises(capturefile.InvalidCaptureFile, match="is not a sound capture file"):
                capturefile.recover(source, place, overwrite=True)
        assert (target.read_bytes(), sorted(tmp_path.iterdir())) == (b"old", [source, target])


def test_a_header_alone_is_recovered(marked: Sample, recovered: Callable[..., Outcome]) -> None:
    outcome = recovered(marked.data[:4096])
    assert (outcome.records, outcome.report.complete, outcome.report.expected) == ([], False, None)
    assert outcome.report.problems


def test_old_frames_after_the_end_are_reported_as_uncertain(tmp_path: Path, recovered: Callable[..., Outcome]) -> None:
    path = tmp_path.parent / f"{tmp_path.name}-stale.capture"
    with capturefile.open(path, "w", encoding=None, threads=1, sync=False) as cf:
        cf.add_records(some_records(1500))
        cf.commit()
        for record in some_records(3000):  # One by one: records added in one call are buffered for long.
            cf.add_record(b"rolled back" + record)
        cf.rollback()
        later = some_records(2500)[1500:]  # More than a block, which overwrites the first of the old ones.
        cf.add_records(later)
        cf.commit()
        data = path.read_bytes()
    outcome = recovered(destroy(data, 4096, 86_016))
    assert any(record.startswith(b"rolled back") for record in outcome.records)
    assert not any(record.startswith(b"rolled back") for record in outcome.certain)
    assert recovered(data).records == some_records(1500) + later


def test_a_commit_whose_slot_is_lost_is_found_after_the_previous_one(recovered: Callable[..., Outcome]) -> None:
    records = some_records(300)
    data = build_file(records, b"metadata", SMALL, previous=100)
    sample = Sample(data, records)
    outcome = recovered(destroy(data, *sample.current_slot))
    in_file = [frame.position for frame in sample.frames if frame.position + frame.length <= sample.whole]
    assert outcome.certain == records[:100]
    assert len(outcome.records) >= len(sample.numbers_in(in_file)) > 200
    assert is_part_of(outcome.records, records)


# Options and refusals


def test_with_keep_numbers_empty_records_replace_lost_ones(plain: Sample, recovered: Callable[..., Outcome]) -> None:
    frame = plain.frames[1]
    outcome = recovered(destroy(plain.data, frame.position, frame.position + frame.length), keep_numbers=True)
    lost = plain.numbers_in([frame.position])
    assert lost
    assert outcome.lost == lost
    assert outcome.report.recovered == COUNT - len(lost)
    assert outcome.records == [
        b"" if number in lost else record for number, record in enumerate(plain.records, start=1)
    ]


def test_an_existing_target_is_refused_without_overwrite(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(build_file([b"1"]))
    target.write_bytes(b"precious")
    with pytest.raises(FileExistsError) as caught:
        capturefile.recover(source, target)
    assert caught.value.filename == os.fspath(target)
    assert target.read_bytes() == b"precious"
    assert capturefile.recover(source, target, overwrite=True).complete
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_the_source_is_never_the_target(tmp_path: Path) -> None:
    source, link = tmp_path / "source", tmp_path / "link"
    source.write_bytes(build_file([b"1"]))
    link.symlink_to(source)
    before = source.read_bytes()
    for target in (source, link):
        with pytest.raises(ValueError, match="another file than the source"):
            capturefile.recover(source, target, overwrite=True)
    assert source.read_bytes() == before


def test_errors_name_files_that_cannot_be_read_or_created(tmp_path: Path) -> None:
    source = tmp_path / "source"
    with pytest.raises(FileNotFoundError) as caught:
        capturefile.recover(source, tmp_path / "target")
    assert caught.value.filename == os.fspath(source)
    with pytest.raises(IsADirectoryError):
        capturefile.recover(tmp_path, tmp_path / "target")
    source.write_bytes(build_file([b"1"]))
    nowhere = tmp_path / "missing" / "target"
    with pytest.raises(FileNotFoundError) as caught:
        capturefile.recover(source, nowhere)
    assert caught.value.filename == os.fspath(nowhere)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.usefixtures("both_formats")
def test_the_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    source, target, other = tmp_path / "source", tmp_path / "target", tmp_path / "other"
    capturefile.open(source, "x").close()
    capturefile.recover(source, target)
    capturefile.open(other, "x").close()
    assert target.stat().st_mode == other.stat().st_mode


@pytest.mark.usefixtures("both_formats")
def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    class Interrupted(Exception):  # noqa: N818
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    source = tmp_path / "source"
    with capturefile.open(source, "w", encoding=None, sync=False) as cf:
        cf.add_records(b"%d" % number for number in range(1_000_000))
        cf.commit()
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Interrupted):
            capturefile.recover(source, tmp_path / "target")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert list(tmp_path.iterdir()) == [source]


LENGTHY = [b"%d " % number * 10_000 for number in range(1, 1001)]
"""Records that take a while to recover."""


@pytest.mark.parametrize("whole", [True, False])
def test_progress_goes_from_zero_to_the_total(tmp_path: Path, whole: bool) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    # The placement of blocks and index nodes by a writer's threads differs between runs, and so does what can be lost.
    data = build_file(LENGTHY, b"")
    source.write_bytes(data if whole else destroy(data, 4096, 86_016))
    calls: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        if not calls:
            # Longer than the pause between two calls, so that there is another call even on a fast machine.
            time.sleep(0.2)
        calls.append((done, total))

    recovery = capturefile.recover(source, target, progress=tell)
    # Without the master nodes, the part of the last block that they held is lost.
    assert recovery.recovered == len(LENGTHY) or (not whole and recovery.recovered > len(LENGTHY) - 100)
    size = source.stat().st_size
    assert [calls[0], calls[-1]] == [(0, size), (size, size)]
    assert calls == sorted(calls)
    assert len(calls) > 2


def test_an_error_in_the_progress_callback_stops_the_work_and_leaves_nothing_behind(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(build_file(LENGTHY, b""))

    def stop_half_way(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        capturefile.recover(source, tmp_path / "target", progress=stop_half_way)
    assert list(tmp_path.iterdir()) == [source]


def test_large_records_and_shared_subtrees_are_recovered(recovered: Callable[..., Outcome]) -> None:
    records = [b"small", bytes(5_000_000), random.Random(2).randbytes(300_000), b"", b"x" * 70_000, b"last"]
    outcome = recovered(destroy(build_file(records, b"metadata"), 0, 4096))
    assert outcome.records == records
    shared = parse(trillion_file())
    few = encode_slot(replace(shared.current, children=[c for c in shared.current.children if c.height == 1]))
    outcome = recovered(put_slot(put_slot(shared.data, few, 0), bytes(shared.geometry.slot_size), 1))
    assert outcome.records[:7] == [b"after the subtree: %d" % number for number in range(1, 8)]


def test_a_circular_index_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(trillion_file())
    with pytest.raises(capturefile.InvalidCaptureFile, match="leads back"):
        capturefile.recover(source, tmp_path / "target")
    assert list(tmp_path.iterdir()) == [source]


def test_the_reference_reads_recovered_files(plain: Sample, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(destroy(plain.data, 0, 4096))
    capturefile.recover(source, target)
    with Reference(str(target), to_write=True, encoding=None) as reference:
        assert list(reference.record_generator()) == plain.records
        reference.add_record(b"one more")
        reference.commit()
    assert without_header_checksum(target.read_bytes()) != target.read_bytes(), "its header must keep the checksum"
    assert capturefile.verify(target).record_count == COUNT + 1


# The command


def run(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Runs the command `capturefile recover`."""
    command = [sys.executable, "-m", "capturefile", "recover", *arguments]
    return subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)


def test_the_command_reports_what_was_recovered_and_what_was_lost(plain: Sample, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(plain.data)
    done = run(source, target)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"complete: 2500 of 2500 records recovered, metadata none\n"

    frame = plain.frames[1]
    lost = sorted(plain.numbers_in([frame.position]))
    source.write_bytes(destroy(plain.data, frame.position, frame.position + frame.length))
    done = run(source, target, "--overwrite")
    assert (done.returncode, done.stderr) == (3, b"")
    verdict, loss, problem = done.stdout.decode().splitlines()
    assert verdict == f"incomplete: {COUNT - len(lost)} of {COUNT} records recovered, metadata none"
    assert loss == f"lost: records {lost[0]} to {lost[-1]}"
    assert problem.startswith(f"at byte {frame.position}: ")

    done = run(source, target, "--overwrite", "--keep-numbers", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["complete"], report["record_count"]) == (3, False, COUNT)
    assert report["lost"] == [{"first": lost[0], "last": lost[-1], "exact": True}]


def test_the_command_reports_what_is_uncertain(marked: Sample, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(destroy(marked.data, 4096, 86_016))
    done = run(source, target)
    assert done.returncode == 3
    assert b"\nuncertain, in the new file: records " in done.stdout
    assert b"\nperhaps lost: commits after the last one that can be read\n" in done.stdout
    done = run(source, target, "--overwrite", "--json")
    assert bytes.fromhex(json.loads(done.stdout)["last_metadata"]).startswith(b"up to")


def test_the_command_distinguishes_failure_from_wrong_usage(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    done = run(source, target)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == f"capturefile: {source}: No such file or directory\n".encode()
    source.write_bytes(build_file([b"1"]))
    target.touch()
    assert run(source, target).returncode == 1
    assert run(source).returncode == 2
    assert run(source, target, "--nonsense").returncode == 2
