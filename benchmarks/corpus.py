"""The records of the benchmarks: real text that every machine has, and bytes that compress badly."""

from __future__ import annotations

import random
import sysconfig
from itertools import chain, cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def _sources() -> Iterator[bytes]:
    library = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(path for path in library.rglob("*.py") if "site-packages" not in path.parts)
    return (path.read_bytes() for path in files)


def lines(count: int) -> list[bytes]:
    """Returns this many pairs of consecutive lines of Python's standard library, of about 80 bytes each."""
    pairs = ((a + b" " + b) for a, b in _pairs(line for text in _sources() for line in text.splitlines() if line))
    return list(islice(cycle(list(islice(pairs, count))), count))


def _pairs(items: Iterator[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(items, items, strict=False)


def pieces(count: int, size: int = 1000) -> list[bytes]:
    """Returns this many pieces of the same text, each `size` bytes long."""
    text = b"".join(chain.from_iterable([text] for text in _sources()))
    cut = [text[start : start + size] for start in range(0, len(text) - size, size)]
    return list(islice(cycle(cut), count))


def noise(count: int, size: int = 64 * 1024) -> list[bytes]:
    """Returns this many binary records, whose first half is random; all have the same second half."""
    source = random.Random(0)
    half = source.randbytes(size // 2)
    return [bytes(source.randbytes(size // 2)) + half for _ in range(count)]
