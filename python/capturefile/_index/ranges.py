"""Sets of record numbers, as sorted lists of ranges, each with its first and its last number."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Ranges: TypeAlias = list[tuple[int, int]]


def union(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Returns the numbers that are in any of the ranges, which may overlap and be in any order."""
    joined: Ranges = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            if last > joined[-1][1]:
                joined[-1] = joined[-1][0], last
        elif first <= last:
            joined.append((first, last))
    return joined


def intersection(left: Ranges, right: Ranges) -> Ranges:
    """Returns the numbers that are in both sets."""
    common: Ranges = []
    i = j = 0
    while i < len(left) and j < len(right):
        first, last = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if first <= last:
            common.append((first, last))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return common
