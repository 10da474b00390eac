"""A cache on the disk for objects in stores, which processes can share: `DiskCache`."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import FileIO

    from typing_extensions import Buffer

    from capturefile._typing import StrPath

PAGE = 16 * 1024
"""The unit in which the extension fetches bytes, and in which they are checked."""
PAGES = 128
"""Number of pages in a part."""
_DIGEST = 8
"""Bytes of the checksum of each page. Those of all pages of a part are at its start."""
_HEADER = PAGES * _DIGEST
_SUFFIX = ".part"
_USED_EVERY = 60.0
"""Seconds for which a part that is read does not have to be marked as used again."""
_SHARE = 16
"""A process looks at the size of the cache whenever it has added this fraction of what may be in it."""


@dataclass(frozen=True)
class DiskCache:
    """Keeps what is read from objects in stores in a folder, for this and other processes.

    It is passed as `store` where an object is opened by its URL. The cache holds pieces of objects by URL, size and
    entity tag; objects whose store gives no strong tag are not cached. Opening an object always asks its store, so that
    neither a new version nor missing permission can go unnoticed. A checksum for each piece detects damage, and what is
    damaged is fetched again. When the folder is full, what was unused for longest is evicted.

    Args:
        folder: Folder for the cache, which is created if necessary, and only for this user.
        max_bytes: Maximum size in bytes. Each process may add a sixteenth before it notices that the folder is full.
        store: As for `CaptureFile`, for objects that are not given by a URL.

    Raises:
        ValueError: `max_bytes` is less than 64 MiB.

    Examples:
        >>> DiskCache("objects", max_bytes=1 << 30).max_bytes
        1073741824
    """

    folder: StrPath
    max_bytes: int = 10 << 30
    store: object = None

    def __post_init__(self) -> None:
        """Checks the size."""
        if self.max_bytes < 64 << 20:
            raise ValueError(f"max_bytes cannot be {self.max_bytes}: a cache has at least 64 MiB")


def from_environment() -> DiskCache | None:
    """Returns the cache that the environment names for all objects that are given by URLs."""
    folder = os.environ.get("CAPTUREFILE_CACHE")
    if not folder:
        return None
    size = os.environ.get("CAPTUREFILE_CACHE_BYTES")
    if size is None:
        return DiskCache(folder)
    if not size.isascii() or not size.isdigit():
        raise ValueError(f"the variable CAPTUREFILE_CACHE_BYTES must be a whole number, not {size!r}")
    return DiskCache(folder, int(size))


class ObjectCache:
    """The part of a cache that belongs to one object, in any version. Many threads may use it."""

    def __init__(self, cache: DiskCache, name: str) -> None:
        """Creates the folder of the cache; `name` identifies the object.

        Raises:
            OSError: The folder cannot be created.
        """
        self._root = Path(cache.folder).absolute()
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._max_bytes = cache.max_bytes
        self._name = name

    def read(self, start: int, end: int, size: int, version: str | None, fetch: Callable[[int, int], Buffer]) -> Buffer:
        """Returns a range of an object; `fetch` gets from the store what is not in the cache."""
        is_whole = start % PAGE == 0 and (end % PAGE == 0 or end == size)
        # Only a strong entity tag identifies the content.
        if version is None or not version.startswith('"') or not is_whole:
            return fetch(start, end)
        place = self._root / hashlib.sha256(f"{self._name}\n{size}\n{version}".encode()).hexdigest()[:40]
        pages = range(start // PAGE, -(-end // PAGE))
        found: dict[int, memoryview] = {}
        for part in _parts(pages):
            found.update(_Part(place, part[0] // PAGES).load(part, size))
        missing = [page for page in pages if page not in found]
        if missing:
            first, last = missing[0] * PAGE, min((missing[-1] + 1) * PAGE, size)
            fetched = memoryview(fetch(first, last)).cast("B")
            if len(fetched) != last - first:
                return fetched  # The caller reports it.
            self._keep(place, missing[0], fetched)
            found.update((page, fetched[page * PAGE - first :][:PAGE]) for page in range(missing[0], missing[-1] + 1))
        return b"".join(found[page] for page in pages)

    def _keep(self, place: Path, first: int, content: memoryview) -> None:
        # A cache that cannot be written, because the disk is full, for example, is no reason not to read.
        with suppress(OSError):
            place.mkdir(mode=0o700, exist_ok=True)
            for part in _parts(range(first, first - (-len(content) // PAGE))):
                start = (part[0] - first) * PAGE
                _Part(place, part[0] // PAGES).save(part, content[start : start + len(part) * PAGE])
            self._evictor().added(len(content))

    def _evictor(self) -> _Evictor:
        key = self._root, self._max_bytes, os.getpid()
        return _evictors.get(key) or _evictors.setdefault(key, _Evictor(*key[:2]))


def _parts(pages: range) -> Iterator[range]:
    """Divides pages by the parts that they belong to."""
    first = pages.start
    while first < pages.stop:
        end = min(pages.stop, (first // PAGES + 1) * PAGES)
        yield range(first, end)
        first = end


class _Part:
    """A file with consecutive pages of an object, after their checksums; it has holes for those that are not there.

    Processes may write the same page at the same time, which then has the same content. A page that is not completely
    written, or was damaged later, does not match its checksum.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._path = folder / f"{number}{_SUFFIX}"
        self._first = number * PAGES

    def load(self, pages: range, size: int) -> Iterator[tuple[int, memoryview]]:
        """Yields those of the pages that are there, and are sound."""
        start = pages.start - self._first
        try:
            with self._path.open("rb", buffering=0) as file:
                self._mark_as_used(file)
                file.seek(start * _DIGEST)
                digests = file.read(len(pages) * _DIGEST)
                file.seek(_HEADER + start * PAGE)
                read = memoryview(file.read(min(len(pages) * PAGE, size - pages.start * PAGE)))
        except OSError:
            return
        for index, page in enumerate(pages):
            content = read[index * PAGE :][:PAGE]
            if _digest(page, content) == digests[index * _DIGEST :][:_DIGEST]:
                yield page, content

    def save(self, pages: range, content: memoryview) -> None:
        """Writes pages, and then their checksums."""
        # Neither truncated nor created under another name: other processes may be using the file.
        with os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | _BINARY, 0o600), "r+b", buffering=0) as file:
            start = pages.start - self._first
            file.seek(_HEADER + start * PAGE)
            file.write(content)
            split = (content[index * PAGE :][:PAGE] for index in range(len(pages)))
            file.seek(start * _DIGEST)
            file.write(b"".join(map(_digest, pages, split)))

    def _mark_as_used(self, file: FileIO) -> None:
        if time.time() - os.fstat(file.fileno()).st_mtime > _USED_EVERY:
            os.utime(self._path)


