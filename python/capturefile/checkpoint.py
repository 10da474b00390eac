"""Consumers that go on where they stopped, however they stopped.

`consume` reads one capture file and writes results to another. The position that it has reached is committed in the
same commit as the results, so that each record of the source is consumed exactly once:

    with checkpoint.consume("visits.capture", "cities.capture", name="cities") as consumer:
        for batch in consumer:
            for record in batch:
                consumer.add(record.partition(", from ")[2])

`consume_at_least_once` is for results that go anywhere else. It keeps the position in a file of its own, and a consumer
that dies between delivering results and noting so delivers them again.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar, cast, overload
from zlib import crc32

from capturefile._capturefile import CaptureFile
from capturefile._errors import CaptureFileError, CaptureFileReplaced
from capturefile._files import replacing, sync_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Literal, Self

    from typing_extensions import Buffer

    _Path: TypeAlias = str | os.PathLike[str]
    _Sync: TypeAlias = Literal["full", "barrier", "none"] | bool

__all__ = ["KEY", "AtLeastOnceConsumer", "Consumer", "ExactlyOnceConsumer", "consume", "consume_at_least_once"]

KEY = "capturefile.checkpoints"
"""The key of the destination's metadata, a JSON object, under which `consume` keeps positions by consumers' names."""

_RecordT_co = TypeVar("_RecordT_co", bound=str | bytes, covariant=True)

_BYTES_PER_BATCH = 8 << 20


class _Position(NamedTuple):
    """How much of a source is consumed."""

    records: int = 0
    """How many records, from the first on."""
    checksum: int | None = None
    """CRC-32 of the last one, to tell the source from another file."""

    def encode(self) -> dict[str, Any]:
        return {"records": self.records, "crc32": self.checksum}

    @classmethod
    def decode(cls, value: object, place: str) -> _Position:
        """The position that stands at `place`."""
        match value:
            case None:
                return cls()
            case {"records": int(records), "crc32": int() | None as checksum} if records >= 0:
                return cls(records, checksum)
        raise ValueError(f"{place} holds no position of a consumer, but {value!r}")


class _Source:
    """The records to consume, as bytes."""

    def __init__(self, path: _Path, *, follow: bool, timeout: float | None, durable: bool) -> None:
        self._cf = CaptureFile(path, encoding=None)
        self._follow = follow
        self._timeout = timeout
        self._durable = durable
        self._cf.refresh(durable)

    def check(self, position: _Position) -> None:
        """Sees that the records up to `position` are those that were consumed."""
        count = self._cf.record_count()
        name = repr(self._cf.file_name)
        if count < position.records:
            raise CaptureFileReplaced(
                f"{name} has {count} records, of which {position.records} have been consumed: "
                "it was replaced, or has lost records"
            )
        if position.records and crc32(self._cf.record_at(position.records)) != position.checksum:
            raise CaptureFileReplaced(
                f"record {position.records} of {name} is not the one that was consumed last: the file was replaced"
            )

    def read(self, consumed: int, most: int) -> list[bytes]:
        """The next records, at most so many and so many bytes; none at the end, which may be waited for."""
        while True:
            batch = self._at_hand(consumed, most)
            if batch or not self._more(consumed):
                return batch

    def _at_hand(self, consumed: int, most: int) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        for record in islice(self._cf.record_generator(consumed + 1), most):
            batch.append(record)
            size += len(record)
            if size >= _BYTES_PER_BATCH:
                break
        return batch

    def _more(self, consumed: int) -> bool:
        """Looks for records that were committed since, and waits for them if the file is to be followed."""
        follower = self._cf.follow(consumed + 1, timeout=self._timeout if self._follow else 0)
        if next(follower, None) is None:
            return False
        # What is consumed must never be taken back by a power cut: nobody would notice.
        self._cf.refresh(self._durable)
        return True

    @property
    def file_name(self) -> str:
        return self._cf.file_name

    def lag(self, consumed: int) -> int:
        """How many committed records lie behind the first `consumed`."""
        return self._cf.follow(consumed + 1).lag()

    def close(self) -> None:
        self._cf.close()


class Consumer(ABC, Generic[_RecordT_co]):
    """Iterates over the records of a source in batches, each a list, and notes which of them are done.

    A batch is done when the loop asks for the next one, or when `commit` is called. A batch that the loop was left in
    the middle of, by `break` or an exception, is not: the next consumer gets it again.
    """

    def __init__(self, source: _Source, encoding: str | None, batch_size: int, position: _Position) -> None:
        """Use `consume` or `consume_at_least_once`."""
        self._source = source
        self._encoding = encoding
        self._batch_size = batch_size
        self._position = position
        self._given = position

    @property
    def position(self) -> int:
        """How many records of the source are done: the number of the last one."""
        return self._position.records

    def __iter__(self) -> Iterator[list[_RecordT_co]]:
        """Iterates over what is not done yet, in lists of at most `batch_size` records and about 8 MiB."""
        self._give_up()
        while batch := self._source.read(self.position, self._batch_size):
            self._given = _Position(self.position + len(batch), crc32(batch[-1]))
            yield self._decoded(batch)
            self.commit()

    def _decoded(self, batch: list[bytes]) -> list[_RecordT_co]:
        encoding = self._encoding
        return cast("list[_RecordT_co]", batch if encoding is None else [record.decode(encoding) for record in batch])

    def commit(self) -> None:
        """Notes that the records given so far are done, with their results.

        The loop does this by itself between two batches. Raises what `CaptureFile.commit` raises, or an OSError if a
        cursor file cannot be written.
        """
        self._save(self._given)
        self._position = self._given

    def _give_up(self) -> None:
        """Forgets a batch that is not done, with its results: it comes again."""
        if self._given != self._position:
            self._given = self._position
            self._forget_results()

    def lag(self) -> int:
        """How many records of the source are committed now and not done. Raises what `CaptureFile.refresh` raises."""
        return self._source.lag(self.position)

    def close(self) -> None:
        """Ends without committing, and closes what was opened for the consumer."""
        self._give_up()
        self._source.close()

    def __enter__(self) -> Self:
        """The object itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Calls `close`."""
        self.close()

    @property
    def file_name(self) -> str:
        """The path of the source."""
        return self._source.file_name

    @abstractmethod
    def _save(self, position: _Position) -> None: ...

    @abstractmethod
    def _forget_results(self) -> None: ...


class ExactlyOnceConsumer(Consumer[_RecordT_co]):
    """A consumer whose results go to a capture file, in the same commits as its position; see `consume`."""

    def __init__(
        self, source: _Source, encoding: str | None, batch_size: int, destination: CaptureFile[Any], name: str
    ) -> None:
        """Use `consume`."""
        self.destination = destination
        """The file that the results go to. It is read like any other, and its other metadata can be set; a commit
        of its own in the middle of a batch would separate results from their position."""
        self._name = name
        self._closes = False
        place = f"{KEY!r} in the metadata of {destination.file_name!r}"
        position = _Position.decode(self._positions(self._metadata()).get(name), place)
        source.check(position)
        super().__init__(source, encoding, batch_size, position)

    def add(self, record: str | Buffer) -> None:
        """Adds a result, which others see once the batch is done. Raises what `CaptureFile.add_record` raises."""
        self.destination.add_record(record)

    def add_all(self, records: Iterable[str | Buffer]) -> None:
        """Adds many results at once. Raises what `CaptureFile.add_records` raises."""
        self.destination.add_records(records)

    def _save(self, position: _Position) -> None:
        # Read anew each time: others may have set other keys in the same transaction.
        metadata = self._metadata()
        metadata[KEY] = {**self._positions(metadata), self._name: position.encode()}
        self.destination.set_metadata(json.dumps(metadata).encode())
        self.destination.commit()

    def _metadata(self) -> dict[str, Any]:
        metadata = self.destination.get_metadata()
        try:
            found = json.loads(metadata) if metadata else {}
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
        raise ValueError(
            f"the metadata of {self.destination.file_name!r} is no JSON object, so that no position can be kept in it: "
            f"it is {metadata!r:.80}"
        )

    def _positions(self, metadata: dict[str, Any]) -> dict[str, Any]:
        positions = metadata.get(KEY, {})
        if isinstance(positions, dict):
            return positions
        raise ValueError(f"{KEY!r} in the metadata of {self.destination.file_name!r} is {positions!r:.80}, no object")

    def _forget_results(self) -> None:
        # After a commit that failed, or a close, there is nothing to take back, and the first error says more.
        with suppress(CaptureFileError):
            self.destination.rollback()

    def close(self) -> None:
        """Ends without committing; closes the source, and the destination if it was given by its path."""
        try:
            super().close()
        finally:
            if self._closes:
                self.destination.close()


class AtLeastOnceConsumer(Consumer[_RecordT_co]):
    """A consumer whose position is in a file of its own; see `consume_at_least_once`."""

    def __init__(self, source: _Source, encoding: str | None, batch_size: int, cursor_file: Path) -> None:
        """Use `consume_at_least_once`."""
        self._cursor_file = cursor_file
        position = self._load()
        source.check(position)
        super().__init__(source, encoding, batch_size, position)

    def _load(self) -> _Position:
        try:
            content = self._cursor_file.read_bytes()
        except FileNotFoundError:
            return _Position()
        try:
            value = json.loads(content)
        except ValueError:
            value = content
        return _Position.decode(value, f"the cursor file {str(self._cursor_file)!r}")

    def _save(self, position: _Position) -> None:
        _replace(self._cursor_file, json.dumps(position.encode()).encode())

    def _forget_results(self) -> None:
        """What was delivered stays delivered."""


def _replace(path: Path, content: bytes) -> None:
    """Gives a file new content in one step: after a power cut it has the old one or the new one."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
        sync_path(temporary)


