"""The command `capturefile`: capture files in the shell.

Results go to standard output, everything else to standard error. Records are written as the bytes that they
are, each with a newline after it. Exit codes:

    0    done; `verify`: the file is sound; `recover`: all that was committed is there
    1    failed; `verify`: the file is damaged
    2    wrong usage; `verify`: the file could not be checked, for example because it is no capture file
    3    `recover`: done, but something is lost or uncertain
    130  interrupted by Ctrl-C
    141  whoever read standard output stopped reading, as for a program that SIGPIPE ends

What is slow to import is imported where it is used, so that the command starts fast.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import capturefile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import BinaryIO, TypeAlias

    _Command: TypeAlias = Callable[[argparse.Namespace, BinaryIO], int]
    _Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

DONE = 0
FAILED = 1
UNUSABLE = 2
INCOMPLETE = 3
INTERRUPTED = 128 + signal.SIGINT
BROKEN_PIPE = 128 + signal.SIGPIPE

EXPECTED_ERRORS = (capturefile.CaptureFileError, OSError, IndexError, ValueError, MemoryError)
"""What a file, a disk or an argument can cause; anything else is a mistake in this program."""

STANDARD_INPUT = 0
STANDARD_OUTPUT = 1
STANDARD_ERROR = 2
BUFFER_SIZE = 1 << 16

SPAN = re.compile(r"(-?[0-9]+)(?:-(-?[0-9]+))?", re.ASCII)


class Span(NamedTuple):
    """Records from `first` to `last`, both included; negative numbers count from the end."""

    first: int
    last: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command with `arguments`, by default the process's own, and returns its exit code."""
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _abandon_output()
        return BROKEN_PIPE
    except EXPECTED_ERRORS as error:
        _say(_describe(error))
        return FAILED


def _run(arguments: Sequence[str]) -> int:
    try:
        options = _parser().parse_args(_protect_numbers(arguments))
    except SystemExit as stop:
        _flush_help()
        return stop.code if isinstance(stop.code, int) else DONE
    _occupy_closed_streams()
    run: _Command = options.run
    with _standard_output() as output:
        return run(options, output)


# Commands


def _append(options: argparse.Namespace, _output: BinaryIO) -> int:
    with capturefile.open(options.file, "a", encoding=None) as cf:
        before = cf.record_count()
        try:
            _append_in_batches(cf, _input_records(), options.commit_every)
        finally:
            _report_added(cf, before)
    return DONE


def _append_in_batches(cf: capturefile.CaptureFile[bytes], records: Iterator[bytes], size: int) -> None:
    count = cf.record_count()
    while (new_count := cf.add_records(islice(records, size))) > count:
        cf.commit()
        count = new_count


def _report_added(cf: capturefile.CaptureFile[bytes], before: int) -> None:
    """Says how many records stay.

    The file knows, while an interrupt can come between a commit and the line that would have counted it.
    After a commit that is uncertain nobody knows; its own message says so.
    """
    with suppress(capturefile.CaptureFileError):
        cf.rollback()
        _say(f"{_counted(cf.record_count() - before, 'record')} added")


def _cat(options: argparse.Namespace, output: BinaryIO) -> int:
    with _reading(options) as cf:
        _write_records(output, cf)
    return DONE


def _head(options: argparse.Namespace, output: BinaryIO) -> int:
    with _reading(options) as cf:
        _write_records(output, _records(cf, Span(1, min(options.number, cf.record_count()))))
    return DONE


def _tail(options: argparse.Namespace, output: BinaryIO) -> int:
    with _reading(options) as cf:
        count = cf.record_count()
        _write_records(output, _records(cf, Span(max(1, count + 1 - options.number), count)))
        if options.follow:
            output.flush()
            _write_at_once(output, cf.follow())
    return DONE


def _get(options: argparse.Namespace, output: BinaryIO) -> int:
    with _reading(options) as cf:
        spans = [_resolve(span, cf.record_count(), options.file) for span in options.numbers]
        for span in spans:
            _write_records(output, _records(cf, span))
    return DONE


def _count(options: argparse.Namespace, output: BinaryIO) -> int:
    with _reading(options) as cf:
        _write_line(output, str(cf.record_count()))
    return DONE


