"""The command `info`: prints the sizes and numbers that describe a file."""

from __future__ import annotations

import capturefile
from capturefile.cli.arguments import add_bare
from capturefile.cli.encoders import printable
from capturefile.cli.exit_codes import DONE, LOSSY, WrongUsage
from capturefile.cli.facts import facts, log_facts
from capturefile.cli.messages import say
from capturefile.cli.reports import as_fields, quoted
from capturefile.cli.sources import Rotated, Single, add_sources, each_of, shown_url
from capturefile.cli.streams import write_json, write_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
capturefile info log.capture
capturefile info orders/
capturefile info --json --blocks log.capture"""
BLOCK_ROW = "{:>14}  {:>12}  {:>12}  {}"
FILE_ROW = "{:<30}  {:>14}  {:>25}  {}"
MAX_REPEATED = 16
"""Number of recent problems that are checked for repetition."""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    info = add_bare(commands, "info", summary, EXAMPLE)
    add_sources(info)
    info.add_argument("--blocks", action="store_true", help="also list all blocks: positions, sizes, and records")
    info.add_argument("--json", action="store_true", help="print JSON; for several files a list")
    info.set_defaults(run=_info)


def _info(options: argparse.Namespace, output: BinaryIO) -> int:
    code = DONE
    results: list[dict[str, object]] = []
    several = len(options.files) > 1
    for source in each_of(options.files):
        if several and not options.json:
            write_line(output, ("\n" if results else "") + f"==> {source.name} <==")
        if isinstance(source, Rotated):
            if options.blocks:
                raise WrongUsage(
                    f"{source.name}: --blocks requires a capture file, such as {shown_url(source.paths()[0])}"
                )
            found = log_facts(source.reader)
            if not options.json:
                _write_log(output, found)
        elif isinstance(source, Single):
            found, is_whole = _about_file(options, output, source)
            code = code if is_whole else LOSSY
        results.append({"file": source.name, **found} if several else found)
    if options.json:
        write_json(output, results if several else results[0])
    return code


def _about_file(options: argparse.Namespace, output: BinaryIO, source: Single) -> tuple[dict[str, object], bool]:
    """Returns the facts of a capture file, and whether all could be read; prints them unless JSON is requested."""
    cf = source.reader
    numbers, found = as_fields(cf.info()), facts(cf)
    blocks = Blocks(cf) if options.blocks else None
    listed: dict[str, object] = {}
    if not options.json:
        _write_facts(output, numbers, dict(found))
        if blocks is not None:
            _write_blocks(output, blocks, cf.record_count())
    elif blocks is not None:
        listed["blocks"] = [as_fields(block) for block in blocks if isinstance(block, capturefile.BlockInfo)]
        listed["problems"] = blocks.problems
    if blocks is not None and blocks.problems:
        name = source.name
        say(f"{name}: some blocks cannot be read; capturefile verify {quoted(name)} lists all damage")
    return {**numbers, **found, **listed}, blocks is None or not blocks.problems


def _write_log(output: BinaryIO, found: dict[str, object]) -> None:
    files = found["files"]
    assert isinstance(files, list)
    _write_lines(output, {**found, "files": len(files)})
    write_line(output, "\n" + FILE_ROW.format("file", "size", "started", "records"))
    for file in files:
        first, last = file["first_record"], file["last_record"]
        records = f"{first}-{last}" if first <= last else "none"
        write_line(output, FILE_ROW.format(file["name"], file["file_size"], file["started"], records))


def _write_facts(output: BinaryIO, numbers: dict[str, object], found: dict[str, object]) -> None:
    about = "" if found.pop("record_bytes_exact") else "about "
    preview = found.pop("metadata_preview")
    lines = {**numbers, **found}
    lines["record_bytes"] = f"{about}{lines['record_bytes']}" if lines["record_bytes"] is not None else None
    if preview is not None:
        lines["metadata"] = printable(str(preview).encode()).replace("\n", "\\n")
    _write_lines(output, lines)


def _write_lines(output: BinaryIO, lines: dict[str, object]) -> None:
    for name, value in lines.items():
        shown = {None: "none" if name.startswith("metadata") else "unknown", True: "yes", False: "no"}
        known = value is not None and not isinstance(value, bool)
        write_line(output, f"{name.replace('_', ' ')}: {value if known else shown[value]}")  # type: ignore[index]


class Blocks:
    """The blocks of a file, with an error in place of each that cannot be read."""

    def __init__(self, cf: capturefile.CaptureFile[bytes]) -> None:
        """Reads nothing yet."""
        self.cf = cf
        self.problems: list[str] = []

    def __iter__(self) -> Iterator[capturefile.BlockInfo | str]:
        """Iterates over the file once."""
        blocks = self.cf.blocks()
        while True:
            try:
                block = next(blocks)
            except StopIteration:
                return
            except capturefile.InvalidCaptureFile as error:
                # Damage of the index is found in place of the records below it, and again at its own position.
                if str(error) not in self.problems[-MAX_REPEATED:]:
                    self.problems.append(str(error))
                yield str(error)
            else:
                yield block


def _write_blocks(output: BinaryIO, blocks: Iterable[capturefile.BlockInfo | str], count: int) -> None:
    write_line(output, "\n" + BLOCK_ROW.format("position", "compressed", "size", "records"))
    expected = 1
    for block in blocks:
        if isinstance(block, str):
            write_line(output, BLOCK_ROW.format("unreadable", "", "", block))
            continue
        if block.records is not None:
            _write_missing(output, expected, block.records.first - 1)
            expected = block.records.last + 1
        position = "in the commit" if block.position is None else block.position
        compressed = "no" if block.compressed_size is None else block.compressed_size
        write_line(output, BLOCK_ROW.format(position, compressed, block.size, _records_in(block)))
    _write_missing(output, expected, count)


def _records_in(block: capturefile.BlockInfo) -> str:
    if block.records is None:
        return "unknown" if block.record_count is None else "none"
    return f"{block.records.first}-{block.records.last}"


def _write_missing(output: BinaryIO, first: int, last: int) -> None:
    """Prints the numbers of records that are not in any of the blocks listed so far."""
    if first <= last:
        missing = capturefile.RecordRange(first, last)
        write_line(
            output, BLOCK_ROW.format("unreadable", "", "", f"{missing}: in blocks that are unreadable or unknown")
        )
