"""The parser of the command, and the types of its arguments."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, BinaryIO, ClassVar, NoReturn, TypeAlias

    Command: TypeAlias = Callable[[argparse.Namespace, BinaryIO], int]
    Commands: TypeAlias = "argparse._SubParsersAction[Parser]"

SPAN = re.compile(r"(?P<first>-?[0-9]+)(?P<open>-(?P<last>-?[0-9]+)?)?", re.ASCII)
TIME_OPTIONS = ("--since", "--until", "--time")
PAGE_SIZE = 4096
"""The page size of new files, in bytes."""
SIZES = {"": 1, "K": 1024, "M": 1024 * 1024}


class Span:
    """Records from `first` to `last`, both included; negative numbers count from the end."""

    def __init__(self, first: int, last: int) -> None:
        """Does not check the numbers against a file."""
        self.first = first
        self.last = last

    def __str__(self) -> str:
        """Formats the range as on the command line."""
        return f"{self.first}-{self.last}"


EVERYTHING = Span(1, -1)
"""The default range, which also works for a file without records."""


if sys.version_info[:2] == (3, 14):

    class _Formatter(argparse.RawDescriptionHelpFormatter):
        """Chooses colours when text is formatted.

        argparse chooses them whenever it creates a formatter, for which this version imports dataclasses.
        """

        def _set_color(self, color: bool) -> None:
            self.__dict__.pop("_theme", None)
            self._wants_color = color

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever argparse has
            if name not in ("_theme", "_decolor"):
                raise AttributeError(name)
            super()._set_color(self._wants_color)
            return self.__dict__[name]

else:
    _Formatter = argparse.RawDescriptionHelpFormatter


class HelpFormatter(_Formatter):
    """Formats help to the width of the terminal.

    argparse creates one for every argument that is described, and would determine the width each time, with a module
    that takes long to import.
    """

    width: ClassVar[int | None] = None

    def __init__(self, prog: str, **options: Any) -> None:  # noqa: ANN401 - whatever argparse has
        """Determines the width when the first one is created."""
        if HelpFormatter.width is None:
            HelpFormatter.width = _terminal_width() - 2
        super().__init__(prog, **{"width": HelpFormatter.width, **options})

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        """Does not change a name with brackets, which already shows how often the argument may be given."""
        is_whole = isinstance(action.metavar, str) and action.metavar.startswith("[")
        return str(action.metavar) if is_whole else super()._format_args(action, default_metavar)


def _terminal_width() -> int:
    with suppress(ValueError):
        return max(40, int(os.environ.get("COLUMNS", "")))
    with suppress(OSError):
        return max(40, os.get_terminal_size(1).columns)
    return 80


class Parser(argparse.ArgumentParser):
    """Parses a command; errors name the cause rather than the consequence, with the command's own usage."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - whatever argparse has
        """Accepts options by their full names only."""
        super().__init__(**{"formatter_class": HelpFormatter, "allow_abbrev": False, **options})
        self.given: Sequence[str] = ()
        self.complaint: Callable[[argparse.Namespace], str | None] = lambda _: None
        """Reports arguments that are valid individually, but not together."""

    # Parsers of commands leave unknown arguments to the main parser, which shows its own usage.
    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parses arguments, and refuses unknown ones and invalid combinations."""
        self.given = sys.argv[1:] if args is None else list(args)
        found, unknown = super().parse_known_args(self.given, namespace)
        if unknown and not any(map(_is_option, unknown)):
            unknown = self._placed(unknown, found)
        if unknown:
            self.error(f"unexpected arguments: {' '.join(unknown)}")
        if complaint := self.complaint(found):
            self.error(complaint)
        return found, unknown

    def _placed(self, words: list[str], found: argparse.Namespace) -> list[str]:
        """Adds words to the last positional argument if it has room for them, and returns the others.

        argparse accepts them only if there is no option between them and the first positional argument.
        """
        last = next((action for action in reversed(self._actions) if not action.option_strings), None)
        if last is None or last.nargs not in ("+", "*", "?"):
            return words
        try:
            values = [self._get_value(last, word) for word in words]
        except argparse.ArgumentError as error:
            self.error(str(error))
        if last.nargs == "?":
            if len(values) > 1 or getattr(found, last.dest) != last.default or last.default in self.given:
                return words
            setattr(found, last.dest, values[0])
        else:
            setattr(found, last.dest, [*getattr(found, last.dest), *values])
        return []

    def _check_value(self, action: argparse.Action, value: Any) -> None:  # noqa: ANN401 - as argparse declares it
        """Refuses a value; in place of a command, such as after `metadata`, with an example."""
        if action.nargs == argparse.PARSER and action.choices is not None and value not in action.choices:
            names = [str(name) for name in action.choices]
            expected = f"; expected {', '.join(names[:-1])} or {names[-1]}, as in {self.prog} {names[0]} FILE"
            self.error(f"unknown command {value}{did_you_mean(value, names) or expected}")
        if value in ("2", "3") and action.dest == "format" and "--file-format" in self._option_string_actions:
            self.error(f"argument --format: invalid choice: {value!r}; the format of the file is --file-format {value}")
        super()._check_value(action, value)

    def error(self, message: str) -> NoReturn:
        """Ends the process; an unknown option is reported rather than the consequence that argparse reports."""
        for argument in self.given:
            if argument == "--":
                break
            name = argument.partition("=")[0]
            if name.startswith("--") and name not in self._option_string_actions:
                message = f"unknown option {name}{did_you_mean(name, self._option_string_actions)}"
                break
            if re.fullmatch(r"-[A-Za-z].*", name) and name[:2] not in self._option_string_actions:
                message = f"unknown option {name[:2]}"
                break
        super().error(message)


def _is_option(argument: str) -> bool:
    return argument.startswith("-") and argument != "-"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns the probably intended word, as the end of an error message."""
    from difflib import get_close_matches

    likely = get_close_matches(word, list(known), 1)
    return f"; did you mean {likely[0]}?" if likely else ""


