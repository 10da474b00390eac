"""Creating indexes and keeping them up to date: each index is the result of a consumer."""

from __future__ import annotations

import io
import os
import stat
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capturefile import _metadata
from capturefile._capturefile import CaptureFile, _IndexRun
from capturefile._cursor import Position
from capturefile._decoder import Decoder
from capturefile._errors import CaptureFileAlreadyOpen, CaptureFileReplaced, InvalidCaptureFile
from capturefile._files import replacing
from capturefile._index.contents import (
    CONSUMER,
    KEY,
    MAX_RUN,
    Contents,
    Damaged,
    Run,
    file_of,
    first_record,
    identity_of,
    parts_of,
)
from capturefile._index.place import place_of
from capturefile._remote import is_url, without_secrets
from capturefile.checkpoint.consumers import ExactlyOnceConsumer
from capturefile.checkpoint.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from capturefile._typing import StrPath

    Progress = Callable[[int, int], object]

MIN_RUN = 4096
"""Minimum number of new records for which updating an index is worthwhile."""
MAX_GROUPS = 1 << 16
"""Number of groups after which a run ends."""
MERGED = 8
"""Number of runs of about the same size that are merged into one."""
MAX_GARBAGE = 8
"""The fraction of an index that unused pages may take up, relative to the used ones, as the denominator."""


def index(file_name: StrPath, *keys: str, progress: Progress | None = None) -> int:
    """Creates the index of a file or a rotated log, or brings it up to date.

    With the index, `find_all` and the option `--where` of the command skip records that cannot have a value in a
    field. It is a file next to the log, with `.index` appended to its name, or `_index.capture` in the folder of a
    rotated log. An index that is damaged or belongs to another file is created again.

    Args:
        file_name: Path of a capture file, or of the folder of a rotated log.
        keys: Names of fields of JSON records; `a.b` is field `b` in `a`. By default, the keys of the existing index.
            With different keys, the index is created again.
        progress: Called with the number of indexed records and of all records, at the start and after every 100,000. An
            exception that it raises stops the work; committed parts of the index remain.

    Returns:
        The number of the last record that the index covers.

    Raises:
        ValueError: No keys are given and there is no index with keys, or the file at the path of the index is a capture
            file that is not an index.
        CaptureFileAlreadyOpen: Another object or process is updating the index.
        CaptureFileError: As for `CaptureFile`.
        OSError: As for `CaptureFile`; it is an `io.UnsupportedOperation` for an object in a store.

    Examples:
        >>> with capturefile.open("orders.capture", "a") as orders:
        ...     orders.add_records(['{"order": "A17", "items": 2}', '{"order": "B4", "items": 1}'])
        ...     orders.commit()
        2
        >>> capturefile.index("orders.capture", "order")
        2
        >>> list(capturefile.open("orders.capture").find_all("order", "B4"))
        [(2, '{"order": "B4", "items": 1}')]
    """
    path = os.fspath(file_name)
    if is_url(path):
        raise io.UnsupportedOperation(
            f"{without_secrets(path)!r} is in an object store, where no index can be made: make it for a local copy, "
            "and upload it with the file"
        )
    place = place_of(path)
    try:
        with _indexer(path, place, list(dict.fromkeys(keys))) as indexer:
            indexer.catch_up(progress)
            covered, is_loose = indexer.position, indexer.has_garbage()
    except Damaged:
        with _new(path, place, list(keys) or _keys_at(place)) as indexer:
            indexer.catch_up(progress)
            covered, is_loose = indexer.position, False
    if is_loose:
        with suppress(CaptureFileAlreadyOpen):
            _compact(place)
    return covered


def renew(file_name: StrPath, keys: list[str]) -> None:
    """Creates an index again for the same keys; raises the same errors as `index`."""
    with _new(os.fspath(file_name), place_of(file_name), keys) as indexer:
        indexer.catch_up(None)


def _keys_at(place: str) -> list[str]:
    """Returns the keys of an index that is damaged."""
    with CaptureFile(place, encoding=None) as file:
        try:
            return Contents.decode(file.get_metadata()).keys
        except Damaged:
            raise ValueError(f"{place!r} is damaged, and its keys cannot be read: name them") from None


