"""Builds and parses capture files in memory, for the tests.

Written from `docs/format.md` and the standard library alone, so that it can disagree with the library under test, and
can make files that no writer would. Positions and sizes are in bytes; record numbers start at 1.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAGIC = b"MioCapture\0"
OLD_MAGIC = b"WebCapture\0"
SERIALS = 2**32
"""The number of serial numbers; after the last one they start again from 0."""

_HEADER = struct.Struct(">11sIIII")
_HEADER_CHECKSUM_TAG = b"HCRC"
_HEADER_CHECKSUM_TAG_AT = 32
_CHECKSUM = struct.Struct(">I")
_FIXED = struct.Struct(">IQIQII")
_CHILD = struct.Struct(">BQI")
_COORDINATES = struct.Struct(">QI")
_LENGTH = struct.Struct(">I")


class Coordinates(NamedTuple):
    """Where an entry is: the file position of its frame, and its offset in the uncompressed block."""

    position: int
    offset: int


NO_METADATA = Coordinates(0, 0)


class Child(NamedTuple):
    """A child of the rightmost path, as a slot lists it; height 1 means that the child is a record."""

    height: int
    position: int
    offset: int


class Frame(NamedTuple):
    """A frame of the data area: where it starts, its length with the length field, and its inflated block."""

    position: int
    length: int
    block: bytes


@dataclass(frozen=True)
class Geometry:
    """The file header's values, and the sizes and positions that follow from them."""

    page_size: int = 4096
    block_size: int = 32768
    fan_out: int = 32
    version: int = 2
    magic: bytes = MAGIC

    @property
    def slot_size(self) -> int:
        """The size of a master slot: two pages and a block."""
        return 2 * self.page_size + self.block_size

    @property
    def data_start(self) -> int:
        """Where the first frame starts."""
        return self.slot_position(1) + self.slot_size

    @property
    def new_length(self) -> int:
        """The length of a new file: 100 pages, or as much as the slots need."""
        return max(100 * self.page_size, self.data_start)

    def slot_position(self, serial: int) -> int:
        """Where the slot of this serial number starts: slot A for an even one, slot B for an odd one."""
        return self.page_size + serial % 2 * self.slot_size

    def page_floor(self, position: int) -> int:
        """`position` rounded down to a page."""
        return position - position % self.page_size


DEFAULT = Geometry()


@dataclass(frozen=True)
class Slot:
    """The content of a master slot, without checksum and padding."""

    serial: int
    file_limit: int
    pending: bytes = b""
    metadata: Coordinates = NO_METADATA
    children: Sequence[Child] = ()
    tail: bytes = b""
    """The partial page: the bytes from `file_limit` rounded down to a page up to `file_limit`."""

    def counts(self) -> list[int]:
        """How many children each height has, from height 1 up to the highest that has any."""
        heights = [child.height for child in self.children]
        return [heights.count(height) for height in range(1, max(heights, default=0) + 1)]

    def record_count(self, fan_out: int) -> int:
        """How many records the tree holds."""
        return sum(fan_out ** (child.height - 1) for child in self.children)


def encode_header(geometry: Geometry, *, checksum: bool = False) -> bytes:
    """The first page of a file, with or without the checksum that the reference does not know."""
    header = _HEADER.pack(geometry.magic, geometry.version, geometry.page_size, geometry.block_size, geometry.fan_out)
    if checksum:
        sealed = _HEADER_CHECKSUM_TAG + _CHECKSUM.pack(zlib.crc32(header))
        header = header.ljust(_HEADER_CHECKSUM_TAG_AT, b"\0") + sealed
    return header.ljust(geometry.page_size, b"\0")


def put_header_checksum(data: bytes) -> bytes:
    """The same file with the checksum of its header, as the library writes it."""
    geometry = decode_header(data)
    return encode_header(geometry, checksum=True) + data[geometry.page_size :]


def without_header_checksum(data: bytes) -> bytes:
    """Returns the same file with zeros in place of its header's checksum, which must be present."""
    assert data[: decode_header(data).page_size] == put_header_checksum(data)[: decode_header(data).page_size]
    return encode_header(decode_header(data)) + data[decode_header(data).page_size :]


def decode_header(data: bytes) -> Geometry:
    """The geometry in the first bytes of a file, whether valid or not."""
    magic, version, page_size, block_size, fan_out = _HEADER.unpack_from(data)
    return Geometry(page_size, block_size, fan_out, version, magic)


