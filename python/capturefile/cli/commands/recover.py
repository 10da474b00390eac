"""The command `recover`: writes everything that can be read of a damaged file to a new, sound one."""

from __future__ import annotations

import capturefile
from capturefile.cli.arguments import add_bare
from capturefile.cli.colours import GREEN, RED, painted
from capturefile.cli.exit_codes import DONE, LOSSY, WrongUsage
from capturefile.cli.progress import progress
from capturefile.cli.reports import recovery_fields, write_problems
from capturefile.cli.streams import STANDARD_OUTPUT, ending_cleanly, write_json, write_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
capturefile recover damaged.capture rescued.capture
capturefile recover --dry-run damaged.capture"""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    recover = add_bare(commands, "recover", summary, EXAMPLE)
    recover.add_argument("source", metavar="SRC", help="path of the damaged file, which is only read")
    recover.add_argument("target", metavar="DST", nargs="?", help="path of the new file")
    recover.add_argument("--dry-run", action="store_true", help="create no file, and report what would be recovered")
    recover.add_argument("--overwrite", action="store_true", help="replace DST if it exists")
    recover.add_argument("--keep-numbers", action="store_true", help="replace each lost record with an empty one")
    codes = "Exit codes: 0 complete, 1 failure, 2 wrong usage, 3 something is lost or uncertain."
    recover.epilog = f"{recover.epilog}\n\n{codes}"
    recover.set_defaults(run=_recover)
    recover.add_argument("--json", action="store_true", help="print JSON")


def _recover(options: argparse.Namespace, output: BinaryIO) -> int:
    if options.dry_run == (options.target is not None):
        raise WrongUsage("recover needs the path of the new file, DST, or --dry-run, which creates none")
    with ending_cleanly(), progress("recover", "bytes") as shown:
        recovery = capturefile.recover(
            options.source,
            options.target,
            overwrite=options.overwrite,
            keep_numbers=options.keep_numbers,
            progress=shown.at,
        )
    if options.json:
        write_json(output, recovery_fields(recovery))
    else:
        _write_recovery(output, recovery, found="found" if options.dry_run else "recovered")
    return DONE if recovery.complete else LOSSY


def _write_recovery(output: BinaryIO, recovery: capturefile.Recovery, *, found: str) -> None:
    expected = "" if recovery.expected is None else f" of {recovery.expected}"
    word, colour = ("complete", GREEN) if recovery.complete else ("incomplete", RED)
    verdict = painted(word, colour, STANDARD_OUTPUT)
    write_line(output, f"{verdict}: {recovery.recovered}{expected} records {found}, metadata {recovery.metadata}")
    for lost in recovery.lost:
        write_line(output, f"lost: {'' if lost.exact else 'about '}{lost}")
    for numbers in recovery.uncertain:
        write_line(output, f"uncertain, in the new file: {numbers}")
    if recovery.later_commit_lost:
        write_line(output, "perhaps lost: commits after the last one that can be read")
    write_problems(output, recovery.problems)
