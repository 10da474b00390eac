"""Consumers that resume where they stopped, even after a crash.

`consume` reads one capture file and writes results to another. Its position is part of the same commit as the results,
so that each record of the source is consumed exactly once:

    with checkpoint.consume("visits.capture", "cities.capture", name="cities") as consumer:
        for batch in consumer:
            for record in batch:
                consumer.add(record.partition(", from ")[2])

`consume_at_least_once` is for all other results. It keeps the position in a separate file. A consumer that dies after
delivering results and before saving the position delivers them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from capturefile._capturefile import CaptureFile
from capturefile._cursor import CursorFile
from capturefile._decoder import Decoder
from capturefile.checkpoint.consumers import KEY, AtLeastOnceConsumer, Consumer, ExactlyOnceConsumer
from capturefile.checkpoint.source import Source

if TYPE_CHECKING:
    from capturefile._typing import RecordT, StrPath, SyncMode
    from capturefile.codecs import Codec

__all__ = ["KEY", "AtLeastOnceConsumer", "Consumer", "ExactlyOnceConsumer", "consume", "consume_at_least_once"]


def __dir__() -> list[str]:
    return sorted(__all__)


@overload
def consume(
    source: StrPath,
    destination: StrPath | CaptureFile[Any],
    *,
    name: str,
    encoding: str = "utf_8",
    errors: str | None = None,
    codec: None = None,
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
    sync: SyncMode = "full",
) -> ExactlyOnceConsumer[str]: ...
@overload
def consume(
    source: StrPath,
    destination: StrPath | CaptureFile[Any],
    *,
    name: str,
    encoding: None,
    errors: None = None,
    codec: None = None,
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
    sync: SyncMode = "full",
) -> ExactlyOnceConsumer[bytes]: ...
@overload
def consume(
    source: StrPath,
    destination: StrPath | CaptureFile[Any],
    *,
    name: str,
    codec: Codec[RecordT],
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
    sync: SyncMode = "full",
) -> ExactlyOnceConsumer[RecordT]: ...
def consume(
    source: StrPath,
    destination: StrPath | CaptureFile[Any],
    *,
    name: str,
    encoding: str | None = "utf_8",
    errors: str | None = None,
    codec: Codec[Any] | None = None,
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
    sync: SyncMode = "full",
) -> ExactlyOnceConsumer[Any]:
    """Creates a consumer of one capture file that adds its results to another.

    Each commit contains the results of whole batches together with the position in the source. A consumer that is
    killed and restarted, however often, therefore leaves the results of each record exactly once. The position is kept
    in the destination's metadata, a JSON object, under the key `KEY` and the consumer's name; other keys are preserved.
    Since a file has one writer, a consumer never runs twice at the same time.

    Args:
        source: Path of the file to read, or of the folder of a rotated log.
        destination: Path of the file to write, which is created if necessary; or an object that is open for writing,
            which is not closed.
        name: Name of the consumer. Several consumers, of several sources, can share a destination, one at a time.
        encoding: Encoding of the records of the source and of the results; None for `bytes`.
        errors: As for `CaptureFile`, for both files.
        codec: As for `CaptureFile`, for the records of the source. If the results need a codec, pass a destination
            that was opened with one.
        batch_size: Maximum number of records in a batch, and so of records consumed per commit.
        follow: Wait for records that are committed to the source later. Otherwise the iteration ends with the last
            record that exists.
        timeout: Seconds without a new record after which waiting ends; by default it waits for ever.
        sync: As for `CaptureFile`, for a destination given by its path. Unless it is "none", records of the source are
            synced to the disk before they are consumed.

    Returns:
        The consumer, which iterates over batches.

    Raises:
        ValueError: The destination is the source, its metadata is not a JSON object, or `batch_size` is below 1.
            Nothing has been changed.
        CaptureFileReplaced: The source is not the file that was consumed before. Nothing has been changed.
        CaptureFileError: As for `CaptureFile`.
        OSError: As for `CaptureFile`.
        LookupError: There is no such encoding or error handler.

    Examples:
        >>> with capturefile.checkpoint.consume("visits.capture", "cities.capture", name="cities") as consumer:
        ...     for batch in consumer:
        ...         consumer.add_all(visit.partition(", from ")[2] for visit in batch)
        >>> capturefile.open("cities.capture")[:]
        ['London', 'New York']
    """
    records = _open_source(source, batch_size, follow=follow, timeout=timeout, durable=sync not in ("none", False))
    try:
        if isinstance(destination, CaptureFile):
            _refuse_same_file(records, destination)
            return ExactlyOnceConsumer(
                records, Decoder(encoding, errors, codec), batch_size, destination, name, closes_destination=False
            )
        options: dict[str, Any] = {"encoding": encoding, "errors": errors, "sync": sync}
        results: CaptureFile[Any] = CaptureFile(destination, to_write=True, **options)
        try:
            _refuse_same_file(records, results)
            return ExactlyOnceConsumer(
                records, Decoder(encoding, errors, codec), batch_size, results, name, closes_destination=True
            )
        except BaseException:
            results.close()
            raise
    except BaseException:
        records.close()
        raise


def _refuse_same_file(source: Source, destination: CaptureFile[Any]) -> None:
    """Refuses a destination that is the source: its results would be consumed again, without end."""
    if source.has(destination):
        names = f"{source.file.file_name!r} and {destination.file_name!r}"
        raise ValueError(f"{names} are the same file, or belong to the same log: results need another file")


def _open_source(path: StrPath, batch_size: int, *, follow: bool, timeout: float | None, durable: bool) -> Source:
    if batch_size < 1:
        raise ValueError(f"batch_size cannot be {batch_size}: a batch has at least one record")
    return Source(path, follow=follow, timeout=timeout, durable=durable)


@overload
def consume_at_least_once(
    source: StrPath,
    cursor_file: StrPath,
    *,
    encoding: str = "utf_8",
    errors: str | None = None,
    codec: None = None,
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
) -> AtLeastOnceConsumer[str]: ...
@overload
def consume_at_least_once(
    source: StrPath,
    cursor_file: StrPath,
    *,
    encoding: None,
    errors: None = None,
    codec: None = None,
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
) -> AtLeastOnceConsumer[bytes]: ...
@overload
def consume_at_least_once(
    source: StrPath,
    cursor_file: StrPath,
    *,
    codec: Codec[RecordT],
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
) -> AtLeastOnceConsumer[RecordT]: ...
def consume_at_least_once(
    source: StrPath,
    cursor_file: StrPath,
    *,
    encoding: str | None = "utf_8",
    errors: str | None = None,
    codec: Codec[Any] | None = None,
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
) -> AtLeastOnceConsumer[Any]:
    """Creates a consumer of a capture file whose results go elsewhere: to a queue, a database, a web service.

    After each batch, the position is saved by replacing `cursor_file`. A consumer that is killed between delivering a
    batch and saving the position delivers the batch again after a restart: no record is missed, but some may come
    twice. The receiver can recognise these by their numbers: the first record of a batch has number `position + 1`.

    Args:
        source: Path of the file to read, or of the folder of a rotated log.
        cursor_file: Path of the file with the position, which is created after the first batch. Two consumers must
            not share one.
        encoding: Encoding of the records; None for `bytes`.
        errors: As for `CaptureFile`.
        codec: As for `CaptureFile`.
        batch_size: Maximum number of records in a batch; the position is saved once per batch.
        follow: Wait for records that are committed to the source later.
        timeout: Seconds without a new record after which waiting ends; by default it waits for ever.

    Returns:
        The consumer, which iterates over batches.

    Raises:
        ValueError: The cursor file contains something else, or `batch_size` is below 1.
        CaptureFileReplaced: The source is not the file that was consumed before.
        CaptureFileError: As for `CaptureFile`.
        OSError: As for `CaptureFile`.
        LookupError: There is no such encoding or error handler.

    Examples:
        >>> with capturefile.checkpoint.consume_at_least_once("visits.capture", "sent.cursor") as consumer:
        ...     for batch in consumer:
        ...         print(batch)
        ['Ada, from London', 'Grace, from New York']
    """
    records = _open_source(source, batch_size, follow=follow, timeout=timeout, durable=True)
    try:
        return AtLeastOnceConsumer(records, Decoder(encoding, errors, codec), batch_size, CursorFile(cursor_file))
    except BaseException:
        records.close()
        raise
