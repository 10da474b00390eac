"""Output of `info`, `verify` and `recover` about a file, as lines and as fields for JSON."""

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
    """Returns the error for an unreadable record, with its number and a suggestion."""
    name = quoted(file)
    return capturefile.InvalidCaptureFile(
        f"record {number} cannot be read: {error}; capturefile verify {name} lists all damage, and "
        f"capturefile recover {name} NEW.capture saves the rest"
    )


def as_fields(
    facts: capturefile.BlockInfo | capturefile.Info | capturefile.Recovery | capturefile.Report,
) -> dict[str, object]:
    """Returns the fields of a dataclass by name."""
    from dataclasses import asdict

    return asdict(facts)


def recovery_fields(recovery: capturefile.Recovery) -> dict[str, object]:
    """Returns the fields of a recovery, in JSON types."""
    metadata = recovery.last_metadata
    return {
        "complete": recovery.complete,
        **as_fields(recovery),
        "last_metadata": None if metadata is None else metadata.hex(),
    }


def quoted(path: str) -> str:
    """Quotes a path for a shell."""
    from shlex import quote

    return quote(path)
