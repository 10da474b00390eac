"""Everything that one writer and one reader can do, in any order, compared with plain Python lists."""

from __future__ import annotations

import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from builder import Geometry, build_file, parse
from CaptureFile import CaptureFile as Reference
from files import RefusedError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GEOMETRIES = [
    Geometry(512, 512, 2),
    Geometry(512, 512, 3),
    Geometry(512, 0, 2),
    Geometry(512, 1024, 7),
    Geometry(4096, 32768, 32),
]
RECORDS = st.binary(max_size=40) | st.builds(bytes, st.integers(0, 2000)) | st.binary(min_size=400, max_size=1500)
SEVERAL_RECORDS = st.lists(RECORDS, max_size=8)
METADATA = st.none() | st.binary(max_size=20) | st.builds(bytes, st.integers(0, 1500))
ENDS = st.none() | st.integers(-40, 40)
FRACTIONS = st.floats(0, 1)


@dataclass(frozen=True)
class State:
    """What a file holds."""

    records: tuple[bytes, ...] = ()
    metadata: bytes | None = None

    def plus(self, records: Iterable[bytes]) -> State:
        """The same state with more records."""
        return replace(self, records=self.records + tuple(records))

    def sliced(self, asked: slice) -> list[bytes]:
        """The result of a slice, with records numbered from 1 and both ends limited to existing records."""
        start, stop, step = asked.indices(len(self.records) + 1)
        numbers = range(max(start, 1) if step > 0 else start, stop, step)
        return [self.records[number - 1] for number in numbers if number > 0]


@dataclass
class Begun:
    """An iterator that was begun earlier, and the records that it must still give."""

    records: Iterator[bytes]
    expected: list[bytes]