def add_command(commands: Commands, name: str, run: Command, summary: str, example: str) -> Parser:
    """Adds a command with the argument FILE."""
    command = add_bare(commands, name, summary, example)
    command.add_argument("file", metavar="FILE", help="path of the capture file")
    command.set_defaults(run=run)
    return command


def add_bare(commands: Commands, name: str, summary: str, example: str = "") -> Parser:
    """Adds a command without arguments."""
    command = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
    )
    if example:
        command.epilog = "examples:\n" + "\n".join(f"  {line}" for line in example.splitlines())
    return command


def add_format_version(command: argparse.ArgumentParser) -> None:
    """Adds the options for the format of a new file."""
    command.add_argument(
        "--file-format",
        type=integer,
        choices=(2, 3),
        default=2,
        help="format version of a new file; only this package reads format 3 (default: %(default)s)",
    )


def add_selection(command: argparse.ArgumentParser) -> None:
    """Adds the options that select records, and that skip unreadable ones."""
    command.add_argument(
        "--range",
        type=span,
        default=EVERYTHING,
        metavar="RANGE",
        help="only these records: 10-20, 10- (to the end), -100- (the last hundred), 7",
    )
    command.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="skip records in damaged blocks; the exit code is then 3",
    )


def natural(text: str) -> int:
    """Parses a number of at least 0."""
    return whole_number(text, 0)


def number_or_start(text: str) -> tuple[int, bool]:
    """Parses a number of at least 0; with a plus sign, it is the number of the first record."""
    return natural(text), text.strip().startswith("+")


def positive(text: str) -> int:
    """Parses a number of at least 1."""
    return whole_number(text, 1)


def integer(text: str) -> int:
    """Parses an integer."""
    with suppress(ValueError):
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a whole number, not {text!r}")


def whole_number(text: str, lowest: int) -> int:
    """Parses an integer with a minimum."""
    with suppress(ValueError):
        if (number := int(text)) >= lowest:
            return number
    raise argparse.ArgumentTypeError(f"expected a whole number of at least {lowest}, not {text!r}")


def seconds(text: str) -> float:
    """Parses a time that is not negative; `inf` means for ever."""
    with suppress(ValueError):
        if (number := float(text)) >= 0 and not math.isnan(number):
            return number
    raise argparse.ArgumentTypeError(f"expected a number of seconds of at least 0, or inf, not {text!r}")


def size(text: str) -> int:
    """Parses a number of bytes, in whole pages, such as 65536, 64K or 1M."""
    digits, unit = (text[:-1], text[-1]) if text[-1:] in ("K", "M") else (text, "")
    number = positive(digits) * SIZES[unit]
    if number % PAGE_SIZE:
        raise argparse.ArgumentTypeError(f"expected a multiple of 4K, not {text!r}")
    return number


def span(text: str) -> Span:
    """Parses a record number or a range."""
    found = SPAN.fullmatch(text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a record number or a range such as 3-7 or 3-, not {text!r}")
    first = int(found["first"])
    if found["open"] is None:
        return Span(first, first)
    return Span(first, int(found["last"] or -1))


def protect_numbers(arguments: Sequence[str]) -> list[str]:
    """Puts a space before ranges such as -3--1, and times such as -2h, so that argparse does not parse them as options.

    `head -3` and `tail -3` are `-n 3`, as users know them.
    """
    protected: list[str] = []
    if arguments[:1] in (["head"], ["tail"]) and re.fullmatch(r"-[0-9]+", arguments[1] if arguments[1:] else ""):
        return [arguments[0], "-n", arguments[1][1:], *arguments[2:]]
    numbers_wanted = arguments[:1] == ["get"]
    for index, argument in enumerate(arguments):
        if argument == "--":
            return [*protected, *arguments[index:]]
        before = arguments[index - 1] if index else ""
        is_range = SPAN.fullmatch(argument) and (numbers_wanted or before == "--range")
        is_value = is_range or before in TIME_OPTIONS
        protected.append(f" {argument}" if is_value and re.match("-[0-9]", argument) else argument)
    return protected
