"""The command `append`: adds records from standard input or files."""

from __future__ import annotations

import math
import sys
import time

import capturefile
from capturefile.cli.arguments import add_command, add_format_version, positive, seconds
from capturefile.cli.exit_codes import DONE
from capturefile.cli.messages import reporting
from capturefile.cli.progress import progress
from capturefile.cli.sources import refuse_folder
from capturefile.cli.splitting import SPLITTERS
from capturefile.cli.streams import STANDARD, check_inputs, open_input, shown_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

CHUNK_SIZE = 1 << 18
MAX_WAIT = 3600.0
"""Maximum wait in seconds; the system call does not accept intervals of several weeks."""
MAX_UNINTERRUPTED = 0.1
"""Maximum time in seconds for which Ctrl-C may have no effect."""
EXAMPLE = """\
my-program | capturefile append log.capture
capturefile append --commit-every 100000 log.capture monday.txt tuesday.txt
find . -print0 | capturefile append --format nul paths.capture"""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    append = add_command(commands, "append", _append, summary, EXAMPLE)
    append.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="*",
        default=[],
        help="files to read, one after the other (default: -, standard input)",
    )
    append.add_argument(
        "--format",
        choices=list(SPLITTERS),
        default="text",
        help="text: one record per line (default); nul: each record ends with a zero byte; prefixed: each record "
        "follows its length in four bytes, big-endian",
    )
    add_format_version(append)
    append.add_argument(
        "--commit-every",
        type=positive,
        default=1000,
        metavar="N",
        help="commit after every N records and at the end (default: %(default)s)",
    )
    append.add_argument(
        "--commit-interval",
        type=seconds,
        default=1.0,
        metavar="SECONDS",
        help="commit at most SECONDS after a record arrives; inf: no limit (default: %(default)g)",
    )


def _append(options: argparse.Namespace, _output: BinaryIO) -> int:
    inputs = options.inputs or [STANDARD]
    check_inputs(inputs, options.file)
    refuse_folder(options.file)
    with (
        capturefile.open(options.file, "a", encoding=None, format=options.file_format) as cf,
        reporting(cf),
        progress("append", "records") as shown,
    ):
        batches = Batches(cf, options.commit_every, options.commit_interval)
        for name in inputs:
            for records in _pieces(name, options.format, batches.time_left):
                batches.add(records)
                shown.count += len(records)
                shown.look()
        batches.commit()
    return DONE


def _pieces(name: str, form: str, time_left: Callable[[], float]) -> Iterator[list[bytes]]:
    """Yields the records of one input as they arrive; an empty list when the time is over."""
    splitter = SPLITTERS[form]()
    with open_input(name) as stream:
        for data in _chunks(stream, time_left):
            yield splitter.feed(data)
        yield splitter.finish(shown_name(name))


def _chunks(stream: BinaryIO, time_left: Callable[[], float]) -> Iterator[bytes]:
    """Yields the bytes that can be read without waiting; none if the time is over before any arrive."""
    import os
    import select

    if sys.platform == "win32":
        yield from _chunks_of_thread(stream, time_left)
        return
    descriptor = stream.fileno()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while True:
        if not poll.poll(math.ceil(min(time_left(), MAX_WAIT) * 1000)):
            yield b""
            continue
        try:
            data = os.read(descriptor, CHUNK_SIZE)
        except BlockingIOError:
            continue  # Another process has read the data.
        if not data:
            return
        yield data


def _chunks_of_thread(stream: BinaryIO, time_left: Callable[[], float]) -> Iterator[bytes]:
    """Does the same with a thread that reads, for systems that cannot wait for a stream for a limited time."""
    import os
    import queue
    import threading

    found: queue.Queue[bytes | OSError] = queue.Queue(maxsize=1)
    descriptor = stream.fileno()

    def read() -> None:
        data = b"x"
        while data:
            try:
                data = os.read(descriptor, CHUNK_SIZE)
            except OSError as error:
                found.put(error)
                return
            found.put(data)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            # Ctrl-C is noticed only between two calls.
            data = found.get(timeout=min(time_left(), MAX_UNINTERRUPTED))
        except queue.Empty:
            if time_left() <= 0:
                yield b""
            continue
        if isinstance(data, OSError):
            raise data
        if not data:
            return
        yield data


class Batches:
    """Adds records, and commits by number and by time."""

    def __init__(self, cf: capturefile.CaptureFile[bytes], size: int, interval: float) -> None:
        """Commits after `size` records, or `interval` seconds after the first uncommitted one."""
        self.cf = cf
        self.size = size
        self.interval = interval
        self.pending = 0
        self.due = math.inf

    def time_left(self) -> float:
        """Returns the seconds until the next commit."""
        return max(0.0, self.due - time.monotonic())

    def add(self, records: list[bytes]) -> None:
        """Adds records, and commits whenever there are enough of them or the time is over."""
        start = 0
        while start < len(records):
            batch = records[start : start + self.size - self.pending]
            self.cf.add_records(batch)
            start += len(batch)
            if not self.pending:
                self.due = time.monotonic() + self.interval
            self.pending += len(batch)
            if self.pending == self.size:
                self.commit()
        if self.time_left() <= 0:
            self.commit()

    def commit(self) -> None:
        """Commits the records added so far."""
        self.cf.commit()
        self.pending = 0
        self.due = math.inf
