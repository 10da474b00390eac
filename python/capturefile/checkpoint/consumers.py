"""The consumers: how they go through a source in batches, and where they keep their position."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic

from capturefile._capturefile import CaptureFile
from capturefile._cursor import Position
from capturefile._errors import CaptureFileError
from capturefile._typing import RecordT_co

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    from typing_extensions import Buffer

    from capturefile._cursor import CursorFile
    from capturefile._decoder import Decoder
    from capturefile.checkpoint.source import Source

KEY = "capturefile.checkpoints"
"""The key of the destination's metadata, a JSON object, under which `consume` keeps positions by consumers' names."""


class Consumer(ABC, Generic[RecordT_co]):
    """Iterates over the records of a source in batches, each a list, and notes which of them are done.

    A batch is done when the loop asks for the next one, or when `commit` is called. A batch that the loop was left in
    the middle of, by `break` or an exception, is not: the next consumer gets it again.
    """

    def __init__(self, source: Source, decoder: Decoder, batch_size: int, position: Position) -> None:
        """Use `consume` or `consume_at_least_once`."""
        self._source = source
        self._decoder = decoder
        self._batch_size = batch_size
        position.check(source.file)
        # What was saved last; and whether an exception may have come while something was being saved.
        self._saved = position
        self._saving = False
        # Behind the last batch that was given.
        self._given = position

    def __repr__(self) -> str:
        """What it consumes, and how far it knows to have come."""
        return f"<{type(self).__name__}: {self._saved.records} records of {self._source.file.file_name!r} are done>"

    @property
    def position(self) -> int:
        """How many records of the source are done: the number of the last one."""
        return self._known().records

    def __iter__(self) -> Iterator[list[RecordT_co]]:
        """Iterates over what is not done yet, in lists of at most `batch_size` records and about 8 MiB."""
        self._give_up()
        while batch := self._source.read(self.position, self._batch_size):
            self._given = Position.behind(self.position + len(batch), batch[-1])
            yield self._decoded(batch)
            self.commit()

    def _decoded(self, batch: list[bytes]) -> list[RecordT_co]:
        return self._decoder.decode(batch, self.position + 1, self._source.file.file_name)

    def commit(self) -> None:
        """Notes that the records given so far are done, with their results.

        The loop does this by itself between two batches. Raises what `CaptureFile.commit` raises, or an OSError if a
        cursor file cannot be written.
        """
        self._saving = True
        self._save(self._given)
        self._saved = self._given
        self._saving = False

    def _known(self) -> Position:
        """What is saved: looked up again after an exception, which can come before or after it has happened."""
        return (self._load() or Position()) if self._saving else self._saved

    def _give_up(self) -> None:
        """Forgets a batch that is not done, with its results: it comes again."""
        if self._saving or self._given != self._saved:
            self._forget_results()
            self._given = self._saved = self._known()
            self._saving = False

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
        return self._source.file.file_name

    @abstractmethod
    def _load(self) -> Position | None: ...

    @abstractmethod
    def _save(self, position: Position) -> None: ...

    @abstractmethod
    def _forget_results(self) -> None: ...


class ExactlyOnceConsumer(Consumer[RecordT_co]):
    """A consumer whose results go to a capture file, in the same commits as its position; see `consume`."""

    def __init__(
        self, source: Source, decoder: Decoder, batch_size: int, destination: CaptureFile[Any], name: str
    ) -> None:
        """Use `consume`."""
        self.destination = destination
        """The file that the results go to. It is read like any other, and its other metadata can be set; a commit
        of its own in the middle of a batch would separate results from their position."""
        self._name = name
        self._closes = False
        super().__init__(source, decoder, batch_size, self._load() or Position())

    def add(self, record: str | Buffer) -> None:
        """Adds a result, which others see once the batch is done. Raises what `CaptureFile.add_record` raises."""
        self.destination.add_record(record)

    def add_all(self, records: Iterable[str | Buffer]) -> None:
        """Adds many results at once. Raises what `CaptureFile.add_records` raises."""
        self.destination.add_records(records)

    def _load(self) -> Position | None:
        results = self.destination
        # What is set and not committed does not count.
        with CaptureFile(results.file_name) if results.closed else results._observer() as committed:
            position = self._positions(self._metadata(committed)).get(self._name)
        place = f"{KEY!r} in the metadata of {results.file_name!r}"
        return None if position is None else Position.decode(position, place)

    def _save(self, position: Position) -> None:
        # Read anew each time: others may have set other keys in the same transaction.
        metadata = self._metadata(self.destination)
        metadata[KEY] = {**self._positions(metadata), self._name: position.encode()}
        self.destination.set_metadata(json.dumps(metadata).encode())
        self.destination.commit()

    def _metadata(self, cf: CaptureFile[Any]) -> dict[str, Any]:
        metadata = cf.get_metadata()
        try:
            found = json.loads(metadata) if metadata else {}
        except (ValueError, RecursionError):
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
        # After a commit that failed, or a close, there is nothing to roll back, and the first error says more.
        with suppress(CaptureFileError):
            self.destination.rollback()

    def close(self) -> None:
        """Ends without committing; closes the source, and the destination if it was given by its path."""
        try:
            super().close()
        finally:
            if self._closes:
                self.destination.close()


class AtLeastOnceConsumer(Consumer[RecordT_co]):
    """A consumer whose position is in a file of its own; see `consume_at_least_once`."""

    def __init__(self, source: Source, decoder: Decoder, batch_size: int, cursor: CursorFile) -> None:
        """Use `consume_at_least_once`."""
        self._cursor = cursor
        super().__init__(source, decoder, batch_size, self._load() or Position())

    def _load(self) -> Position | None:
        return self._cursor.load()

    def _save(self, position: Position) -> None:
        self._cursor.save(position)

    def _forget_results(self) -> None:
        """What was delivered stays delivered."""