@contextmanager
def losing(count: int, metadata: bool) -> Iterator[None]:
    """Closing must warn about exactly this number of lost records, or about changed metadata."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    what = f"{count} uncommitted record" if count else "uncommitted metadata"
    assert all(warning.category is capturefile.UncommittedWarning for warning in caught)
    assert all(f"closed with {what}" in str(warning.message) for warning in caught)
    # Metadata may have been set to its previous value.
    assert len(caught) == 1 if count or metadata else len(caught) <= 1


class OneWriterAndOneReader(RuleBasedStateMachine):
    """A writer, a reader that sometimes refreshes, and iterators over earlier states."""

    @initialize(
        geometry=st.sampled_from(GEOMETRIES),
        records=st.lists(RECORDS, max_size=70),
        metadata=METADATA,
        threads=st.sampled_from([1, 2, 4]),
        sync=st.sampled_from(["full", "barrier", "none", "none", "none"]),
        level=st.sampled_from([1, 6]),
        cache_size=st.sampled_from([0, 1000, 20_000, 64 * 2**20]),
    )
    def begin(
        self,
        geometry: Geometry,
        records: list[bytes],
        metadata: bytes | None,
        threads: int,
        sync: str,
        level: int,
        cache_size: int,
    ) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "log.capture"
        self.path.write_bytes(build_file(records, metadata, geometry, serial=2**32 - 1, level=1))
        options: dict[str, Any] = {"encoding": None, "threads": threads, "sync": sync, "cache_size": cache_size}
        self.writer = capturefile.CaptureFile(self.path, True, compression_level=level, **options)
        self.reader = capturefile.CaptureFile(self.path, **options)
        self.committed = self.draft = self.seen = State(tuple(records), metadata)
        self.has_committed = False
        self.begun: list[Begun] = []

    def teardown(self) -> None:
        if not hasattr(self, "writer"):
            return
        with self.folder:
            self.check_the_end()

    def check_the_end(self) -> None:
        for begun in self.begun:
            assert list(begun.records) == begun.expected
        assert self.writer[:] == list(self.draft.records)
        assert self.reader[:] == list(self.seen.records)
        self.close_without_commit()
        self.reader.close()
        self.check_the_file()

    def close_without_commit(self) -> None:
        lost = len(self.draft.records) - len(self.committed.records)
        with losing(lost, self.draft.metadata != self.committed.metadata):
            self.writer.close()
        self.draft = self.committed

    def check_the_file(self) -> None:
        parsed = parse(self.path.read_bytes())
        assert State(tuple(parsed.records()), parsed.metadata()) == self.committed
        assert capturefile.verify(self.path).problems == ()
        with Reference(str(self.path), encoding=None) as reference:
            records = tuple(reference.record_at(number + 1) for number in range(reference.record_count()))
            assert State(records, reference.get_metadata()) == self.committed

    def note_a_commit(self) -> None:
        self.committed, self.has_committed = self.draft, True

    @rule(record=RECORDS)
    def add_a_record(self, record: bytes) -> None:
        self.draft = self.draft.plus([record])
        assert self.writer.add_record(record) == len(self.draft.records)

    @rule(records=SEVERAL_RECORDS)
    def add_records(self, records: list[bytes]) -> None:
        self.draft = self.draft.plus(records)
        assert self.writer.add_records(iter(records)) == len(self.draft.records)

    @rule(records=SEVERAL_RECORDS, nothing=st.sampled_from([None, 7, ["nested"]]))
    def add_records_of_which_the_last_is_refused(self, records: list[bytes], nothing: Any) -> None:  # noqa: ANN401
        with pytest.raises(TypeError):
            self.writer.add_records([*records, nothing])

    @rule(
        records=SEVERAL_RECORDS,
        meanwhile=st.sampled_from(["nothing", "add", "commit", "rollback"]),
        fails=st.booleans(),
    )
    def add_records_while_other_things_happen(self, records: list[bytes], meanwhile: str, fails: bool) -> None:
        def generate() -> Iterator[bytes]:
            yield from records
            if meanwhile == "add":
                self.add_records(records)
            if meanwhile == "commit":
                self.commit()
            if meanwhile == "rollback":
                self.roll_back()
            yield from records
            if fails:
                raise RefusedError

        if fails:
            with pytest.raises(RefusedError):
                self.writer.add_records(generate())
            return
        count = self.writer.add_records(generate())
        self.draft = self.draft.plus(records + records)
        assert count == len(self.draft.records)

    @rule(metadata=METADATA)
    def set_metadata(self, metadata: bytes | None) -> None:
        self.writer.set_metadata(metadata)
        self.draft = replace(self.draft, metadata=metadata)

    @rule()
    def commit(self) -> None:
        self.writer.commit()
        self.note_a_commit()

    @rule()
    def roll_back(self) -> None:
        self.writer.rollback()
        self.draft = self.committed

    @rule(records=SEVERAL_RECORDS, metadata=METADATA, fails=st.booleans())
    def run_a_transaction(self, records: list[bytes], metadata: bytes | None, fails: bool) -> None:
        try:
            with self.writer.transaction() as same:
                assert same is self.writer
                self.writer.add_records(records)
                self.writer.set_metadata(metadata)
                if fails:
                    raise RefusedError
        except RefusedError:
            self.draft = self.committed
            return
        self.draft = replace(self.draft.plus(records), metadata=metadata)
        self.note_a_commit()

    @rule(for_reading_first=st.booleans())
    def close_and_open_again(self, for_reading_first: bool) -> None:
        self.close_without_commit()
        if for_reading_first:
            self.writer.open()
            assert State(tuple(self.writer), self.writer.get_metadata()) == self.committed
            self.writer.close()
        self.writer.open(to_write=True)

    @rule(durable=st.booleans())
    def refresh(self, durable: bool) -> None:
        news = self.reader.refresh(durable)
        if self.seen != self.committed:
            assert news is True
        if not self.has_committed:
            assert news is False
        self.seen, self.has_committed = self.committed, False

    @rule()
    def open_the_reader_again(self) -> None:
        self.reader.close()
        self.reader.open()
        self.seen, self.has_committed = self.committed, False

    def side(self, of_the_writer: bool) -> tuple[Any, State]:
        return (self.writer, self.draft) if of_the_writer else (self.reader, self.seen)

    @precondition(lambda self: len(self.begun) < 5)
    @rule(of_the_writer=st.booleans(), kind=st.sampled_from(["forwards", "from", "backwards"]), where=FRACTIONS)
    def begin_an_iterator(self, of_the_writer: bool, kind: str, where: float) -> None:
        cf, state = self.side(of_the_writer)
        first = 1 + round(where * len(state.records))
        records = {"forwards": cf.__iter__, "from": lambda: cf.record_generator(first), "backwards": cf.__reversed__}
        expected = {"forwards": state.records, "from": state.records[first - 1 :], "backwards": state.records[::-1]}
        self.begun.append(Begun(records[kind](), list(expected[kind])))

    @precondition(lambda self: self.begun)
    @rule(where=FRACTIONS, steps=st.integers(1, 40))
    def continue_an_iterator(self, where: float, steps: int) -> None:
        begun = self.begun[round(where * (len(self.begun) - 1))]
        assert begun.records.__length_hint__() == len(begun.expected)  # type: ignore[attr-defined]
        for _ in range(steps):
            if not begun.expected:
                assert next(begun.records, None) is None
                self.begun.remove(begun)
                return
            assert next(begun.records) == begun.expected.pop(0)

    @rule(of_the_writer=st.booleans(), start=ENDS, stop=ENDS, step=st.integers(1, 9))
    def slice_in_both_directions(self, of_the_writer: bool, start: int | None, stop: int | None, step: int) -> None:
        cf, state = self.side(of_the_writer)
        for asked in (slice(start, stop), slice(start, stop, step), slice(start, stop, -step)):
            assert cf[asked] == state.sliced(asked)

    @rule(of_the_writer=st.booleans(), where=st.lists(FRACTIONS, max_size=20))
    def read_some(self, of_the_writer: bool, where: list[float]) -> None:
        cf, state = self.side(of_the_writer)
        count = len(state.records)
        numbers = [1 + round(each * (count - 1)) for each in where] if count else []
        expected = [state.records[number - 1] for number in numbers]
        assert cf.records_at(numbers) == expected
        assert [cf.record_at(number) for number in numbers] == [cf[number] for number in numbers] == expected
        assert [cf[number - count - 1] for number in numbers] == expected
        for missing in (0, count + 1, -count - 1):
            with pytest.raises(IndexError):
                cf[missing]

    @rule(of_the_writer=st.booleans(), where=FRACTIONS)
    def follow_what_is_committed(self, of_the_writer: bool, where: float) -> None:
        cf, state = self.side(of_the_writer)
        first = 1 + round(where * len(self.committed.records))
        assert list(cf.follow(first, timeout=0)) == list(self.committed.records[first - 1 :])
        assert list(cf.follow(timeout=0)) == list(self.committed.records[len(state.records) :])

    @invariant()
    def both_see_what_they_should(self) -> None:
        if not hasattr(self, "writer"):
            return
        for of_the_writer in (True, False):
            cf, state = self.side(of_the_writer)
            assert cf.record_count() == len(cf) == len(state.records)
            assert cf.get_metadata() == state.metadata


OneWriterAndOneReader.TestCase.settings = settings(
    max_examples=250, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_any_order_of_calls_does_what_plain_lists_would = OneWriterAndOneReader.TestCase