def encode_slot(
    slot: Slot,
    geometry: Geometry = DEFAULT,
    *,
    wrong_crc: bool = False,
    pending_length: int | None = None,
    child_count: int | None = None,
) -> bytes:
    """A complete master slot.

    `wrong_crc` flips a bit of the checksum; `pending_length` and `child_count` are written in place of the true ones.
    """
    fixed = _FIXED.pack(
        slot.serial,
        slot.file_limit,
        len(slot.pending) if pending_length is None else pending_length,
        *slot.metadata,
        len(slot.children) if child_count is None else child_count,
    )
    parts = (
        (fixed + b"".join(_CHILD.pack(*child) for child in slot.children), geometry.page_size - _CHECKSUM.size),
        (slot.tail, geometry.page_size),
        (slot.pending, geometry.block_size),
    )
    if any(len(part) > size for part, size in parts):
        raise ValueError(f"a part of the slot does not fit: {[(len(part), size) for part, size in parts]}")
    body = b"".join(part.ljust(size, b"\0") for part, size in parts)
    return _CHECKSUM.pack(zlib.crc32(body) ^ int(wrong_crc)) + body


def decode_slot(data: bytes, geometry: Geometry = DEFAULT) -> Slot | None:
    """The slot in these bytes, or None if they are too few or their checksum is wrong."""
    if len(data) != geometry.slot_size or _CHECKSUM.unpack_from(data)[0] != zlib.crc32(data[4:]):
        return None
    page = geometry.page_size
    serial, file_limit, pending_length, position, offset, child_count = _FIXED.unpack_from(data, _CHECKSUM.size)
    first = _CHECKSUM.size + _FIXED.size
    if first + child_count * _CHILD.size > page or pending_length > geometry.block_size:
        raise ValueError(
            f"a pending block of {pending_length} bytes, {child_count} children: more than there is room for"
        )
    return Slot(
        serial,
        file_limit,
        pending=data[2 * page : 2 * page + pending_length],
        metadata=Coordinates(position, offset),
        children=[Child(*_CHILD.unpack_from(data, first + i * _CHILD.size)) for i in range(child_count)],
        tail=data[page : page + file_limit % page],
    )


def sized(content: bytes) -> bytes:
    """A record or metadata as an entry of a block: its length, then its bytes."""
    return _LENGTH.pack(len(content)) + content


def index_node(children: Iterable[Coordinates]) -> bytes:
    """A full index node as an entry of a block."""
    return b"".join(_COORDINATES.pack(*child) for child in children)


def frame(block_bytes: bytes, level: int = 6) -> bytes:
    """The frame of a block; `level` is zlib's, 0 stores the bytes as they are."""
    return sized(zlib.compress(block_bytes, level))


@dataclass
class FileBuilder:
    """Builds a capture file, entry by entry and commit by commit."""

    geometry: Geometry = DEFAULT
    serial: int = 0
    """The serial number of the last commit; initially, that of the commit before the first."""
    level: int = 6
    """zlib's compression level; 0 stores blocks uncompressed."""
    late_nodes: bool = False
    """Whether a commit writes index nodes after all of its records, rather than each after the record that fills it."""
    metadata: Coordinates = NO_METADATA
    pending: bytes = b""
    frames: bytes = b""
    levels: list[list[Coordinates]] = field(default_factory=list)
    """The children of the rightmost path, `levels[0]` being height 1."""
    _waiting: list[Coordinates] = field(default_factory=list)
    _slots: dict[int, bytes] = field(default_factory=dict)

    @property
    def file_limit(self) -> int:
        """Where the next frame will start."""
        return self.geometry.data_start + len(self.frames)

    def add_entry(self, entry: bytes) -> Coordinates:
        """Appends raw bytes to the pending block, closes it if it is full, and returns where the bytes are."""
        coordinates = Coordinates(self.file_limit, len(self.pending))
        self.pending += entry
        if len(self.pending) >= self.geometry.block_size:
            self.close_block()
        return coordinates

    def close_block(self) -> None:
        """Makes a frame of the pending block, full or not."""
        self.frames += frame(self.pending, self.level)
        self.pending = b""

    def add_child(self, height: int, child: Coordinates) -> None:
        """Puts a child on the rightmost path; a node that it fills is written and goes up a level."""
        self.levels += [[] for _ in range(height - len(self.levels))]
        node = self.levels[height - 1]
        node.append(child)
        if len(node) == self.geometry.fan_out:
            coordinates = self.add_entry(index_node(node))
            node.clear()
            self.add_child(height + 1, coordinates)

    def add_record(self, record: bytes) -> None:
        """Adds a record, not yet committed."""
        self._waiting.append(self.add_entry(sized(record)))
        if not self.late_nodes:
            self._place_waiting()

    def set_metadata(self, metadata: bytes | None) -> None:
        """Replaces the metadata, not yet committed."""
        self.metadata = NO_METADATA if metadata is None else self.add_entry(sized(metadata))

    def commit(self) -> Slot:
        """Writes the current state into the slot of the next serial number, and returns what it wrote."""
        self._place_waiting()
        self.serial = (self.serial + 1) % SERIALS
        slot = Slot(
            self.serial,
            self.file_limit,
            self.pending,
            self.metadata,
            [Child(height, *child) for height, node in enumerate(self.levels, start=1) for child in node],
            self.frames[self._written() :],
        )
        self._slots[self.serial % 2] = encode_slot(slot, self.geometry)
        return slot

    def image(self) -> bytes:
        """Returns the current file: a slot without a commit is zeros; frames after the last commit are included."""
        slots = b"".join(self._slots.get(parity, bytes(self.geometry.slot_size)) for parity in (0, 1))
        written = encode_header(self.geometry) + slots + self.frames[: self._written()]
        return written.ljust(self.geometry.new_length, b"\0")

    def _place_waiting(self) -> None:
        for coordinates in self._waiting:
            self.add_child(1, coordinates)
        self._waiting.clear()

    def _written(self) -> int:
        """How many bytes of the frames are in complete pages."""
        return self.geometry.page_floor(self.file_limit) - self.geometry.data_start


