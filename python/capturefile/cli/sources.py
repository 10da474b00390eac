"""Inputs of commands: capture files, folders of rotated logs, and a capture file on standard input."""

from __future__ import annotations

import errno
import os
import sys
from itertools import count, islice

import capturefile
from capturefile.cli.arguments import EVERYTHING, Span
from capturefile.cli.exit_codes import WrongUsage
from capturefile.cli.messages import counted
from capturefile.cli.reports import unreadable
from capturefile.cli.streams import STANDARD, STANDARD_INPUT, STANDARD_OUTPUT, refuse_same_file, shown_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from datetime import datetime
    from typing import IO, Self

    from capturefile import CaptureFile, Info
    from capturefile._fields.conditions import Condition
    from capturefile._index.ranges import Ranges
    from capturefile.rotating import RotatingReader

ONE = "capture file, folder of a rotated log, their URL in an object store, or - for a capture file on standard input"
NAMED = "capture files, folders of rotated logs, and their URLs in object stores"
SEVERAL = f"{NAMED}, one after the other; - is a capture file on standard input"


def add_sources(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of a command that reads several sources in order."""
    command.add_argument("files", metavar="FILE", nargs="+", help=SEVERAL)


def add_source(command: argparse.ArgumentParser) -> None:
    """Adds the argument of a command that reads one source."""
    command.add_argument("file", metavar="FILE", help=ONE)


def each_of(names: list[str]) -> Iterator[Source]:
    """Opens one source after the other, and closes each after its use.

    Missing or unreadable sources are reported before any other is processed.
    """
    check(names)
    for name in names:
        with opened(name) as source:
            yield source


def check(names: list[str]) -> None:
    """Reports a source that does not exist, or that is also the standard output."""
    refuse_twice(names)
    for name in names:
        if name == STANDARD:
            continue
        refuse_same_file(STANDARD_OUTPUT, name)
        if not is_url(name):
            os.stat(name)


def refuse_twice(names: list[str]) -> None:
    """Refuses to read standard input twice."""
    if names.count(STANDARD) > 1:
        raise WrongUsage("standard input can be read only once")


def is_url(name: str) -> bool:
    """Returns whether a name is the URL of an object in a store."""
    if "://" not in name:
        return False
    from capturefile._remote import is_url

    return is_url(name)


def shown_url(name: str) -> str:
    """Returns a name for messages: a URL without passwords and signatures."""
    if not is_url(name):
        return name
    from capturefile._remote import without_secrets

    return without_secrets(name)


def is_log(name: str) -> bool:
    """Whether a name is that of a folder, which should contain a rotated log.

    A URL is that of a folder if it ends with a slash, or if there is a manifest below it and no object with that URL.
    """
    if not is_url(name):
        return os.path.isdir(name)
    from capturefile._folders import folder_at, is_folder
    from capturefile.rotating.manifest import NAME

    return is_folder(name) and (name.endswith("/") or folder_at(name).has(NAME))


def opened(name: str) -> Source:
    """Opens the source called `name` for reading."""
    if name == STANDARD:
        return _standard_input()
    refuse_same_file(STANDARD_OUTPUT, name)
    if is_log(name):
        return Rotated(name)
    return Single(shown_url(name), capturefile.open(name, encoding=None))


def standard_input() -> tuple[str, IO[bytes] | None]:
    """Returns a path of the file on standard input, and for a pipe the temporary copy at that path.

    A pipe has to be copied because a capture file is not read in order. The copy is deleted when it is closed.
    """
    import shutil
    import stat
    import tempfile

    copy: IO[bytes] | None = None
    path = f"/dev/fd/{STANDARD_INPUT}"
    if sys.platform == "win32" or not stat.S_ISREG(os.fstat(STANDARD_INPUT).st_mode):
        # Windows has no names for open files, so the copy has a name there until it is closed.
        copy = tempfile.NamedTemporaryFile() if sys.platform == "win32" else tempfile.TemporaryFile()  # noqa: SIM115
        with open(STANDARD_INPUT, "rb", closefd=False) as pipe:
            shutil.copyfileobj(pipe, copy)
        copy.flush()
        path = copy.name if sys.platform == "win32" else f"/dev/fd/{copy.fileno()}"
    refuse_same_file(STANDARD_OUTPUT, path)
    return path, copy


def _standard_input() -> Single:
    path, copy = standard_input()
    try:
        return Single(shown_name(STANDARD), capturefile.open(path, encoding=None), copy)
    except capturefile.CaptureFileError as error:
        raise type(error)(str(error).replace(f'"{path}"', shown_name(STANDARD))) from error


class FileRange:
    """A range of records in one capture file."""

    def __init__(self, cf: CaptureFile[bytes], first: int, last: int, before: int) -> None:
        """Selects records `first` to `last` of `cf`, whose numbers in the source are higher by `before`."""
        self.cf = cf
        self.first = first
        self.last = last
        self.before = before

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Iterates over the records with their numbers in the source.

        Raises InvalidCaptureFile, with the number, for a record that cannot be read.
        """
        numbers = count(self.before + self.first)
        records = islice(self.cf.record_generator(self.first), max(0, self.last + 1 - self.first))
        try:
            # The number is taken first, to know which record has failed.
            yield from zip(numbers, records, strict=False)
        except capturefile.InvalidCaptureFile as error:
            raise unreadable(error, self.cf.file_name, next(numbers) - 1 - self.before) from error


class Source:
    """A source of records with its own numbers."""

    name: str
    """The name that the user gave."""
    first: int
    """Number of the first existing record."""
    last: int
    """Number of the last record; one less than `first` if there are no records."""
    reader: CaptureFile[bytes] | RotatingReader[bytes]
    _narrowed: tuple[Condition, Ranges | None] | None = None
    """The last result of `narrowed`, with its condition."""

    def __len__(self) -> int:
        """Returns the number of existing records."""
        return self.last + 1 - self.first

    def parts(self, span: Span) -> Iterator[FileRange]:
        """Iterates over the records of a resolved span, by file."""
        raise NotImplementedError

    def paths(self) -> list[str]:
        """Returns the paths of its capture files."""
        raise NotImplementedError

    def info(self) -> Info:
        """Returns the facts about its file; those about its last file if it is a rotated log."""
        raise NotImplementedError

    def first_committed(self, time: datetime) -> int:
        """Returns the number of the first record that was committed at a time or later, or one past the last.

        Raises WrongUsage if there are no commit times.
        """
        raise NotImplementedError

    def narrowed(self, condition: Condition) -> Ranges | None:
        """Returns the records for which a condition can be true according to an index, or None if these may be all."""
        if self._narrowed is None or self._narrowed[0] is not condition:
            from capturefile._index.conditions import possible

            self._narrowed = condition, possible(self.reader, condition)
        return self._narrowed[1]

    def refresh(self) -> None:
        """Includes records that have been committed since."""
        self.reader.refresh()
        self.last = self.reader.record_count()

    def records(self, span: Span) -> Iterator[tuple[int, bytes]]:
        """Iterates over the records of a resolved span, with their numbers."""
        for part in self.parts(span):
            yield from part

    def everything(self) -> Span:
        """Returns the span of all existing records."""
        return Span(self.first, self.last)

    def resolve(self, span: Span) -> Span:
        """Resolves negative numbers in a span."""
        if span is EVERYTHING:
            return self.everything()
        for number in (span.first, span.last):
            position = number if number >= 0 else self.last + 1 + number
            if not self.first <= position <= self.last:
                begin = "" if number else "numbers begin at 1, and "
                raise IndexError(f"{self.name}: there is no record {number}; {begin}{self._there()}")
        first, last = (number if number > 0 else self.last + 1 + number for number in (span.first, span.last))
        if first > last:
            raise IndexError(f"{self.name}: range {span} runs backwards, from {first} to {last}")
        return Span(first, last)

    def _there(self) -> str:
        """Describes which records exist."""
        if self.first == 1:
            return f"the file has {counted(self.last, 'record')}"
        return f"the log now has the records {self.first} to {self.last}"

    def __enter__(self) -> Self:
        """Returns the object itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the source."""
        self.reader.close()


class Single(Source):
    """A capture file."""

    reader: CaptureFile[bytes]

    def __init__(self, name: str, cf: CaptureFile[bytes], copy: IO[bytes] | None = None) -> None:
        """Uses the open file, and its temporary copy, if there is one."""
        self.name = name
        self.reader = cf
        self.first = 1
        self.last = cf.record_count()
        self._copy = copy

    def parts(self, span: Span) -> Iterator[FileRange]:
        """Returns the file itself."""
        yield FileRange(self.reader, span.first, span.last, 0)

    def first_committed(self, time: datetime) -> int:
        """Searches the index of the file by bisection."""
        return first_committed(self.reader, time, self.name)

    def paths(self) -> list[str]:
        """Returns the file itself."""
        return [self.reader.file_name]

    def info(self) -> Info:
        """Returns the facts about the file."""
        return self.reader.info()

    def __exit__(self, *exception: object) -> None:
        """Closes the file, and its copy."""
        super().__exit__(*exception)
        if self._copy is not None:
            self._copy.close()


class Rotated(Source):
    """A rotated log."""

    reader: RotatingReader[bytes]

    def __init__(self, folder: str) -> None:
        """Opens the log in a folder."""
        from capturefile.rotating import RotatingReader

        if not is_url(folder):
            check_folder(folder)
        self.name = shown_url(folder)
        self.reader = RotatingReader(folder, encoding=None)
        self.first = self.reader.first_record
        self.last = self.reader.record_count()

    def parts(self, span: Span) -> Iterator[FileRange]:
        """Iterates over the files with the records, each open only while it is read."""
        from capturefile.rotating.reader import files_with

        for cf, numbers, before in files_with(self.reader, span.first, span.last):
            refuse_same_file(STANDARD_OUTPUT, cf.file_name)
            yield FileRange(cf, numbers[0], numbers[-1], before)

    def first_committed(self, time: datetime) -> int:
        """Finds the file by bisection, and then the record in it."""
        from capturefile._bisect import first_not_below

        files = [file for file in self.reader.files() if file.record_count]
        numbers: dict[int, int] = {}

        def reaches(index: int) -> bool | None:
            """Returns whether the file has records of the time, or later ones; None if it has been deleted."""
            file = files[index]
            try:
                with capturefile.open(file.location, encoding=None) as cf:
                    numbers[index] = file.first_record - 1 + first_committed(cf, time, cf.file_name)
            except FileNotFoundError:
                return None
            return numbers[index] <= file.last_record

        index = first_not_below(lambda index: index, range(len(files)), True, reaches)
        return numbers[index] if index < len(files) else self.last + 1

    def paths(self) -> list[str]:
        """Returns the files of the log."""
        from capturefile._folders import folder_at
        from capturefile.rotating.manifest import names_of_files

        folder = self.reader.file_name
        return [folder_at(folder).file(name) for name in names_of_files(folder)]

    def info(self) -> Info:
        """Returns the facts about the last file."""
        with capturefile.open(self.paths()[-1]) as cf:
            return cf.info()


def check_folder(folder: str) -> None:
    """Raises FileNotFoundError if there is no rotated log in a folder."""
    from capturefile.rotating.manifest import NAME

    if not os.path.exists(os.path.join(folder, NAME)):
        raise FileNotFoundError(errno.ENOENT, f"a folder without a rotated log: it has no {NAME}", folder)


def refuse_folder(target: str) -> None:
    """Raises IsADirectoryError if a file to append to is a folder."""
    if os.path.isdir(target):
        hint = "only capturefile.rotating.RotatingWriter appends to a rotated log"
        raise IsADirectoryError(errno.EISDIR, f"{os.strerror(errno.EISDIR)}; {hint}", target)


def first_committed(cf: CaptureFile[bytes], time: datetime, name: str) -> int:
    """Returns the number of the first record of a file that was committed at a time or later, or one past the last."""
    version = cf.info().version
    if version != 3:
        raise WrongUsage(
            f"{name}: only files in format 3 have commit times, and this one is in format {version}; "
            "--time-field or --time-pattern finds times in the records"
        )
    found = cf.record_number_at(time)
    return cf.record_count() + 1 if found is None else found


def refuse_pipe(names: list[str]) -> None:
    """Refuses to follow standard input, of which only the present content is read."""
    if STANDARD in names:
        raise WrongUsage("standard input cannot be followed; give the name of the file")
