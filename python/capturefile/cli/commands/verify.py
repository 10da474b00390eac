"""The command `verify`: reads everything in a file and says what is damaged."""

from __future__ import annotations

import capturefile
from capturefile.cli.arguments import add_command
from capturefile.cli.exit_codes import DONE, EXPECTED_ERRORS, FAILED, UNUSABLE
from capturefile.cli.messages import counted, describe, say
from capturefile.cli.progress import progress
from capturefile.cli.reports import as_fields, described, write_problems
from capturefile.cli.streams import write_json, write_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
capturefile verify log.capture
capturefile verify --quick --json log.capture"""


def add_to(commands: Commands) -> None:
    """Describes the command."""
    verify = add_command(commands, "verify", _verify, "read everything in the file and say what is damaged", EXAMPLE)
    verify.epilog = f"{verify.epilog}\n\nExit codes: 0 sound, 1 damaged, 2 the file could not be checked."
    verify.add_argument("--quick", action="store_true", help="look only where it costs little")
    verify.add_argument("--json", action="store_true", help="write JSON")


def _verify(options: argparse.Namespace, output: BinaryIO) -> int:
    try:
        with progress("verify", "bytes") as shown:
            report = capturefile.verify(options.file, quick=options.quick, progress=shown.at)
    except EXPECTED_ERRORS as error:
        say(describe(error))
        return UNUSABLE
    if options.json:
        write_json(output, {"sound": report.sound, **as_fields(report)})
    else:
        _write_report(output, report, quick=options.quick)
    return DONE if report.sound else FAILED


def _write_report(output: BinaryIO, report: capturefile.Report, *, quick: bool) -> None:
    records = counted(report.record_count, "record")
    checked = f"of {records}, {report.records_checked} found sound"
    blocks = counted(report.frames, "compressed block")
    nodes = counted(report.index_nodes, "index node")
    if not report.sound:
        write_line(output, f"damaged: {counted(len(report.problems), 'problem')}; {checked}")
    elif quick:
        write_line(output, f"nothing wrong at a quick look: {checked}, {blocks}, {nodes}")
    else:
        write_line(output, f"sound: {records}, {blocks}, {nodes}")
    write_problems(output, report.problems)
    for numbers in report.unreadable:
        write_line(output, f"{numbers} cannot be read")
    for problem in report.repairable:
        write_line(output, f"the next writer repairs: {described(problem)}")