def build_file(
    records: Iterable[bytes],
    metadata: bytes | None = None,
    geometry: Geometry = DEFAULT,
    serial: int = 2,
    *,
    previous: int | None = None,
    level: int = 6,
    late_nodes: bool = False,
) -> bytes:
    """A complete valid file of two commits, the current one with the serial number `serial`.

    The metadata comes first and is in both commits. The previous commit holds the first `previous` records, or all of
    them if that is None, so that both slots have the same content. `level` and `late_nodes` are as for `FileBuilder`.
    """
    builder = FileBuilder(geometry, (serial - 2) % SERIALS, level, late_nodes)
    if metadata is not None:
        builder.set_metadata(metadata)
    all_records = list(records)
    earlier = len(all_records) if previous is None else previous
    for part in (all_records[:earlier], all_records[earlier:]):
        for record in part:
            builder.add_record(record)
        builder.commit()
    return builder.image()


def later(first: Slot | None, second: Slot | None) -> Slot | None:
    """The slot with the later serial number, modulo 2**32; None counts as older than any."""
    if first is None or second is None:
        return first or second
    return first if (first.serial - second.serial) % SERIALS < SERIALS // 2 else second


def descent(number: int, counts: Sequence[int], fan_out: int) -> tuple[int, list[int]]:
    """The path to a record: the height of the rightmost node to start at, and the child (from 0) to take at each level.

    `counts` holds how many children the rightmost path has at each height, from height 1 up.
    """
    digits = [(number - 1) // fan_out**level % fan_out for level in range(len(counts))]
    height = len(counts)
    while digits[height - 1] == counts[height - 1]:
        height -= 1
    return height, digits[height - 1 :: -1]


@dataclass(frozen=True)
class Parsed:
    """A parsed file, read as of its current slot."""

    data: bytes
    geometry: Geometry
    slots: tuple[Slot | None, Slot | None]
    """Slot A and slot B; None where the checksum is wrong."""

    @cached_property
    def current(self) -> Slot:
        """The slot with the last commit; ValueError if neither is valid."""
        slot = later(*self.slots)
        if slot is None:
            raise ValueError("both checksums are wrong")
        return slot

    @property
    def record_count(self) -> int:
        """How many records the last commit holds."""
        return self.current.record_count(self.geometry.fan_out)

    def frames(self) -> Iterator[Frame]:
        """All frames in file order; ValueError unless they end exactly at `file_limit`."""
        position = self.geometry.data_start
        while position < self.current.file_limit:
            found = self.frame_at(position)
            yield found
            position += found.length
        if position != self.current.file_limit:
            raise ValueError(f"the last frame ends at {position}, not at the file limit {self.current.file_limit}")

    def frame_at(self, position: int) -> Frame:
        """The frame that starts at `position`."""
        (size,) = _LENGTH.unpack(self._read(position, _LENGTH.size))
        inflater = zlib.decompressobj()
        block = inflater.decompress(self._read(position + _LENGTH.size, size))
        if not inflater.eof or inflater.unused_data:
            raise ValueError(f"the frame at {position} does not hold exactly one zlib stream")
        return Frame(position, _LENGTH.size + size, block)

    def block(self, position: int) -> bytes:
        """The block whose frame starts at `position`; the pending one if that is `file_limit`."""
        return self.current.pending if position == self.current.file_limit else self.frame_at(position).block

    def entry(self, coordinates: Coordinates) -> bytes:
        """The record or metadata at these coordinates."""
        block = self.block(coordinates.position)
        start = coordinates.offset + _LENGTH.size
        (size,) = _LENGTH.unpack_from(block, coordinates.offset)
        if start + size > len(block):
            raise ValueError(f"{size} bytes at {coordinates} pass the end of a block of {len(block)}")
        return block[start : start + size]

    def node_child(self, node: Coordinates, index: int) -> Coordinates:
        """Child `index` (from 0) of the index node at these coordinates."""
        offset = node.offset + index * _COORDINATES.size
        return Coordinates(*_COORDINATES.unpack_from(self.block(node.position), offset))

    def record(self, number: int) -> bytes:
        """Record `number`; IndexError below 1 or past the end."""
        if not 1 <= number <= self.record_count:
            raise IndexError(f"record {number} of {self.record_count}")
        height, (first, *rest) = descent(number, self.current.counts(), self.geometry.fan_out)
        siblings = [Coordinates(*where) for level, *where in self.current.children if level == height]
        found = siblings[first]
        for index in rest:
            found = self.node_child(found, index)
        return self.entry(found)

    def records(self) -> list[bytes]:
        """All records in order."""
        return [self.record(number) for number in range(1, self.record_count + 1)]

    def metadata(self) -> bytes | None:
        """The metadata, or None if there is none."""
        return None if self.current.metadata == NO_METADATA else self.entry(self.current.metadata)

    def _read(self, position: int, size: int) -> bytes:
        """Committed bytes, from the file or from the slot's partial page; ValueError if there are fewer."""
        whole = self.geometry.page_floor(self.current.file_limit)
        tail_start = max(position - whole, 0)
        found = self.data[position : min(position + size, whole)]
        found += self.current.tail[tail_start : max(position + size - whole, 0)]
        if len(found) != size:
            raise ValueError(
                f"{size} bytes at {position} pass the file limit {self.current.file_limit} or the file's end"
            )
        return found


def _raw_slots(data: bytes, geometry: Geometry) -> tuple[bytes, bytes]:
    starts = (geometry.slot_position(0), geometry.slot_position(1))
    first, second = (data[start : start + geometry.slot_size] for start in starts)
    return first, second


def parse(data: bytes) -> Parsed:
    """Parses a file."""
    geometry = decode_header(data)
    first, second = _raw_slots(data, geometry)
    return Parsed(data, geometry, (decode_slot(first, geometry), decode_slot(second, geometry)))


def fix_checksums(data: bytes) -> bytes:
    """The same file with the checksums of both slots recomputed, whether they were right or wrong."""
    geometry = decode_header(data)
    fixed = (_CHECKSUM.pack(zlib.crc32(slot[4:])) + slot[4:] for slot in _raw_slots(data, geometry))
    return data[: geometry.page_size] + b"".join(fixed) + data[geometry.data_start :]


def put_slot(data: bytes, slot: bytes, parity: int) -> bytes:
    """The same file with the encoded slot written as slot A (`parity` 0) or slot B (1)."""
    start = decode_header(data).slot_position(parity)
    return data[:start] + slot + data[start + len(slot) :]


_TRILLION_SUBTREE = 32**8
_MODULUS = 37
TRILLION_RECORDS = _TRILLION_SUBTREE + 7


def trillion_record(number: int) -> bytes:
    """Record `number` of `trillion_file`.

    The last seven have distinct names. Each of the others states `number - 1` modulo 37, which any single wrong
    step on the way down changes.
    """
    if number > _TRILLION_SUBTREE:
        return b"after the subtree: %d" % (number - _TRILLION_SUBTREE)
    return b"modulo 37: %d" % ((number - 1) % _MODULUS)


def trillion_file() -> bytes:
    """A valid file of `TRILLION_RECORDS` (32**8 + 7) records, whose index shares its subtrees.

    The base-32 digits of a record's index are the path down to it. At each height one node for each r is used in every
    place where the digits so far make a number that is r modulo 37; its child d is the one for (32 * r + d) modulo 37.
    """
    builder = FileBuilder(level=9)
    below = [builder.add_entry(sized(trillion_record(remainder + 1))) for remainder in range(_MODULUS)]
    for _ in range(8):
        nodes = [[below[(32 * remainder + digit) % _MODULUS] for digit in range(32)] for remainder in range(_MODULUS)]
        below = [builder.add_entry(index_node(node)) for node in nodes]
    builder.add_child(9, below[0])
    for number in range(_TRILLION_SUBTREE + 1, TRILLION_RECORDS + 1):
        builder.add_record(trillion_record(number))
    builder.commit()
    builder.commit()
    return builder.image()