def _info(options: argparse.Namespace, output: BinaryIO) -> int:
    with _reading(options) as cf:
        facts = _fields(cf.info())
    if options.json:
        _write_json(output, facts)
        return DONE
    for name, value in facts.items():
        _write_line(output, f"{name.replace('_', ' ')}: {'none' if value is None else value}")
    return DONE


def _verify(options: argparse.Namespace, output: BinaryIO) -> int:
    try:
        with _interrupts_ending_process():
            report = capturefile.verify(options.file, quick=options.quick)
    except EXPECTED_ERRORS as error:
        _say(_describe(error))
        return UNUSABLE
    if options.json:
        _write_json(output, {"sound": report.sound, **_fields(report)})
    else:
        _write_report(output, report, quick=options.quick)
    return DONE if report.sound else FAILED


def _write_report(output: BinaryIO, report: capturefile.Report, *, quick: bool) -> None:
    records = _counted(report.record_count, "record")
    checked = f"of {records}, {report.records_checked} found sound"
    blocks = _counted(report.frames, "compressed block")
    nodes = _counted(report.index_nodes, "index node")
    if not report.sound:
        _write_line(output, f"damaged: {_counted(len(report.problems), 'problem')}; {checked}")
    elif quick:
        _write_line(output, f"nothing wrong at a quick look: {checked}, {blocks}, {nodes}")
    else:
        _write_line(output, f"sound: {records}, {blocks}, {nodes}")
    _write_problems(output, report.problems)
    for numbers in report.unreadable:
        _write_line(output, f"{numbers} cannot be read")
    for problem in report.repairable:
        _write_line(output, f"the next writer repairs: {_placed(problem)}")


def _write_problems(output: BinaryIO, problems: Iterable[capturefile.Problem]) -> None:
    for problem in problems:
        _write_line(output, _placed(problem))


def _placed(problem: capturefile.Problem) -> str:
    return problem.message if problem.position is None else f"at byte {problem.position}: {problem.message}"


def _recover(options: argparse.Namespace, output: BinaryIO) -> int:
    recovery = capturefile.recover(
        options.source, options.target, overwrite=options.overwrite, keep_numbers=options.keep_numbers
    )
    if options.json:
        told = {"complete": recovery.complete, **_fields(recovery)}
        if recovery.last_metadata is not None:
            told["last_metadata"] = recovery.last_metadata.hex()
        _write_json(output, told)
    else:
        _write_recovery(output, recovery)
    return DONE if recovery.complete else INCOMPLETE


def _write_recovery(output: BinaryIO, recovery: capturefile.Recovery) -> None:
    expected = "" if recovery.expected is None else f" of {recovery.expected}"
    verdict = "complete" if recovery.complete else "incomplete"
    _write_line(output, f"{verdict}: {recovery.recovered}{expected} records recovered, metadata {recovery.metadata}")
    for lost in recovery.lost:
        _write_line(output, f"lost: {'' if lost.exact else 'about '}{lost}")
    for numbers in recovery.uncertain:
        _write_line(output, f"uncertain, in the new file: {numbers}")
    if recovery.later_commit_lost:
        _write_line(output, "lost, perhaps: commits after the last one that can be read")
    _write_problems(output, recovery.problems)


def _get_metadata(options: argparse.Namespace, output: BinaryIO) -> int:
    with _reading(options) as cf:
        metadata = cf.get_metadata()
    if metadata is None:
        _say(f"{options.file}: the file has no metadata")
        return FAILED
    output.write(metadata)
    if os.isatty(STANDARD_OUTPUT):
        output.write(b"\n")
    return DONE


def _set_metadata(options: argparse.Namespace, _output: BinaryIO) -> int:
    with _reading(options):
        pass  # A file that is missing or none of ours is refused before standard input is read.
    _replace_metadata(options, _input_bytes() if options.value is None else os.fsencode(options.value))
    return DONE


def _clear_metadata(options: argparse.Namespace, _output: BinaryIO) -> int:
    _replace_metadata(options, None)
    return DONE


def _replace_metadata(options: argparse.Namespace, value: bytes | None) -> None:
    with _reading(options) as cf:
        # Opened for reading first, since opening for writing would create a missing file.
        cf.close()
        cf.open(to_write=True)
        cf.set_metadata(value)
        cf.commit()


# Records


def _reading(options: argparse.Namespace) -> capturefile.CaptureFile[bytes]:
    return capturefile.open(options.file, encoding=None)


