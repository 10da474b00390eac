"""The header, both master nodes and the way down the index, read from the bytes of the file as docs/format.md has them.

The library shows what is committed and hides how; this shows how, also where the file is damaged. What is read here is
bounded before it is used.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from capturefile.view.sources import BROKEN, message

if TYPE_CHECKING:
    from pathlib import Path

HEADER = struct.Struct(">11sIIII")
HEADER_CHECKSUM = struct.Struct(">4sI")
HEADER_CHECKSUM_AT = 32
FIXED = struct.Struct(">IIQIQII")
CHILD = struct.Struct(">BQI")
COORDINATES = struct.Struct(">QI")
LENGTH = struct.Struct(">I")
SERIALS = 2**32
MOST_BYTES = 64 * 1024 * 1024
"""Read of the file in one piece, or inflated."""
TRIES = 20
"""A slot that a writer is writing looks torn; it is read again so often."""


class Nonsense(Exception):  # noqa: N818 - what the bytes are
    """Bytes that cannot be what they should be."""


@dataclass(frozen=True)
class Header:
    """What the first bytes of the file say."""

    magic: str
    version: int
    page_size: int
    block_size: int
    fan_out: int
    checksum: str
    """`right`, `wrong`, or `none`."""

    @property
    def slot_size(self) -> int:
        """Bytes of a master node."""
        return 2 * self.page_size + self.block_size

    def slot_position(self, index: int) -> int:
        """Where slot A (0) or B (1) starts."""
        return self.page_size + index * self.slot_size


@dataclass(frozen=True)
class Slot:
    """A master node, and whether it is whole."""

    serial: int
    stored: int
    computed: int
    file_limit: int
    pending_length: int
    metadata: tuple[int, int]
    children: list[tuple[int, int, int]]
    """Height, position and offset of each child of the rightmost path."""
    tail: bytes
    pending: bytes
    problem: str | None

    def record_count(self, fan_out: int) -> int:
        """How many records hang off its children."""
        return sum(fan_out ** (height - 1) for height, _, _ in self.children)

    def level(self, height: int) -> list[tuple[int, int]]:
        """The coordinates of its children at one height."""
        return [(position, offset) for at, position, offset in self.children if at == height]


class Structure:
    """A file as bytes."""

    def __init__(self, path: Path) -> None:
        """Opens it; what is asked later is read later."""
        self._file = path.open("rb")
        self.size = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> Structure:
        """Nothing more to do."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes the file."""
        self._file.close()

    def read(self, position: int, length: int) -> bytes:
        """Bytes of the file; fewer where it ends."""
        if length > MOST_BYTES:
            raise Nonsense(f"{length} bytes at {position} are more than this page looks at")
        return os.pread(self._file.fileno(), length, position)

    def header(self) -> Header:
        """The header; raises Nonsense where it cannot be one."""
        data = self.read(0, HEADER_CHECKSUM_AT + HEADER_CHECKSUM.size)
        if len(data) < HEADER.size:
            raise Nonsense(f"the file has only {len(data)} bytes")
        magic, version, page, block, fan_out = HEADER.unpack_from(data)
        tag, stored = HEADER_CHECKSUM.unpack_from(data.ljust(HEADER_CHECKSUM_AT + 8, b"\0"), HEADER_CHECKSUM_AT)
        right = stored == zlib.crc32(data[: HEADER.size])
        checksum = "none" if tag != b"HCRC" else "right" if right else "wrong"
        return Header(magic.rstrip(b"\0").decode(errors="replace"), version, page, block, fan_out, checksum)

    def slots(self, header: Header) -> list[Slot]:
        """Both master nodes; those that are being written are read again until they are whole."""
        if header.page_size < 512 or header.fan_out < 2 or header.slot_size > MOST_BYTES:
            raise Nonsense(f"a page of {header.page_size} bytes, a block of {header.block_size}")
        for _ in range(TRIES):
            slots = [self._slot(header, index) for index in (0, 1)]
            if all(slot.problem is None for slot in slots):
                break
        return slots

    def _slot(self, header: Header, index: int) -> Slot:
        data = self.read(header.slot_position(index), header.slot_size)
        problem = None if len(data) == header.slot_size else f"only {len(data)} of {header.slot_size} bytes are there"
        data = data.ljust(header.slot_size, b"\0")
        stored, serial, limit, pending, at, offset, count = FIXED.unpack_from(data)
        room = (header.page_size - FIXED.size) // CHILD.size
        children = list(CHILD.iter_unpack(data[FIXED.size : FIXED.size + CHILD.size * min(count, room)]))
        computed = zlib.crc32(data[4:])
        if problem is None:
            problem = _slot_problem(header, index, stored == computed, serial, count > room, children)
        page = header.page_size
        tail, block = data[page : page + limit % page], data[2 * page : 2 * page + pending]
        good = [child for child in children if 0 < child[0] <= 64]
        return Slot(serial, stored, computed, limit, pending, (at, offset), good, tail, block, problem)

    def inflated(self, header: Header, slot: Slot, position: int, most: int) -> bytes:
        """The first `most` bytes of the block at a position."""
        if position == slot.file_limit:
            return slot.pending[:most]
        if not header.slot_position(2) <= position < slot.file_limit:
            raise Nonsense(f"a block at {position}, which is outside of the data")
        (length,) = LENGTH.unpack(self._committed(header, slot, position, LENGTH.size))
        stream = self._committed(header, slot, position + LENGTH.size, length)
        if most > MOST_BYTES:
            raise Nonsense(f"an offset of {most} bytes in a block")
        try:
            return zlib.decompressobj().decompress(stream, most)
        except zlib.error as error:
            raise Nonsense(f"the block at {position} cannot be inflated: {error}") from error

    def _committed(self, header: Header, slot: Slot, position: int, length: int) -> bytes:
        """Committed bytes: of the file up to its last whole page, behind that of the slot."""
        whole = slot.file_limit - slot.file_limit % header.page_size
        found = self.read(position, max(0, min(position + length, whole) - position))
        start = max(position - whole, 0)
        found += slot.tail[start : max(position + length - whole, 0)]
        if len(found) != length:
            raise Nonsense(f"the block at {position} passes the end of what is committed")
        return found

    def node(self, header: Header, slot: Slot, place: tuple[int, int]) -> list[tuple[int, int]]:
        """The coordinates of the children of a full node."""
        position, offset = place
        end = offset + COORDINATES.size * header.fan_out
        data = self.inflated(header, slot, position, end)
        if len(data) < end:
            raise Nonsense(f"the node at {position} + {offset} passes the end of its block")
        return list(COORDINATES.iter_unpack(data[offset:end]))


