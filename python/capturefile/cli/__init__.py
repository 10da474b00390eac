"""The command `capturefile`: capture files in the shell.

Results go to standard output, everything else to standard error. Exit codes:

    0    success; `verify`: the file is sound; `recover`: nothing is missing; `grep`: there are matches
    1    failure; `verify`: the file is damaged; `grep`: there are no matches
    2    wrong usage; `verify`, `grep`: the file could not be read, for example because it is not a capture file
    3    success with losses: `recover`, or a command with `--skip-unreadable`
    130  interrupted by Ctrl-C
    141  the reader of standard output stopped reading, as if SIGPIPE had ended the program
    143  terminated by SIGTERM; on Windows 149, by closing the console or Ctrl-Break

Each command has a module in `commands`; this package contains what they share. Slow imports happen where they are used,
so that the command starts fast.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

import capturefile
from capturefile._errors import in_words
from capturefile.cli.exit_codes import (
    BROKEN_PIPE,
    DONE,
    EXPECTED_ERRORS,
    FAILED,
    INTERRUPTED,
    WRONG_USAGE,
    Terminated,
    WrongUsage,
)
from capturefile.cli.messages import say
from capturefile.cli.streams import abandon_output, flush_help, occupy_closed_streams, standard_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from capturefile.cli.arguments import Command, Parser

COMMANDS = {
    "append": "add records from standard input or files, one per line",
    "cat": "print all records",
    "head": "print the first records",
    "tail": "print the last records",
    "sample": "print records chosen at random, in their order",
    "get": "print the records with the given numbers, in the given order",
    "count": "print the number of records; for several files, with their names and the total",
    "follow": "print records as they are committed by any process",
    "grep": "print the records that match a pattern",
    "index": "create or update an index of fields, with which --where reads less",
    "info": "print sizes and numbers that describe the file",
    "du": "print the disk space and number of records of files",
    "verify": "read the whole file and report damage",
    "recover": "write everything that can be read of a damaged file to a new, sound one",
    "copy": "copy records to a new file: recompress, join, split",
    "merge": "write the records of several files, each in the order of a key, to a new file in that order",
    "backup": "copy a file or a rotated log as of its last commit, even while it is being written",
    "upload": "upload a file or a rotated log to an object store, even while it is being written",
    "import": "add records from JSON lines, CSV, TSV or Parquet",
    "export": "write records as JSON lines, CSV, TSV or Parquet",
    "metadata": "get, set or clear the metadata",
    "view": "show files, and how they grow, in a local web page",
    "completion": "print a script that makes a shell complete commands and options",
}
"""The commands with their summaries, in the order of the help; each is a module of `capturefile.cli.commands`."""

EPILOG = """\
examples:
  my-program | capturefile append log.capture
  capturefile tail --follow log.capture
  capturefile help COMMAND

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with loss, 130 interrupted, 141 output no longer read."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command with `arguments`, by default the process's own, and returns its exit code."""
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Terminated as end:
        if sys.platform == "win32":
            return 128 + end.number  # No process can be ended by a signal.
        os.kill(os.getpid(), end.number)
        raise
    except BrokenPipeError:
        abandon_output()
        return BROKEN_PIPE
    except WrongUsage as error:
        say(in_words(error))
        return WRONG_USAGE
    except ImportError as error:
        if not error.name or error.name.partition(".")[0] == "capturefile":
            raise
        say(str(error))
        return WRONG_USAGE
    except EXPECTED_ERRORS as error:
        say(in_words(error))
        return FAILED


def _run(arguments: Sequence[str]) -> int:
    try:
        options = _parsed(arguments or ["--help"])
    except SystemExit as stop:
        flush_help()
        return stop.code if isinstance(stop.code, int) else DONE
    occupy_closed_streams()
    run: Command = options.run
    try:
        with standard_output() as output:
            return run(options, output)
    except FileExistsError as error:
        if "overwrite" in options and error.strerror:
            error.strerror += "; --overwrite replaces it"
        raise


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    if arguments[0] == "--version":
        print("capturefile", capturefile.__version__)
        sys.exit()
    from capturefile.cli.arguments import protect_numbers

    if arguments[0] == "help":
        arguments = [*(word for word in arguments[1:] if word != "help"), "--help"]
    name = arguments[0]
    if name.startswith("-"):
        return _overview().parse_args(arguments)
    if name not in COMMANDS:
        raise WrongUsage(f"unknown command {name}{_hint(name)}")
    return parser([name]).parse_args(protect_numbers(arguments))


def _hint(word: str) -> str:
    """Returns the end of the message that a word is not a command."""
    from capturefile.cli.arguments import did_you_mean

    if os.path.exists(word):
        return "; it comes before the file, as in capturefile tail FILE"
    return did_you_mean(word, COMMANDS) or "; capturefile help lists all"


def parser(names: Iterable[str] = COMMANDS) -> Parser:
    """Returns the parser of the commands with these names."""
    described = _without_commands()
    commands = described.add_subparsers(metavar="COMMAND", required=True, prog="capturefile")
    for name in names:
        module = f"{name}_" if name == "import" else name  # A keyword cannot be imported by name.
        import_module(f"capturefile.cli.commands.{module}").add_to(commands, COMMANDS[name])
    return described


def _overview() -> Parser:
    """Returns the parser of a call without a command, which lists the commands but does not load them."""
    described = _without_commands(
        usage="%(prog)s [-h] [--version] COMMAND ...",
        description="Reads, writes and checks capture files: compressed, append-only logs of records.",
        epilog=EPILOG,
    )
    listed = described.add_argument_group("commands")
    for name, summary in COMMANDS.items():
        listed.add_argument(name, help=summary)
    return described


def _without_commands(**options: str) -> Parser:
    from capturefile.cli.arguments import Parser

    described = Parser(prog="capturefile", **options)
    described.add_argument("--version", action="store_true", help="show the version and exit")
    return described