def _records(cf: capturefile.CaptureFile[bytes], span: Span) -> Iterator[bytes]:
    return islice(cf.record_generator(span.first), span.last + 1 - span.first)


def _resolve(span: Span, count: int, file: str) -> Span:
    """The same records of a file of `count` records, counted from the start."""
    for number in span:
        if not 1 <= abs(number) <= count:
            raise IndexError(f"{file}: there is no record {number}, the file has {_counted(count, 'record')}")
    first, last = (number if number > 0 else count + 1 + number for number in span)
    if first > last:
        raise IndexError(f"{file}: range {span.first}-{span.last} runs backwards, from {first} to {last}")
    return Span(first, last)


# Standard input and output


@contextmanager
def _standard_input() -> Iterator[BinaryIO]:
    with (
        _named_errors("standard input"),
        open(STANDARD_INPUT, "rb", buffering=BUFFER_SIZE, closefd=False) as stream,
    ):
        yield stream


def _input_bytes() -> bytes:
    with _standard_input() as stream:
        return stream.read()


def _input_records() -> Iterator[bytes]:
    with _standard_input() as lines:
        for line in lines:
            yield line.removesuffix(b"\n")


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    """Standard output, buffered whatever PYTHONUNBUFFERED says, and flushed at the end.

    What is written before an error is still delivered. After an interrupt it is not: whoever reads may have
    stopped without going away, and flushing would then wait for ever.
    """
    with (
        _named_errors("standard output"),
        open(STANDARD_OUTPUT, "wb", buffering=BUFFER_SIZE, closefd=False) as stream,
    ):
        try:
            yield stream
        except (KeyboardInterrupt, BrokenPipeError):
            _abandon_output()
            raise


@contextmanager
def _named_errors(stream: str) -> Iterator[None]:
    """Names the stream in errors that name no file; those of the library all do."""
    try:
        yield
    except OSError as error:
        if not isinstance(error.filename, str):
            error.filename = stream
        raise