@overload
def consume(
    source: _Path,
    destination: _Path | CaptureFile[Any],
    *,
    name: str,
    encoding: str = "utf_8",
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
    sync: _Sync = "full",
) -> ExactlyOnceConsumer[str]: ...
@overload
def consume(
    source: _Path,
    destination: _Path | CaptureFile[Any],
    *,
    name: str,
    encoding: None,
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
    sync: _Sync = "full",
) -> ExactlyOnceConsumer[bytes]: ...
def consume(
    source: _Path,
    destination: _Path | CaptureFile[Any],
    *,
    name: str,
    encoding: str | None = "utf_8",
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
    sync: _Sync = "full",
) -> ExactlyOnceConsumer[Any]:
    """A consumer of the capture file `source` that adds its results to the capture file `destination`.

    Each commit has the results of whole batches together with the position in the source, so that a consumer that is
    killed and started again, however often, leaves the results of each record once. The position is kept in the
    destination's metadata, a JSON object, under the key `KEY` and the consumer's name; other keys stay. Since a file
    has one writer, a consumer never runs twice at the same time.

    Arguments:
        source: path of the file to read.
        destination: path of the file to write, which is created if there is none; or an object that is open for
            writing, which stays open.
        name: of the consumer. Several, of several sources, can share a destination, one at a time.
        encoding: how records of the source are decoded, and results encoded; None for `bytes`.
        batch_size: how many records a batch has, and a commit, at most.
        follow: go on with what is committed to the source later. Otherwise the iteration ends with the last record
            that there is.
        timeout: seconds without news after which it ends all the same; by default it waits for ever.
        sync: as for `CaptureFile`, for a destination given by its path. Unless it is "none", records of the source
            are on the disk before they are consumed.

    Raises ValueError if the destination's metadata is no JSON object, CaptureFileReplaced if the source is not the
    file that was consumed so far, and what `CaptureFile` raises; nothing has been changed then.
    """
    records = _open_source(source, batch_size, follow=follow, timeout=timeout, durable=sync not in ("none", False))
    try:
        if isinstance(destination, CaptureFile):
            return ExactlyOnceConsumer(records, encoding, batch_size, destination, name)
        options: dict[str, Any] = {"encoding": encoding, "sync": sync}
        results: CaptureFile[Any] = CaptureFile(destination, to_write=True, **options)
        try:
            consumer: ExactlyOnceConsumer[Any] = ExactlyOnceConsumer(records, encoding, batch_size, results, name)
        except BaseException:
            results.close()
            raise
        consumer._closes = True
        return consumer
    except BaseException:
        records.close()
        raise


