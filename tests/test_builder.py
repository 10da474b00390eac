"""The tests' own builder and parser, checked against the reference package and against the format page."""

from __future__ import annotations

import random
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from builder import (
    DEFAULT,
    OLD_MAGIC,
    TRILLION_RECORDS,
    Coordinates,
    FileBuilder,
    Geometry,
    build_file,
    descent,
    encode_slot,
    fix_checksums,
    parse,
    put_header_checksum,
    put_slot,
    trillion_file,
    trillion_record,
    without_header_checksum,
)
from CaptureFile import CaptureFile as Reference
from hypothesis import given, settings
from hypothesis import strategies as st

FORMAT_PAGE = Path(__file__).parent.parent / "docs" / "format.md"
TINY = Geometry(page_size=512, block_size=512, fan_out=2)
GEOMETRIES = st.builds(
    Geometry,
    page_size=st.just(512),
    block_size=st.sampled_from([0, 512, 1024]),
    fan_out=st.integers(2, 5),
    version=st.sampled_from([1, 2]),
    magic=st.sampled_from([DEFAULT.magic, OLD_MAGIC]),
)
RECORDS = st.lists(st.binary(max_size=700), max_size=40)
SERIALS = st.sampled_from([0, 1, 2, 3, 2**31, 2**32 - 2, 2**32 - 1])
METADATA = st.none() | st.binary(max_size=700)


