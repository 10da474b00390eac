"""Uploading files and rotated logs to object stores while they may be being written."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from capturefile import _remote
from capturefile._capturefile import CaptureFile, _backup
from capturefile._errors import CaptureFileReplaced
from capturefile.rotating import manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capturefile._typing import StrPath


def upload(
    source: StrPath,
    url: str,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> int:
    """Uploads a capture file or a rotated log to an object store, as of one commit, even while it is being written.

    A file without a writer is uploaded as it is. If it is being written, a copy in the folder for temporary files,
    created by `backup`, is uploaded instead. The SHA-256 of the content is stored with the object. An object with the
    same checksum is not uploaded again, so another call continues after an interruption with the file at which it was.

    A rotated log is uploaded file by file to objects below the URL, and its manifest last.

    Args:
        source: Path of a capture file, or of the folder of a rotated log.
        url: URL of the object; for a log, the prefix of the URLs of its files.
        overwrite: Replace an existing object with different content. The last file and the manifest of a log are
            always replaced.
        progress: Called with the number of files uploaded and their total. An exception that it raises stops the
            work.

    Returns:
        The number of the last record that is now in the store.

    Raises:
        FileExistsError: The object exists with different content, and `overwrite` is false.
        CaptureFileReplaced: A file without a writer was changed while it was uploaded.
        OSError: Something cannot be read, or the store fails.
        ImportError: `obstore` is not installed.
        ValueError: The URL is not that of an object store.

    Examples:
        >>> capturefile.upload("visits.capture", "copies/visits.capture")
        Traceback (most recent call last):
            ...
        ValueError: 'copies/visits.capture' is not a URL of an object store to which files can be uploaded
    """
    path = Path(source)
    report = progress or _ignore
    if path.is_dir():
        return _upload_log(path, url.rstrip("/"), report)
    report(0, 1)
    count = _upload_file(path, Target.at(url), overwrite=overwrite)
    report(1, 1)
    return count


def _ignore(*_: int) -> None:
    pass


def _upload_log(folder: Path, url: str, report: Callable[[int, int], object]) -> int:
    with tempfile.TemporaryDirectory() as temporary:
        # Created first and uploaded last, when the objects that it announces exist.
        announcement = Path(temporary, manifest.NAME)
        _backup(folder / manifest.NAME, announcement, overwrite=False)
        entries = manifest.entries_at(announcement)
        last = 0
        for index, entry in enumerate(entries):
            report(index, len(entries) + 1)
            path = folder / entry.name
            if path.exists():  # Otherwise it was deleted from the log.
                count = _upload_file(path, Target.at(f"{url}/{entry.name}"), overwrite=True)
                last = entry.first - 1 + count
        report(len(entries), len(entries) + 1)
        _upload_file(announcement, Target.at(f"{url}/{manifest.NAME}"), overwrite=True)
        report(len(entries) + 1, len(entries) + 1)
    return last


def _upload_file(path: Path, target: Target, *, overwrite: bool) -> int:
    """Uploads a file; returns its number of records."""
    with _unchanging(path) as (copy, count):
        with copy.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        size = copy.stat().st_size
        there = target.state()
        if there == (size, digest):
            return count
        if there is not None and not overwrite:
            raise FileExistsError(errno.EEXIST, "the object exists, with different content", target.name)
        target.put(copy, size, digest)
    return count


@contextmanager
def _unchanging(path: Path) -> Iterator[tuple[Path, int]]:
    """Yields a path with a single commit, which may be a copy, and its number of records."""
    with CaptureFile(path, encoding=None) as cf:
        is_being_written = cf.is_being_written()
        count = cf.record_count()
    if is_being_written:
        with tempfile.TemporaryDirectory() as temporary:
            copy = Path(temporary, path.name)
            yield copy, _backup(path, copy, overwrite=False)
        return
    before = _Standing.of(path)
    yield path, count
    if _Standing.of(path) != before:
        raise CaptureFileReplaced(f"{str(path)!r} was written during the upload; upload it again")


class _Standing(NamedTuple):
    """Attributes that change when a file is written."""

    device: int
    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> _Standing:
        found = os.stat(path)  # noqa: PTH116  (the same, and shorter)
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class Target:
    """The destination of an upload."""

    DIGEST = "capturefilesha256"
    """The attribute with the checksum of the content. Azure accepts only names that are identifiers."""

    def __init__(self, name: str, store: Any, path: str) -> None:  # noqa: ANN401  (obstore has several types of stores)
        self.name = name
        """The URL in messages."""
        self._store = store
        self._path = path

    @classmethod
    def at(cls, url: str) -> Target:
        """Returns the object with this URL.

        Raises:
            ValueError: It is not a URL of an object store.
            ImportError: `obstore` is not installed.
        """
        if not _remote.is_url(url) or url.startswith(("http://", "https://")):
            message = f"{_remote.without_secrets(url)!r} is not a URL of an object store to which files can be uploaded"
            raise ValueError(message)
        root, path = _remote.split_object(url)
        _remote.require_obstore(root)
        name = _remote.without_secrets(url)
        return cls(name, _remote.calling(name, lambda: _remote.connect(root, for_upload=True)), path)

    def state(self) -> tuple[int, str | None] | None:
        """Returns the size and the checksum of the existing object; None if there is none."""
        import obstore

        def ask() -> tuple[int, str | None] | None:
            try:
                found = obstore.get(self._store, self._path, options={"head": True})
            except FileNotFoundError:
                return None
            return found.meta["size"], found.attributes.get(self.DIGEST)

        return _remote.calling(self.name, ask)

    def put(self, content: Path, size: int, digest: str) -> None:
        """Uploads the content of a file."""
        import obstore

        def put() -> None:
            obstore.put(self._store, self._path, content, attributes={self.DIGEST: digest})

        _remote.calling(self.name, put)
        if (there := self.state()) != (size, digest):
            message = f"the uploaded object differs from the file: {there} instead of {(size, digest)}"
            raise OSError(errno.EIO, message, self.name)
