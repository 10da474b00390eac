"""The blocks that a file consists of."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from capturefile import BlockInfo, CaptureFile, InvalidCaptureFile, RecordRange, verify

if TYPE_CHECKING:
    from pathlib import Path

DATA_START = 86_016


def fill(path: Path, count: int, length: int = 1000) -> None:
    """A file of incompressible records."""
    with CaptureFile(path, True, sync=False) as cf:
        cf.add_records(os.urandom(length) for _ in range(count))
        cf.commit()


def test_an_empty_file_has_no_blocks(path: Path) -> None:
    fill(path, 0)
    with CaptureFile(path) as cf:
        assert list(cf.blocks()) == []


def test_uncompressed_records_are_a_block_without_a_position(path: Path) -> None:
    fill(path, 3)
    with CaptureFile(path) as cf:
        pending = BlockInfo(
            position=None, compressed_size=None, size=3 * 1004, records=RecordRange(1, 3), record_count=3
        )
        assert list(cf.blocks()) == [pending]
        assert cf.info().pending_bytes == pending.size


@pytest.mark.parametrize("count", [200, 5000, 20_000])
def test_blocks_are_contiguous_and_have_every_record_once(path: Path, count: int) -> None:
    fill(path, count, 200)
    with CaptureFile(path) as cf:
        blocks = list(cf.blocks())
        limit = cf.info().file_limit
    records = [block.records for block in blocks if block.records]
    assert [numbers.first for numbers in records] == [1, *(numbers.last + 1 for numbers in records[:-1])]
    assert records[-1].last == count
    frames = [(block.position or 0, block.compressed_size or 0) for block in blocks if block.position is not None]
    assert [start for start, _ in frames] == [DATA_START, *(start + size for start, size in frames[:-1])]
    assert sum(frames[-1]) == limit
    assert len(frames) == verify(path).frames
    # The others are index nodes.
    assert all(block.size >= 32_768 for block in blocks if block.position is not None and block.records)


def test_a_block_of_metadata_has_no_records(path: Path) -> None:
    fill(path, 1)
    with CaptureFile(path, True) as cf:
        cf.set_metadata(os.urandom(100_000))
        cf.commit()
        cf.set_metadata(os.urandom(100_000))
        cf.commit()
        first, second = cf.blocks()
    assert first.records == RecordRange(1, 1)
    assert (second.records, second.record_count, second.size) == (None, 0, 100_004)


def test_blocks_are_a_snapshot_and_a_writer_sees_its_own(path: Path) -> None:
    with CaptureFile(path, True, sync=False) as writer:
        writer.add_records(os.urandom(1000) for _ in range(50))
        before = writer.blocks()
        assert next(before).records == RecordRange(1, 33)
        writer.add_records(os.urandom(1000) for _ in range(50))
        assert [block.records for block in before] == [RecordRange(34, 50)]
        writer.rollback()
        assert list(writer.blocks()) == []


def test_a_damaged_block_is_an_error_and_the_next_one_is_still_listed(path: Path) -> None:
    fill(path, 200)
    with CaptureFile(path) as cf:
        sound = list(cf.blocks())
    start = sound[1].position
    assert start is not None
    with path.open("r+b") as file:
        file.seek(start + 100)
        file.write(b"\0" * 100)
    with CaptureFile(path) as cf:
        blocks = cf.blocks()
        assert next(blocks) == sound[0]
        with pytest.raises(InvalidCaptureFile, match=f"at byte {start}"):
            next(blocks)
        assert list(blocks) == sound[2:]


def listed_in(path: Path) -> tuple[list[BlockInfo], list[str]]:
    """The blocks, and the errors between them."""
    found: list[BlockInfo] = []
    errors: list[str] = []
    with CaptureFile(path) as cf:
        blocks = cf.blocks()
        while True:
            try:
                found.append(next(blocks))
            except StopIteration:
                return found, errors
            except InvalidCaptureFile as error:
                errors.append(str(error))


def test_where_the_index_is_damaged_the_records_of_a_block_are_unknown(path: Path) -> None:
    fill(path, 20_000, 60)
    sound, _ = listed_in(path)
    data = path.read_bytes()
    unknown = []
    with CaptureFile(path) as cf:
        from_slot = cf.info().file_limit // 4096 * 4096
    for damaged in sound[:-1]:
        start = damaged.position
        assert start is not None
        assert damaged.compressed_size is not None
        middle = start + damaged.compressed_size // 2
        if middle + 8 > from_slot:
            continue
        path.write_bytes(data[:middle] + bytes(8) + data[middle + 8 :])
        found, errors = listed_in(path)
        assert [block.position for block in found] == [block.position for block in sound if block != damaged]
        assert errors
        assert set(errors) == {errors[0]}
        assert f"at byte {start}: " in errors[0]
        unknown += [block for block in found if block.record_count is None]
    assert unknown
    assert all(block.records is None for block in unknown)


def test_descriptions_of_blocks_in_a_damaged_file_are_right(path: Path) -> None:
    fill(path, 30_000, 60)
    sound = {block.position: block for block in listed_in(path)[0]}
    data = path.read_bytes()
    places = random.Random(5)
    for _ in range(50):
        damaged = bytearray(data)
        for _ in range(places.randrange(1, 8)):
            damaged[places.randrange(DATA_START, len(data))] ^= 0xFF
        path.write_bytes(damaged)
        for block in listed_in(path)[0]:
            right = sound[block.position]
            assert (block.compressed_size, block.size) == (right.compressed_size, right.size)
            if block.records is not None and right.records is not None:
                assert right.records.first <= block.records.first <= block.records.last == right.records.last
            elif block.record_count is not None:
                assert (block.records, block.record_count) == (right.records, right.record_count)
