"""Shares of a read, one for each task: ranges of records, cut along compressed blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pyspark.sql.datasource import InputPartition

from capturefile.spark.files import open_to_read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHARE_BYTES = 16 * 1024 * 1024
"""Bytes of compressed files in a share, unless it is told in records."""
MOST_SHARES = 10_000
"""Of a large read the shares become larger instead of more: Spark's driver keeps each task in memory."""


class Extent(NamedTuple):
    """Records of one file, both ends included."""

    path: str
    first: int
    last: int


@dataclass
class Share(InputPartition):
    """What one task reads: records of one file, or of several small ones."""

    extents: list[Extent]


def plan(extents: Iterable[Extent], records_per_share: int | None) -> list[Share]:
    """The shares of all these records, in order. Empty extents are left out.

    A share has about `records_per_share` records, or else `SHARE_BYTES`. A cut inside a file goes to the border of a
    compressed block if one is near, so that no two tasks inflate the same block.
    """
    wanted = [extent for extent in extents if extent.first <= extent.last]
    if records_per_share:
        return _packed(_cut(wanted, records_per_share, [1.0] * len(wanted)), records_per_share)
    sizes = [_bytes_per_record(extent.path) for extent in wanted]
    total = sum(size * (extent.last - extent.first + 1) for size, extent in zip(sizes, wanted, strict=True))
    limit = max(SHARE_BYTES, total / MOST_SHARES)
    return _packed(_cut(wanted, limit, sizes), limit)


def _bytes_per_record(path: str) -> float:
    with open_to_read(path) as cf:
        info = cf.info()
        return (info.file_limit + info.pending_bytes) / max(1, info.record_count)


def _cut(extents: list[Extent], limit: float, weights: list[float]) -> Iterator[tuple[Extent, float]]:
    """Pieces that weigh about `limit` or less, with their weights."""
    for extent, weight in zip(extents, weights, strict=True):
        parts = math.ceil((extent.last - extent.first + 1) * weight / limit)
        for piece in _pieces(extent, parts) if parts > 1 else [extent]:
            yield piece, (piece.last - piece.first + 1) * weight


def _pieces(extent: Extent, parts: int) -> Iterator[Extent]:
    with open_to_read(extent.path) as cf:
        for view in cf.as_sequence()[extent.first - 1 : extent.last].split(parts):
            for run in view._runs:
                yield Extent(extent.path, run.numbers[0], run.numbers[-1])


def _packed(pieces: Iterable[tuple[Extent, float]], limit: float) -> list[Share]:
    """Small pieces in a row go into one share, so that a thousand small files are not a thousand tasks."""
    shares: list[Share] = []
    room = 0.0
    for piece, weight in pieces:
        if not shares or weight > room:
            shares.append(Share([]))
            room = limit
        shares[-1].extents.append(piece)
        room -= weight
    return shares
