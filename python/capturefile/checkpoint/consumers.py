"""The consumers: how they iterate over a source in batches, and where they keep their position."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic

from capturefile import _metadata
from capturefile._capturefile import CaptureFile, reader_of
from capturefile._cursor import Position
from capturefile._errors import CaptureFileError, RecordsDeleted
from capturefile._typing import RecordT_co

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    from capturefile._cursor import CursorFile
    from capturefile._decoder import Decoder
    from capturefile.checkpoint.source import Source

KEY = "capturefile.checkpoints"
"""The key in the destination's metadata, a JSON object, under which `consume` keeps positions by consumer name."""


class Consumer(ABC, Generic[RecordT_co]):
    """Iterates over the records of a source in batches, which are lists, and saves which of them are done.

    A batch is done when the loop asks for the next one, or when `commit` is called. If the loop is left during a batch,
    by `break` or an exception, the batch is not done, and the next consumer gets it again.
    """

    def __init__(self, source: Source, decoder: Decoder, batch_size: int, position: Position) -> None:
        """Use `consume` or `consume_at_least_once`."""
        self._source = source
        self._decoder = decoder
        self._batch_size = batch_size
        position.check(source.file)
        # The position that was saved last, and whether an exception may have interrupted saving.
        self._saved = position
        self._saving = False
        # The position after the last batch that was returned.
        self._given = position
        # The number of the last deleted record that was reported to the caller.
        self._deleted = 0

    def __repr__(self) -> str:
        """Shows the source, and how many of its records are done."""
        return f"<{type(self).__name__}: {self._saved.records} records of {self._source.file.file_name!r} are done>"

    @property
    def position(self) -> int:
        """The number of records of the source that are done, which is the number of the last one."""
        return self._known().records

    def __iter__(self) -> Iterator[list[RecordT_co]]:
        """Iterates over the records that are not done yet, in lists of at most `batch_size` records and about 8 MiB.

        Raises:
            RecordsDeleted: The next records were deleted from a rotated log. Iterating again continues after them.
            CaptureFileError: The source cannot be read, or the position cannot be saved.
        """
        self._give_up()
        while batch := self._read():
            first = self._consumed() + 1
            self._given = Position.behind(self._consumed() + len(batch), batch[-1])
            yield self._decoder.decode(batch, first, self._source.file.file_name)
            self.commit()

    def _read(self) -> list[bytes]:
        try:
            return self._source.read(self._consumed(), self._batch_size)
        except RecordsDeleted as gap:
            # Raised once: a caller that continues gets the records that still exist.
            self._deleted = gap.first_record - 1
            raise

    def _consumed(self) -> int:
        """Returns how many records are done, or deleted."""
        return max(self.position, self._deleted)

    def commit(self) -> None:
        """Saves that the records returned so far are done, together with their results.

        The loop does this automatically between two batches.

        Raises:
            OSError: As for `CaptureFile.commit`, or the cursor file cannot be written.
            CaptureFileError: As for `CaptureFile.commit`.

        Examples:
            >>> batch = next(iter(consumer))
            >>> consumer.commit()
            >>> consumer.position
            2
        """
        self._saving = True
        self._save(self._given)
        self._saved = self._given
        self._saving = False

    def _known(self) -> Position:
        """Returns the saved position, which is read again if an exception may have interrupted saving."""
        return (self._load() or Position()) if self._saving else self._saved

    def _give_up(self) -> None:
        """Discards a batch that is not done, with its results, so that it is returned again."""
        if self._saving or self._given != self._saved:
            self._forget_results()
            self._given = self._saved = self._known()
            self._saving = False

    def lag(self) -> int:
        """Returns the number of records of the source that are committed now and not done.

        Returns:
            The number of records.

        Raises:
            CaptureFileError: As for `CaptureFile.refresh`.
            OSError: The source cannot be read.

        Examples:
            >>> consumer.lag()
            2
        """
        return self._source.lag(self.position)

    def close(self) -> None:
        """Ends without committing, and closes the files that were opened for the consumer.

        Examples:
            >>> consumer.close()
        """
        self._give_up()
        self._source.close()

    def __enter__(self) -> Self:
        """Returns the object itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes the consumer."""
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
    """A consumer that commits its results together with its position to a capture file; see `consume`."""

    def __init__(
        self,
        source: Source,
        decoder: Decoder,
        batch_size: int,
        destination: CaptureFile[Any],
        name: str,
        *,
        closes_destination: bool,
    ) -> None:
        """Use `consume`."""
        self.destination = destination
        """The file with the results. It can be read like any other, and other keys of its metadata can be set, but
        committing it during a batch would separate results from their position."""
        self._name = name
        self._closes_destination = closes_destination
        super().__init__(source, decoder, batch_size, self._load() or Position())

    def add(self, record: object) -> None:
        """Adds a result, which others see once the batch is done.

        Args:
            record: As for `CaptureFile.add_record` of the destination.

        Raises:
            CaptureFileError: As for `CaptureFile.add_record`.
            ValueError: As for `CaptureFile.add_record`.
            TypeError: As for `CaptureFile.add_record`.
            OSError: As for `CaptureFile.add_record`.

        Examples:
            >>> for batch in consumer:
            ...     consumer.add(f"{len(batch)} visits")
            >>> consumer.destination[1]
            '2 visits'
        """
        self.destination.add_record(record)

    def add_all(self, records: Iterable[object]) -> None:
        """Adds many results together.

        Args:
            records: Records, each as for `CaptureFile.add_record` of the destination.

        Raises:
            CaptureFileError: As for `CaptureFile.add_records`.
            ValueError: As for `CaptureFile.add_records`.
            TypeError: As for `CaptureFile.add_records`.
            OSError: As for `CaptureFile.add_records`.

        Examples:
            >>> for batch in consumer:
            ...     consumer.add_all(visit.upper() for visit in batch)
            >>> consumer.destination[2]
            'GRACE, FROM NEW YORK'
        """
        self.destination.add_records(records)

    def _load(self) -> Position | None:
        results = self.destination
        # Metadata that is set but not committed does not count.
        with CaptureFile(results.file_name) if results.closed else reader_of(results) as committed:
            position = _metadata.load(committed, KEY, "position")[KEY].get(self._name)
        place = f"{KEY!r} in the metadata of {results.file_name!r}"
        return None if position is None else Position.decode(position, place)

    def _save(self, position: Position) -> None:
        # Read each time, because the caller may have set other keys in the same transaction.
        metadata = _metadata.load(self.destination, KEY, "position")
        metadata[KEY][self._name] = position.encode()
        _metadata.save(self.destination, metadata)
        self.destination.commit()

    def _forget_results(self) -> None:
        # After a failed commit or a close there is nothing to roll back, and the first error is more informative.
        with suppress(CaptureFileError):
            self.destination.rollback()

    def close(self) -> None:
        """Ends without committing, and closes the source, and the destination if it was given by its path.

        Examples:
            >>> consumer.close()
            >>> consumer.destination.closed
            True
        """
        try:
            super().close()
        finally:
            if self._closes_destination:
                self.destination.close()


class AtLeastOnceConsumer(Consumer[RecordT_co]):
    """A consumer that keeps its position in a separate file; see `consume_at_least_once`."""

    def __init__(self, source: Source, decoder: Decoder, batch_size: int, cursor: CursorFile) -> None:
        """Use `consume_at_least_once`."""
        self._cursor = cursor
        super().__init__(source, decoder, batch_size, self._load() or Position())

    def _load(self) -> Position | None:
        return self._cursor.load()

    def _save(self, position: Position) -> None:
        self._cursor.save(position)

    def _forget_results(self) -> None:
        """Does nothing: delivered results cannot be undone."""
