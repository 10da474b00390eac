"""The header, both master nodes or heads and the path down the index, in the form for the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from capturefile._capturefile import _Structure
from capturefile._errors import in_words
from capturefile.view.sources import BROKEN

if TYPE_CHECKING:
    from pathlib import Path

    from capturefile._capturefile import _Header, _HeadSlot, _LogExtent, _MasterSlot, _Step

LAST_NUMBER = 2**64 - 1
"""A number that no record has."""


def describe(path: Path) -> dict[str, Any]:
    """Returns the header and both slots, or heads and the log, as far as they can be read."""
    empty: dict[str, Any] = {"header": None, "slots": [], "heads": [], "log": None, "current": None, "error": None}
    try:
        structure = _Structure(path)
    except BROKEN as error:
        return {**empty, "error": in_words(error)}
    slots, heads = structure.slots, structure.heads
    is_current = [slot.is_current for slot in slots] or [head.is_current for head in heads]
    return {
        "size": structure.file_size,
        "header": _describe_header(structure.header),
        "slots": [_describe_slot("AB"[index], slot) for index, slot in enumerate(slots)],
        "heads": [_describe_head("AB"[index], head) for index, head in enumerate(heads)],
        "log": _describe_log(structure.log),
        "current": is_current.index(True) if any(is_current) else None,
        "last_commit": None if structure.last_commit is None else str(structure.last_commit),
        # Damage of a slot is part of its description.
        "error": None if slots else structure.damage,
    }


def _describe_header(header: _Header | None) -> dict[str, Any] | None:
    names = ("magic", "version", "page_size", "block_size", "fan_out", "checksum")
    return header and {name: getattr(header, name) for name in names}


def _describe_slot(name: str, slot: _MasterSlot) -> dict[str, Any]:
    return {
        "name": name,
        "position": slot.position,
        "serial": slot.serial,
        "stored": f"{slot.stored:08x}",
        "computed": f"{slot.computed:08x}",
        "file_limit": str(slot.file_limit),
        "pending": slot.pending_bytes,
        "metadata": _describe_place(slot.metadata),
        "levels": slot.levels,
        "records": str(slot.record_count),
        "problem": slot.problem,
    }


def _describe_head(name: str, head: _HeadSlot) -> dict[str, Any]:
    return {
        "name": name,
        "position": head.position,
        "serial": str(head.serial),
        "begin": str(head.begin),
        "sure": str(head.sure),
        "file_limit": str(head.file_limit),
        "metadata": None if head.metadata is None else str(head.metadata),
        "levels": head.levels,
        "records": str(head.record_count),
        "problem": head.problem,
    }


def _describe_log(log: _LogExtent | None) -> dict[str, Any] | None:
    return log and {
        "size": log.size,
        "begin": str(log.begin),
        "end": str(log.end),
        "used": log.end - log.begin,
        "entries": log.entries,
        "records": str(log.record_count),
    }


def way(path: Path, number: int) -> dict[str, Any]:
    """Returns the path to a record, level by level, as far as it can be read."""
    steps: list[_Step] = []
    error: BaseException | None
    try:
        steps, error = _Structure(path).path_to(min(number, LAST_NUMBER))
    except BROKEN as problem:
        error = problem
    message = None if error is None else in_words(error)
    return {"number": str(number), "steps": [_describe_step(step) for step in steps], "error": message}


def _describe_step(step: _Step) -> dict[str, Any]:
    place = _describe_place(step.at)
    if step.height == 0:
        return {"height": 0, "kind": step.kind, "at": place, "pending": step.is_pending, "first": str(step.first)}
    fields = {
        "height": step.height,
        "unfinished": place is None,
        "children": step.children,
        "below": str(step.below),
        "first": str(step.first),
        "lasts": [str(last) for last in step.lasts],
        "chosen": step.chosen,
    }
    return fields if place is None else {**fields, "at": place}


def _describe_place(place: tuple[int, int] | None) -> list[Any] | None:
    """Returns a position as text, because a browser cannot represent integers above 2**53, and an offset."""
    return None if place is None else [str(place[0]), place[1]]
