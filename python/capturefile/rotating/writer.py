"""Writing a rotated log: `RotatingWriter`."""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capturefile._capturefile import CaptureFile
from capturefile._capturefile import open as open_file
from capturefile._errors import (
    CaptureFileError,
    CaptureFileNotOpen,
    CaptureFileNotOpenForWrite,
    InvalidCaptureFile,
    UncommittedWarning,
)
from capturefile._files import SUFFIX, sync_path
from capturefile.rotating import manifest
from capturefile.rotating.manifest import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    from typing_extensions import Buffer

    from capturefile._typing import StrPath, SyncMode


_NAMED_BY_NUMBER = re.compile(r"\d{20}" + re.escape(SUFFIX))


class RotatingWriter:
    """Writes a log to a folder, in files of limited size or age, with a manifest that readers follow.

        with RotatingWriter("orders", max_bytes=1 << 30, max_age=24 * 3600) as log:
            log.add_record("first")
            log.commit()

    The first change after a commit starts a new file if the current one has records, and has `max_bytes` by then or is
    `max_age` old. So a transaction is in one file, and a file may be larger by one transaction. Records are numbered
    over the whole log, from 1. Read it with `RotatingReader`, or each file by itself. Leaving the `with` block closes
    the log; it does not commit. One object may be used by many threads, whose changes belong to one transaction.

    Arguments:
        folder: of this log alone. It is created if there is none; the folder that it is to be in has to exist.
        max_bytes: bytes that a file has, as they stand on the disk, before a new one is started; by default there is no
            such limit. A file without records has about 86,000 already. Room that a file has for growth does not count.
        max_age: seconds after which a new file is started; by default there is no such limit. The clock of the system
            counts, also while no writer runs.
        initial_metadata: metadata of a log that this call creates; ignored otherwise. A new file starts with the
            metadata of the file before.
        encoding, errors, use_os_file_locking, compression_block_size, sync, compression_level, threads, cache_size: as
            for `CaptureFile`, for each file. A file that is left behind is on the disk whatever `sync` says.

    Raises:
        CaptureFileAlreadyOpen: somebody else is writing the log.
        InvalidCaptureFile: the folder has a damaged manifest, a file with records that the manifest does not know, or a
            last file that is damaged or has been deleted.
        ValueError: a limit that is not above 0, or a setting that no file can have.
        OSError: something cannot be opened or created.
    """

    def __init__(
        self,
        folder: StrPath,
        *,
        max_bytes: int | None = None,
        max_age: float | None = None,
        initial_metadata: Buffer | None = None,
        encoding: str | None = "utf_8",
        errors: str | None = None,
        use_os_file_locking: bool = True,
        compression_block_size: int = 32768,
        sync: SyncMode = "full",
        compression_level: int = 6,
        threads: int | None = None,
        cache_size: int = 50331648,
    ) -> None:
        """Opens the log at `folder` for writing, and creates it if there is none."""
        for name, limit in (("max_bytes", max_bytes), ("max_age", max_age)):
            if limit is not None and not limit > 0:
                raise ValueError(f"{name} cannot be {limit}: it must be more than 0")
        self._folder = Path(folder)
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._options: dict[str, Any] = {
            "encoding": encoding,
            "errors": errors,
            "use_os_file_locking": use_os_file_locking,
            "compression_block_size": compression_block_size,
            "sync": sync,
            "compression_level": compression_level,
            "threads": threads,
            "cache_size": cache_size,
        }
        self._process = os.getpid()
        # Held by all that uses the current file: a rotation is between two changes.
        self._writing = threading.RLock()
        self._changed = False
        self._current = Entry(1, 0)
        # None once the object is closed, and in a rotation from the step on that may make another file the last one.
        self._file: CaptureFile[Any] | None = None
        self._make_folder()
        self._manifest, entries = manifest.open_for_writing(self._folder, use_os_file_locking=use_os_file_locking)
        try:
            self._delete_unannounced(entries)
            if entries:
                self._current = entries[-1]
                self._file = self._open_last()
            else:
                self._start(1, initial_metadata)
        except BaseException:
            self._manifest.close()
            raise

    def _make_folder(self) -> None:
        if not self._folder.is_dir():
            self._folder.mkdir()
            sync_path(self._folder.parent)

    def _delete_unannounced(self, entries: list[Entry]) -> None:
        """Deletes what a crash left in a rotation: files without records that the manifest does not know."""
        announced = {entry.name for entry in entries}
        for path in self._folder.iterdir():
            if path.name in announced or not _NAMED_BY_NUMBER.fullmatch(path.name):
                continue
            with CaptureFile(path) as cf:
                if count := cf.record_count():
                    raise InvalidCaptureFile(
                        f"{str(path)!r} has {count} records, and the manifest beside it does not know of them; "
                        "it may be an old copy"
                    )
            path.unlink()

    def _open_last(self) -> CaptureFile[Any]:
        path = self._folder / self._current.name
        if not path.exists():
            raise InvalidCaptureFile(f"{str(path)!r} is not there, the last file of a log, where its numbering goes on")
        return CaptureFile(path, True, **self._options)

    # What a file does

    @property
    def folder(self) -> Path:
        """Where the log is."""
        return self._folder

    @property
    def file_name(self) -> str:
        """The path of the current file, to which the next record goes unless a rotation is due."""
        return str(self._folder / self._current.name)

    @property
    def closed(self) -> bool:
        """Whether the object is closed, by `close` or by a rotation that failed where it may have happened."""
        with self._writing:
            return self._file is None

    def record_count(self) -> int:
        """How many records the log has, those included that were deleted with their files, or not committed yet."""
        with self._alone():
            return self._current.first - 1 + self._open_file().record_count()

    def add_record(self, record: str | Buffer) -> int:
        """Adds a record; returns its number in the log. Raises what `CaptureFile.add_record` and `rotate` raise."""
        with self._alone():
            return self._current_file().add_record(record) + self._current.first - 1

    def add_records(self, records: Iterable[str | Buffer]) -> int:
        """Adds many records, all to the same file; returns the number of the last one in the log.

        Raises what `CaptureFile.add_records` and `rotate` raise.
        """
        with self._alone():
            return self._current_file().add_records(records) + self._current.first - 1

    def get_metadata(self) -> bytes | None:
        """The metadata, or None; as it was committed last, or set here since."""
        with self._alone():
            return self._open_file().get_metadata()

    def set_metadata(self, new_metadata: Buffer | None) -> None:
        """Replaces the metadata of the log, from the next commit on; None removes it.

        Raises what `CaptureFile.set_metadata` and `rotate` raise.
        """
        with self._alone():
            self._current_file().set_metadata(new_metadata)

    def commit(self) -> None:
        """Makes everything since the last commit visible to others and durable, together; see `CaptureFile.commit`."""
        with self._alone():
            self._open_file().commit()
            self._changed = False

    def rollback(self) -> None:
        """Forgets everything since the last commit; see `CaptureFile.rollback`."""
        with self._alone():
            self._open_file().rollback()
            self._changed = False

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """A context manager that commits at the end of its block, and rolls back if the block raises."""
        try:
            yield self
        except BaseException:
            # After a failed commit or rotation there is nothing to take back, and the first error says more.
            with suppress(CaptureFileError):
                self.rollback()
            raise
        self.commit()

    def rotate(self) -> None:
        """Commits, and starts a new file, unless the current one has no records.

        Raises what `commit` raises, and OSError if the new file cannot be made; then all is as before, and it may be
        tried again. If the manifest cannot be written, the object closes itself before it raises that error: opening
        the log again tells whether the new file is the last one.
        """
        with self._alone():
            self.commit()
            if self._open_file().record_count():
                self._rotate()

    def close(self) -> None:
        """Closes the log without committing. Does nothing on a closed object, and in a forked child."""
        if self._process != os.getpid():
            return
        with self._writing:
            file, self._file = self._file, None
            try:
                if file is not None:
                    file.close()
            finally:
                self._manifest.close()

    def __enter__(self) -> Self:
        """The object itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Calls `close`; an exception under way comes through without a warning of what it has kept from a commit."""
        if exception[0] is not None:
            with suppress(CaptureFileError):
                self.rollback()
        self.close()

    def __repr__(self) -> str:
        """Where the log is."""
        return f"<RotatingWriter: {str(self._folder)!r}{', closed' if self._file is None else ''}>"

    # How it rotates

    def _alone(self) -> threading.RLock:
        """What is held while something is done, by one thread at a time, in the process that opened the log."""
        # A forked child may have a lock that nobody will release.
        if self._process != os.getpid():
            raise CaptureFileNotOpenForWrite(f"the log {str(self._folder)!r} is written by the parent of this process")
        return self._writing

    def _open_file(self) -> CaptureFile[Any]:
        if self._file is None:
            raise CaptureFileNotOpen(f"the log {str(self._folder)!r} is closed")
        return self._file

    def _current_file(self) -> CaptureFile[Any]:
        """The file for a change, which is a new one if that is due."""
        file = self._open_file()
        if not self._changed:
            if self._is_due(file):
                self._rotate()
                file = self._open_file()
            self._changed = True
        return file

    def _is_due(self, file: CaptureFile[Any]) -> bool:
        """Whether a new file should be started, now that nothing is uncommitted."""
        if not file.record_count():
            return False
        if self._max_age is not None and time.time() - self._current.started >= self._max_age:
            return True
        if self._max_bytes is None:
            return False
        info = file.info()
        return info.file_limit + info.pending_bytes >= self._max_bytes

    def _rotate(self) -> None:
        """Starts a new file behind the current one, all of which is committed."""
        old = self._open_file()
        sync_path(Path(self.file_name))
        try:
            self._start(self._current.first + old.record_count(), old.get_metadata())
        finally:
            if self._file is not old:
                old.close()

    def _start(self, first: int, metadata: Buffer | None) -> None:
        """Makes a new file whose first record will be `first`, and makes it the last of the log."""
        path = self._folder / Entry(first, 0).name
        new: CaptureFile[Any] = open_file(path, "x", initial_metadata=metadata, **self._options)
        try:
            sync_path(path)
            sync_path(self._folder)
        except BaseException:
            new.close()
            path.unlink()
            raise
        self._announce(first, new)

    def _announce(self, first: int, new: CaptureFile[Any]) -> None:
        # From here on nobody can know which file is the last one until the commit has succeeded.
        self._file = None
        try:
            self._current = manifest.announce(self._manifest, first)
        except BaseException:
            new.close()
            # It warns of what it could not commit, which may be an error; the first error says more.
            with suppress(UncommittedWarning):
                self._manifest.close()
            raise
        self._file = new
