"""The commands that look at a file as a whole: `info`, `verify` and `recover`."""

from __future__ import annotations

import capturefile
from capturefile.cli.arguments import add_bare, add_command
from capturefile.cli.codes import DONE, EXPECTED_ERRORS, FAILED, LOSSY, UNUSABLE
from capturefile.cli.messages import counted, describe, say
from capturefile.cli.progress import progress
from capturefile.cli.records import reading
from capturefile.cli.streams import ending_cleanly, write_json, write_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

INFO_EXAMPLE = """\
capturefile info log.capture
capturefile info --json --blocks log.capture"""
VERIFY_EXAMPLE = """\
capturefile verify log.capture
capturefile verify --quick --json log.capture"""
RECOVER_EXAMPLE = "capturefile recover damaged.capture rescued.capture"
BLOCK_ROW = "{:>14}  {:>12}  {:>12}  {}"


def add_to(commands: Commands) -> None:
    """Describes the commands."""
    info = add_command(commands, "info", _info, "write the sizes and numbers that describe the file", INFO_EXAMPLE)
    info.add_argument(
        "--blocks", action="store_true", help="also each block: where it is, its sizes, and the records in it"
    )
    verify = add_command(
        commands, "verify", _verify, "read everything in the file and say what is damaged", VERIFY_EXAMPLE
    )
    verify.epilog = f"{verify.epilog}\n\nExit codes: 0 sound, 1 damaged, 2 the file could not be checked."
    verify.add_argument("--quick", action="store_true", help="look only where it costs little")
    for command in (info, verify, _add_recover(commands)):
        command.add_argument("--json", action="store_true", help="write JSON")


def _add_recover(commands: Commands) -> argparse.ArgumentParser:
    summary = "make a new sound file of all that can be read of a damaged one"
    recover = add_bare(commands, "recover", summary, RECOVER_EXAMPLE)
    recover.add_argument("source", metavar="SRC", help="path of the damaged file, which is only read")
    recover.add_argument("target", metavar="DST", help="path of the new file")
    recover.add_argument("--overwrite", action="store_true", help="replace DST if it exists")
    recover.add_argument(
        "--keep-numbers", action="store_true", help="put an empty record in the place of each lost one"
    )
    codes = "Exit codes: 0 complete, 1 failed, 2 wrong usage, 3 done, but something is lost or uncertain."
    recover.epilog = f"{recover.epilog}\n\n{codes}"
    recover.set_defaults(run=_recover)
    return recover


def _info(options: argparse.Namespace, output: BinaryIO) -> int:
    with reading(options) as cf:
        facts = _fields(cf.info())
        blocks = cf.blocks() if options.blocks else None
        if options.json:
            listed = {} if blocks is None else {"blocks": [_fields(block) for block in blocks]}
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


def _verify(options: argparse.Namespace, output: BinaryIO) -> int:
    try:
        with progress("verify", "bytes") as shown:
            report = capturefile.verify(options.file, quick=options.quick, progress=shown.at)
    except EXPECTED_ERRORS as error:
        say(describe(error))
        return UNUSABLE
    if options.json:
        write_json(output, {"sound": report.sound, **_fields(report)})
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
    _write_problems(output, report.problems)
    for numbers in report.unreadable:
        write_line(output, f"{numbers} cannot be read")
    for problem in report.repairable:
        write_line(output, f"the next writer repairs: {_placed(problem)}")


def _write_problems(output: BinaryIO, problems: Iterable[capturefile.Problem]) -> None:
    for problem in problems:
        write_line(output, _placed(problem))


def _placed(problem: capturefile.Problem) -> str:
    return problem.message if problem.position is None else f"at byte {problem.position}: {problem.message}"


def _recover(options: argparse.Namespace, output: BinaryIO) -> int:
    with ending_cleanly(), progress("recover", "bytes") as shown:
        recovery = capturefile.recover(
            options.source,
            options.target,
            overwrite=options.overwrite,
            keep_numbers=options.keep_numbers,
            progress=shown.at,
        )
    if options.json:
        told = {"complete": recovery.complete, **_fields(recovery)}
        if recovery.last_metadata is not None:
            told["last_metadata"] = recovery.last_metadata.hex()
        write_json(output, told)
    else:
        _write_recovery(output, recovery)
    return DONE if recovery.complete else LOSSY


def _write_recovery(output: BinaryIO, recovery: capturefile.Recovery) -> None:
    expected = "" if recovery.expected is None else f" of {recovery.expected}"
    verdict = "complete" if recovery.complete else "incomplete"
    write_line(output, f"{verdict}: {recovery.recovered}{expected} records recovered, metadata {recovery.metadata}")
    for lost in recovery.lost:
        write_line(output, f"lost: {'' if lost.exact else 'about '}{lost}")
    for numbers in recovery.uncertain:
        write_line(output, f"uncertain, in the new file: {numbers}")
    if recovery.later_commit_lost:
        write_line(output, "lost, perhaps: commits after the last one that can be read")
    _write_problems(output, recovery.problems)


def _fields(
    facts: capturefile.Block | capturefile.Info | capturefile.Recovery | capturefile.Report,
) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(facts)
