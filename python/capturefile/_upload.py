"""Uploading files and rotated logs, which may be written meanwhile, to object stores."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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
    """Uploads a capture file or a rotated log to an object store, as of one commit, also while it is written.

    A file that nobody writes is uploaded as it is, and one that is being written by way of a copy in the folder for
    temporary files, as `backup` makes it. The SHA-256 of the content is kept with the object. An object that has it
    already is not uploaded again, so that calling this again continues where it was interrupted.

    A rotated log is uploaded file by file to objects below the URL, and its manifest last.

    Args:
        source: Path of a capture file, or of the folder of a rotated log.
        url: URL of the object; for a log, of what its files are below.
        overwrite: Replace an object that exists with another content. The last file and the manifest of a log are
            replaced without it.
        progress: Called with the number of files that are uploaded and their total. An exception that it raises stops
            the work.

    Returns:
        The number of the last record that is in the store now.

    Raises:
        FileExistsError: The object exists with another content, and `overwrite` is false.
        CaptureFileReplaced: A file without a writer was changed while it was uploaded.
        CaptureFileError: A file in format 3 is being written: close its writer first.
        OSError: Something cannot be read, or the store fails.
        ImportError: `obstore` is not installed.
        ValueError: The URL is that of no object store.

    Examples:
        >>> capturefile.upload("visits.capture", "copies/visits.capture")
        Traceback (most recent call last):
            ...
        ValueError: 'copies/visits.capture' is no URL of an object store that files can be uploaded to
    """
    path = Path(source)
    report = progress or _ignore
    if path.is_dir():
        return _upload_log(path, url.rstrip("/"), report)
    report(0, 1)
    count = _upload_file(path, _remote.Target.at(url), overwrite=overwrite)
    report(1, 1)
    return count


def _ignore(*_: int) -> None:
    pass


def _upload_log(folder: Path, url: str, report: Callable[[int, int], object]) -> int:
    with tempfile.TemporaryDirectory() as temporary:
        # Made first and uploaded last: it announces objects that are there by then.
        announcement = Path(temporary, manifest.NAME)
        _backup(folder / manifest.NAME, announcement, overwrite=False)
        entries = manifest.entries_at(announcement)
        last = 0
        for index, entry in enumerate(entries):
            report(index, len(entries) + 1)
            path = folder / entry.name
            if path.exists():  # Otherwise it was deleted from the log.
                count = _upload_file(path, _remote.Target.at(f"{url}/{entry.name}"), overwrite=True)
                last = entry.first - 1 + count
        report(len(entries), len(entries) + 1)
        _upload_file(announcement, _remote.Target.at(f"{url}/{manifest.NAME}"), overwrite=True)
        report(len(entries) + 1, len(entries) + 1)
    return last


def _upload_file(path: Path, target: _remote.Target, *, overwrite: bool) -> int:
    """Uploads a file; returns how many records it has."""
    with _unchanging(path) as (copy, count):
        with copy.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        size = copy.stat().st_size
        there = target.state()
        if there == (size, digest):
            return count
        if there is not None and not overwrite:
            raise FileExistsError(errno.EEXIST, "the object exists, with another content", target.name)
        target.put(copy, size, digest)
    return count


@contextmanager
def _unchanging(path: Path) -> Iterator[tuple[Path, int]]:
    """A file with one commit, and how many records that has."""
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
        raise CaptureFileReplaced(f"{str(path)!r} was written while it was uploaded; upload it again")


class _Standing(NamedTuple):
    """What changes with a file."""

    device: int
    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> _Standing:
        found = os.stat(path)  # noqa: PTH116  (the same, and shorter)
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
