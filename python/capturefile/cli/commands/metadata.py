"""The commands `metadata get`, `metadata set` and `metadata clear`."""

from __future__ import annotations

import os

import capturefile
from capturefile.cli.arguments import add_bare, add_command
from capturefile.cli.encoders import printable
from capturefile.cli.exit_codes import DONE, FAILED
from capturefile.cli.messages import say
from capturefile.cli.sources import add_source, opened
from capturefile.cli.streams import (
    STANDARD,
    STANDARD_OUTPUT,
    open_input,
    refuse_same_file,
    write_line,
    writes_to_terminal,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
capturefile metadata set log.capture 'read up to line 2000'
capturefile metadata get log.capture"""
GET_EXAMPLE = "capturefile metadata get log.capture > state.json"
SET_EXAMPLE = """\
capturefile metadata set log.capture 'read up to line 2000'
capturefile metadata set log.capture < state.json"""
CLEAR_EXAMPLE = "capturefile metadata clear log.capture"


def add_to(commands: Commands, summary: str) -> None:
    """Defines the commands."""
    metadata = add_bare(commands, "metadata", summary, EXAMPLE)
    actions = metadata.add_subparsers(title="commands", metavar="COMMAND", required=True, prog="capturefile metadata")
    get_summary = "print exactly the metadata; on a terminal, as text with a newline"
    getter = add_bare(actions, "get", get_summary, GET_EXAMPLE)
    add_source(getter)
    getter.set_defaults(run=_get)
    setter = add_command(actions, "set", _set, "replace the metadata", SET_EXAMPLE)
    setter.add_argument("value", metavar="VALUE", nargs="?", help="the metadata (default: standard input)")
    add_command(actions, "clear", _clear, "remove the metadata", CLEAR_EXAMPLE)


def _get(options: argparse.Namespace, output: BinaryIO) -> int:
    with opened(options.file) as source:
        metadata = source.reader.get_metadata()
    if metadata is None:
        say(f"{options.file}: the file has no metadata")
        return FAILED
    if writes_to_terminal():
        write_line(output, printable(metadata))
    else:
        output.write(metadata)
    return DONE


def _set(options: argparse.Namespace, _output: BinaryIO) -> int:
    with _existing(options):
        pass  # A file that is missing or not a capture file is refused before standard input is read.
    if options.value is not None:
        _replace(options, os.fsencode(options.value))
        return DONE
    with open_input(STANDARD) as stream:
        _replace(options, stream.read())
    return DONE


def _clear(options: argparse.Namespace, _output: BinaryIO) -> int:
    _replace(options, None)
    return DONE


def _existing(options: argparse.Namespace) -> capturefile.CaptureFile[bytes]:
    """Returns the file, open for reading."""
    refuse_same_file(STANDARD_OUTPUT, options.file)
    return capturefile.open(options.file, encoding=None)


def _replace(options: argparse.Namespace, value: bytes | None) -> None:
    with _existing(options) as cf:
        # Opened for reading first, since opening for writing would create a missing file.
        cf.close()
        cf.open(to_write=True)
        cf.set_metadata(value)
        cf.commit()
