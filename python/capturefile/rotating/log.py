"""The part that readers and followers of a rotated log share: the manifest, and opening the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from capturefile._capturefile import CaptureFile
from capturefile._errors import CaptureFileError, InvalidCaptureFile, RecordsDeleted
from capturefile._numbers import counted
from capturefile._typing import RecordT_co
from capturefile.rotating.manifest import Manifest, RotatedFile
from capturefile.sequence import RecordSequence, sequence_at

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from capturefile._folders import Folder


class Log(Generic[RecordT_co]):
    """A rotated log opened for reading; many threads may use it."""

    def __init__(self, folder: Folder, options: dict[str, Any]) -> None:
        """Opens the manifest in `folder`; `options` apply to each file."""
        self.options = options
        self.closed = False
        self.manifest = Manifest(folder, options.get("store"))

    @property
    def name(self) -> str:
        """The path or URL of the folder in messages."""
        return self.manifest.folder.name

    def open_file(self, index: int, number: int) -> CaptureFile[RecordT_co]:
        """Opens the file at `index` to read record `number`.

        Raises:
            RecordsDeleted: The file was deleted; a later one exists.
            InvalidCaptureFile: The file was deleted, and so were all later ones.
        """
        try:
            return CaptureFile(self.manifest.location(index), **self.options)
        except FileNotFoundError:
            # If the manifest is missing, too, the whole log was removed.
            self.manifest.look()
            raise self.manifest.deleted(number, index) from None

    def files_with(self, first: int, last: int) -> Generator[tuple[CaptureFile[RecordT_co], range, int], None, None]:
        """Opens the files with the records from one number to another; each stays open until the next one is requested.

        Yields:
            A file, the numbers of these records in it, and by how much their numbers in the log are higher.

        Raises:
            RecordsDeleted: A file was deleted; a later one exists.
            InvalidCaptureFile: A file has lost records, or was deleted together with all later ones.
        """
        manifest = self.manifest
        for index in range(manifest.index_of(first), manifest.index_of(last) + 1 if first <= last else 0):
            start, end = manifest.entries[index].first, manifest.end(index)
            lowest, highest = max(first, start), min(last, end - 1 if end else last)
            with self.open_file(index, lowest) as cf:
                if cf.record_count() < highest + 1 - start:
                    raise InvalidCaptureFile(
                        f"{manifest.shown(index)!r} has {cf.record_count()} records, but had {highest + 1 - start}"
                    )
                yield cf, range(lowest + 1 - start, highest + 2 - start), start - 1

    def part(self, index: int, seen: int) -> RecordSequence[RecordT_co]:
        """Returns the records of one file that belong to the log up to record `seen`."""
        manifest = self.manifest
        first, end = manifest.entries[index].first, manifest.end(index)
        try:
            found: RecordSequence[RecordT_co] = sequence_at(manifest.location(index), **self.options)
        except FileNotFoundError:
            manifest.look()
            raise manifest.deleted(first, index) from None
        wanted = min(seen, end - 1 if end else seen) - first + 1
        if len(found) < wanted:
            raise InvalidCaptureFile(f"{manifest.shown(index)!r} has {len(found)} records, but had {wanted}")
        return found[:wanted]

    def files(self, seen: int) -> tuple[RotatedFile, ...]:
        """Returns the files that exist, with their records up to record `seen`."""
        manifest = self.manifest
        found = []
        for index in range(manifest.index_of(max(seen, 1)) + 1):
            entry, end = manifest.entries[index], manifest.end(index)
            last = min(seen, end - 1) if end else seen
            if manifest.is_there(index):
                file = RotatedFile(manifest.location(index), entry.first, last, end is not None, entry.started)
                found.append(file)
        return tuple(found)

    def newest(self, *, durable: bool = False) -> tuple[int, bytes | None]:
        """Returns the number of the last record, and the metadata, of the last file that exists.

        With `durable`, they are on the disk when it returns.

        A copy of a log that was made during a rotation can lack the files that were announced last.
        """
        manifest = self.manifest
        while manifest.entries:
            index = manifest.last_there()
            first = manifest.entries[index].first
            try:
                cf = self.open_file(index, first)
            except RecordsDeleted:
                # The file was sealed and deleted meanwhile, so there is a later one.
                continue
            with cf:
                if durable:
                    cf.refresh(durable)
                count = cf.record_count()
                metadata = cf.get_metadata()
            # If a rotation has started another file meanwhile, this one may have grown before that.
            if not manifest.look():
                return first - 1 + count, metadata
        return 0, None

    def no_such_record(self, number: int, seen: int) -> IndexError:
        """Returns the error for a number that none of the records up to `seen` has."""
        return IndexError(
            f"record {number} does not exist in {self.name!r}, which has {counted(seen, 'record')}, numbered from 1"
        )

    def summary(self, seen: int) -> str:
        """Returns a description of an object that sees the records up to `seen`."""
        return f"{counted(seen, 'record')} of {self.name!r}{', closed' if self.closed else ''}"

    def table(self, title: str, first: int, seen: int) -> str:
        """Returns an HTML table of the first of the records from `first` to `seen`."""
        from capturefile._html import MAX_BYTES, MAX_ROWS, table

        rows: list[tuple[int, int, bytes]] = []
        problem = None
        try:
            for cf, numbers, before in self.files_with(first, min(seen, first + MAX_ROWS - 1)):
                for number in numbers:
                    _, record = cf.read_range_buffers(number, number)
                    rows.append((before + number, len(record), bytes(record[:MAX_BYTES])))
        except (CaptureFileError, OSError) as error:
            problem = str(error)
        return table(title, rows, seen + 1 - first, self.options["encoding"], problem)

    def close(self) -> None:
        """Closes the manifest, and ends the log's followers."""
        self.closed = True
        self.manifest.close()


def reopen(reader: Callable[..., Any], folder: str, options: dict[str, Any], _seen: object) -> Any:  # noqa: ANN401
    """Recreates an object from the result of `RotatingReader.__reduce__`."""
    return reader(folder, **options)