def _abandon_output() -> None:
    """Sends what is still buffered for standard output nowhere, so that nothing fails or waits at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STANDARD_OUTPUT)
    os.close(nowhere)


def _flush_help() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _occupy_closed_streams() -> None:
    """Keeps a capture file from taking the number of a standard stream that is closed, and its output.

    The numbers are taken in the wrong direction, so that using the stream is an error as before.
    """
    directions = {STANDARD_INPUT: os.O_WRONLY, STANDARD_OUTPUT: os.O_RDONLY, STANDARD_ERROR: os.O_RDONLY}
    for descriptor, direction in directions.items():
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, direction)  # It gets the lowest free number, which is this one.


def _write_records(output: BinaryIO, records: Iterable[bytes]) -> None:
    write = output.write
    for record in records:
        write(record)
        write(b"\n")


def _write_at_once(output: BinaryIO, records: Iterable[bytes]) -> None:
    for record in records:
        _write_records(output, (record,))
        output.flush()


def _write_line(output: BinaryIO, line: str) -> None:
    output.write(line.encode() + b"\n")


def _fields(facts: capturefile.Info | capturefile.Recovery | capturefile.Report) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(facts)


def _write_json(output: BinaryIO, value: dict[str, object]) -> None:
    import json

    _write_line(output, json.dumps(value, indent=2))


# Messages


def _say(message: str) -> None:
    """Writes one line to standard error; where that is closed or broken, there is nobody to tell."""
    if sys.stderr is not None:
        one_line = message.replace("\n", "\\n")
        with suppress(OSError):
            print(f"capturefile: {one_line}", file=sys.stderr, flush=True)


def _describe(error: BaseException) -> str:
    if isinstance(error, capturefile.CommitUncertain):
        return error.strerror or str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or repr('')}: {error.strerror}"
    return str(error) or "out of memory"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@contextmanager
def _interrupts_ending_process() -> Iterator[None]:
    """Lets Ctrl-C end the process in a long call that would not notice it and leaves nothing behind."""
    import threading

    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# Arguments


def _protect_numbers(arguments: Sequence[str]) -> Sequence[str]:
    """Keeps `get`, which has no options, from taking ranges such as -3--1 for some."""
    if arguments[:1] != ["get"] or {"-h", "--help", "--"} & set(arguments):
        return arguments
    return ["get", "--", *arguments[1:]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="capturefile",
        description="Reads, writes and checks capture files: compressed, append-only logs of records.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 recovered with loss, 130 interrupted, "
        "141 output no longer read.",
    )
    version = f"%(prog)s {capturefile.__version__}"
    parser.add_argument("--version", action="version", version=version, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_writing_commands(commands)
    _add_reading_commands(commands)
    _add_inspecting_commands(commands)
    _add_metadata_commands(commands)
    return parser


def _add(commands: _Commands, name: str, run: _Command, summary: str) -> argparse.ArgumentParser:
    command = _add_bare(commands, name, summary)
    command.add_argument("file", metavar="FILE", help="path of the capture file")
    command.set_defaults(run=run)
    return command


def _add_bare(commands: _Commands, name: str, summary: str) -> argparse.ArgumentParser:
    description = f"{summary.capitalize()}."
    return commands.add_parser(name, help=summary, description=description, allow_abbrev=False)


def _add_writing_commands(commands: _Commands) -> None:
    append = _add(commands, "append", _append, "add the lines of standard input as records")
    append.add_argument(
        "--commit-every",
        type=_positive,
        default=1000,
        metavar="N",
        help="commit after each N records and at the end (default: %(default)s)",
    )


def _add_reading_commands(commands: _Commands) -> None:
    _add(commands, "cat", _cat, "write all records")
    _add_number(_add(commands, "head", _head, "write the first records"))
    tail = _add(commands, "tail", _tail, "write the last records")
    _add_number(tail)
    tail.add_argument("-f", "--follow", action="store_true", help="go on with what is committed later")
    get = _add(commands, "get", _get, "write the records with the given numbers, in the order asked")
    get.add_argument(
        "numbers",
        type=_span,
        nargs="+",
        metavar="N",
        help="a number, or a range such as 3-7; 1 is the first record, -1 the last, -3--1 the last three",
    )


def _add_inspecting_commands(commands: _Commands) -> None:
    _add(commands, "count", _count, "write the number of records")
    info = _add(commands, "info", _info, "write the sizes and numbers that describe the file")
    verify = _add(commands, "verify", _verify, "read everything in the file and say what is damaged")
    verify.epilog = "Exit codes: 0 sound, 1 damaged, 2 the file could not be checked."
    verify.add_argument("--quick", action="store_true", help="look only where it costs little")
    for command in (info, verify, _add_recover(commands)):
        command.add_argument("--json", action="store_true", help="write JSON")


def _add_recover(commands: _Commands) -> argparse.ArgumentParser:
    recover = _add_bare(commands, "recover", "make a new sound file of all that can be read of a damaged one")
    recover.add_argument("source", metavar="SRC", help="path of the damaged file, which is only read")
    recover.add_argument("target", metavar="DST", help="path of the new file")
    recover.add_argument("--overwrite", action="store_true", help="replace DST if it exists")
    recover.add_argument(
        "--keep-numbers", action="store_true", help="put an empty record in the place of each lost one"
    )
    recover.epilog = "Exit codes: 0 complete, 1 failed, 2 wrong usage, 3 done, but something is lost or uncertain."
    recover.set_defaults(run=_recover)
    return recover


def _add_metadata_commands(commands: _Commands) -> None:
    metadata = _add_bare(commands, "metadata", "get, set or clear the metadata")
    actions = metadata.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add(actions, "get", _get_metadata, "write the metadata, exactly; on a terminal, with a newline after it")
    setter = _add(actions, "set", _set_metadata, "replace the metadata")
    setter.add_argument("value", metavar="VALUE", nargs="?", help="the metadata (default: standard input)")
    _add(actions, "clear", _clear_metadata, "remove the metadata")


def _add_number(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-n", "--number", type=_natural, default=10, metavar="N", help="how many (default: %(default)s)"
    )


def _natural(text: str) -> int:
    return _at_least(0, text)


def _positive(text: str) -> int:
    return _at_least(1, text)


def _at_least(lowest: int, text: str) -> int:
    with suppress(ValueError):
        if (number := int(text)) >= lowest:
            return number
    raise argparse.ArgumentTypeError(f"expected a whole number from {lowest} up, not {text!r}")


def _span(text: str) -> Span:
    found = SPAN.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a record number or a range such as 3-7, not {text!r}")
    first, last = found.groups()
    return Span(int(first), int(last or first))