def some_records(count: int, longest: int = 300) -> list[bytes]:
    """Records of many lengths, half of their bytes random."""
    source = random.Random(count)
    return [
        source.randbytes(source.randrange(longest // 2)).ljust(source.randrange(longest), b".") for _ in range(count)
    ]


def open_reference(path: Path, *, to_write: bool = False, **options: object) -> Reference:
    """The file, opened by the reference with records as bytes."""
    return Reference(str(path), to_write, encoding=None, **options)


def read_with_reference(data: bytes) -> tuple[list[bytes], bytes | None]:
    """The records and the metadata that the reference finds in a file; it reads each record by number."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        with open_reference(path) as reference:
            return [reference.record_at(n + 1) for n in range(reference.record_count())], reference.get_metadata()


def append_with_reference(data: bytes, records: list[bytes]) -> bytes:
    """The file after the reference has added the records in one commit."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        with open_reference(path, to_write=True) as reference:
            for record in records:
                reference.add_record(record)
            reference.commit()
        return path.read_bytes()


@settings(deadline=None)
@given(RECORDS, METADATA, GEOMETRIES, SERIALS, st.booleans())
def test_the_reference_and_the_parser_read_built_files(
    records: list[bytes], metadata: bytes | None, geometry: Geometry, serial: int, late_nodes: bool
) -> None:
    data = build_file(records, metadata, geometry, serial, previous=len(records) // 2, late_nodes=late_nodes)
    parsed = parse(data)
    assert read_with_reference(data) == (records, metadata)
    assert (parsed.records(), parsed.metadata()) == (records, metadata)
    assert parsed.geometry == geometry
    assert parsed.current.serial == serial
    assert parsed.slots[serial % 2] is parsed.current
    other = parsed.slots[1 - serial % 2]
    assert other is not None
    assert other.serial == (serial - 1) % 2**32
    assert other.record_count(geometry.fan_out) == len(records) // 2


@settings(deadline=None)
@given(RECORDS, RECORDS, GEOMETRIES, SERIALS, st.booleans())
def test_the_reference_appends_to_built_files(
    records: list[bytes], added: list[bytes], geometry: Geometry, serial: int, late_nodes: bool
) -> None:
    data = append_with_reference(build_file(records, b"", geometry, serial, late_nodes=late_nodes), added)
    parsed = parse(data)
    assert parsed.records() == records + added
    assert parsed.metadata() == b""
    assert parsed.current.serial == (serial + 1) % 2**32
    assert all(parsed.slots)


def test_the_parser_reads_files_of_the_reference(tmp_path: Path) -> None:
    records = [*some_records(3000), b"", b"large" * 50_000]
    path = tmp_path / "file"
    with open_reference(path, to_write=True, initial_metadata=b"first") as reference:
        for number, record in enumerate(records):
            reference.add_record(record)
            if number % 700 == 0:
                reference.commit()
        reference.set_metadata(b"second")
        reference.commit()
    parsed = parse(path.read_bytes())
    frames = list(parsed.frames())
    assert parsed.geometry == Geometry()
    assert (parsed.records(), parsed.metadata()) == (records, b"second")
    assert parsed.current.counts() == [3002 % 32, 3002 // 32 % 32, 3002 // 1024]
    assert [frame.position for frame in frames] == sorted({frame.position for frame in frames})
    assert all(len(frame.block) >= DEFAULT.block_size for frame in frames)
    assert sum(frame.length for frame in frames) == parsed.current.file_limit - DEFAULT.data_start


def test_the_builder_writes_what_the_reference_writes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    builder = FileBuilder()
    builder.set_metadata(b"first")
    builder.commit()
    builder.commit()
    with open_reference(path, to_write=True, initial_metadata=b"first") as reference:
        assert builder.image() == path.read_bytes()
        for number, record in enumerate(some_records(2500, longest=200)):
            builder.add_record(record)
            reference.add_record(record)
            if number % 400 == 399:
                builder.commit()
                reference.commit()
        builder.set_metadata(b"second")
        builder.commit()
        reference.set_metadata(b"second")
        reference.commit()
    written = DEFAULT.page_floor(builder.file_limit)
    assert written > DEFAULT.data_start
    assert builder.image()[:written] == path.read_bytes()[:written]


def test_a_trillion_records_are_found_in_a_few_kilobytes(tmp_path: Path) -> None:
    data = trillion_file()
    parsed = parse(data)
    path = tmp_path / "file"
    path.write_bytes(data)
    numbers = [1, 2, 32, 33, 32**8 // 3, 32**8 - 1, 32**8, 32**8 + 1, TRILLION_RECORDS]
    numbers += random.Random(0).sample(range(1, TRILLION_RECORDS + 1), 50)
    numbers += [1 + 31 * 32**height for height in range(8)]
    assert parsed.current.file_limit - DEFAULT.data_start + len(parsed.current.pending) < 20_000
    assert parsed.record_count == TRILLION_RECORDS == 32**8 + 7
    with open_reference(path) as reference:
        assert reference.record_count() == TRILLION_RECORDS
        for number in numbers:
            assert parsed.record(number) == reference.record_at(number) == trillion_record(number)


@pytest.mark.parametrize("serial", [2, 3, 0, 2**32 - 1])
def test_without_the_newest_slot_the_previous_commit_is_read(serial: int) -> None:
    records = some_records(20)
    data = build_file(records, b"metadata", TINY, serial, previous=13)
    newest = encode_slot(parse(data).current, TINY, wrong_crc=True)
    parsed = parse(put_slot(data, newest, serial % 2))
    assert parsed.slots[serial % 2] is None
    assert parsed.records() == records[:13]
    assert read_with_reference(parsed.data) == (records[:13], b"metadata")


def test_frames_of_an_abandoned_transaction_are_not_part_of_the_file() -> None:
    builder = FileBuilder(TINY)
    for record in some_records(9):
        builder.add_record(record)
    builder.commit()
    limit = builder.file_limit
    for record in some_records(30):
        builder.add_record(record)
    data = builder.image()
    parsed = parse(data)
    assert builder.file_limit > limit + TINY.page_size
    assert parsed.slots[0] is None
    assert sum(frame.length for frame in parsed.frames()) == limit - TINY.data_start
    assert read_with_reference(data)[0] == parsed.records() == some_records(9)


def test_checksums_are_fixed_after_a_mutation() -> None:
    data = build_file(some_records(20), geometry=TINY)
    mutated = bytearray(data)
    for parity in (0, 1):
        mutated[TINY.slot_position(parity) + TINY.page_size - 1] ^= 0xFF
    fixed = fix_checksums(bytes(mutated))
    assert fix_checksums(data) == data
    assert parse(bytes(mutated)).slots == (None, None)
    assert parse(fixed).slots == parse(data).slots
    assert len(fixed) == len(data)


def test_slots_can_state_wrong_lengths_but_not_overflow() -> None:
    data = build_file(some_records(20), geometry=TINY)
    slot = parse(data).current
    with pytest.raises(ValueError, match="more than there is room"):
        parse(put_slot(data, encode_slot(slot, TINY, child_count=2**32 - 1), 0))
    with pytest.raises(ValueError, match="more than there is room"):
        parse(put_slot(data, encode_slot(slot, TINY, pending_length=513), 0))
    with pytest.raises(ValueError, match="does not fit"):
        encode_slot(replace(slot, pending=bytes(513)), TINY)


def test_the_parser_refuses_inconsistent_files() -> None:
    data = build_file(some_records(40), geometry=TINY)
    parsed = parse(data)
    moved = replace(parsed.current, file_limit=parsed.current.file_limit - 1, tail=parsed.current.tail[:-1])
    with pytest.raises(ValueError, match="file limit"):
        list(parse(put_slot(data, encode_slot(moved, TINY), 0)).frames())
    with pytest.raises(ValueError, match="file's end"):
        list(parse(data[: TINY.page_floor(parsed.current.file_limit) - 1]).frames())
    with pytest.raises(ValueError, match="pass the end of a block"):
        parsed.entry(Coordinates(TINY.data_start, len(parsed.block(TINY.data_start)) - 5))
    with pytest.raises(IndexError):
        parsed.record(41)
    with pytest.raises(IndexError):
        parsed.record(0)


def example_files() -> dict[str, bytes]:
    """The files of the format page's worked example, by the names of their dumps."""
    return {
        "three.cf": put_header_checksum(build_file([b"one", b"two", b"three"], b"demo", serial=3, previous=0)),
        "closed.cf": build_file([b"alpha", b"beta", b"x" * 480], None, TINY, serial=3, previous=0, level=0),
    }


def test_every_hex_line_of_the_format_page_is_in_the_file() -> None:
    files = example_files()
    dumps = re.findall(r"^```text (\S+)\n(.*?)^```$", FORMAT_PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [(name, line) for name, dump in dumps for line in dump.splitlines() if line != "..."]
    assert {name for name, _ in lines} == set(files)
    assert len(lines) > 40
    for name, line in lines:
        match = re.fullmatch(r"([0-9a-f]{8})  ((?:[0-9a-f]{2} ){0,15}[0-9a-f]{2}) {2,}\S.*", line)
        assert match, line
        start, expected = int(match[1], 16), bytes.fromhex(match[2])
        assert files[name][start : start + len(expected)] == expected, line


def test_the_example_of_the_format_page_is_what_the_reference_writes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with open_reference(path, to_write=True, initial_metadata=b"demo") as reference:
        for record in (b"one", b"two", b"three"):
            reference.add_record(record)
        reference.commit()
    assert path.read_bytes() == without_header_checksum(example_files()["three.cf"])
    assert read_with_reference(example_files()["closed.cf"]) == ([b"alpha", b"beta", b"x" * 480], None)


@pytest.mark.parametrize(
    ("number", "start", "way"), [(70_000, 4, [2, 4, 11, 15]), (99_000, 3, [0, 21, 23]), (100_000, 2, [20, 31])]
)
def test_the_paths_to_records_in_the_format_page_are_right(number: int, start: int, way: list[int]) -> None:
    skipped = [3, 1][: 4 - start]
    digits = ", ".join(map(str, skipped + way))
    assert f"| {number:,} | {digits} |" in FORMAT_PAGE.read_text(encoding="utf-8")
    assert descent(number, [0, 21, 1, 3], 32) == (start, way)
