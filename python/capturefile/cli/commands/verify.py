"""The command `verify`: reads everything in a file and reports damage."""

from __future__ import annotations

import os

import capturefile
from capturefile._errors import in_words
from capturefile.cli.arguments import add_bare
from capturefile.cli.colours import GREEN, RED, painted
from capturefile.cli.exit_codes import DONE, EXPECTED_ERRORS, FAILED, UNUSABLE
from capturefile.cli.messages import counted, say
from capturefile.cli.progress import progress
from capturefile.cli.reports import as_fields, quoted, recovery_fields, write_problems
from capturefile.cli.sources import add_sources, check_folder, is_log, is_url, shown_url, standard_input
from capturefile.cli.streams import STANDARD, STANDARD_OUTPUT, shown_name, write_json, write_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
capturefile verify log.capture
capturefile verify orders/ monday.capture
capturefile verify --quick --json log.capture"""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    verify = add_bare(commands, "verify", summary, EXAMPLE)
    add_sources(verify)
    verify.epilog = f"{verify.epilog}\n\nExit codes: 0 sound, 1 damaged, 2 a file could not be checked."
    verify.add_argument("--quick", action="store_true", help="check only what takes little time")
    verify.add_argument("--json", action="store_true", help="print JSON; for several files a list")
    verify.set_defaults(run=_verify)


def _verify(options: argparse.Namespace, output: BinaryIO) -> int:
    alone = len(options.files) == 1 and not is_log(options.files[0])
    verdicts = Verdicts(output, options, alone=alone)
    for name in options.files:
        if name == STANDARD:
            path, copy = standard_input()
            verdicts.give(shown_name(name), path)
            if copy is not None:
                copy.close()
        elif is_log(name):
            _verify_log(name, verdicts)
        else:
            verdicts.give(shown_url(name), name)
    if options.json and verdicts.fields:
        write_json(output, verdicts.fields[0] if alone else verdicts.fields)
    return verdicts.code


def _verify_log(folder: str, verdicts: Verdicts) -> None:
    """Checks the files of a rotated log, and whether they match its manifest."""
    from capturefile._folders import folder_at
    from capturefile.rotating.manifest import NAME, names_of_files, problems_of

    if not is_url(folder):
        try:
            check_folder(folder)
        except FileNotFoundError as error:
            verdicts.refuse(error)
            return
    before = verdicts.code
    place = folder_at(folder)
    for name in (NAME, *names_of_files(folder)):
        if name == NAME or place.has(name):  # Old files may be deleted meanwhile.
            path = os.path.join(folder, name) if not place.is_remote else place.file(name)
            verdicts.give(shown_url(path), path)
    if verdicts.code == before:
        verdicts.give_problems(shown_url(folder), problems_of(folder))


class Verdicts:
    """The results for each file, and the exit code for all."""

    def __init__(self, output: BinaryIO, options: argparse.Namespace, *, alone: bool) -> None:
        """With `alone`, there is only one file, whose name is not printed."""
        self.output = output
        self.options = options
        self.alone = alone
        self.code = DONE
        self.fields: list[dict[str, object]] = []

    def give(self, name: str, path: str) -> None:
        """Checks a file."""
        quick = self.options.quick
        try:
            with progress("verify", "bytes") as shown:
                report = capturefile.verify(path, quick=quick, progress=shown.at)
        except EXPECTED_ERRORS as error:
            self.refuse(error)
            return
        recovery = None if report.sound or quick or is_url(path) else _survey(path)
        self._note(sound=report.sound)
        if self.options.json:
            saved = {} if recovery is None else {"recovery": recovery_fields(recovery)}
            file = {} if self.alone else {"file": name}
            self.fields.append({**file, "sound": report.sound, **as_fields(report), **saved})
            return
        _write_report(self.output, report, "" if self.alone else f"{name}: ", quick=quick)
        if not report.sound and not is_url(path):
            _write_advice(self.output, path, recovery)

    def refuse(self, error: Exception) -> None:
        """Reports a file that cannot be checked."""
        say(in_words(error))
        self.code = UNUSABLE

    def give_problems(self, folder: str, problems: list[str]) -> None:
        """Prints the problems of a log of sound files."""
        self._note(sound=not problems)
        if self.options.json:
            self.fields.append({"file": folder, "sound": not problems, "problems": problems})
        for problem in problems if not self.options.json else ():
            write_line(self.output, f"{folder}: {_painted('damaged', RED)}: {problem}")

    def _note(self, *, sound: bool) -> None:
        self.code = max(self.code, DONE if sound else FAILED)


def _survey(file: str) -> capturefile.Recovery | None:
    """Returns what `recover` could save of a damaged file: it finds more than the index leads to."""
    try:
        with progress("survey", "bytes") as shown:
            return capturefile.recover(file, None, progress=shown.at)
    except EXPECTED_ERRORS:
        return None  # `recover` reports the reason.


def _write_report(output: BinaryIO, report: capturefile.Report, name: str, *, quick: bool) -> None:
    of_all = f"{report.records_checked} of {counted(report.record_count, 'record')}"
    blocks = counted(report.frames, "compressed block")
    nodes = counted(report.index_nodes, "index node")
    problems = counted(len(report.problems), "problem")
    if quick:
        verdict = _painted("nothing wrong", GREEN) if report.sound else f"{_painted('damaged', RED)}: {problems}"
        write_line(output, f"{name}{verdict} in a quick check of {of_all}, {blocks}, {nodes}")
    elif report.sound:
        records = counted(report.record_count, "record")
        write_line(output, f"{name}{_painted('sound', GREEN)}: {records}, {blocks}, {nodes}")
    else:
        write_line(output, f"{name}{_painted('damaged', RED)}: {problems}; {of_all} can be read")
    write_problems(output, report.problems)
    for numbers in report.unreadable:
        write_line(output, f"{numbers} cannot be read")
    for problem in report.repairable:
        write_line(output, f"the next writer repairs: {problem}")


def _painted(verdict: str, colour: str) -> str:
    return painted(verdict, colour, STANDARD_OUTPUT)


def _write_advice(output: BinaryIO, file: str, recovery: capturefile.Recovery | None) -> None:
    command = f"capturefile recover {quoted(file)} NEW.capture"
    if recovery is None:
        write_line(output, f"to save what can be recovered: {command}")
        return
    of_all = "" if recovery.expected is None else f" of {recovery.expected}"
    write_line(output, f"{command} saves {recovery.recovered}{of_all} records")
    for lost in recovery.lost:
        write_line(output, f"lost for good: {'' if lost.exact else 'about '}{lost}")
