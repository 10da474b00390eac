"""Creates the files from which fuzzing starts, in `fuzz/corpus/`; run it with `tests/` on PYTHONPATH.

They are files as writers create them, some by the reference package, and sound files that no writer would create. All
have small pages, and are truncated after their last whole page, which has no effect.
"""

from __future__ import annotations

import itertools
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from builder import (
    OLD_MAGIC,
    SERIALS,
    Coordinates,
    FileBuilder,
    Geometry,
    build_file,
    frame,
    index_node,
    parse,
    sized,
)
from CaptureFile import CaptureFile as Reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CORPUS = Path(__file__).parent / "corpus"
DEEP = Geometry(512, 512, 2)
WIDE = Geometry(512, 512, 32)
MIDDLE = Geometry(512, 1024, 5)
SINGLE = Geometry(512, 0, 3)
MAX_FILE_SIZE = 10 * 1024


def records(count: int, longest: int = 120) -> list[bytes]:
    """Generates records of many lengths, some of random bytes."""
    source = random.Random(count)
    return [
        source.randbytes(source.randrange(longest))[: source.randrange(longest)].ljust(source.randrange(20), b".")
        for _ in range(count)
    ]


def built() -> Iterator[tuple[str, bytes]]:
    """Yields files of the test builder, as writers create them."""
    yield "empty", build_file([], geometry=DEEP)
    yield "pending-only", build_file([b"one", b"", b"three"], b"metadata", DEEP)
    for geometry, name in ((DEEP, "deep"), (WIDE, "wide"), (MIDDLE, "middle"), (SINGLE, "single")):
        yield f"{name}-30", build_file(records(30), b"metadata", geometry)
        yield f"{name}-30-stored", build_file(records(30, 60), b"metadata", geometry, level=0, previous=20)
    yield "deep-63-stored", build_file(records(63, 8), None, DEEP, level=0)
    yield "deep-100-late", build_file(records(100, 30), None, DEEP, late_nodes=True)
    yield "wide-200", build_file(records(200, 16), b"", WIDE)
    yield "long-record", build_file([b"a", bytes(5000), b"c"], bytes(700), DEEP)
    yield "serial-0", build_file(records(9), None, DEEP, 0, previous=7)
    yield "serial-most", build_file(records(9), None, DEEP, SERIALS - 1, previous=7)
    yield "old-name", build_file(records(9), None, Geometry(512, 512, 2, 1, OLD_MAGIC))


def of_reference(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yields files of the reference package, with a reduced page size."""
    configure = sys.modules["CaptureFile.CaptureFile"].CaptureFileConfiguration.__init__
    for fan_out in (2, 32):
        path = folder / f"reference-{fan_out}"
        with (
            patch.object(configure, "__defaults__", (2, 512, 512, fan_out)),
            Reference(path, to_write=True, initial_metadata=b"metadata", compression_block_size=512) as cf,
        ):
            for record in records(40):
                cf.add_record(record)
            cf.commit()
        yield path.name, path.read_bytes()


def unlikely() -> Iterator[tuple[str, bytes]]:
    """Yields sound files that no writer creates: with shared subtrees, circular trees, and overlapping entries."""
    for level in (0, 9):
        yield f"shared-{level}", shared(level)
    builder = FileBuilder(DEEP)
    builder.frames = frame(index_node([Coordinates(DEEP.data_start, 0)] * 2), 0)
    builder.levels = [[Coordinates(DEEP.data_start, 0)] for _ in range(30)]
    yield "circle", finished(builder)
    builder = FileBuilder(WIDE, level=9)
    entry = builder.add_entry(sized(bytes(100_000)))
    builder.levels = [[Coordinates(entry.position, 4 * number) for number in range(20)]]
    yield "overlapping", finished(builder)


def bombs() -> Iterator[tuple[str, bytes]]:
    """Yields such files with blocks so long that they slow down fuzzing; they are for a separate run."""
    builder = FileBuilder(DEEP, level=9)
    for length in (300_000, 3, 1_100_000):
        builder.add_record(bytes(length))
    yield "bomb", finished(builder)
    builder = FileBuilder(WIDE, level=9)
    first = builder.add_entry(sized(b"record") + index_node([Coordinates(WIDE.data_start, 0)] * 32) * 2000)
    builder.levels = [[], [first._replace(offset=10)] * 5]
    yield "many-nodes", finished(builder)


def shared(level: int) -> bytes:
    """Returns a file of more than 2**50 records, all in a few nodes."""
    builder = FileBuilder(DEEP, level=level)
    one, other = (builder.add_entry(sized(content)) for content in (b"one", b"other"))
    for _ in range(50):
        one, other = (builder.add_entry(index_node(pair)) for pair in ((one, other), (other, one)))
    builder.add_child(51, one)
    for record in records(5):
        builder.add_record(record)
    return finished(builder)


def finished(builder: FileBuilder) -> bytes:
    """Returns the file with both of its slots."""
    builder.commit()
    builder.commit()
    return builder.image()


def cut(data: bytes) -> bytes:
    """Returns the file truncated after its last whole page."""
    parsed = parse(data)
    return data[: parsed.geometry.page_floor(parsed.current.file_limit)]


def write(folder: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Replaces the folder by one with these files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in files:
        content = cut(data)
        if len(content) > MAX_FILE_SIZE:
            raise ValueError(f"{name} has {len(content)} bytes; {MAX_FILE_SIZE} are enough")
        (folder / f"{name}.capture").write_bytes(content)


def main() -> None:
    """Creates all files again."""
    with tempfile.TemporaryDirectory() as folder:
        write(CORPUS / "files", itertools.chain(built(), of_reference(Path(folder)), unlikely()))
    write(CORPUS / "bombs", bombs())


if __name__ == "__main__":
    main()
