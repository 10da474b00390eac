"""Scans of a whole file: its blocks, the sizes of its records, and verification."""

from __future__ import annotations

import time
from dataclasses import asdict
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any

import capturefile

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SEGMENTS = 512
"""Maximum number of segments in a plot; in a file with more blocks, neighbours are combined."""
MAX_SAMPLED = 200_000
"""Maximum number of records whose sizes are determined; of more records, a sample is taken."""
RUN = 100
"""Number of consecutive records in a sample."""
REPORT_EVERY = 0.2


def blocks(path: str) -> Iterator[dict[str, Any]]:
    """Yields progress, and the blocks along the file in at most MAX_SEGMENTS segments."""
    segments: list[dict[str, Any]] = []
    together, total, last_report = 1, 0, time.monotonic()
    problems: list[str] = []
    with capturefile.open(path, encoding=None) as cf:
        limit = cf.info().file_limit
        found = cf.blocks()
        while True:
            try:
                block = next(found)
            except StopIteration:
                break
            except capturefile.InvalidCaptureFile as error:
                if str(error) not in problems[-20:]:
                    problems.append(str(error))
                if len(problems) > MAX_SEGMENTS:
                    break
                continue
            new = _segment(block, limit)
            if segments and segments[-1]["blocks"] < together:
                segments[-1] = _joined(segments[-1], new)
            else:
                segments.append(new)
            if len(segments) > MAX_SEGMENTS:
                segments = [_joined(*pair) for pair in zip_longest(segments[::2], segments[1::2])]
                together *= 2
            total += 1
            if time.monotonic() > last_report + REPORT_EVERY:
                last_report = time.monotonic()
                yield {"progress": {"at": str(new["position"]), "of": str(limit)}}
    yield {"done": {"segments": segments, "blocks": total, "limit": limit, "problems": problems[:20]}}


def _segment(block: capturefile.BlockInfo, limit: int) -> dict[str, Any]:
    records = block.records
    return {
        "position": limit if block.position is None else block.position,
        "compressed": block.compressed_size,
        "size": block.size,
        "first": records and str(records.first),
        "records": block.record_count or 0,
        "unknown": int(block.record_count is None),
        "blocks": 1,
    }


def _joined(one: dict[str, Any], next_one: dict[str, Any] | None) -> dict[str, Any]:
    if next_one is None:
        return one
    counts = ("compressed", "size", "records", "unknown", "blocks")
    added = {key: (one[key] or 0) + (next_one[key] or 0) for key in counts}
    return {**one, "first": one["first"] or next_one["first"], **added}


def sizes(path: str) -> Iterator[dict[str, Any]]:
    """Yields progress, and how many records have 0 bytes, 1, 2 to 3, 4 to 7 and so on, in the file or a sample."""
    buckets = [0] * 34
    looked, largest, last_report = 0, 0, time.monotonic()
    with capturefile.open(path, encoding=None) as cf:
        count = cf.record_count()
        for start in _starts(count):
            for size in _sizes_from(cf, start, min(count, start + RUN - 1)):
                buckets[size.bit_length()] += 1
                largest = max(largest, size)
                looked += 1
            if time.monotonic() > last_report + REPORT_EVERY:
                last_report = time.monotonic()
                yield {"progress": {"at": str(start), "of": str(count)}}
    yield {"done": {"buckets": buckets, "looked": looked, "count": str(count), "largest": largest}}


def _starts(count: int) -> range:
    runs = MAX_SAMPLED // RUN
    return range(1, count + 1, RUN if count <= MAX_SAMPLED else count // runs)


def _sizes_from(cf: capturefile.CaptureFile[bytes], first: int, last: int) -> Iterator[int]:
    records = cf.record_generator(first)
    for _ in range(first, last + 1):
        try:
            yield len(next(records))
        except capturefile.InvalidCaptureFile:
            continue


def verification(path: str) -> Iterator[dict[str, Any]]:
    """Yields the findings of `capturefile.verify`."""
    report = capturefile.verify(path)
    for kind in ("problems", "repairable"):
        for problem in islice(getattr(report, kind), 200):
            yield {"finding": {"kind": kind, **asdict(problem)}}
    yield {
        "done": {
            "sound": report.sound,
            "record_count": str(report.record_count),
            "checked": str(report.records_checked),
            "frames": report.frames,
            "nodes": report.index_nodes,
            "problems": len(report.problems),
            "unreadable": [[str(run.first), str(run.last)] for run in report.unreadable[:200]],
        }
    }
