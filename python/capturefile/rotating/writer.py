"""Writing a rotated log: `RotatingWriter`."""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capturefile._alone import alone
from capturefile._capturefile import CaptureFile
from capturefile._capturefile import open as open_file
from capturefile._errors import (
    CaptureFileError,
    CaptureFileNotOpen,
    CaptureFileNotOpenForWrite,
    InvalidCaptureFile,
)
from capturefile._files import SUFFIX, sync_path
from capturefile.rotating import manifest
from capturefile.rotating.manifest import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Never, Self

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
        self._folder = Path(folder).absolute()
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
        # Held within that during a rotation.
        self._rotating = threading.RLock()
        self._closed = False
        self._manifest: CaptureFile[str] | None = None
        self._file: CaptureFile[Any] | None = None
        self._next: CaptureFile[Any] | None = None
        self._current = Entry(1, 0)
        self._current_since = time.monotonic()
        self._changed = False
        # False while what is above may not be what the files say.
        self._settled = False
        try:
            self._make_folder()
            with self._rotating:
                self._settle(initial_metadata)
        except BaseException:
            self._close_files()
            raise

    def _make_folder(self) -> None:
        if not self._folder.is_dir():
            self._folder.mkdir()
            sync_path(self._folder.parent)

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
        """Whether the object is closed."""
        return self._closed

    def record_count(self) -> int:
        """How many records the log has, those included that were deleted with their files, or not committed yet."""
        with self._alone():
            return self._current.first - 1 + self._open_file().record_count()

    def add_record(self, record: str | Buffer) -> int:
        """Adds a record; returns its number in the log. Raises what `CaptureFile.add_record` and `rotate` raise."""
        with self._alone():
            file, before = self._current_file(), self._current.first - 1
            return before + file.add_record(record)

    def add_records(self, records: Iterable[str | Buffer]) -> int:
        """Adds many records, all to the same file; returns the number of the last one in the log.

        Raises what `CaptureFile.add_records` and `rotate` raise.
        """
        with self._alone():
            file, before = self._current_file(), self._current.first - 1
            return before + file.add_records(records)

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
        committing = False
        try:
            yield self
            committing = True
            self.commit()
        except BaseException as error:
            # What a commit that failed has not committed can be committed yet.
            if not (committing and isinstance(error, CaptureFileError | OSError)):
                # The first error says more.
                with suppress(CaptureFileError):
                    self.rollback()
            raise

    def rotate(self) -> None:
        """Commits, and starts a new file, unless the current one has no records.

        Raises what `commit` raises, and OSError if the new file cannot be made or announced; then all is as before,
        and it may be tried again. After any error the next call finds out from the files which one is the last.
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
            self._closed = True
            self._close_files()

    def _close_files(self) -> None:
        with ExitStack() as files:
            files.callback(self._close_manifest)
            for file in (self._next, self._file):
                if file is not None:
                    files.callback(file.close)

    def _close_manifest(self) -> None:
        if self._manifest is not None:
            # What it could not commit is nobody's loss: that rotation has not happened.
            with suppress(CaptureFileError):
                self._manifest.rollback()
            with suppress(Warning):
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
        return f"<RotatingWriter: {str(self._folder)!r}{', closed' if self._closed else ''}>"

    def __reduce__(self) -> Never:
        """Raises TypeError: a log has one writer."""
        raise TypeError("a RotatingWriter cannot be pickled or copied: a log has one writer")

    # How it finds the file

    def _alone(self) -> threading.RLock:
        """What is held while something is done, by one thread at a time, in the process that opened the log."""
        # A forked child may have a lock that nobody will release.
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
        if self._max_age is not None and self._age() >= self._max_age:
            return True
        if self._max_bytes is None:
            return False
        info = file.info()
        return info.file_limit + info.pending_bytes >= self._max_bytes

    def _age(self) -> float:
        """How old the current file is, in seconds.

        A clock that is set right can be behind the file's start. So what this object knows counts as well, and a start
        that lies far ahead as one that lies far back.
        """
        return max(abs(time.time() - self._current.started), time.monotonic() - self._current_since)

    # How it rotates

    def _rotate(self) -> None:
        """Starts a new file behind the current one."""
        file = self._open_file()
        with alone(self._rotating, f"a rotation of {str(self._folder)!r}"):
            try:
                # From here on no signal handler can add to the file; what one has added just now is committed.
                self._settled = False
                file.commit()
                sync_path(self._folder / self._current.name)
                self._start(self._current.first + file.record_count(), file.get_metadata())
            except BaseException:
                # If it fails as well, the next call that needs a file tries again, and tells the error.
                with suppress(CaptureFileError, OSError, Warning):
                    self._settle()
                raise

    def _start(self, first: int, metadata: Buffer | None) -> None:
        """Makes a new file whose first record will be `first`, and makes it the last of the log."""
        path = self._folder / Entry(first, 0).name
        self._next = open_file(path, "x", initial_metadata=metadata, **self._options)
        sync_path(path)
        sync_path(self._folder)
        assert self._manifest is not None
        self._take_up(manifest.announce(self._manifest, first))

    def _settle(self, initial_metadata: Buffer | None = None) -> None:
        """Finds out from the manifest which file is the last one, and takes it up.

        So a log is opened, and so is it found again where a rotation has ended in an exception, which may have come at
        any moment: what was made and not announced is deleted, what was announced has happened.
        """
        self._settled = False
        entries = self._announced()
        announced = {entry.name for entry in entries}
        if self._next is not None and Path(self._next.file_name).name not in announced:
            self._next.close()
        self._delete_unannounced(announced)
        if entries:
            self._take_up(entries[-1])
        else:
            self._start(1, initial_metadata)

    def _announced(self) -> list[Entry]:
        """The entries of the manifest that are committed; it is opened anew where a commit of it has failed."""
        if self._manifest is not None:
            try:
                self._manifest.rollback()
            except CaptureFileError:
                self._close_manifest()
                self._manifest = None
        if self._manifest is None:
            self._manifest = manifest.open_for_writing(
                self._folder, use_os_file_locking=self._options["use_os_file_locking"]
            )
        return manifest.entries_of(self._manifest)

    def _delete_unannounced(self, announced: set[str]) -> None:
        """Deletes files without records that the manifest does not know: a rotation has ended half-way."""
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

    def _take_up(self, last: Entry) -> None:
        """Makes the file of `last` the one that is written, and closes any other."""
        path = self._folder / last.name
        found = None
        for file in (self._next, self._file):
            if file is None or file.closed:
                continue
            if file.file_name == str(path):
                found = file
            else:
                file.close()
        self._file = found or self._open_last(path)
        self._next = None
        if last != self._current:
            self._current, self._current_since = last, time.monotonic()
        self._changed = False
        self._settled = True

    def _open_last(self, path: Path) -> CaptureFile[Any]:
        if not path.exists():
            raise InvalidCaptureFile(
                f"{str(path)!r} is not there, the last file of a log, where its numbering continues"
            )
        return CaptureFile(path, True, **self._options)
