"""The command `verify`: reads everything in a file and says what is damaged."""

from __future__ import annotations

import capturefile
from capturefile.cli.arguments import add_command
from capturefile.cli.colours import GREEN, RED, painted
from capturefile.cli.exit_codes import DONE, EXPECTED_ERRORS, FAILED, UNUSABLE
from capturefile.cli.messages import counted, describe, say
from capturefile.cli.progress import progress
from capturefile.cli.reports import as_fields, described, quoted, recovery_fields, write_problems
from capturefile.cli.streams import STANDARD_OUTPUT, write_json, write_line

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
    recovery = None if report.sound or options.quick else _survey(options.file)
    if options.json:
        saved = {} if recovery is None else {"recovery": recovery_fields(recovery)}
        write_json(output, {"sound": report.sound, **as_fields(report), **saved})
    else:
        _write_report(output, report, quick=options.quick)
        if not report.sound:
            _write_advice(output, options.file, recovery)
    return DONE if report.sound else FAILED


def _survey(file: str) -> capturefile.Recovery | None:
    """What `recover` could save of a damaged file, which finds more than the index leads to."""
    try:
        with progress("survey", "bytes") as shown:
            return capturefile.recover(file, None, progress=shown.at)
    except EXPECTED_ERRORS:
        return None  # `recover` says why.


def _write_report(output: BinaryIO, report: capturefile.Report, *, quick: bool) -> None:
    of_all = f"{report.records_checked} of {counted(report.record_count, 'record')}"
    blocks = counted(report.frames, "compressed block")
    nodes = counted(report.index_nodes, "index node")
    problems = counted(len(report.problems), "problem")
    if quick:
        verdict = _painted("nothing wrong", GREEN) if report.sound else f"{_painted('damaged', RED)}: {problems}"
        write_line(output, f"{verdict} at a quick look, which was at {of_all}, {blocks}, {nodes}")
    elif report.sound:
        write_line(output, f"{_painted('sound', GREEN)}: {counted(report.record_count, 'record')}, {blocks}, {nodes}")
    else:
        write_line(output, f"{_painted('damaged', RED)}: {problems}; {of_all} can be read")
    write_problems(output, report.problems)
    for numbers in report.unreadable:
        write_line(output, f"{numbers} cannot be read")
    for problem in report.repairable:
        write_line(output, f"the next writer repairs: {described(problem)}")


def _painted(verdict: str, colour: str) -> str:
    return painted(verdict, colour, STANDARD_OUTPUT)


def _write_advice(output: BinaryIO, file: str, recovery: capturefile.Recovery | None) -> None:
    command = f"capturefile recover {quoted(file)} NEW.capture"
    if recovery is None:
        write_line(output, f"to save what can be saved: {command}")
        return
    of_all = "" if recovery.expected is None else f" of {recovery.expected}"
    write_line(output, f"{command} saves {recovery.recovered}{of_all} records")
    for lost in recovery.lost:
        write_line(output, f"lost for good: {'' if lost.exact else 'about '}{lost}")
