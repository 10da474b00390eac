"""Captures a real text, kills the writer half-way, continues, and finally checks every line.

The text is the source of Python's standard library, with a record for each line. One process adds the lines, and
stores in the metadata of each commit how far in the source it has come. It is killed in the middle of a batch; a
second one continues from the metadata. At the same time, another process follows the file and compares its records
with the source. Then the file is read in all ways, and verified.

Run it with `make demo`, or with `python examples/demo.py` if the package is installed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import random
import signal
import sys
import sysconfig
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import capturefile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LIBRARY = Path(sysconfig.get_path("stdlib"))
BATCH = 1000
"""Number of lines in a commit."""
PATIENCE = 60.0
"""Seconds without a new record after which a follower gives up."""
RANDOM_READS = 20_000


class Place(NamedTuple):
    """The position of the next line to capture in the source."""

    file: str
    line: int

    def to_metadata(self) -> bytes:
        """Returns the place as metadata of the file."""
        return json.dumps(self._asdict()).encode()

    @classmethod
    def from_metadata(cls, metadata: bytes | None) -> Place:
        """Returns the place that a writer has reached; the beginning if there is no metadata yet."""
        return BEGINNING if metadata is None else cls(**json.loads(metadata))

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}"


BEGINNING = Place("", 1)


# The source


def lines_from(start: Place) -> Iterator[tuple[str, Place]]:
    """Generates the lines of the source from `start` on, each with the place after it."""
    for path in source_files():
        file = path.relative_to(LIBRARY).as_posix()
        if file < start.file:
            continue
        first = start.line if file == start.file else 1
        with path.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                if number >= first:
                    yield line.removesuffix("\n"), Place(file, number + 1)


def source_files() -> list[Path]:
    """Returns the files of Python's standard library, without installed packages."""
    files = (path for path in LIBRARY.rglob("*.py") if "site-packages" not in path.parts)
    return sorted(files, key=lambda path: path.relative_to(LIBRARY).as_posix())


# The processes


class Captured(NamedTuple):
    """The work of a writer."""

    lines: int
    began: float
    ended: float


class Followed(NamedTuple):
    """The result of a follower."""

    there_at_first: int
    right: int
    ended: float


def capture(path: Path, total: int, killed_at: int | None = None) -> Captured:
    """Adds lines until there are `total`, starting after those that are in the file already.

    At line `killed_at` the process is killed.
    """
    began = time.time()
    with capturefile.open(path, "a") as log:
        before = count = log.record_count()
        place = Place.from_metadata(log.get_metadata())
        for line, after in islice(lines_from(place), total - before):
            count, place = log.add_record(line), after
            if count == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if count % BATCH == 0:
                commit(log, place)
        commit(log, place)
        return Captured(count - before, began, time.time())


def commit(log: capturefile.CaptureFile, place: Place) -> None:
    """Commits the lines so far together with the place after them, so that a crash cannot separate them."""
    log.set_metadata(place.to_metadata())
    log.commit()


def follow(path: Path, total: int) -> Followed:
    """Compares lines with the source as they are committed, until there are `total`."""
    with capturefile.open(path) as log:
        news = log.follow(start=1, timeout=PATIENCE)
        pairs = zip(islice(news, total), lines_from(BEGINNING), strict=False)
        right = sum(record == line for record, (line, _) in pairs)
        return Followed(log.record_count(), right, time.time())


# The story


def main() -> None:
    """Runs the demonstration."""
    options = parse_arguments()
    text = [line for line, _ in islice(lines_from(BEGINNING), options.lines)]
    size = sum(len(line.encode()) + 1 for line in text)
    title(f"capturefile {capturefile.__version__}, Python {platform.python_version()}")
    say("the text", f"{len(text):,} lines of Python's own library, {megabytes(size)}")
    with TemporaryDirectory() as folder:
        path = options.file or Path(folder) / "library.capture"
        write_and_follow(path, len(text))
        read_back(path, text)
        look_at(path, size)
    if options.file:
        show_what_to_try(options.file)
    print("\nEverything was as it should be.")


