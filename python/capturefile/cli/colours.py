"""Colours on a terminal for the most important output, unless NO_COLOR is set."""

from __future__ import annotations

import os

from capturefile.cli.streams import is_terminal

RED = "\x1b[1;31m"
GREEN = "\x1b[1;32m"
RESET = "\x1b[0m"


def has_colours(descriptor: int) -> bool:
    """Returns whether output to a descriptor is displayed in colours."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and is_terminal(descriptor)


def painted(text: str, colour: str, descriptor: int) -> str:
    """Returns the text in a colour, if colours are used."""
    return f"{colour}{text}{RESET}" if has_colours(descriptor) else text