def _open_source(path: _Path, batch_size: int, *, follow: bool, timeout: float | None, durable: bool) -> _Source:
    if batch_size < 1:
        raise ValueError(f"batch_size cannot be {batch_size}: a batch has at least one record")
    return _Source(path, follow=follow, timeout=timeout, durable=durable)


@overload
def consume_at_least_once(
    source: _Path,
    cursor_file: _Path,
    *,
    encoding: str = "utf_8",
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
) -> AtLeastOnceConsumer[str]: ...
@overload
def consume_at_least_once(
    source: _Path,
    cursor_file: _Path,
    *,
    encoding: None,
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
) -> AtLeastOnceConsumer[bytes]: ...
def consume_at_least_once(
    source: _Path,
    cursor_file: _Path,
    *,
    encoding: str | None = "utf_8",
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
) -> AtLeastOnceConsumer[Any]:
    """A consumer of the capture file `source` whose results go somewhere else: a queue, a database, a web service.

    The position is written to `cursor_file`, by replacing it, after each batch. A consumer that is killed after it has
    delivered a batch and before that is noted delivers the batch again when it is started again: no record is missed,
    some may come twice. The sink can tell those by their numbers: the first record of a batch is `position + 1`.

    Arguments:
        source: path of the file to read.
        cursor_file: path of the file with the position, which is created after the first batch. Two consumers must
            not share one.
        encoding: as for `consume`.
        batch_size: how many records a batch has at most; the position is written once a batch.
        follow: as for `consume`.
        timeout: as for `consume`.

    Raises ValueError if the cursor file holds something else, CaptureFileReplaced if the source is not the file that
    was consumed so far, and what `CaptureFile` raises.
    """
    records = _open_source(source, batch_size, follow=follow, timeout=timeout, durable=True)
    try:
        return AtLeastOnceConsumer(records, encoding, batch_size, Path(cursor_file))
    except BaseException:
        records.close()
        raise