def _slot_problem(
    header: Header, index: int, is_whole: bool, serial: int, too_many: bool, children: list[tuple[int, int, int]]
) -> str | None:
    if not is_whole:
        return "the checksum is wrong: it was never written whole, or is damaged"
    if serial % 2 != index:
        return "its serial number belongs to the other slot"
    heights = [height for height, _, _ in children]
    if too_many or any(not 0 < height <= 64 for height in heights) or heights != sorted(heights):
        return "its children cannot be"
    if any(heights.count(height) >= header.fan_out for height in set(heights)):
        return "it has more children at one height than a node can have"
    return None


def current_of(slots: list[Slot]) -> int | None:
    """Which slot is current: the later of those that are whole."""
    whole = [index for index, slot in enumerate(slots) if slot.problem is None]
    if len(whole) < 2:
        return whole[0] if whole else None
    return 1 if (slots[1].serial - slots[0].serial) % SERIALS < SERIALS // 2 else 0


def describe(path: Path) -> dict[str, Any]:
    """The header and both slots, as far as they can be read."""
    told_so_far: dict[str, Any] = {"header": None, "slots": [], "current": None, "error": None}
    try:
        with Structure(path) as structure:
            told_so_far["size"] = structure.size
            header = structure.header()
            told_so_far["header"] = {**header.__dict__, "slot_size": header.slot_size}
            slots = structure.slots(header)
            told_so_far["slots"] = [_slot_told(header, index, slot) for index, slot in enumerate(slots)]
            told_so_far["current"] = current_of(slots)
            told_so_far["last_commit"] = _last_commit(header, slots)
    except (Nonsense, *BROKEN) as error:
        told_so_far["error"] = message(error)
    return told_so_far


