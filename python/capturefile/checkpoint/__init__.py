"""Consumers that continue where they stopped, however they stopped.

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

from typing import TYPE_CHECKING, Any, overload

from capturefile._capturefile import CaptureFile
from capturefile._cursor import CursorFile
from capturefile._decoder import Decoder
from capturefile.checkpoint.consumers import KEY, AtLeastOnceConsumer, Consumer, ExactlyOnceConsumer
from capturefile.checkpoint.source import Source

if TYPE_CHECKING:
    from capturefile._typing import StrPath, SyncMode

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
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
    sync: SyncMode = "full",
) -> ExactlyOnceConsumer[bytes]: ...
def consume(
    source: StrPath,
    destination: StrPath | CaptureFile[Any],
    *,
    name: str,
    encoding: str | None = "utf_8",
    errors: str | None = None,
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
    sync: SyncMode = "full",
) -> ExactlyOnceConsumer[Any]:
    """A consumer of the capture file `source` that adds its results to the capture file `destination`.

        with consume("visits.capture", "names.capture", name="names") as consumer:
            for batch in consumer:
                consumer.add_all(visit.upper() for visit in batch)

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
        errors: as for `CaptureFile`, of records of the source and of results.
        batch_size: how many records a batch has, and a commit, at most.
        follow: continue with what is committed to the source later. Otherwise the iteration ends with the last record
            that there is.
        timeout: seconds without news after which it ends all the same; by default it waits for ever.
        sync: as for `CaptureFile`, for a destination given by its path. Unless it is "none", records of the source
            are on the disk before they are consumed.

    Raises ValueError if the destination's metadata is no JSON object, or if it is the source itself;
    CaptureFileReplaced if the source is not the file that was consumed so far; and what `CaptureFile` raises. Nothing
    has been changed then.
    """
    records = _open_source(source, batch_size, follow=follow, timeout=timeout, durable=sync not in ("none", False))
    try:
        if isinstance(destination, CaptureFile):
            _refuse_same_file(records.file, destination)
            return ExactlyOnceConsumer(records, Decoder(encoding, errors), batch_size, destination, name)
        options: dict[str, Any] = {"encoding": encoding, "errors": errors, "sync": sync}
        results: CaptureFile[Any] = CaptureFile(destination, to_write=True, **options)
        try:
            _refuse_same_file(records.file, results)
            consumer: ExactlyOnceConsumer[Any] = ExactlyOnceConsumer(
                records, Decoder(encoding, errors), batch_size, results, name
            )
        except BaseException:
            results.close()
            raise
        consumer._closes = True
        return consumer
    except BaseException:
        records.close()
        raise


def _refuse_same_file(source: CaptureFile[Any], destination: CaptureFile[Any]) -> None:
    """Results that are records of the source again would never come to an end."""
    identity = source._identity()
    if identity is not None and identity == destination._identity():
        raise ValueError(f"{source.file_name!r} and {destination.file_name!r} are one file: results need another one")


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
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
) -> AtLeastOnceConsumer[bytes]: ...
def consume_at_least_once(
    source: StrPath,
    cursor_file: StrPath,
    *,
    encoding: str | None = "utf_8",
    errors: str | None = None,
    batch_size: int = 1000,
    follow: bool = False,
    timeout: float | None = None,
) -> AtLeastOnceConsumer[Any]:
    """A consumer of the capture file `source` whose results go somewhere else: a queue, a database, a web service.

        with consume_at_least_once("visits.capture", "sent.cursor") as consumer:
            for batch in consumer:
                print(batch)

    The position is written to `cursor_file`, by replacing it, after each batch. A consumer that is killed after it has
    delivered a batch and before that is noted delivers the batch again when it is started again: no record is missed,
    some may come twice. The sink can tell those by their numbers: the first record of a batch is `position + 1`.

    Arguments:
        source: path of the file to read.
        cursor_file: path of the file with the position, which is created after the first batch. Two consumers must
            not share one.
        encoding: as for `consume`.
        errors: as for `consume`.
        batch_size: how many records a batch has at most; the position is written once a batch.
        follow: as for `consume`.
        timeout: as for `consume`.

    Raises ValueError if the cursor file holds something else, CaptureFileReplaced if the source is not the file that
    was consumed so far, and what `CaptureFile` raises.
    """
    records = _open_source(source, batch_size, follow=follow, timeout=timeout, durable=True)
    try:
        return AtLeastOnceConsumer(records, Decoder(encoding, errors), batch_size, CursorFile(cursor_file))
    except BaseException:
        records.close()
        raise
