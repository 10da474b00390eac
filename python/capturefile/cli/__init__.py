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

import argparse
import os
import sys
from importlib import import_module

from capturefile._errors import in_words
from capturefile.cli.arguments import Parser, ShowVersion, did_you_mean, protect_numbers
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
    from collections.abc import Sequence

    from capturefile.cli.arguments import Command

COMMANDS = (
    *("append", "cat", "head", "tail", "sample", "get", "count", "follow", "grep", "info", "du", "verify", "recover"),
    *("copy", "merge", "backup", "upload", "import", "export", "metadata", "view", "completion"),
)
"""The commands in the order of the help; each is a module of `capturefile.cli.commands` with the same name."""

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
    except EXPECTED_ERRORS as error:
        say(in_words(error))
        return FAILED


def _run(arguments: Sequence[str]) -> int:
    try:
        arguments = _with_help(arguments)
        options = parser(arguments[0]).parse_args(protect_numbers(arguments))
    except SystemExit as stop:
        flush_help()
        return stop.code if isinstance(stop.code, int) else DONE
    occupy_closed_streams()
    run: Command = options.run
    with standard_output() as output:
        return run(options, output)


def _with_help(arguments: Sequence[str]) -> Sequence[str]:
    """Translates `help COMMAND`, and a call without arguments."""
    if not arguments:
        return ["--help"]
    if arguments[0] == "help":
        arguments = [*arguments[1:], "--help"]
    if not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        hint = did_you_mean(arguments[0], COMMANDS) or "; capturefile help lists all"
        if os.path.exists(arguments[0]):
            hint = "; it comes before the file, as in capturefile tail FILE"
        raise WrongUsage(f"there is no command {arguments[0]}{hint}")
    return arguments


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """Returns the parser of all commands, or, to save time, only that of `command` if there is one."""
    described = Parser(
        prog="capturefile",
        description="Reads, writes and checks capture files: compressed, append-only logs of records.",
        epilog=EPILOG,
    )
    described.add_argument("--version", action=ShowVersion, help="show the version and exit")
    commands = described.add_subparsers(title="commands", metavar="COMMAND", required=True, prog="capturefile")
    if command != "--version":
        for name in [command] if command in COMMANDS else COMMANDS:
            import_module(f"capturefile.cli.commands.{_module_name(name)}").add_to(commands)
    return described


def _module_name(command: str) -> str:
    return f"{command}_" if command == "import" else command  # A keyword cannot be imported by name.
