"""The shares of a read, one for each task: ranges of records, cut at boundaries of compressed blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pyspark.sql.datasource import InputPartition

from capturefile.sequence import runs_of
from capturefile.spark.files import open_to_read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHARE_BYTES = 16 * 1024 * 1024
"""Compressed bytes of a share, unless its size is given in records."""
MAX_SHARES = 10_000
"""Beyond this number, shares become larger instead, because Spark's driver keeps each task in memory."""


class Extent(NamedTuple):
    """Records of one file, both ends included."""

    path: str
    first: int
    last: int


@dataclass
class Share(InputPartition):
    """The records that one task reads: part of one file, or several small files."""

    extents: list[Extent]


def plan(extents: Iterable[Extent], records_per_share: int | None) -> list[Share]:
    """Divides records into shares, in order, without empty extents.

    A share has about `records_per_share` records, or by default `SHARE_BYTES`. A cut inside a file is moved to a nearby
    boundary of a compressed block, so that no two tasks inflate the same block.
    """
    wanted = [extent for extent in extents if extent.first <= extent.last]
    if records_per_share:
        return _packed(_cut(wanted, records_per_share, [1.0] * len(wanted)), records_per_share)
    sizes = [_bytes_per_record(extent.path) for extent in wanted]
    total = sum(size * (extent.last - extent.first + 1) for size, extent in zip(sizes, wanted, strict=True))
    limit = max(SHARE_BYTES, total / MAX_SHARES)
    return _packed(_cut(wanted, limit, sizes), limit)


def _bytes_per_record(path: str) -> float:
    with open_to_read(path) as cf:
        info = cf.info()
        return (info.file_limit + info.pending_bytes) / max(1, info.record_count)


def _cut(extents: list[Extent], limit: float, weights: list[float]) -> Iterator[tuple[Extent, float]]:
    """Cuts extents into pieces that weigh about `limit` or less, and returns them with their weights."""
    for extent, weight in zip(extents, weights, strict=True):
        parts = math.ceil((extent.last - extent.first + 1) * weight / limit)
        for piece in _pieces(extent, parts) if parts > 1 else [extent]:
            yield piece, (piece.last - piece.first + 1) * weight


def _pieces(extent: Extent, parts: int) -> Iterator[Extent]:
    with open_to_read(extent.path) as cf:
        for view in cf.as_sequence()[extent.first - 1 : extent.last].split(parts):
            for run in runs_of(view):
                yield Extent(extent.path, run.numbers[0], run.numbers[-1])


def _packed(pieces: Iterable[tuple[Extent, float]], limit: float) -> list[Share]:
    """Combines consecutive small pieces into shares, so that a thousand small files do not need a thousand tasks."""
    shares: list[Share] = []
    room = 0.0
    for piece, weight in pieces:
        if not shares or weight > room:
            shares.append(Share([]))
            room = limit
        shares[-1].extents.append(piece)
        room -= weight
    return shares