def _opened(place: str, *, empty: bool) -> CaptureFile[bytes]:
    """Opens the index at a path for writing, and creates it if it does not exist."""
    options: dict[str, Any] = {"compression_block_size": 16384, "compression_level": 1, "encoding": None}
    return CaptureFile(place, to_write=True, force_new_empty_file=empty, **options)


def _indexer(path: str, place: str, keys: list[str]) -> Indexer:
    """Continues the existing index if it has these keys, or by default any keys; otherwise creates it."""
    Path(path).stat()
    if not Path(place).exists():
        if not keys:
            raise ValueError(f"{path!r} has no index yet: name its keys")
        return _new(path, place, keys)
    try:
        destination = _opened(place, empty=False)
    except InvalidCaptureFile:
        if not keys:
            raise
        return _new(path, place, keys)
    try:
        contents = _contents(destination, place)
    except BaseException:
        destination.close()
        raise
    if contents is None or (keys and set(keys) != set(contents.keys)):
        keys = keys or (contents.keys if contents else [])
        destination.close()
        if not keys:
            raise ValueError(f"{place!r} has no keys yet: name them")
        return _new(path, place, keys)
    try:
        return Indexer(path, destination, contents.keys, contents.runs, contents.identity)
    except CaptureFileReplaced:
        return _new(path, place, contents.keys)


def _contents(destination: CaptureFile[bytes], place: str) -> Contents | None:
    """Returns the contents of an index, or None for a file without records."""
    try:
        return Contents.decode(destination.get_metadata())
    except Damaged:
        if destination.record_count() and f'"{KEY}"'.encode() not in (destination.get_metadata() or b""):
            raise ValueError(f"{place!r} is a capture file that is not an index: it is not replaced") from None
        return None


def _new(path: str, place: str, keys: list[str]) -> Indexer:
    """Creates an empty index, and replaces an existing one."""
    source = Source(path, follow=False, timeout=None, durable=False)
    try:
        identity, mode_of = identity_of(source.file), file_of(source.file).file_name
    finally:
        source.close()
    destination = _opened(place, empty=True)
    try:
        # The index contains data of the log, so it must not be readable by more users.
        Path(place).chmod(stat.S_IMODE(Path(mode_of).stat().st_mode) & 0o666)
    except BaseException:
        destination.close()
        raise
    return Indexer(path, destination, keys, [], identity)


