"""The command `completion`: writes scripts for shells, generated from the definitions of the commands."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, NamedTuple

from capturefile.cli.arguments import add_bare
from capturefile.cli.exit_codes import DONE
from capturefile.cli.streams import write_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
source <(capturefile completion bash)                                   # in ~/.bashrc
source <(capturefile completion zsh)                                    # in ~/.zshrc, after compinit
capturefile completion fish > ~/.config/fish/completions/capturefile.fish"""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    completion = add_bare(commands, "completion", summary, EXAMPLE)
    completion.add_argument("shell", choices=list(SCRIPTS), help="the shell that will run the script")
    completion.set_defaults(run=_complete)


def _complete(options: argparse.Namespace, output: BinaryIO) -> int:
    from capturefile.cli import parser

    write_line(output, SCRIPTS[options.shell](list(_entries(parser(), ()))))
    return DONE


class Option(NamedTuple):
    """An option, with all its names."""

    names: list[str]
    help: str
    takes_value: bool
    takes_file: bool
    choices: list[str]


class Entry(NamedTuple):
    """A command, or a word that is followed by commands."""

    words: tuple[str, ...]
    options: list[Option]
    commands: dict[str, str]
    """The words that may follow, with their meanings."""
    choices: list[str]
    """The arguments that it accepts, if these are fixed words and not files."""


def _entries(parser: argparse.ArgumentParser, words: tuple[str, ...]) -> Iterator[Entry]:
    """Yields the command that `parser` defines, and all those below it."""
    actions = parser._actions
    nested = [action for action in actions if isinstance(action, argparse._SubParsersAction)]
    options = [_option(action) for action in actions if action.option_strings]
    positional = [action for action in actions if not action.option_strings and action not in nested]
    choices = [str(choice) for action in positional for choice in action.choices or ()]
    commands = {str(item.dest): item.help or "" for action in nested for item in action._choices_actions}
    yield Entry(words, options, commands, choices)
    for action in nested:
        for name, below in action.choices.items():
            yield from _entries(below, (*words, name))


def _option(action: argparse.Action) -> Option:
    choices = [str(choice) for choice in action.choices or ()]
    text = re.sub(r"%\((\w+)\)\w", lambda found: str(getattr(action, found[1])), action.help or "")
    return Option(list(action.option_strings), text, action.nargs != 0, action.metavar == "PATH", choices)


def _quoted(text: str) -> str:
    """Returns the text in single quotes for any of the shells."""
    return "'" + text.replace("'", "'\\''") + "'"


# bash

BASH = """\
# Completion of capturefile for bash.
_capturefile() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD - 1]}}" path="" index
    for ((index = 1; index < COMP_CWORD; index++)); do
        case "$path ${{COMP_WORDS[index]}}" in
            {paths}) path="$path ${{COMP_WORDS[index]}}" ;;
        esac
    done
    COMPREPLY=()
    case "$path:$before" in
{values}
    esac
    local words=""
    case "$path" in
{words}
    esac
    if [[ $word == -* || -n $words && $words != -* ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$word"))
    else
        compopt -o filenames 2> /dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}}
complete -F _capturefile capturefile"""


def _bash(entries: list[Entry]) -> str:
    paths = "|".join(_quoted(_path(entry)) for entry in entries if entry.words)
    values: list[str] = []
    words: list[str] = []
    for entry in entries:
        names = [name for option in entry.options for name in option.names]
        wanted = [*entry.commands, *entry.choices, *names]
        words.append(f"        {_quoted(_path(entry))}) words={_quoted(' '.join(wanted))} ;;")
        values += [_bash_value(entry, option) for option in entry.options if option.takes_value]
    return BASH.format(paths=paths, values="\n".join(values), words="\n".join(words))


def _path(entry: Entry) -> str:
    return "".join(f" {word}" for word in entry.words)


def _bash_value(entry: Entry, option: Option) -> str:
    """Returns the completion for the value of an option."""
    cases = "|".join(_quoted(f"{_path(entry)}:{name}") for name in option.names)
    kind = "-f" if option.takes_file else f"-W {_quoted(' '.join(option.choices))}"
    return f'        {cases}) mapfile -t COMPREPLY < <(compgen {kind} -- "$word"); return ;;'


# zsh

ZSH = """\
#compdef capturefile
# Completion of capturefile for zsh.
{functions}
if [ "$funcstack[1]" = _capturefile ]; then
    _capturefile "$@"
else
    compdef _capturefile capturefile
fi"""


def _zsh(entries: list[Entry]) -> str:
    return ZSH.format(functions="\n".join(map(_zsh_function, entries)))


def _zsh_function(entry: Entry) -> str:
    arguments = [_zsh_option(option) for option in entry.options]
    lines = [f"{_zsh_name(entry)}() {{"]
    if entry.commands:
        described = " ".join(_quoted(f"{name}:{text}") for name, text in entry.commands.items())
        cases = "\n".join(f"            {name}) {_zsh_name(entry)}_{name} ;;" for name in entry.commands)
        lines += [
            "    local state line",
            "    local -a commands",
            f"    commands=({described})",
            f"    _arguments -C {' '.join(arguments)} '1: :->command' '*:: :->rest'",
            "    case $state in",
            "        command) _describe command commands ;;",
            "        rest) case $line[1] in",
            cases,
            "        esac ;;",
            "    esac",
        ]
    else:
        rest = f"'*: :({' '.join(entry.choices)})'" if entry.choices else "'*: :_files'"
        lines.append(f"    _arguments {' '.join([*arguments, rest])}")
    return "\n".join([*lines, "}"])


def _zsh_name(entry: Entry) -> str:
    return "_".join(("_capturefile", *entry.words))


def _zsh_option(option: Option) -> str:
    meaning = re.sub(r"([\[\]:])", r"\\\1", option.help)
    value = ""
    if option.takes_value:
        value = ": :_files" if option.takes_file else f": :({' '.join(option.choices)})"
    if len(option.names) == 1:
        return _quoted(f"{option.names[0]}[{meaning}]{value}")
    both = " ".join(option.names)
    return f"{_quoted(f'({both})')}{{{','.join(option.names)}}}{_quoted(f'[{meaning}]{value}')}"


# fish

FISH = """\
# Completion of capturefile for fish.
function __capturefile_at
    set -l words (commandline -opc)
    set -l path
    for word in $words[2..]
        if contains -- (string trim -- "$path $word") {paths}
            set -a path $word
        end
    end
    test "$path" = "$argv"
end
{lines}"""


def _fish(entries: list[Entry]) -> str:
    paths = " ".join(_fish_quoted(" ".join(entry.words)) for entry in entries if entry.words)
    return FISH.format(paths=paths, lines="\n".join(line for entry in entries for line in _fish_lines(entry)))


def _fish_lines(entry: Entry) -> Iterator[str]:
    at = _fish_quoted(" ".join(["__capturefile_at", *entry.words]))
    start = f"complete -c capturefile -n {at}"
    for name, text in entry.commands.items():
        yield f"{start} -f -a {name} -d {_fish_quoted(text)}"
    if entry.choices:
        yield f"{start} -f -a {_fish_quoted(' '.join(entry.choices))}"
    for option in entry.options:
        names = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names]
        value = ""
        if option.takes_value:
            value = " -r -F" if option.takes_file else f" -x -a {_fish_quoted(' '.join(option.choices))}"
        yield f"{start} {' '.join(names)}{value} -d {_fish_quoted(option.help)}"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SCRIPTS: dict[str, Callable[[list[Entry]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
