"""Facts that `info` adds to the numbers in a file: compression ratio, times, and whether it is being written."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from itertools import islice

import capturefile
from capturefile._capturefile import file_identity
from capturefile.cli.sources import is_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from capturefile.rotating import RotatedFile, RotatingReader

MAX_SAMPLES = 256
"""Maximum number of records that are read to estimate the total length."""
SAMPLED_TOGETHER = 64
MAX_SAMPLED_BYTES = 32 * 1024 * 1024
GOLDEN = 0.6180339887498949
"""The golden ratio: the fractional parts of its multiples are evenly distributed for any number of them."""
PREVIEW = 60
"""Number of bytes of the metadata that are shown."""


def facts(cf: capturefile.CaptureFile[bytes]) -> dict[str, object]:
    """Returns facts that are cheap to determine, by their JSON names; None means unknown, or no metadata."""
    size, exact = record_bytes(cf)
    birth = file_identity(cf)[2]
    modified = None if is_url(cf.file_name) else os.stat(cf.file_name).st_mtime
    compressed = _compressed_bytes(cf)
    metadata = cf.get_metadata()
    return {
        "record_bytes": size,
        "record_bytes_exact": exact,
        "compression_ratio": None if not size or not compressed else round(size / compressed, 2),
        "created": None if birth is None else _shown_time(birth / 1e9),
        "modified": None if modified is None else _shown_time(modified),
        "being_written": _is_being_written(cf),
        "metadata_preview": None if metadata is None else metadata[:PREVIEW].decode(errors="backslashreplace"),
    }


def log_facts(log: RotatingReader[bytes]) -> dict[str, object]:
    """Returns the facts of a rotated log, and of each of its files."""
    from capturefile.rotating.reader import manifest_of

    sizes = list(_sizes(log))
    files = [
        {
            "name": file.name,
            "first_record": file.first_record,
            "last_record": file.last_record,
            "file_size": size,
            "sealed": file.sealed,
            "started": _shown_time(file.started),
        }
        for file, size in sizes
    ]
    metadata = log.get_metadata()
    return {
        "first_record": log.first_record,
        "last_record": log.record_count(),
        "record_count": log.record_count() + 1 - log.first_record,
        "file_size": sum(size for _, size in sizes),
        "metadata_length": None if metadata is None else len(metadata),
        "being_written": _is_being_written(manifest_of(log)),
        "files": files,
    }


def _sizes(log: RotatingReader[bytes]) -> Iterator[tuple[RotatedFile, int]]:
    """Returns the files with their sizes; files that are deleted in the meantime are left out."""
    from capturefile.rotating.reader import size_of

    for file in log.files():
        size = size_of(log, file)
        if size is not None:
            yield file, size


def record_bytes(cf: capturefile.CaptureFile[bytes]) -> tuple[int | None, bool]:
    """Returns the total length of all records, and whether it is exact."""
    count = cf.record_count()
    read = total = 0
    numbers = _sample(count)
    while total <= MAX_SAMPLED_BYTES and (together := list(islice(numbers, SAMPLED_TOGETHER))):
        lengths = _lengths(cf, together)
        read += len(lengths)
        total += sum(lengths)
    if read == count:
        return total, True
    return (total * count // read, False) if read else (None, False)


def _lengths(cf: capturefile.CaptureFile[bytes], numbers: list[int]) -> list[int]:
    """Returns the lengths of records, without those that cannot be read."""
    try:
        # One call, so that a store is asked for all of them at the same time.
        return list(map(len, cf.records_at(numbers)))
    except capturefile.InvalidCaptureFile:
        lengths = []
        for number in numbers:
            with suppress(capturefile.InvalidCaptureFile):
                lengths.append(len(cf.record_at(number)))
        return lengths


def _compressed_bytes(cf: capturefile.CaptureFile[bytes]) -> int | None:
    """Returns the size of the compressed blocks in the file; None if nothing is compressed yet."""
    try:
        start = next(cf.blocks()).position
    except (StopIteration, capturefile.InvalidCaptureFile):
        return None
    info = cf.info()
    return None if start is None else info.file_limit - start + info.pending_bytes


def _sample(count: int) -> Iterator[int]:
    """Returns record numbers distributed over the file, or all of them if there are few."""
    if count <= MAX_SAMPLES:
        yield from range(1, count + 1)
    else:
        for index in range(MAX_SAMPLES):
            yield 1 + int(index * GOLDEN % 1 * count)


def _shown_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))


def _is_being_written(cf: capturefile.CaptureFile[Any]) -> bool | None:
    """Returns whether the file has a writer; None if the system cannot tell."""
    try:
        return cf.is_being_written()
    except OSError:
        return None