def write_and_follow(path: Path, total: int) -> None:
    """Captures the text in two halves, with a crash between them, while another process follows."""
    with capturefile.open(path, "x"):
        pass  # Now there is a file that can be followed.
    processes = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(mp_context=processes) as pool:
        follower = pool.submit(follow, path, total)

        title("A writer is killed half-way")
        killed_at = total // 2 // BATCH * BATCH + BATCH // 3
        writer = processes.Process(target=capture, args=(path, total, killed_at))
        writer.start()
        writer.join()
        check(writer.exitcode == -signal.SIGKILL, "the writer was not killed")
        say("killed", f"at line {killed_at:,}, {killed_at % BATCH} lines after its last commit")
        show_what_is_left(path, killed_at // BATCH * BATCH)

        title("Another one continues")
        captured = pool.submit(capture, path, total).result()
        show_what_was_added(path, captured, total)

        title("Meanwhile, a third process followed")
        show_what_was_followed(follower.result(), captured, total)


def show_what_is_left(path: Path, committed: int) -> None:
    """Prints what the killed writer has left."""
    with capturefile.open(path) as log:
        check(len(log) == committed, "the file does not end at a commit")
        place = Place.from_metadata(log.get_metadata())
        say("in the file", f"{len(log):,} records, all that was committed")
        say("metadata", f"continue at {place}")


def show_what_was_added(path: Path, captured: Captured, total: int) -> None:
    """Prints the work of the second writer."""
    with capturefile.open(path) as log:
        check(len(log) == total, "lines are missing or doubled")
    seconds = captured.ended - captured.began
    say("added", f"{captured.lines:,} lines in {seconds:.2f} s, {per_second(captured.lines, seconds)}")
    say("durable", f"a commit every {BATCH:,} lines, each on the disk before the next line")


def show_what_was_followed(followed: Followed, captured: Captured, total: int) -> None:
    """Prints the results of the follower."""
    check(followed.right == total, f"the follower found {followed.right:,} right lines of {total:,}")
    say("compared", f"{followed.right:,} lines with the source: each came once, in order, and was right")
    say("live", f"{total - followed.there_at_first:,} of them were not there yet when it began")
    delay = max(0.0, followed.ended - captured.ended)
    say("last line", f"{delay * 1e3:.0f} ms after the last commit")


def read_back(path: Path, text: list[str]) -> None:
    """Reads the records in all ways and compares them with the text."""
    dice = random.Random(1)
    numbers = [dice.randint(1, len(text)) for _ in range(RANDOM_READS)]
    title("Reading back, each time from a file just opened")
    read_in_order(path, text)
    read_one_by_one(path, numbers, text)
    read_in_one_call(path, numbers, text)
    read_slices(path, text)


def read_in_order(path: Path, text: list[str]) -> None:
    """Compares all records with the text."""
    with capturefile.open(path) as log:
        began = time.perf_counter()
        records = list(log)
        seconds = time.perf_counter() - began
    check(records == text, "the records differ from the text")
    say("in order", f"{len(records):,} records in {seconds:.2f} s, {per_second(len(records), seconds)}")


def read_one_by_one(path: Path, numbers: list[int], text: list[str]) -> None:
    """Compares single records with the text."""
    with capturefile.open(path) as log:
        began = time.perf_counter()
        records = [log[number] for number in numbers]
        seconds = time.perf_counter() - began
    check_records(records, numbers, text)
    say("at random", f"{len(records):,} records, one by one, {microseconds(seconds / len(records))} each")


def read_in_one_call(path: Path, numbers: list[int], text: list[str]) -> None:
    """Does the same in one call."""
    with capturefile.open(path) as log:
        began = time.perf_counter()
        records = log.records_at(numbers)
        seconds = time.perf_counter() - began
    check_records(records, numbers, text)
    say("in one call", f"the same records, {microseconds(seconds / len(records))} each")


def read_slices(path: Path, text: list[str]) -> None:
    """Compares slices; records are numbered from 1, and the lines of the text from 0."""
    with capturefile.open(path) as log:
        check(log[101:201] == text[100:200], "a slice differs from the text")
        check(log[-100:] == text[-100:], "the last records differ from the text")
        check(log[::-1000] == text[::-1000], "a slice with a step differs from the text")
    say("slices", "log[101:201], log[-100:] and log[::-1000] agree with the text")


def look_at(path: Path, text_size: int) -> None:
    """Verifies the file and prints its size."""
    title("The file")
    began = time.perf_counter()
    report = capturefile.verify(path)
    seconds = time.perf_counter() - began
    check(report.sound, "the file is damaged")
    say("verified", f"{report.frames:,} blocks, {report.index_nodes:,} index nodes, all sound, in {seconds:.2f} s")
    size = path.stat().st_size
    say("size", f"{megabytes(size)}, {size / text_size:.0%} of the text, index and all")


def show_what_to_try(path: Path) -> None:
    """Prints commands that show the content of the file."""
    command = Path(sys.executable).with_name("capturefile")
    if command.is_relative_to(Path.cwd()):
        command = command.relative_to(Path.cwd())
    title("Look into it yourself")
    for arguments in ("info {}", "tail -n 3 {}", "grep -n '^def main' {}"):
        print(f"    {command} {arguments.format(path)}")
    print("or see it in a browser:")
    print(f"    {command.with_name('pip')} install 'capturefile-rs[view]'")
    print(f"    {command} view {path}")


# Checking and printing


def check(right: bool, otherwise: str) -> None:
    """Ends the demonstration if something is wrong."""
    if not right:
        sys.exit(f"demo: {otherwise}")


def check_records(records: Iterable[str], numbers: Iterable[int], text: list[str]) -> None:
    """Compares records with the lines that have their numbers; records are numbered from 1."""
    for record, number in zip(records, numbers, strict=True):
        check(record == text[number - 1], f"record {number} differs from the text")


def title(words: str) -> None:
    """Starts a chapter."""
    print(f"\n{words}\n{'─' * len(words)}")


def say(name: str, words: str) -> None:
    """Prints one fact immediately."""
    print(f"    {name:<13}{words}", flush=True)


def megabytes(size: int) -> str:
    """Returns a number of bytes in megabytes."""
    return f"{size / 1e6:.1f} MB"


def microseconds(seconds: float) -> str:
    """Returns a short time in microseconds."""
    return f"{seconds * 1e6:.1f} µs"


def per_second(count: int, seconds: float) -> str:
    """Returns a rate, in whole thousands."""
    return f"{round(count / seconds, -3):,.0f} a second"


def parse_arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description="Shows what a capture file does, with a real text.")
    parser.add_argument(
        "--lines", type=int, default=400_000, metavar="N", help="how many lines to capture (default: %(default)s)"
    )
    parser.add_argument("--file", type=Path, metavar="PATH", help="leave the capture file there")
    options = parser.parse_args()
    if options.lines < 2 * BATCH:
        parser.error(f"--lines must be at least {2 * BATCH}, so that there is a commit before the crash")
    if options.file and options.file.exists():
        parser.error(f"--file: {options.file} exists already")
    return options


if __name__ == "__main__":
    main()
