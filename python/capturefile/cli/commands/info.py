"""The command `info`: the sizes and numbers that describe a file."""

from __future__ import annotations

import capturefile
from capturefile.cli.arguments import add_command
from capturefile.cli.encoders import printable
from capturefile.cli.exit_codes import DONE, LOSSY
from capturefile.cli.facts import facts
from capturefile.cli.messages import say
from capturefile.cli.records import reading
from capturefile.cli.reports import as_fields, quoted
from capturefile.cli.streams import write_json, write_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
capturefile info log.capture
capturefile info --json --blocks log.capture"""
BLOCK_ROW = "{:>14}  {:>12}  {:>12}  {}"


def add_to(commands: Commands) -> None:
    """Describes the command."""
    info = add_command(commands, "info", _info, "write the sizes and numbers that describe the file", EXAMPLE)
    info.add_argument(
        "--blocks", action="store_true", help="also each block: where it is, its sizes, and the records in it"
    )
    info.add_argument("--json", action="store_true", help="write JSON")


def _info(options: argparse.Namespace, output: BinaryIO) -> int:
    with reading(options) as cf:
        numbers, found = as_fields(cf.info()), facts(cf)
        blocks = Blocks(cf) if options.blocks else None
        if options.json:
            listed: dict[str, object] = {}
            if blocks is not None:
                listed["blocks"] = [as_fields(block) for block in blocks if isinstance(block, capturefile.BlockInfo)]
                listed["problems"] = blocks.problems
            write_json(output, {**numbers, **found, **listed})
        else:
            _write_facts(output, numbers, found)
            if blocks is not None:
                _write_blocks(output, blocks)
    if blocks is None or not blocks.problems:
        return DONE
    name = quoted(options.file)
    say(f"{options.file}: some blocks cannot be read; capturefile verify {name} lists all that is damaged")
    return LOSSY


def _write_facts(output: BinaryIO, numbers: dict[str, object], found: dict[str, object]) -> None:
    about = "" if found.pop("record_bytes_exact") else "about "
    preview = found.pop("metadata_preview")
    lines = {**numbers, **found}
    lines["record_bytes"] = f"{about}{lines['record_bytes']}" if lines["record_bytes"] is not None else None
    if preview is not None:
        lines["metadata"] = printable(str(preview).encode()).replace("\n", "\\n")
    for name, value in lines.items():
        shown = {None: "none" if name.startswith("metadata") else "unknown", True: "yes", False: "no"}
        known = value is not None and not isinstance(value, bool)
        write_line(output, f"{name.replace('_', ' ')}: {value if known else shown[value]}")  # type: ignore[index]


class Blocks:
    """The blocks of a file, and in the place of one that cannot be read, why that is."""

    def __init__(self, cf: capturefile.CaptureFile[bytes]) -> None:
        """Reads nothing yet."""
        self.cf = cf
        self.problems: list[str] = []

    def __iter__(self) -> Iterator[capturefile.BlockInfo | str]:
        """Goes through the file once."""
        blocks = self.cf.blocks()
        while True:
            try:
                block = next(blocks)
            except StopIteration:
                return
            except capturefile.InvalidCaptureFile as error:
                self.problems.append(str(error))
                yield str(error)
            else:
                yield block


def _write_blocks(output: BinaryIO, blocks: Iterable[capturefile.BlockInfo | str]) -> None:
    write_line(output, "\n" + BLOCK_ROW.format("position", "compressed", "size", "records"))
    expected = 1
    for block in blocks:
        if isinstance(block, str):
            write_line(output, BLOCK_ROW.format("unreadable", "", "", block))
            continue
        if block.records is not None:
            if block.records.first > expected:
                missing = capturefile.RecordRange(expected, block.records.first - 1)
                write_line(output, BLOCK_ROW.format("unreadable", "", "", f"{missing}: in blocks that cannot be read"))
            expected = block.records.last + 1
        position = "in the commit" if block.position is None else block.position
        compressed = "no" if block.compressed_size is None else block.compressed_size
        records = "none" if block.records is None else f"{block.records.first}-{block.records.last}"
        write_line(output, BLOCK_ROW.format(position, compressed, block.size, records))