def _slot_told(header: Header, index: int, slot: Slot) -> dict[str, Any]:
    heights = [height for height, _, _ in slot.children]
    return {
        "name": "AB"[index],
        "position": header.slot_position(index),
        "serial": slot.serial,
        "stored": f"{slot.stored:08x}",
        "computed": f"{slot.computed:08x}",
        "file_limit": str(slot.file_limit),
        "pending": slot.pending_length,
        "metadata": None if slot.metadata == (0, 0) else [str(slot.metadata[0]), slot.metadata[1]],
        "levels": [heights.count(height) for height in range(1, max(heights, default=0) + 1)],
        "records": str(slot.record_count(header.fan_out)),
        "problem": slot.problem,
    }


def _last_commit(header: Header, slots: list[Slot]) -> str | None:
    """How many records the last commit added, which shows where the one before it is there too."""
    current = current_of(slots)
    if current is None or any(slot.problem for slot in slots):
        return None
    now, before = slots[current], slots[1 - current]
    if (now.serial - before.serial) % SERIALS != 1:
        return None
    return str(now.record_count(header.fan_out) - before.record_count(header.fan_out))


def way(path: Path, number: int) -> dict[str, Any]:
    """The way down to a record, level by level, as far as it can be gone."""
    steps: list[dict[str, Any]] = []
    error = None
    try:
        with Structure(path) as structure:
            header = structure.header()
            slots = structure.slots(header)
            current = current_of(slots)
            if current is None:
                raise Nonsense("neither master node is whole")
            _descend(structure, header, slots[current], number - 1, steps)
    except (Nonsense, *BROKEN) as problem:
        error = message(problem)
    return {"number": str(number), "steps": steps, "error": error}


def _descend(structure: Structure, header: Header, slot: Slot, index: int, steps: list[dict[str, Any]]) -> None:
    """Goes down from the highest unfinished node, and notes each step before the next is read."""
    first = 1
    for height in range(max((height for height, _, _ in slot.children), default=0), 0, -1):
        children, below = slot.level(height), header.fan_out ** (height - 1)
        chosen = index // below
        passed = chosen >= len(children)
        step = {"height": height, "unfinished": True, "children": len(children), "below": str(below)}
        steps.append({**step, "first": str(first), "chosen": None if passed else chosen})
        if not passed:
            rest = (children[chosen], first + chosen * below, index % below)
            _descend_full(structure, header, slot, height - 1, *rest, steps=steps)
            return
        index -= len(children) * below
        first += len(children) * below
    raise Nonsense("there is no such record")


def _descend_full(
    structure: Structure,
    header: Header,
    slot: Slot,
    height: int,
    place: tuple[int, int],
    first: int,
    index: int,
    *,
    steps: list[dict[str, Any]],
) -> None:
    for at in range(height, 0, -1):
        below = header.fan_out ** (at - 1)
        chosen, index = divmod(index, below)
        step = {"height": at, "unfinished": False, "children": header.fan_out, "below": str(below)}
        steps.append({**step, "first": str(first), "chosen": chosen, "at": [str(place[0]), place[1]]})
        place = structure.node(header, slot, place)[chosen]
        first += chosen * below
    steps.append({"height": 0, "at": [str(place[0]), place[1]], "pending": place[0] == slot.file_limit})
