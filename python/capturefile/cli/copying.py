"""Writing new capture files for `copy` and `merge`."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from itertools import chain, islice

import capturefile
from capturefile.cli.arguments import integer, size
from capturefile.cli.exit_codes import WrongUsage
from capturefile.cli.sources import is_url
from capturefile.cli.streams import new_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from capturefile.cli.arguments import Parser
    from capturefile.cli.sources import Source

COMPRESSIONS = {2: ("zlib",), 3: ("zstd", "lz4", "none")}
"""The possible compressions by format version."""
MAX_ZLIB_LEVEL = 12
BATCH = 1000
"""Number of records that are added in one call."""


def add_new_file(command: Parser) -> None:
    """Adds the options for the new file."""
    command.add_argument(
        "--format",
        type=integer,
        choices=tuple(COMPRESSIONS),
        help="format version of the new file; only this package reads format 3 (default: that of the first SRC)",
    )
    command.add_argument(
        "--compression",
        choices=tuple(chain.from_iterable(COMPRESSIONS.values())),
        help="how to compress: zlib in format 2; zstd, lz4 or none in format 3 (default: that of the first SRC in this "
        "format, unless --level is given; otherwise zstd)",
    )
    command.add_argument(
        "--level",
        type=integer,
        choices=range(1, 23),
        metavar="N",
        help="compression level, from 1, the fastest, to 12, the smallest, or 22 with zstd (default: 6; 1 with zstd)",
    )
    command.add_argument(
        "--block-size",
        type=size,
        metavar="BYTES",
        help="number of bytes compressed together, a multiple of 4K such as 64K (default: that of the first SRC in "
        "this format, otherwise the usual size)",
    )
    command.add_argument(
        "--no-metadata", action="store_true", help="do not copy metadata (default: copy the metadata of the last SRC)"
    )
    command.add_argument("--overwrite", action="store_true", help="replace existing files, once the copy is complete")
    command.complaint = _complaint


def _complaint(options: argparse.Namespace) -> str | None:
    if options.format is None:
        return None  # It is known once the first source is open.
    possible = COMPRESSIONS[options.format]
    if options.compression not in (None, *possible):
        choice = f"{options.compression!r} (choose from {', '.join(map(repr, possible))})"
        return f"argument --compression: invalid choice in format {options.format}: {choice}"
    if possible == ("zlib",) and options.level and options.level > MAX_ZLIB_LEVEL:
        return f"argument --level: zlib has levels from 1 to {MAX_ZLIB_LEVEL}, not {options.level}"
    return None


def write_files(
    options: argparse.Namespace,
    names: list[str],
    sources: list[Source],
    records: Iterator[bytes],
    limit: int | None = None,
) -> int:
    """Creates files of `limit` records each, or one with all, and returns their number of records.

    None of them gets its name before all are complete.
    """
    _settle(options, sources[0])
    metadata = None if options.no_metadata else sources[-1].reader.get_metadata()
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
                compression_block_size=options.block_size,
                format=options.format,
                compression=options.compression,
                compression_level=options.level,
            ) as cf:
                copied += _fill(cf, islice(records, limit))
    return copied


def _settle(options: argparse.Namespace, first: Source) -> None:
    """Replaces options that are not given by the settings of the first source."""
    info = first.info()
    version = max(info.version, 2)  # Versions 1 and 2 are equivalent.
    options.format = options.format or version
    if problem := _complaint(options):
        raise WrongUsage(problem)
    if version != options.format:
        return
    options.block_size = options.block_size or info.block_size
    if options.level is None:
        options.compression = options.compression or info.compression


def _check_replaced(name: str, sources: list[Source]) -> None:
    """Refuses to replace other than capture files, or a source that has grown since its records were counted."""
    if not os.path.exists(name):
        return
    capturefile.open(name).close()
    for source in sources:
        if not any(os.path.samefile(name, path) for path in source.paths() if not is_url(path)):
            continue
        if os.path.isdir(source.name):
            raise WrongUsage(f"{name}: it is a file of the log {source.name}, which replacing it would destroy")
        if source.reader.refresh():
            raise ValueError(f"{name}: records were added to it while it was being opened for copying; copy it again")


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
