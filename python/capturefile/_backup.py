"""Copying files and rotated logs while they may be being written."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from capturefile._capturefile import CaptureFile, _backup
from capturefile._errors import CaptureFileReplaced
from capturefile._files import replacing, sync_path
from capturefile._folders import folder_at
from capturefile.rotating import manifest
from capturefile.rotating.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from capturefile._typing import StrPath


def backup(
    source: StrPath,
    target: StrPath,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> int:
    """Copies a capture file or a rotated log as of one commit, even while it is being written.

    Compressed blocks are copied as they are. The copy of a file appears under its name once it is complete and on the
    disk. It can be written like any other file, and continues from its commit.

    A rotated log is copied to a folder, file by file, and its manifest last. After an interruption, or when the log
    has grown, another call continues: files that can no longer change are not copied again. Files that have been
    deleted from the log stay in the copy.

    Args:
        source: Path of a capture file, or of the folder of a rotated log.
        target: Path of the copy. A folder is created if necessary; its parent has to exist.
        overwrite: Replace a file that exists, keeping its mode and owner. The copy of a log is brought up to date
            without it.
        progress: Called with the number of bytes copied and their total: at the start, at most ten times a second,
            and at the end with all of them. For a log, it is the number of files. An exception that it raises stops
            the work.

    Returns:
        The number of the last record of the copy.

    Raises:
        FileExistsError: The target is an existing file, and `overwrite` is false.
        CaptureFileReplaced: The target folder contains a copy of another log.
        CaptureFileAlreadyOpen: The target is being written.
        InvalidCaptureFile: The source is not a capture file or log, or damage was noticed; only `verify` reads all
            blocks.
        OSError: Something cannot be read or written.

    Examples:
        >>> with capturefile.open("visits.capture", "a") as visits:
        ...     number = visits.add_record("not committed")
        ...     count = capturefile.backup("visits.capture", "copy.capture")
        ...     visits.rollback()
        >>> capturefile.open("copy.capture").record_count() == count
        True
    """
    folder = Path(source)
    if folder.is_dir():
        return _backup_log(folder, Path(target), progress)
    return _backup(source, target, overwrite=overwrite, progress=progress)


def _backup_log(source: Path, target: Path, progress: Callable[[int, int], object] | None) -> int:
    if not target.is_dir():
        target.mkdir()
        sync_path(target.parent)
    elif target.samefile(source):
        raise ValueError(f"{str(source)!r} cannot be copied to itself")
    # The new manifest is created first and put in place last, when the files that it announces exist.
    with replacing(target / manifest.NAME) as announcement:
        _backup(source / manifest.NAME, announcement, overwrite=True)
        entries = manifest.entries_at(announcement)
        _check_earlier(source, target, [entry.encode() for entry in entries])
        last = 0
        for index, entry in enumerate(entries):
            if progress is not None:
                progress(index, len(entries))
            end = entries[index + 1].first if index + 1 < len(entries) else None
            with suppress(FileNotFoundError):  # It was deleted from the log.
                last = entry.first - 1 + _backup_part(source / entry.name, target / entry.name, entry.first, end)
        if progress is not None:
            progress(len(entries), len(entries))
    return last


def _check_earlier(source: Path, target: Path, announced: list[str]) -> None:
    """Refuses a folder whose manifest announces files that the log does not have."""
    try:
        earlier = Manifest(folder_at(target))
    except FileNotFoundError:
        return
    try:
        found = [entry.encode() for entry in earlier.entries]
    finally:
        earlier.close()
    if announced[: len(found)] != found:
        raise CaptureFileReplaced(
            f"{str(target)!r} contains a copy of another log, not of {str(source)!r}; use another folder"
        )


def _backup_part(source: Path, target: Path, first: int, end: int | None) -> int:
    """Copies a file of a log, unless it is sealed and already in the copy; returns its record count."""
    if end is not None and target.exists():
        with CaptureFile(target, encoding=None) as copy:
            count = copy.record_count()
            if count == end - first and _last_record(source) == copy[-1]:
                return count
    return _backup(source, target, overwrite=True)


def _last_record(path: Path) -> bytes:
    with CaptureFile(path, encoding=None) as cf:
        return cf[-1]
