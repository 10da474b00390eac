"""Standard input and output, and other input and output files."""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
from contextlib import contextmanager
from io import BufferedReader, BufferedWriter, FileIO, RawIOBase

from capturefile.cli.exit_codes import Terminated, WrongUsage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

STANDARD_INPUT = 0
STANDARD_OUTPUT = 1
STANDARD_ERROR = 2
BUFFER_SIZE = 1 << 16

if sys.platform == "win32":
    ENDING = (signal.SIGTERM, signal.SIGBREAK)
else:
    ENDING = (signal.SIGTERM, signal.SIGHUP)
"""The signals that end a process, except the interrupt."""

STANDARD = "-"
"""The file name for a standard stream."""


class Stream(FileIO):
    """A file whose reads and writes wait, even if its descriptor is non-blocking.

    That property belongs to the open file, which other processes share, such as a terminal or a pipe of the parent,
    so it must not be changed.
    """

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - typeshed has no public name for a writable buffer
        """Reads at least one byte, except at the end."""
        while (count := super().readinto(buffer)) is None:
            wait_for(self.fileno(), to_write=False)
        return count

    def readall(self) -> bytes:
        """Reads to the end."""
        pieces = []
        buffer = bytearray(BUFFER_SIZE)
        while count := self.readinto(buffer):
            pieces.append(bytes(buffer[:count]))
        return b"".join(pieces)

    def write(self, data: Any) -> int:  # noqa: ANN401 - as above
        """Writes at least one byte."""
        try:
            while (count := super().write(data)) is None:
                wait_for(self.fileno(), to_write=True)
        except OSError as error:
            # Windows reports only this if the reader of a pipe is gone.
            if sys.platform == "win32" and error.errno == errno.EINVAL:
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error
            raise
        return count


def wait_for(descriptor: int, *, to_write: bool) -> None:
    """Returns when something can be written or read, or an error is pending."""
    import select

    if sys.platform == "win32":
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))  # Streams are never non-blocking there.
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT if to_write else select.POLLIN)
    poll.poll()


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Yields standard output, buffered regardless of PYTHONUNBUFFERED, and flushed at the end.

    Output before an error is still delivered, but not after an interrupt: the reader may have stopped reading without
    closing, and flushing would wait for ever.
    """
    with (
        named_errors("standard output"),
        BufferedWriter(_output(STANDARD_OUTPUT), BUFFER_SIZE) as stream,
    ):
        try:
            yield stream
        except (KeyboardInterrupt, Terminated, BrokenPipeError):
            abandon_output()
            raise


def _output(descriptor: int) -> RawIOBase:
    if sys.platform == "win32" and is_terminal(descriptor):
        # Bytes written to the console are interpreted in a legacy encoding; this makes it UTF-8.
        return open(descriptor, "wb", buffering=0, closefd=False)
    return Stream(descriptor, "wb", closefd=False)


def is_terminal(descriptor: int) -> bool:
    """Returns whether a descriptor is a terminal that understands escape sequences."""
    if sys.platform == "win32":
        from capturefile.cli.console import is_console

        return is_console(descriptor)
    return os.isatty(descriptor)


def writes_to_terminal() -> bool:
    """Returns whether standard output is a terminal."""
    return is_terminal(STANDARD_OUTPUT)


def refuse_terminal(content: str, *, force: bool) -> None:
    """Refuses to write binary content to a terminal unless `force` is true."""
    if writes_to_terminal() and not force:
        raise WrongUsage(
            f"refusing to write {content} to a terminal (it may contain control characters); "
            "redirect it, or use --force"
        )


def write_line(output: BinaryIO, line: str) -> None:
    """Writes a line of text, which may contain a path that is not UTF-8."""
    output.write(line.encode(errors="surrogateescape") + b"\n")


def write_json(output: BinaryIO, value: object) -> None:
    """Writes a value for programs to read."""
    import json

    write_line(output, json.dumps(value, indent=2))


def shown_name(name: str) -> str:
    """Returns the name of an input for messages."""
    return "standard input" if name == STANDARD else name


@contextmanager
def open_input(name: str) -> Iterator[BinaryIO]:
    """Opens the file called `name`, or standard input."""
    file: int | str = STANDARD_INPUT if name == STANDARD else name
    with (
        named_errors(shown_name(name)),
        BufferedReader(Stream(file, "rb", closefd=name != STANDARD), BUFFER_SIZE) as stream,
    ):
        yield stream


def check_inputs(names: list[str], target: str) -> None:
    """Reports a file that is missing, unreadable, or the target, before any other is processed."""
    for name in names:
        refuse_same_file(STANDARD_INPUT if name == STANDARD else name, target)
        if name != STANDARD and not os.access(name, os.R_OK):
            os.stat(name)
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)


def refuse_same_file(other: int | str, file: str) -> None:
    """Prevents a command from reading its own output: `other` is a path or the number of a standard stream."""
    try:
        found = os.stat(file)
        same = os.path.samestat(os.stat(other), found)
    except OSError:
        return  # Opening it reports the error.
    if same and stat.S_ISREG(found.st_mode):
        name = other if isinstance(other, str) else ("standard input", "standard output")[other]
        raise WrongUsage(f"{file}: it cannot be both read and written, and {name} is the same file")


@contextmanager
def named_errors(stream: str) -> Iterator[None]:
    """Adds the name of the stream to errors without a file name; those of the library all have one."""
    try:
        yield
    except OSError as error:
        if not isinstance(error.filename, str):
            error.filename = stream
        raise


@contextmanager
def new_file(name: str, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Yields a new file, which appears under its name once it is complete. A pipe or a device is written directly."""
    if os.path.exists(name) and not os.path.isfile(name):
        with named_errors(name), BufferedWriter(Stream(name, "wb"), BUFFER_SIZE) as stream:
            yield stream
        return
    with new_name(name, overwrite=overwrite) as hidden, open(hidden, "wb", buffering=BUFFER_SIZE) as stream:
        yield stream


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """Makes signals end the process only after unfinished files have been deleted."""
    taken = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
    try:
        for number in taken:
            signal.signal(number, _terminate)
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _terminate(number: int, _frame: object) -> None:
    for further in ENDING:
        signal.signal(further, signal.SIG_IGN)
    raise Terminated(number)


@contextmanager
def new_name(name: str, *, overwrite: bool) -> Iterator[str]:
    """Yields the name of an empty file that is renamed to `name` at the end, unless an error occurs."""
    from capturefile._files import replacing

    with ending_cleanly(), replacing(name, overwrite=overwrite) as hidden:
        yield hidden


def abandon_output() -> None:
    """Discards buffered standard output, so that nothing fails or waits at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STANDARD_OUTPUT)
    os.close(nowhere)


def flush_help() -> None:
    """Flushes the output of argparse, which fails if there is no reader."""
    if sys.stdout is not None:
        sys.stdout.flush()


def write_all(descriptor: int, data: bytes) -> None:
    """Writes without a buffer, even if the descriptor is non-blocking."""
    with _output(descriptor) as stream:
        while data:
            data = data[stream.write(data) or 0 :]


def occupy_closed_streams() -> None:
    """Prevents a capture file from getting the descriptor, and so the output, of a closed standard stream.

    The descriptors are opened in the wrong direction, so that using the stream is still an error.
    """
    directions = {STANDARD_INPUT: os.O_WRONLY, STANDARD_OUTPUT: os.O_RDONLY, STANDARD_ERROR: os.O_RDONLY}
    for descriptor, direction in directions.items():
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, direction)  # It gets the lowest free number, which is this one.