class Indexer(ExactlyOnceConsumer[bytes]):
    """Consumes a log; its results are the pages of an index, with their positions in the metadata."""

    def __init__(
        self, path: str, destination: CaptureFile[bytes], keys: list[str], runs: list[Run], identity: list[int | None]
    ) -> None:
        """Continues an index.

        Raises:
            CaptureFileReplaced: It is the index of another log.
        """
        self._keys = keys
        self._runs = runs
        self._identity = identity
        try:
            source = Source(path, follow=False, timeout=None, durable=True)
            try:
                if identity_of(source.file) != identity:
                    raise CaptureFileReplaced(f"{destination.file_name!r} is the index of a file other than {path!r}")
                super().__init__(source, Decoder(None), 1, destination, CONSUMER, closes_destination=True)
            except BaseException:
                source.close()
                raise
        except BaseException:
            destination.close()
            raise

    def catch_up(self, progress: Progress | None) -> None:
        """Indexes the records after those that are indexed already.

        Raises:
            Damaged: A page to be merged is damaged.
        """
        log = self._source.file
        count = log.record_count()
        if not self._runs and not count:
            self._store(Position())
        while self.position < count and (first := max(self.position + 1, first_record(log))) <= count:
            if progress is not None:
                progress(self.position, count)
            self._add(first, min(count, first + MAX_RUN - 1), progress)
        if progress is not None:
            progress(count, count)

    def _add(self, first: int, last: int, progress: Progress | None) -> None:
        """Adds a run of these records, or of as many as fit."""
        log = self._source.file
        count = log.record_count()
        run = _IndexRun(self._keys, first)
        done = first - 1
        with closing(parts_of(log, first, last)) as parts:
            for cf, numbers, before in parts:
                number = numbers[0]
                while number <= numbers[-1] and run.groups < MAX_GROUPS:
                    number = run.add(cf, number, numbers[-1], before)
                    done = before + number - 1
                    if progress is not None:
                        progress(done, count)
                run.end_group()
                if run.groups >= MAX_GROUPS:
                    break
        self._take(run, first, done)

    def _take(self, run: _IndexRun, first: int, last: int) -> None:
        """Commits a run, after merging earlier ones into it if there are many."""
        destination = self.destination
        # Behind runs of deleted records, others may be missing that were deleted before they were indexed.
        oldest = first_record(self._source.file)
        runs = [each for each in self._runs if each.last >= oldest]
        number = merged([each.last + 1 - each.first for each in runs], last + 1 - first)
        kept, earlier = runs[: len(runs) - number], runs[len(runs) - number :]
        unreadable = run.unreadable
        for each in reversed(earlier):
            try:
                run.prepend(each.first, each.groups, [self._pages(each, *part) for part in each.parts])
            except (ValueError, LookupError, InvalidCaptureFile) as error:
                raise Damaged from error
            first, unreadable = each.first, [*each.unreadable, *unreadable]
        parts: list[tuple[int, int]] = []
        for groups, hashes in run.pages():
            parts.append((destination.record_count() + 1, len(hashes)))
            destination.add_records([*groups, *hashes])
        position = Position.before(last + 1, self._source.file)
        self._runs = [*kept, Run(first, last, position.checksum, run.groups, unreadable, parts)]
        self._store(position)

    def _pages(self, run: Run, start: int, hash_pages: int) -> tuple[list[bytes], list[bytes]]:
        end = start + run.group_pages + hash_pages
        if end > self.destination.record_count() + 1:
            raise IndexError
        pages = self.destination[start:end]
        return pages[: run.group_pages], pages[run.group_pages :]

    def _store(self, position: Position) -> None:
        """Commits the added pages, with the contents of the index and its position in the log."""
        metadata = _metadata.load(self.destination, KEY, "contents of an index")
        metadata[KEY] = Contents(self._keys, self._identity, self._runs, position).encode()
        _metadata.save(self.destination, metadata)
        self._given = position
        self.commit()

    def has_garbage(self) -> bool:
        """Returns whether the file should be written again, because a large part of it is no longer used."""
        used = sum(run.pages for run in self._runs)
        return self.destination.record_count() > used + max(64, used // MAX_GARBAGE)


def merged(sizes: Sequence[int], size: int) -> int:
    """Returns how many of the last runs are merged into a new one, given their numbers of records."""
    number = 0
    while True:
        limit = len(sizes) - number
        start = limit
        while start > 0 and _tier(sizes[start - 1]) <= _tier(size):
            start -= 1
        if limit - start < MERGED - 1:
            return number
        while start < limit and size + sum(sizes[start:limit]) > MAX_RUN:
            start += 1
        if start == limit:
            return number
        size += sum(sizes[start:limit])
        number = len(sizes) - start


def _tier(size: int) -> int:
    """Returns by how many powers of eight a run is larger than the smallest."""
    return max(0, (size // MIN_RUN).bit_length() - 1) // (MERGED.bit_length() - 1)


def _compact(place: str) -> None:
    """Rewrites an index without its unused pages.

    Raises:
        CaptureFileAlreadyOpen: Another object or process is updating it.
    """
    with replacing(place) as temporary, CaptureFile(place, encoding=None) as old:
        contents = Contents.decode(old.get_metadata())
        with _opened(temporary, empty=False) as new:
            runs = [run._replace(parts=[_copied(run, *part, old, new) for part in run.parts]) for run in contents.runs]
            metadata = _metadata.load(old, KEY, "contents of an index")
            metadata[KEY] = contents._replace(runs=runs).encode()
            _metadata.save(new, metadata)
            new.commit()


def _copied(run: Run, start: int, hash_pages: int, old: CaptureFile[bytes], new: CaptureFile[bytes]) -> tuple[int, int]:
    """Copies the pages of a key in a run; returns their position."""
    place = new.record_count() + 1
    new.add_records(old[start : start + run.group_pages + hash_pages])
    return place, hash_pages
