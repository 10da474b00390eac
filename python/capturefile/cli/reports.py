"""What `info`, `verify` and `recover` write about a file, in lines and as fields for JSON."""

from __future__ import annotations

import capturefile
from capturefile.cli.streams import write_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO


def write_problems(output: BinaryIO, problems: Iterable[capturefile.Damage]) -> None:
    """Writes a line for each problem."""
    for problem in problems:
        write_line(output, str(problem))


def unreadable(error: capturefile.InvalidCaptureFile, file: str, number: int) -> capturefile.InvalidCaptureFile:
    """The error of a record that cannot be read, with its number, and what can be done about it."""
    name = quoted(file)
    return capturefile.InvalidCaptureFile(
        f"record {number} cannot be read: {error}; capturefile verify {name} lists all that is damaged, and "
        f"capturefile recover {name} NEW.capture saves the rest"
    )


def as_fields(
    facts: capturefile.BlockInfo | capturefile.Info | capturefile.Recovery | capturefile.Report,
) -> dict[str, object]:
    """The fields of a dataclass by their names."""
    from dataclasses import asdict

    return asdict(facts)


def recovery_fields(recovery: capturefile.Recovery) -> dict[str, object]:
    """The fields of a recovery, in types that JSON has."""
    metadata = recovery.last_metadata
    return {
        "complete": recovery.complete,
        **as_fields(recovery),
        "last_metadata": None if metadata is None else metadata.hex(),
    }


def quoted(path: str) -> str:
    """The path as a shell takes it."""
    from shlex import quote

    return quote(path)
