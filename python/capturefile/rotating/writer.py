"""Writing a rotated log: `RotatingWriter`."""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from capturefile._alone import alone
from capturefile._capturefile import CaptureFile, _LogTransaction
from capturefile._capturefile import open as open_file
from capturefile._errors import CaptureFileError, CaptureFileNotOpen, CaptureFileNotOpenForWrite
from capturefile._files import sync_path
from capturefile.rotating import manifest
from capturefile.rotating.limits import RotationLimits
from capturefile.rotating.manifest import Entry
from capturefile.rotating.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from typing import Never, Self

    from typing_extensions import Buffer

    from capturefile._typing import Compression, StrPath, SyncMode
    from capturefile.codecs import Codec


class RotatingWriter:
    """Writes a log to a folder, in files of limited size or age, with a manifest that readers follow.

    The first change after a commit starts a new file if the current one has records and has reached `max_bytes` or
    `max_age`. A transaction is therefore always in one file, and a file may exceed the limit by one transaction.
    Records are numbered over the whole log, from 1. Read it with `RotatingReader`, or each file separately. Leaving
    the `with` block closes the log; it does not commit. One object may be used by many threads, whose changes belong
    to one transaction.

    Args:
        folder: Folder for this log alone. It is created if necessary; its parent has to exist.
        max_bytes: Size of a file on the disk, in bytes, at which a new one is started; by default there is no limit. A
            file without records has about 86,000 bytes already. Space that is preallocated for growth does not count.
        max_age: Age of a file, in seconds, at which a new one is started; by default there is no limit. Time during
            which no writer runs counts.
        keep_files: Maximum number of files, including the current one, after a rotation or after opening: older ones
            are deleted. By default, none is deleted.
        keep_bytes: Size of all files together on the disk, in bytes, above which the oldest are deleted likewise. The
            log can grow to this size plus one file.
        keep_age: Seconds after the end of a file, by the system's clock, at which it is deleted likewise.
        initial_metadata: Metadata of a log that this call creates; ignored for an existing log. A new file starts with
            the metadata of the previous file.
        encoding: As for `CaptureFile`.
        errors: As for `CaptureFile`.
        codec: As for `CaptureFile`.
        use_os_file_locking: As for `CaptureFile`.
        compression_block_size: As for `CaptureFile`, for each new file.
        sync: As for `CaptureFile`. A file that is followed by another is always synced.
        format: As for `CaptureFile`, for each new file.
        compression: As for `CaptureFile`, for each new file.
        compression_level: As for `CaptureFile`.
        threads: As for `CaptureFile`.
        cache_size: As for `CaptureFile`.

    Raises:
        CaptureFileAlreadyOpen: The log is open for writing elsewhere.
        InvalidCaptureFile: The manifest is damaged, a file has records but is not in the manifest, or the last file is
            damaged or has been deleted.
        ValueError: A limit is not above 0, or a setting is out of range.
        OSError: A file cannot be opened or created.

    Examples:
        >>> with RotatingWriter("visits", max_bytes=1 << 30, max_age=24 * 3600) as visits:
        ...     visits.add_record("Ada, from London")
        ...     visits.commit()
        1
    """

    def __init__(
        self,
        folder: StrPath,
        *,
        max_bytes: int | None = None,
        max_age: float | None = None,
        keep_files: int | None = None,
        keep_bytes: int | None = None,
        keep_age: float | None = None,
        initial_metadata: Buffer | None = None,
        encoding: str | None = "utf_8",
        errors: str | None = None,
        codec: Codec[Any] | None = None,
        use_os_file_locking: bool = True,
        compression_block_size: int | None = None,
        sync: SyncMode = "full",
        format: Literal[2, 3] = 2,  # noqa: A002 - the name that it has everywhere
        compression: Compression | None = None,
        compression_level: int | None = None,
        threads: int | None = None,
        cache_size: int = 50331648,
    ) -> None:
        """Opens the log at `folder` for writing; creates it if necessary."""
        self._limits = RotationLimits(max_bytes, max_age)
        self._retention = Retention(keep_files, keep_bytes, keep_age)
        self._folder = Path(folder).absolute()
        self._options: dict[str, Any] = {
            "encoding": encoding,
            "errors": errors,
            "codec": codec,
            "use_os_file_locking": use_os_file_locking,
            "compression_block_size": compression_block_size,
            "sync": sync,
            "format": format,
            "compression": compression,
            "compression_level": compression_level,
            "threads": threads,
            "cache_size": cache_size,
        }
        self._process = os.getpid()
        # Held while the current file is used, so that a rotation happens between two changes.
        self._writing = threading.RLock()
        # Held in addition during a rotation.
        self._rotating = threading.RLock()
        self._closed = False
        self._manifest: CaptureFile[str] | None = None
        self._file: CaptureFile[Any] | None = None
        self._next: CaptureFile[Any] | None = None
        self._current = Entry(1, 0)
        self._current_since = time.monotonic()
        self._changed = False
        # False while the attributes above may not match the files.
        self._settled = False
        try:
            manifest.make_folder(self._folder)
            with self._rotating:
                self._settle(initial_metadata)
                self._delete_old()
        except BaseException:
            self._close_files()
            raise

    @property
    def folder(self) -> Path:
        """The folder of the log."""
        return self._folder

    @property
    def file_name(self) -> str:
        """The path of the current file, which gets the next record unless a rotation is due."""
        return str(self._folder / self._current.name)

    @property
    def closed(self) -> bool:
        """Whether the object is closed."""
        return self._closed

    def record_count(self) -> int:
        """Returns the number of records in the log, including deleted and uncommitted ones.

        Returns:
            The number of records, which is also the number of the last one.

        Examples:
            >>> log.record_count()
            2
        """
        with self._alone():
            return self._current.first - 1 + self._open_file().record_count()

    def add_record(self, record: object) -> int:
        """Adds a record, which others see after `commit()`.

        Args:
            record: As for `CaptureFile.add_record`.

        Returns:
            The number of the record in the log.

        Raises:
            CaptureFileNotOpen: The log is closed.
            ValueError: As for `CaptureFile.add_record`.
            TypeError: As for `CaptureFile.add_record`.
            OSError: As for `CaptureFile.add_record` and `rotate`.

        Examples:
            >>> log.add_record("third")
            3
        """
        with self._alone():
            file, before = self._current_file(), self._current.first - 1
            return before + file.add_record(record)

    def add_records(self, records: Iterable[object]) -> int:
        """Adds many records, all of them to the same file.

        Args:
            records: Records, each as for `CaptureFile.add_record`.

        Returns:
            The number of the last record in the log.

        Raises:
            CaptureFileNotOpen: The log is closed.
            ValueError: As for `CaptureFile.add_records`.
            TypeError: As for `CaptureFile.add_records`.
            OSError: As for `CaptureFile.add_records` and `rotate`.

        Examples:
            >>> log.add_records(["third", "fourth"])
            4
        """
        with self._alone():
            file, before = self._current_file(), self._current.first - 1
            return before + file.add_records(records)

    def get_metadata(self) -> bytes | None:
        """Returns the metadata of the log.

        Returns:
            The metadata, as last committed or as set through this object since; None if there is none.

        Examples:
            >>> log.get_metadata() is None
            True
        """
        with self._alone():
            return self._open_file().get_metadata()

    def set_metadata(self, new_metadata: Buffer | None) -> None:
        """Replaces the metadata of the log, from the next commit on.

        Args:
            new_metadata: An object with the buffer protocol, or None to remove the metadata.

        Raises:
            TypeError: As for `CaptureFile.set_metadata`.
            OSError: As for `rotate`.

        Examples:
            >>> log.set_metadata(b"read up to line 17")
            >>> log.get_metadata()
            b'read up to line 17'
        """
        with self._alone():
            self._current_file().set_metadata(new_metadata)

    def commit(self) -> None:
        """Makes everything since the last commit visible to others and durable, all at once.

        Raises:
            OSError: As for `CaptureFile.commit`, like CommitUncertain.
            CaptureFileError: As for `CaptureFile.commit`.

        Examples:
            >>> log.add_record("third")
            3
            >>> log.commit()
        """
        with self._alone():
            self._open_file().commit()
            self._changed = False

    def rollback(self) -> None:
        """Discards everything since the last commit.

        Raises:
            CaptureFileError: As for `CaptureFile.rollback`.

        Examples:
            >>> log.add_record("third")
            3
            >>> log.rollback()
            >>> log.record_count()
            2
        """
        with self._alone():
            self._open_file().rollback()
            self._changed = False

    def transaction(self) -> AbstractContextManager[Self]:
        """Returns a context manager that commits at the end of its block, and rolls back if the block raises.

        Returns:
            The context manager; entering it returns this object.

        Examples:
            >>> with log.transaction():
            ...     log.add_record("third")
            3
        """
        return _LogTransaction(self)

    def rotate(self) -> None:
        """Commits, and starts a new file unless the current one has no records.

        After an error, the call may be repeated; the next call determines from the files which one is the last.

        Raises:
            OSError: The commit failed, the new file cannot be created or announced, or, after that, an old one
                cannot be deleted.
            CaptureFileError: As for `commit`.

        Examples:
            >>> log.rotate()
            >>> log.file_name.rpartition("/")[2]
            '00000000000000000003.capture'
        """
        with self._alone():
            self.commit()
            if self._open_file().record_count():
                self._rotate()

    def close(self) -> None:
        """Closes the log without committing. Does nothing on a closed object, or in a forked child.

        Examples:
            >>> log.close()
            >>> log.closed
            True
        """
        if self._process != os.getpid():
            return
        with self._writing:
            self._closed = True
            self._close_files()

    def _close_files(self) -> None:
        with ExitStack() as files:
            files.callback(manifest.close_for_writing, self._manifest)
            for file in (self._next, self._file):
                if file is not None:
                    files.callback(file.close)

    def __enter__(self) -> Self:
        """Returns the object itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes the log; with an exception in progress, without a warning about uncommitted records."""
        if exception[0] is not None:
            with suppress(CaptureFileError):
                self.rollback()
        self.close()

    def __repr__(self) -> str:
        """Shows the folder of the log."""
        return f"<RotatingWriter: {str(self._folder)!r}{', closed' if self._closed else ''}>"

    def __reduce__(self) -> Never:
        """Refuses pickling with TypeError: a log has one writer."""
        raise TypeError("a RotatingWriter cannot be pickled or copied: a log has one writer")

    # How it finds the file

    def _alone(self) -> threading.RLock:
        """Returns the lock for exclusive use, in the process that opened the log."""
        # A forked child may have inherited a lock that will never be released.
        if self._process != os.getpid():
            raise CaptureFileNotOpenForWrite(f"the log {str(self._folder)!r} is written by the parent of this process")
        return self._writing

    def _open_file(self) -> CaptureFile[Any]:
        if self._closed:
            raise CaptureFileNotOpen(f"the log {str(self._folder)!r} is closed")
        if self._file is None or not self._settled:
            with alone(self._rotating, f"a rotation of {str(self._folder)!r}"):
                self._settle()
        assert self._file is not None
        return self._file

    def _current_file(self) -> CaptureFile[Any]:
        """Returns the file for a change: a new one if a rotation is due."""
        file = self._open_file()
        if not self._changed:
            if self._limits.are_reached(file, self._current.started, self._current_since):
                self._rotate()
                file = self._open_file()
            self._changed = True
        return file

    # How it rotates

    def _rotate(self) -> None:
        """Starts a new file after the current one."""
        file = self._open_file()
        with alone(self._rotating, f"a rotation of {str(self._folder)!r}"):
            try:
                # From here on, no signal handler can add to the file; records that one has just added are committed.
                self._settled = False
                file.commit()
                sync_path(self._folder / self._current.name)
                self._start(self._current.first + file.record_count(), file.get_metadata())
            except BaseException:
                # If this fails, too, the next call that needs a file tries again and raises the error.
                with suppress(CaptureFileError, OSError, Warning):
                    self._settle()
                raise
            self._delete_old()

    def _delete_old(self) -> None:
        assert self._manifest is not None
        self._retention.delete_old(self._folder, manifest.entries_of(self._manifest))

    def _start(self, first: int, metadata: Buffer | None) -> None:
        """Creates the file whose first record will be `first`, and announces it."""
        path = self._folder / Entry(first, 0).name
        self._next = open_file(path, "x", initial_metadata=metadata, **self._options)
        sync_path(path)
        sync_path(self._folder)
        assert self._manifest is not None
        self._take_up(manifest.announce(self._manifest, first))

    def _settle(self, initial_metadata: Buffer | None = None) -> None:
        """Determines the last file from the manifest, and makes it the current one.

        This opens a log, and also restores it after a rotation that an exception has interrupted at any point: a file
        that was created but not announced is deleted, and an announced one is used.
        """
        self._settled = False
        locking = self._options["use_os_file_locking"]
        self._manifest = manifest.committed(self._manifest, self._folder, use_os_file_locking=locking)
        entries = manifest.entries_of(self._manifest)
        announced = {entry.name for entry in entries}
        if self._next is not None and Path(self._next.file_name).name not in announced:
            self._next.close()
        manifest.delete_unannounced(self._folder, announced)
        if entries:
            self._take_up(entries[-1])
        else:
            self._start(1, initial_metadata)

    def _take_up(self, last: Entry) -> None:
        """Makes the file of `last` the current one, and closes any other."""
        path = self._folder / last.name
        found = None
        for file in (self._next, self._file):
            if file is None or file.closed:
                continue
            if file.file_name == str(path):
                found = file
            else:
                file.close()
        self._file = found or manifest.open_last(path, self._options)
        self._next = None
        if last != self._current:
            self._current, self._current_since = last, time.monotonic()
        self._changed = False
        self._settled = True