_BINARY = getattr(os, "O_BINARY", 0)


def _digest(page: int, content: Buffer) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST, salt=page.to_bytes(16, "little")).digest()


class _Evictor:
    """Keeps the size of a cache within its bounds."""

    def __init__(self, root: Path, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._room = 0

    def added(self, size: int) -> None:
        """Notes that something was added, and evicts something else if there is not enough room."""
        with self._lock:
            self._room -= size
            if self._room >= 0:
                return
            self._room = self._max_bytes // _SHARE
        self._evict(self._max_bytes - 2 * self._room)

    def _evict(self, limit: int) -> None:
        found = sorted(self._files())
        surplus = sum(size for _, size, _ in found) - limit
        for _, size, path in found:
            if surplus <= 0:
                return
            with suppress(OSError):
                path.unlink()
                surplus -= size
            with suppress(OSError):
                path.parent.rmdir()  # Only if it is empty.

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Yields the time of the last use, the size on the disk and the path of each part."""
        for path in self._root.glob(f"*/*{_SUFFIX}"):
            with suppress(OSError):
                found = path.stat()
                yield found.st_mtime, getattr(found, "st_blocks", -(-found.st_size // 512)) * 512, path


_evictors: dict[tuple[Path, int, int], _Evictor] = {}
"""The evictors by folder, size and process: a forked child must not use a lock that was held during the fork."""
