"""Draws the output of commands, as a terminal shows it, into docs/pictures.

    python docs/terminal.py
    python docs/terminal.py --check

Each picture also contains its text, for readers that show no pictures. `--check` compares that text with what the
commands print now. Drawing requires the package rich.
"""

from __future__ import annotations

import argparse
import difflib
import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from html import escape, unescape
from io import FileIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import sample

PICTURES = Path(__file__).parent / "pictures"
COLUMNS = 112
NUMBER = re.compile(r"\d+")
"""Numbers differ from run to run: times of creation, and compressed sizes."""
OVERWRITTEN = re.compile(r"[^\n]*\r\x1b\[K")
"""A progress line, which appears only on slow machines."""
ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
SESSIONS = {
    "command-find": (
        "capturefile count gateway.capture",
        "capturefile tail -n 2 gateway.capture",
        "capturefile grep -n -C 1 -m 1 'refused|disk full' gateway.capture",
        "capturefile count --since 2026-11-30T14:20Z --time-field time gateway.capture",
    ),
    "command-look": ("capturefile info gateway.capture",),
    "command-rescue": (
        "dd if=/dev/zero of=gateway.capture bs=100 seek=1500 count=1 conv=notrunc status=none",
        "capturefile verify gateway.capture",
        "capturefile recover gateway.capture rescued.capture",
        "capturefile verify rescued.capture",
    ),
}
"""The commands of each picture."""
TEMPLATE = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
<rect fill="#1b2129" width="{width}" height="{height}" rx="8"/>
<g transform="translate({terminal_x}, 12)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def shown(command: str, folder: Path) -> str:
    """Returns what a command writes to a terminal."""
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    variables = {"PATH": path, "TERM": "xterm", "LANG": "C.UTF-8", "HOME": str(folder), "TZ": "UTC"}
    with (
        os.fdopen(master, "rb", buffering=0) as written,
        subprocess.Popen(
            shlex.split(command), cwd=folder, env=variables, stdin=terminal, stdout=terminal, stderr=terminal
        ),
    ):
        os.close(terminal)
        text = read_all(written).decode().replace("\r\n", "\n")
    return OVERWRITTEN.sub("", text)


def read_all(written: FileIO) -> bytes:
    """Reads until the last process has closed its end."""
    pieces = []
    with suppress(OSError):  # Linux reports the end as an error.
        while piece := written.read(1 << 16):
            pieces.append(piece)
    return b"".join(pieces)


def session(commands: tuple[str, ...], folder: Path) -> str:
    """Returns the commands of a picture, each with its output."""
    return "\n".join(f"\x1b[1;36m$\x1b[0m {command}\n{shown(command, folder)}" for command in commands)


def plain(text: str) -> str:
    """Returns the text without colours, and with the same digit in all numbers."""
    return NUMBER.sub("0", ESCAPE.sub("", text)).strip()


def draw(name: str, text: str) -> str:
    """Returns the picture of a session."""
    from rich.console import Console
    from rich.terminal_theme import MONOKAI
    from rich.text import Text

    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(text.strip()))
    drawn: str = console.export_svg(code_format=TEMPLATE, theme=MONOKAI, unique_id=name, font_aspect_ratio=0.602)
    told = f"<title>{name}</title>\n<desc>{escape(ESCAPE.sub('', text).strip())}</desc>\n"
    start, style, rest = drawn.partition("<style>")
    return re.sub(r"^\s+|\s+$", "", start, flags=re.MULTILINE) + "\n" + told + style + rest


def described(name: str) -> str:
    """Returns the text of an existing picture."""
    path = PICTURES / f"{name}.svg"
    found = re.search(r"<desc>(.*)</desc>", path.read_text(encoding="utf-8") if path.exists() else "", re.DOTALL)
    return unescape(found[1]) if found else ""


def differences(name: str, text: str) -> list[str]:
    """Returns the lines that differ between a picture and the current output of its commands."""
    before, now = plain(described(name)).splitlines(), plain(text).splitlines()
    return list(difflib.unified_diff(before, now, f"{name}.svg", "now", lineterm=""))


def main() -> int:
    """Runs with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="draw nothing, and print how pictures are out of date")
    check = parser.parse_args().check
    stale: list[str] = []
    with TemporaryDirectory() as folder:
        sample.make(Path(folder))
        for name, commands in SESSIONS.items():
            text = session(commands, Path(folder))
            stale += differences(name, text)
            if not check:
                (PICTURES / f"{name}.svg").write_text(draw(name, text), encoding="utf-8")
    if check and stale:
        print("\n".join([*stale, "out of date: make pictures draws them again"]))
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
