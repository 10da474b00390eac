"""What `info`, `verify` and `recover` write about a file, in lines and as fields for JSON."""

from __future__ import annotations

import capturefile
from capturefile.cli.streams import write_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO


def write_problems(output: BinaryIO, problems: Iterable[capturefile.Problem]) -> None:
    """Writes a line for each problem."""
    for problem in problems:
        write_line(output, described(problem))


def described(problem: capturefile.Problem) -> str:
    """The problem in words, with its position in front."""
    return problem.message if problem.position is None else f"at byte {problem.position}: {problem.message}"


def as_fields(
    facts: capturefile.Block | capturefile.Info | capturefile.Recovery | capturefile.Report,
) -> dict[str, object]:
    """The fields of a dataclass by their names."""
    from dataclasses import asdict

    return asdict(facts)
