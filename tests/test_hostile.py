"""Files that no writer made: damaged, absurd and malicious ones give an error in bounded time and memory."""

from __future__ import annotations

import errno
import os
import random
import socket
import struct
import zlib
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import capturefile
import hostile_runner
import pytest
from builder import (
    DEFAULT,
    TRILLION_RECORDS,
    Child,
    Coordinates,
    FileBuilder,
    Geometry,
    Slot,
    build_file,
    encode_header,
    encode_slot,
    fix_checksums,
    frame,
    index_node,
    parse,
    put_slot,
    sized,
    trillion_file,
    trillion_record,
)
from capturefile import CaptureFile, InvalidCaptureFile
from hostile_runner import FINE, INVALID, Outcome
from processes import acting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

TINY = Geometry(page_size=512, block_size=512, fan_out=2)
SMALL = Geometry(page_size=512, block_size=1024, fan_out=4)
LARGEST = 2**32 - 1
NUMBERS = [0, 1, 2, 3, 4, 511, 512, 4096, 86_016, 2**31 - 1, 2**31, 2**32 - 4096, LARGEST]
DOUBLE_NUMBERS = [*NUMBERS, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


def max_memory(length: int) -> int:
    """The memory that a file of this length may use before the error is raised."""
    return 16 * length + (64 << 20)


def attack(folder: Path, files: Mapping[str, bytes]) -> Iterator[Outcome]:
    """Uses the files in every way; checks that each use ends in a permitted way and is not too expensive."""
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with acting(hostile_runner.attack, folder) as attacker:
        heard = iter(attacker.hear, "")
        outcomes = [hostile_runner.parse_outcome(line) for line in heard]
        attacker.finish()
    assert len(outcomes) == len(files) * len(hostile_runner.USES)
    for outcome in outcomes:
        assert outcome.result in (FINE, INVALID), outcome
        assert outcome.result == FINE or outcome.memory <= max_memory(len(files[outcome.name])), outcome
    return iter(outcomes)


def results(outcomes: Iterable[Outcome], use: str) -> dict[str, str]:
    """The outcomes of one use, by the names of the files."""
    return {outcome.name: outcome.result for outcome in outcomes if outcome.use == use}


def refused(files: Iterable[str]) -> dict[str, str]:
    """The expected results if all of them are refused."""
    return dict.fromkeys(files, INVALID)


def some_records(count: int, longest: int = 200) -> list[bytes]:
    """Records of many lengths, half of their bytes random."""
    source = random.Random(count)
    return [
        source.randbytes(source.randrange(longest // 2)).ljust(source.randrange(longest), b".") for _ in range(count)
    ]


# Files that are not capture files


@pytest.mark.parametrize("to_write", [False, True])
@pytest.mark.parametrize("content", [b"M", b"MioCapture", b"MioCapture\0", b"some text\n" * 20_000, bytes(500_000)])
def test_a_file_that_is_not_a_capture_file_is_refused_and_left_unchanged(
    tmp_path: Path, content: bytes, to_write: bool
) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    for attempt in (lambda: CaptureFile(path, to_write), lambda: capturefile.verify(path)):
        with pytest.raises(InvalidCaptureFile, match=r"MioCapture|header of 27 bytes"):
            attempt()
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("to_write", [False, True])
def test_a_folder_is_refused(tmp_path: Path, to_write: bool) -> None:
    for attempt in (lambda: CaptureFile(tmp_path, to_write), lambda: capturefile.verify(tmp_path)):
        with pytest.raises(IsADirectoryError) as caught:
            attempt()
        assert caught.value.filename == os.fspath(tmp_path)


@pytest.mark.parametrize("to_write", [False, True])
def test_pipes_and_devices_are_refused_immediately(tmp_path: Path, to_write: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/null", "/dev/zero", "/dev/full"):
        for attempt in (lambda path=path: CaptureFile(path, to_write), lambda path=path: capturefile.verify(path)):
            with pytest.raises(InvalidCaptureFile, match="regular file"):
                attempt()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(tmp_path / "socket"))
        with pytest.raises(OSError, match="socket"):
            CaptureFile(tmp_path / "socket", to_write)


@pytest.mark.parametrize("path", ["a\0b", "", "x" * 300, "/dev/null/x"])
def test_an_impossible_path_is_an_error(path: str) -> None:
    for to_write in (False, True):
        with pytest.raises((OSError, ValueError)):
            CaptureFile(path, to_write)


def test_circular_links_are_refused(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.symlink_to(other)
    other.symlink_to(one)
    for to_write in (False, True):
        with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
            CaptureFile(one, to_write)


# The header


def test_other_versions_and_absurd_headers_are_refused(tmp_path: Path) -> None:
    sound = build_file(some_records(100))
    headers = {
        "version-0": replace(DEFAULT, version=0),
        "version-3": replace(DEFAULT, version=3),
        "version-most": replace(DEFAULT, version=LARGEST),
        **{f"page-{size}": replace(DEFAULT, page_size=size) for size in (0, 1, 511, 2**31, LARGEST)},
        **{f"block-{size}": replace(DEFAULT, block_size=size) for size in (1, 4095, 2**32 - 4096, LARGEST)},
        "both-most": replace(DEFAULT, page_size=2**31, block_size=2**31),
        "fan-out-0": replace(DEFAULT, fan_out=0),
        "fan-out-1": replace(DEFAULT, fan_out=1),
    }
    files = {name: header_of(geometry) + sound[27:] for name, geometry in headers.items()}
    outcomes = list(attack(tmp_path / "files", files))
    for use in hostile_runner.USES:
        assert results(outcomes, use) == refused(files)


def header_of(geometry: Geometry) -> bytes:
    """The 27 bytes of the header, with any page size."""
    return (
        encode_header(replace(geometry, page_size=27))[:15]
        + struct.pack(">I", geometry.page_size)
        + struct.pack(">II", geometry.block_size, geometry.fan_out)
    )


def test_an_impossible_fan_out_only_makes_records_unreadable(tmp_path: Path) -> None:
    sound = build_file(some_records(100))
    files = {f"fan-out-{size}": header_of(replace(DEFAULT, fan_out=size)) + sound[27:] for size in (2**20, LARGEST)}
    assert results(attack(tmp_path / "files", files), "read") == refused(files)


# The slots


def test_one_damaged_slot_leaves_the_other_and_two_leave_nothing(tmp_path: Path) -> None:
    records = some_records(50)
    sound = build_file(records, previous=40)
    for parity, count in ((0, 40), (1, 50)):
        path = tmp_path / f"{parity}.capture"
        slot = bytearray(sound[DEFAULT.slot_position(parity) :][: DEFAULT.slot_size])
        slot[20_000] ^= 1
        path.write_bytes(put_slot(sound, bytes(slot), parity))
        assert not capturefile.verify(path).sound
        for to_write in (False, True):
            with CaptureFile(path, to_write, encoding=None) as cf:
                assert list(cf) == records[:count]
        assert capturefile.verify(path).sound, "opening for writing must repair the other slot"
    both = put_slot(put_slot(sound, bytes(DEFAULT.slot_size), 0), bytes(DEFAULT.slot_size), 1)
    assert results(attack(tmp_path / "files", {"both": both}), "read") == {"both": INVALID}


def bad_slots() -> Iterator[tuple[str, bytes]]:
    """Slots with a valid checksum and impossible content, with their names."""
    good = parse(build_file(some_records(100), b"metadata", SMALL)).current
    limit, geometry = good.file_limit, SMALL
    for name, where in {
        "zero": 0,
        "in-header": 20,
        "before-data": geometry.data_start - 1,
        "past-file": 2**40,
        "half": 2**63,
        "most": 2**64 - 1,
    }.items():
        yield f"limit-{name}", encode_slot(replace(good, file_limit=where), geometry)
    for length in (geometry.block_size, LARGEST):
        yield f"pending-{length}", encode_slot(good, geometry, pending_length=length)
    for count in (len(good.children) + 1, 37, 2**31, LARGEST):
        yield f"children-{count}", encode_slot(good, geometry, child_count=count)
    for name, children in bad_children(good):
        yield f"child-{name}", encode_slot(replace(good, children=children), geometry)
    for name, at in bad_places(good, limit):
        yield f"metadata-{name}", encode_slot(replace(good, metadata=at), geometry)
    yield "parity", encode_slot(replace(good, serial=good.serial + 1), geometry)


def bad_children(slot: Slot) -> Iterator[tuple[str, list[Child]]]:
    """Children that a rightmost path cannot have."""
    first, *rest = slot.children
    for height in (0, 12, 255):
        yield f"first-height-{height}", [first._replace(height=height), *rest]
    yield "last-height-1", [*slot.children[:-1], slot.children[-1]._replace(height=1), first._replace(height=1)] * 2
    yield "full", [first] * SMALL.fan_out
    yield "too-many-records", [first._replace(height=33)] * 3
    for name, at in bad_places(slot, slot.file_limit):
        yield name, [Child(1, *at)]


def bad_places(slot: Slot, limit: int) -> Iterator[tuple[str, Coordinates]]:
    """Coordinates at which there is no entry."""
    yield "header", Coordinates(3, 3)
    yield "slot", Coordinates(SMALL.slot_position(1), 0)
    yield "before-data", Coordinates(SMALL.data_start - 1, 0)
    yield "frame-middle", Coordinates(SMALL.data_start + 7, 0)
    yield "frame-last-byte", Coordinates(limit - 1, 0)
    yield "offset-past-block", Coordinates(SMALL.data_start, 100_000)
    yield "offset-most", Coordinates(SMALL.data_start, LARGEST)
    yield "pending-past", Coordinates(limit, len(slot.pending))
    yield "pending-end", Coordinates(limit, len(slot.pending) - 1)
    yield "past-limit", Coordinates(limit + 1, 0)
    yield "most", Coordinates(2**64 - 1, LARGEST)


def test_impossible_slots_are_refused(tmp_path: Path) -> None:
    sound = build_file(some_records(100), b"metadata", SMALL)
    files = {name: put_slot(put_slot(sound, slot, 0), slot, 1) for name, slot in bad_slots()}
    outcomes = list(attack(tmp_path / "files", files))
    # The slot with the wrong parity is also in its right place, so the file is only damaged.
    assert results(outcomes, "verify") == refused(files)
    metadata_only = {name for name in files if name.startswith("metadata-")} | {"parity"}
    read = results(outcomes, "read")
    assert {name: read[name] for name in files if name not in metadata_only} == refused(files.keys() - metadata_only)


# Frames, index nodes, records


def hostile_file(
    blocks: Iterable[bytes], children: Iterable[tuple[int, int, int]], geometry: Geometry = DEFAULT
) -> bytes:
    """A file of the given frames; each child is its height, the number of its frame from 0, and an offset.

    The frame after the last is the pending block, which is empty.
    """
    builder = FileBuilder(geometry)
    starts = []
    for raw in blocks:
        starts.append(builder.file_limit)
        builder.frames += raw
    starts.append(builder.file_limit)
    for height, number, offset in children:
        builder.levels += [[] for _ in range(height - len(builder.levels))]
        builder.levels[height - 1].append(Coordinates(starts[number], offset))
    builder.commit()
    builder.commit()
    return builder.image()


def test_frames_that_do_not_inflate_are_refused(tmp_path: Path) -> None:
    block = sized(b"record") + sized(bytes(3000))
    stream = zlib.compress(block)
    raw = zlib.compressobj(wbits=-15)
    frames = {
        "length-0": sized(b""),
        "length-1": sized(stream[:1]),
        "length-most": struct.pack(">I", LARGEST) + stream,
        "length-too-long": struct.pack(">I", len(stream) + 1) + stream,
        "length-too-short": sized(stream[:-1]),
        "no-zlib": sized(b"x" * 100),
        "raw-deflate": sized(raw.compress(block) + raw.flush()),
        "wrong-sum": sized(stream[:-1] + bytes([stream[-1] ^ 1])),
        "empty-block": sized(zlib.compress(b"")),
        "zeros": bytes(10_000),
        "dictionary": sized(bytes([0x78, 0xBB]) + stream[2:]),
    }
    files = {name: hostile_file([content], [(1, 0, 0)]) for name, content in frames.items()}
    outcomes = list(attack(tmp_path / "files", files))
    assert results(outcomes, "verify") == refused(files)
    assert results(outcomes, "read") == refused(files)


def test_records_and_nodes_past_the_end_of_their_block_are_refused(tmp_path: Path) -> None:
    last = 100
    block = sized(b"record").ljust(last, b"\0")
    most = struct.pack(">I", LARGEST) + b"x"
    files = {
        "offset-end": hostile_file([frame(block)], [(1, 0, last)]),
        "offset-almost-end": hostile_file([frame(block)], [(1, 0, last - 3)]),
        "offset-most": hostile_file([frame(block)], [(1, 0, LARGEST)]),
        "record-one-longer": hostile_file([frame(struct.pack(">I", 97) + bytes(96))], [(1, 0, 0)]),
        "record-most": hostile_file([frame(most)], [(1, 0, 0)]),
        "record-most-at-most": hostile_file([frame(most)], [(1, 0, LARGEST)]),
        "node-short": hostile_file([frame(bytes(32 * 12 - 1))], [(2, 0, 0)]),
        "node-of-nothing": hostile_file([frame(bytes(32 * 12))], [(2, 0, 0)]),
        "node-most": hostile_file([frame(b"\xff" * 32 * 12)], [(2, 0, 0)]),
    }
    outcomes = list(attack(tmp_path / "files", files))
    assert results(outcomes, "verify") == refused(files)
    assert results(outcomes, "read") == refused(files)


def test_circular_index_nodes_end_at_the_lowest_level(tmp_path: Path) -> None:
    """At the lowest level the node is read as a record; its first bytes say that the record is empty."""
    first = DEFAULT.data_start
    second = first + len(circle(first))
    narrow = Geometry(4096, 4096, 2)
    files = {
        "itself": hostile_file([circle(first)], [(height, 0, 0) for height in (2, 3, 12)]),
        "itself-often": hostile_file([circle(first)], [(12, 0, 0)] * 15),
        "each-other": hostile_file([circle(second), circle(first)], [(10, 0, 0), (10, 1, 0)]),
        "narrow": hostile_file([circle(narrow.data_start, 2)], [(62, 0, 0)], narrow),
    }
    outcomes = list(attack(tmp_path / "files", files))
    for use in ("read", "verify"):
        assert results(outcomes, use) == dict.fromkeys(files, FINE)
    with CaptureFile(tmp_path / "files" / "itself-often", encoding=None) as cf:
        assert len(cf) == 15 * 32**11 + 6
        assert cf[2**58] == b""


def circle(position: int, fan_out: int = 32) -> bytes:
    """The frame of a node all of whose children are the node at the start of the frame at `position`."""
    return frame(index_node([Coordinates(position, 0)] * fan_out), 0)


def test_shared_subtrees_are_read_like_any_others(tmp_path: Path) -> None:
    files = {"trillion": trillion_file()}
    outcomes = {outcome.use: outcome.result for outcome in attack(tmp_path / "files", files)}
    assert outcomes.pop("recover") == INVALID, "no disk has room for all the records"
    assert set(outcomes.values()) == {FINE}
    with CaptureFile(tmp_path / "files" / "trillion", encoding=None) as cf:
        assert len(cf) == TRILLION_RECORDS + 6
        source = random.Random(8)
        for number in (1, 32, 33, 2**39, TRILLION_RECORDS, *(source.randint(1, TRILLION_RECORDS) for _ in range(500))):
            assert cf[number] == trillion_record(number)


# Compression bombs


def bomb(length: int, start: bytes = b"", *, broken: str = "") -> bytes:
    """A frame of a thousandth of `length` that inflates to `length` bytes, or claims to."""
    deflate = zlib.compressobj(9)
    stream = deflate.compress(start) + deflate.compress(bytes(length - len(start))) + deflate.flush()
    if broken == "sum":
        stream = stream[:-1] + bytes([stream[-1] ^ 1])
    if broken == "end":
        stream = stream[:-100]
    return sized(stream)


def test_a_compression_bomb_uses_no_more_memory_than_its_file_size_allows(tmp_path: Path) -> None:
    size = 96 << 20
    files = {
        "wrong-sum": hostile_file([bomb(size, broken="sum")], [(1, 0, 0)]),
        "no-end": hostile_file([bomb(size, broken="end")], [(1, 0, 0)]),
        "record-past-end": hostile_file([bomb(size, struct.pack(">I", size))], [(1, 0, 0)]),
        "record-at-end": hostile_file([bomb(size)], [(1, 0, size)]),
        "node-of-nothing": hostile_file([bomb(size)], [(2, 0, 0)]),
        "node-past-end": hostile_file([bomb(size)], [(2, 0, size - 12 * 31)]),
        "after-a-record": hostile_file([frame(sized(b"good")), bomb(size, broken="sum")], [(1, 0, 0), (1, 1, 0)]),
    }
    outcomes = list(attack(tmp_path / "files", files))
    assert results(outcomes, "read") == refused(files)
    assert results(outcomes, "verify") == refused(files)


def test_a_record_that_compresses_like_a_bomb_can_be_read(tmp_path: Path) -> None:
    size = 96 << 20
    files = {"honest": hostile_file([bomb(size + 4, struct.pack(">I", size))], [(1, 0, 0)])}
    assert {outcome.result for outcome in attack(tmp_path / "files", files)} == {FINE}
    with CaptureFile(tmp_path / "files" / "honest", encoding=None) as cf:
        assert cf[1] == bytes(size)


# Lengths


def test_a_file_truncated_to_any_length_is_refused_or_complete(tmp_path: Path) -> None:
    records = some_records(60)
    sound = build_file(records, b"metadata", SMALL)
    parsed = parse(sound)
    needed = SMALL.page_floor(parsed.current.file_limit)
    edges = {0, 11, 15, 19, 23, 27, SMALL.page_size, needed, len(sound)}
    edges |= {SMALL.slot_position(serial) + step for serial in (0, 1) for step in (0, 4, 512, 1024, SMALL.slot_size)}
    edges |= {found.position for found in parsed.frames()}
    lengths = sorted({edge + step for edge in edges for step in (-1, 0, 1) if 0 <= edge + step <= len(sound)})
    files = {f"{length:06}": sound[:length] for length in lengths}
    outcomes = list(attack(tmp_path / "files", files))
    expected = {f"{length:06}": FINE if length >= needed else INVALID for length in lengths}
    assert results(outcomes, "read") == expected
    assert results(outcomes, "verify") == expected
    # An empty file becomes a capture file.
    assert results(outcomes, "write") == {**expected, "000000": FINE}


def test_garbage_after_the_end_is_not_part_of_the_file(tmp_path: Path) -> None:
    files = {"garbage": build_file(some_records(60), geometry=SMALL) + random.Random(4).randbytes(100_000)}
    assert {outcome.result for outcome in attack(tmp_path / "files", files)} == {FINE}


# Mutations


def bases() -> list[bytes]:
    """Sound files of several shapes; most frames are stored uncompressed, so that changes affect their content."""
    return [
        build_file(some_records(40), b"metadata", TINY, level=0),
        build_file(some_records(200, 60), None, SMALL, previous=150, level=0, late_nodes=True),
        build_file(some_records(30, 900), b"m" * 700, SMALL, serial=0),
        build_file(some_records(1500, 20), b"", Geometry(512, 2048, 3), level=0),
    ]


def change_bytes(data: bytearray, start: int, end: int, source: random.Random) -> None:
    """Changes something between `start` and `end`: flips a bit, writes a wrong number, or copies other bytes."""
    at = source.randrange(start, end)
    kind = source.randrange(5)
    if kind == 0:
        data[at] ^= 1 << source.randrange(8)
    elif kind == 1:
        change = struct.pack(">I", source.choice(NUMBERS))
        data[at : at + 4] = change[: len(data) - at]
    elif kind == 2:
        change = struct.pack(">Q", source.choice(DOUBLE_NUMBERS))
        data[at : at + 8] = change[: len(data) - at]
    else:
        length = min(source.choice([1, 4, 12, 13, 100]), end - at)
        other = source.randrange(start, end - length + 1)
        data[at : at + length] = bytes(length) if kind == 3 else data[other : other + length]


def change_block(data: bytearray, source: random.Random) -> None:
    """Changes something in a block, and corrects the frame's checksum."""
    parsed = parse(bytes(data))
    whole = parsed.geometry.page_floor(parsed.current.file_limit)
    frames = [found for found in parsed.frames() if found.position + found.length <= whole]
    stored = [found for found in frames if len(frame(found.block, 0)) == found.length]
    if stored:
        found = source.choice(stored)
        block = bytearray(found.block)
        change_bytes(block, 0, len(block), source)
        data[found.position : found.position + found.length] = frame(bytes(block[: len(found.block)]), 0)


def mutant(base: bytes, source: random.Random) -> bytes:
    """The file with one to four changes, mostly with corrected checksums."""
    data = bytearray(base)
    geometry = parse(base).geometry
    for _ in range(source.choice([1, 1, 2, 4])):
        where = source.choice(["header", "slot", "numbers", "numbers", "data", "block", "block", "block", "length"])
        if where == "header":
            change_bytes(data, 0, 27, source)
        elif where == "slot":
            change_bytes(data, geometry.slot_position(0), geometry.data_start, source)
        elif where == "numbers":
            start = geometry.slot_position(source.randrange(2)) + 4
            change_bytes(data, start, start + 150, source)
        elif where == "data":
            change_bytes(data, geometry.data_start, len(data), source)
        elif where == "length":
            del data[source.randrange(len(data)) :]
            return bytes(data)
        elif bytes(data[:27]) == base[:27]:
            try_change_block(data, source)
    right = source.random() < 0.9 and bytes(data[:27]) == base[:27]
    return fix_checksums(bytes(data)) if right else bytes(data)


def try_change_block(data: bytearray, source: random.Random) -> None:
    """Changes a block if the file can still be parsed, otherwise some bytes."""
    try:
        change_block(data, source)
    except (ValueError, struct.error, zlib.error, IndexError):
        change_bytes(data, len(data) // 2, len(data), source)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files_are_refused_or_read_at_little_cost(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    sound = bases()
    files = {f"{seed}-{turn:03}": mutant(source.choice(sound), source) for turn in range(150)}
    outcomes = list(attack(tmp_path / "files", files))
    for use in hostile_runner.USES:
        kinds = list(results(outcomes, use).values())
        assert kinds.count(FINE) >= 5, use
        assert use == "read-past-damage" or kinds.count(INVALID) >= 20, use


def test_a_flipped_bit_after_the_header_gives_an_error_or_the_right_records(tmp_path: Path) -> None:
    """The header has no checksum; everything else is checked before it is used."""
    records = some_records(20)
    sound = build_file(records, b"metadata", TINY)
    path = tmp_path / "flipped.capture"
    path.write_bytes(sound[: TINY.page_floor(parse(sound).current.file_limit)])
    with path.open("r+b", buffering=0) as file:
        for at in range(TINY.page_size, path.stat().st_size):
            os.pwrite(file.fileno(), bytes([sound[at] ^ 1 << at % 8]), at)
            with suppress(InvalidCaptureFile), CaptureFile(path, encoding=None) as cf:
                assert (list(cf), cf.get_metadata()) == (records, b"metadata"), at
            os.pwrite(file.fileno(), sound[at : at + 1], at)
    assert capturefile.verify(path).sound


# Format 3; its checksums detect most damage, and the crate's own tests correct them


def format_3(path: Path) -> bytes:
    """A sound file of many blocks, with index nodes, whose log has wrapped around."""
    with CaptureFile(path, True, encoding=None, format=3, compression_block_size=1024) as cf:
        for number in range(250):
            cf.add_records(some_records(60))
            cf.set_metadata(b"%d" % number)
            cf.commit()
    return path.read_bytes()


def test_mutated_files_of_format_3_are_refused_or_read_at_little_cost(tmp_path: Path) -> None:
    sound, source = format_3(tmp_path / "sound"), random.Random(4)
    parts = [(0, 72), (4096, 4300), (8192, 8400), (12_288, len(sound)), (12_288, 60_000), (1_060_864, 1_070_000)]
    files = {}
    for turn in range(40):
        data = bytearray(sound)
        for _ in range(source.choice([1, 1, 3])):
            change_bytes(data, *source.choice(parts), source)
        files[f"{turn:03}"] = bytes(data[: source.choice([len(data), len(data), source.randrange(len(data))])])
    outcomes = list(attack(tmp_path / "files", files))
    for use in hostile_runner.USES:
        kinds = list(results(outcomes, use).values())
        assert kinds.count(FINE) >= 2, use
        assert use == "read-past-damage" or kinds.count(INVALID) >= 3, use


def test_a_flipped_bit_of_a_file_of_format_3_is_an_error_or_harmless(tmp_path: Path) -> None:
    """Except in the last commit, which then looks like one that a crash has interrupted."""
    path = tmp_path / "flipped.capture"
    sound, source = format_3(path), random.Random(4)
    expected = [record for _ in range(250) for record in some_records(60)]
    with path.open("r+b", buffering=0) as file:
        for turn in range(60):
            at = source.randrange(*((0, 12_288), (12_288, 1_060_864), (1_060_864, len(sound)))[turn % 3])
            os.pwrite(file.fileno(), bytes([sound[at] ^ 1 << at % 8]), at)
            with suppress(InvalidCaptureFile), CaptureFile(path, encoding=None) as cf:
                found = list(cf)
                assert found == expected[: len(found)], at
                assert len(found) >= len(expected) - 60, at
            os.pwrite(file.fileno(), sound[at : at + 1], at)
    assert capturefile.verify(path).sound
