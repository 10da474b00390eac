"""The command `copy`: records into new files, compressed anew, joined, or split."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from itertools import chain, islice

import capturefile
from capturefile.cli.arguments import add_bare, add_selection, positive, size
from capturefile.cli.exit_codes import DONE, WrongUsage
from capturefile.cli.messages import counted, say
from capturefile.cli.progress import progress
from capturefile.cli.records import Selection, check_range
from capturefile.cli.sources import SEVERAL, check, opened
from capturefile.cli.streams import new_name, write_line
from capturefile.cli.times import add_times
from capturefile.cli.where import add_where

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands
    from capturefile.cli.sources import Source

EXAMPLE = """\
capturefile copy --level 12 --block-size 256K log.capture small.capture
capturefile copy monday.capture tuesday.capture both.capture
capturefile copy orders/ orders.capture
capturefile copy --split 1000000 log.capture part.capture
capturefile copy --format 3 log.capture fast.capture
capturefile copy --range -1000- log.capture last.capture"""
COMPRESSIONS = {2: ("zlib",), 3: ("zstd", "lz4", "none")}
"""By the version of the format."""
MAX_ZLIB_LEVEL = 12
BATCH = 1000
"""Records that are added in one call."""


def add_to(commands: Commands) -> None:
    """Defines the command."""
    copy = add_bare(commands, "copy", "copy records to a new file: recompress, join, split", EXAMPLE)
    copy.add_argument("sources", metavar="SRC", nargs="+", help=SEVERAL)
    copy.add_argument("target", metavar="DST", help="path of the new file")
    copy.add_argument(
        "--format",
        type=int,
        choices=tuple(COMPRESSIONS),
        default=2,
        help="version of the new file's format; 3 is read by this package only (default: %(default)s)",
    )
    copy.add_argument(
        "--compression",
        choices=tuple(chain.from_iterable(COMPRESSIONS.values())),
        help="how to compress: zlib in format 2, zstd (default), lz4 or none in format 3",
    )
    copy.add_argument(
        "--level",
        type=int,
        choices=range(1, 23),
        metavar="N",
        help="compression level, from 1, the fastest, to 12, the smallest, or 22 with zstd (default: 6; 1 with zstd)",
    )
    copy.add_argument(
        "--block-size",
        type=size,
        metavar="BYTES",
        help="bytes that are compressed together, a multiple of 4K such as 64K (default: that of the first SRC in "
        "this format, otherwise the usual size)",
    )
    copy.add_argument(
        "--split",
        type=positive,
        metavar="N",
        help="create numbered files of N records each, and print their names: DST-1.capture, ...",
    )
    copy.add_argument(
        "--no-metadata", action="store_true", help="do not copy metadata (default: copy that of the last SRC)"
    )
    copy.add_argument("--overwrite", action="store_true", help="replace existing files, once the copy is complete")
    add_selection(copy)
    add_times(copy)
    add_where(copy)
    copy.complaint = _complaint
    copy.set_defaults(run=_copy)


def _complaint(options: argparse.Namespace) -> str | None:
    possible = COMPRESSIONS[options.format]
    if options.compression not in (None, *possible):
        choice = f"{options.compression!r} (choose from {', '.join(map(repr, possible))})"
        return f"argument --compression: invalid choice in format {options.format}: {choice}"
    if possible == ("zlib",) and options.level and options.level > MAX_ZLIB_LEVEL:
        return f"argument --level: zlib has levels from 1 to {MAX_ZLIB_LEVEL}, not {options.level}"
    return None


def _copy(options: argparse.Namespace, output: BinaryIO) -> int:
    with ExitStack() as stack:
        check_range(options, options.sources)
        if options.split and (options.time_slack or options.where):
            raise WrongUsage("--split names the parts by how many there are, which --time-slack and --where leave open")
        check(options.sources)
        sources = [stack.enter_context(opened(name)) for name in options.sources]
        selections = [Selection.of(source, options) for source in sources]
        total = sum(map(len, selections))
        shown = stack.enter_context(progress("copy", "records", total))
        records = (record for selection in selections for _, record in selection.records(shown))
        names = part_names(options.target, total, options.split) if options.split else [options.target]
        metadata = None if options.no_metadata else sources[-1].reader.get_metadata()
        block_size = options.block_size or sources[0].block_size(options.format)
        copied = _write_parts(options, names, sources, records, metadata, block_size)
    if options.split:
        for name in names:
            write_line(output, name)
        output.flush()
    say(f"{counted(copied, 'record')} copied")
    return max(selection.code for selection in selections) or DONE


def part_names(target: str, total: int, size: int) -> list[str]:
    """The names for parts of `size` records, so that they sort by their numbers."""
    parts = max(1, -(-total // size))
    stem, extension = os.path.splitext(target)
    return [f"{stem}-{number:0{len(str(parts))}}{extension}" for number in range(1, parts + 1)]


def _write_parts(
    options: argparse.Namespace,
    names: list[str],
    sources: list[Source],
    records: Iterator[bytes],
    metadata: bytes | None,
    block_size: int | None,
) -> int:
    """Makes the files; none of them gets its name before all are whole."""
    copied = 0
    with ExitStack() as unnamed:
        for name in names:
            hidden = unnamed.enter_context(new_name(name, overwrite=options.overwrite))
            _check_replaced(name, sources)
            with capturefile.open(
                hidden,
                "w",
                encoding=None,
                initial_metadata=metadata,
                compression_block_size=block_size,
                format=options.format,
                compression=options.compression,
                compression_level=options.level,
            ) as cf:
                copied += _fill(cf, islice(records, options.split))
    return copied


def _check_replaced(name: str, sources: list[Source]) -> None:
    """Refuses to replace what is no capture file, or a source that has grown since its records were counted."""
    if not os.path.exists(name):
        return
    capturefile.open(name).close()
    for source in sources:
        if not any(os.path.samefile(name, path) for path in source.paths()):
            continue
        if os.path.isdir(source.name):
            raise WrongUsage(f"{name}: it is a file of the log {source.name}, which the copy would take apart")
        if source.reader.refresh():
            raise ValueError(f"{name}: records were added to it while it was opened to be copied; copy it again")


def _fill(cf: capturefile.CaptureFile[bytes], records: Iterator[bytes]) -> int:
    count = 0
    try:
        while (added := cf.add_records(islice(records, BATCH))) > count:
            count = added
        cf.commit()
    except BaseException:
        with suppress(capturefile.CaptureFileError):
            cf.rollback()
        raise
    return count
