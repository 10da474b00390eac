"""The command `info`: the sizes and numbers that describe a file."""

from __future__ import annotations

from capturefile.cli.arguments import add_command
from capturefile.cli.exit_codes import DONE
from capturefile.cli.records import reading
from capturefile.cli.reports import as_fields
from capturefile.cli.streams import write_json, write_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from typing import BinaryIO

    import capturefile
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
        facts = as_fields(cf.info())
        blocks = cf.blocks() if options.blocks else None
        if options.json:
            listed = {} if blocks is None else {"blocks": [as_fields(block) for block in blocks]}
            write_json(output, {**facts, **listed})
            return DONE
        for name, value in facts.items():
            write_line(output, f"{name.replace('_', ' ')}: {'none' if value is None else value}")
        if blocks is not None:
            _write_blocks(output, blocks)
    return DONE


def _write_blocks(output: BinaryIO, blocks: Iterable[capturefile.Block]) -> None:
    write_line(output, "\n" + BLOCK_ROW.format("position", "compressed", "size", "records"))
    for block in blocks:
        position = "in the commit" if block.position is None else block.position
        compressed = "no" if block.compressed_size is None else block.compressed_size
        records = "none" if block.records is None else f"{block.records.first}-{block.records.last}"
        write_line(output, BLOCK_ROW.format(position, compressed, block.size, records))
