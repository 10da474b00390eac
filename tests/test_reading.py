"""Reading records by number, by slice, in order and as they are committed; reading metadata."""

from __future__ import annotations

import math
import random
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from builder import Geometry, build_file
from capturefile import CaptureFile
from capturefile.rotating import RotatingReader, RotatingWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("both_formats")

PATIENCE = 30.0
"""Seconds after which a test stops waiting."""
TINY = Geometry(page_size=512, block_size=512, fan_out=2)
HUGE = [2**31, 2**63 - 1, 2**63, 2**64, 2**200]


@pytest.fixture
def seven(path: Path) -> Iterator[Any]:
    """A reader of the records "1" to "7"."""
    write(path, map(str, range(1, 8)))
    with CaptureFile(path) as cf:
        yield cf


def write(path: Path, records: Iterable[str | bytes], **options: Any) -> None:  # noqa: ANN401
    """Creates a file, or appends to it."""
    with CaptureFile(path, True, sync=False, **options) as cf:
        cf.add_records(records)
        cf.commit()


def many(count: int) -> list[str]:
    """Distinct records of about a hundred bytes."""
    return [f"{number} " * (20 + number % 50) for number in range(1, count + 1)]


class Index:
    """A number that only implements Python's protocol for indices."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __index__(self) -> int:
        return self.number


# One record


def test_the_first_record_is_number_one_and_the_last_is_the_count(seven: Any) -> None:  # noqa: ANN401
    assert seven.record_count() == len(seven) == 7
    for number in range(1, 8):
        assert seven.record_at(number) == seven[number] == seven[Index(number)] == str(number)


def test_negative_numbers_count_from_the_end(seven: Any) -> None:  # noqa: ANN401
    assert [seven[number] for number in range(-1, -8, -1)] == ["7", "6", "5", "4", "3", "2", "1"]


@pytest.mark.parametrize("number", [0, 8, 100, *HUGE])
def test_a_record_that_does_not_exist_is_an_index_error(seven: Any, number: int) -> None:  # noqa: ANN401
    for call in (seven.record_at, seven.__getitem__, lambda number: seven.records_at([1, number])):
        with pytest.raises(IndexError, match=r"log\.capture.* 7 records") as error:
            call(number)
        assert f"record {min(number, 2**63 - 1)} " in str(error.value)


@pytest.mark.parametrize("number", [-1, -7, *(-huge for huge in HUGE)])
def test_only_indexing_counts_from_the_end(seven: Any, number: int) -> None:  # noqa: ANN401
    for call in (seven.record_at, seven.record_generator, seven.follow, lambda number: seven.records_at([number])):
        with pytest.raises(IndexError, match=f"record {max(number, -(2**63))} .* 7 records"):
            call(number)


@pytest.mark.parametrize("number", [-8, -9, *(-huge for huge in HUGE)])
def test_counting_from_the_end_stops_at_the_first_record(seven: Any, number: int) -> None:  # noqa: ANN401
    with pytest.raises(IndexError, match=f"record {max(number, -(2**63))} .* 7 records"):
        seven[number]


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**5000, -(10**5000)], ids=["word", "-word", "huge", "-huge"])
@pytest.mark.parametrize("kind", [int, Index])
def test_any_large_number_is_an_index_error(
    seven: Any,  # noqa: ANN401
    tmp_path: Path,
    kind: Callable[[int], Any],
    number: int,
) -> None:
    with RotatingWriter(tmp_path / "rotated", sync="none"), RotatingReader(tmp_path / "rotated") as log:
        calls = [seven.__getitem__, seven.record_at, seven.as_sequence().__getitem__, log.record_at]
        for call in calls if number > 0 else [*calls, log.follow, log.as_sequence, seven.follow]:
            with pytest.raises(IndexError):
                call(kind(number))
    everything = [str(number) for number in range(1, 8)]
    for sequence in (seven, seven.as_sequence()):
        assert list(sequence[kind(number) :]) == ([] if number > 0 else everything)


@pytest.mark.parametrize("wrong", ["1", 1.0, None, b"1", [1], (1, 2)])
def test_anything_but_a_whole_number_is_a_type_error(seven: Any, wrong: object) -> None:  # noqa: ANN401
    for call in (seven.record_at, seven.__getitem__, seven.record_generator, lambda one: seven.records_at([one])):
        with pytest.raises(TypeError):
            call(wrong)


def test_an_empty_file_has_no_records(path: Path) -> None:
    write(path, [])
    with CaptureFile(path) as cf:
        assert (cf.record_count(), len(cf), list(cf), list(reversed(cf))) == (0, 0, [], [])
        assert (cf[:], cf[::-1], cf[1:5], cf[-3:], cf.records_at([])) == ([], [], [], [], [])
        for number in (-1, 0, 1):
            with pytest.raises(IndexError, match="0 records"):
                cf[number]


@pytest.mark.parametrize("cache_size", [0, 1, 100_000, 2**26])
def test_records_are_found_in_any_order_with_any_cache(path: Path, cache_size: int) -> None:
    records = many(3000)
    write(path, records)
    numbers = random.Random(0).choices(range(1, 3001), k=1500)
    with CaptureFile(path, cache_size=cache_size) as cf:
        assert [cf.record_at(number) for number in numbers] == [records[number - 1] for number in numbers]
        assert list(cf) == records
        assert cf[::-7] == records[::-7]


# Slices

SLICES = [
    (slice(2, 4), "23"),
    (slice(None, None), "1234567"),
    (slice(1, None), "1234567"),
    (slice(0, 3), "12"),
    (slice(None, 1), ""),
    (slice(None, 0), ""),
    (slice(7, None), "7"),
    (slice(8, None), ""),
    (slice(5, 3), ""),
    (slice(3, 3), ""),
    (slice(3, 100), "34567"),
    (slice(-3, None), "567"),
    (slice(None, -3), "1234"),
    (slice(-5, -2), "345"),
    (slice(-100, 3), "12"),
    (slice(None, None, 3), "147"),
    (slice(2, None, 2), "246"),
    (slice(0, None, 2), "1357"),
    (slice(None, None, 100), "1"),
    (slice(None, None, -1), "7654321"),
    (slice(None, None, -3), "741"),
    (slice(5, 2, -1), "543"),
    (slice(2, 5, -1), ""),
    (slice(3, 0, -1), "321"),
    (slice(3, None, -1), "321"),
    (slice(100, 4, -1), "765"),
    (slice(-1, -4, -1), "765"),
    (slice(-100, None, -1), ""),
    (slice(None, -100, -2), "7531"),
    (slice(Index(2), Index(6), Index(2)), "24"),
    (slice(-(2**200), 2**200), "1234567"),
    (slice(2**200, -(2**200), -1), "7654321"),
    (slice(None, None, 2**200), "1"),
    (slice(None, None, -(2**200)), "7"),
]


@pytest.mark.parametrize(("asked", "expected"), SLICES, ids=str)
def test_a_slice_is_a_list_numbered_like_records(seven: Any, asked: slice, expected: str) -> None:  # noqa: ANN401
    assert seven[asked] == list(expected)


def test_a_slice_requires_a_nonzero_step_and_integer_ends(seven: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match="step"):
        seven[::0]
    for wrong in (slice("a", None), slice(None, 2.0), slice(1, 2, "b")):
        with pytest.raises(TypeError):
            seven[wrong]


def test_long_slices_are_in_order_in_both_directions(path: Path) -> None:
    records = many(9500)
    write(path, records)
    with CaptureFile(path) as cf:
        assert cf[:] == records
        assert cf[::-1] == records[::-1]
        assert cf[2::2] == records[1::2]
        assert cf[9000:100:-1] == records[8999:99:-1]


# In order


def test_iteration_gives_every_record_once(seven: Any) -> None:  # noqa: ANN401
    iterator = iter(seven)
    assert iter(iterator) is iterator
    assert [*iterator] == list("1234567")
    assert (next(iterator, "end"), next(iterator, "end")) == ("end", "end")
    assert list(zip(seven, seven, strict=True)) == [(one, one) for one in "1234567"]
    assert ("7" in seven, "8" in seven) == (True, False)


@pytest.mark.parametrize("start", range(1, 10))
def test_a_generator_starts_at_the_given_record(seven: Any, start: int) -> None:  # noqa: ANN401
    assert list(seven.record_generator(start)) == list("1234567"[start - 1 :])
    assert list(seven.record_generator(starting_record_number=start)) == seven[start:]


def test_a_generator_starts_at_the_first_record_by_default(seven: Any) -> None:  # noqa: ANN401
    assert list(seven.record_generator()) == list("1234567")
    with pytest.raises(IndexError):
        seven.record_generator(0)
    assert list(seven.record_generator(2**200)) == []


def test_reversed_starts_with_the_last(seven: Any) -> None:  # noqa: ANN401
    assert list(reversed(seven)) == list("7654321")


@pytest.mark.parametrize("begin", [iter, reversed, CaptureFile.record_generator])
def test_iterators_know_how_many_are_left(seven: Any, begin: Callable[[Any], Any]) -> None:  # noqa: ANN401
    iterator = begin(seven)
    for left in range(7, 0, -1):
        assert iterator.__length_hint__() == left
        next(iterator)
    assert iterator.__length_hint__() == 0


@pytest.mark.parametrize("begin", [iter, reversed, CaptureFile.record_generator])
def test_iterators_keep_the_records_they_started_with(path: Path, begin: Callable[[Any], Any]) -> None:
    records = many(500)
    write(path, records)
    expected = records[::-1] if begin is reversed else records
    reader, writer = CaptureFile(path), CaptureFile(path, True)
    begun = [begin(reader), begin(writer), begin(reader)]
    assert [next(iterator) for iterator in begun] == expected[:1] * 3
    writer.add_records(many(900))
    assert next(begun[0]) == expected[1]
    writer.commit()
    assert reader.refresh() is True
    assert next(begun[1]) == expected[1]
    writer.close()
    reader.close()
    assert [list(iterator) for iterator in begun] == [expected[2:], expected[2:], expected[1:]]


def test_iterators_over_uncommitted_records_outlive_their_rollback(path: Path) -> None:
    first, second, third = many(800), many(1700)[800:], [text.upper() + "!" for text in many(900)]
    with CaptureFile(path, True, sync=False) as cf:
        cf.add_records(first)
        cf.commit()
        cf.add_records(second)
        begun = [iter(cf), reversed(cf), cf.record_generator(1000)]
        cf.rollback()
        cf.add_records(third)
        cf.commit()
        assert [list(each) for each in begun] == [first + second, (first + second)[::-1], (first + second)[999:]]
        assert list(cf) == first + third


# Many records in one call


def test_records_at_keeps_the_requested_order_and_repetitions(path: Path) -> None:
    records = many(2000)
    write(path, records)
    numbers = random.Random(0).choices(range(1, 2001), k=5000)
    with CaptureFile(path, cache_size=0) as cf:
        for kind in (list, tuple, iter):
            assert cf.records_at(kind(numbers)) == [records[number - 1] for number in numbers]
        assert cf.records_at(range(2000, 0, -3)) == records[::-3]
        assert cf.records_at(Index(number) for number in (7, 7, 1)) == [records[6], records[6], records[0]]


def test_records_at_inflates_each_block_once(path: Path) -> None:
    records = many(20_000)
    write(path, records)
    numbers = list(range(1, 20_001))
    random.Random(0).shuffle(numbers)
    with CaptureFile(path, cache_size=0) as cf:
        started = time.process_time()
        assert cf.records_at(numbers[:200]) == [cf.record_at(number) for number in numbers[:200]]
        one_by_one = time.process_time() - started
        started = time.process_time()
        assert cf.records_at(numbers) == [records[number - 1] for number in numbers]
        assert time.process_time() - started < 50 * one_by_one


@pytest.mark.parametrize("wrong", [5, None, 1.0])
def test_records_at_requires_numbers(seven: Any, wrong: object) -> None:  # noqa: ANN401
    with pytest.raises(TypeError):
        seven.records_at(wrong)


# Metadata


def test_metadata_is_bytes_or_none(path: Path) -> None:
    for metadata in (None, b"", b"text", bytes(range(256)), b"large" * 100_000):
        path.write_bytes(build_file([b"record"], metadata, TINY))
        with CaptureFile(path, encoding="utf-16") as cf:
            assert (cf.get_metadata(), type(cf.get_metadata())) == (metadata, type(metadata))


# Later commits


def test_a_reader_sees_the_old_state_until_it_is_refreshed(seven: Any, path: Path) -> None:  # noqa: ANN401
    assert seven.refresh() is False
    write(path, ["8"])
    assert (len(seven), seven[-1]) == (7, "7")
    assert (seven.refresh(), seven.refresh()) == (True, False)
    assert (len(seven), seven[-1], seven[8]) == (8, "8", "8")
    write(path, ["9"])
    assert (seven.refresh(durable=True), seven.refresh(True), seven[-1]) == (True, False, "9")


def test_a_refresh_updates_the_metadata_of_the_same_commit(seven: Any, path: Path) -> None:  # noqa: ANN401
    for metadata in (b"one", b"two", None, b"", b"large" * 100_000):
        with CaptureFile(path, True) as writer:
            before = seven.get_metadata()
            writer.set_metadata(metadata)
            assert (writer.get_metadata(), seven.refresh(), seven.get_metadata()) == (metadata, False, before)
            writer.commit()
            assert seven.get_metadata() == before
        assert (seven.refresh(), seven.get_metadata(), len(seven)) == (True, metadata, 7)


def test_a_refresh_of_a_writer_changes_nothing(path: Path) -> None:
    with CaptureFile(path, True) as cf:
        cf.add_record("kept")
        assert (cf.refresh(), cf.refresh(durable=True), cf[1]) == (False, False, "kept")
        cf.commit()
        assert cf.refresh() is False


@contextmanager
def committing(path: Path, batches: list[list[str]], go: threading.Event) -> Iterator[None]:
    """Commits the batches one by one in a separate thread once `go` is set."""

    def commit() -> None:
        assert go.wait(PATIENCE)
        for batch in batches:
            write(path, batch)

    thread = threading.Thread(target=commit)
    thread.start()
    yield
    go.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_following_continues_with_later_commits(seven: Any, path: Path) -> None:  # noqa: ANN401
    go = threading.Event()
    batches = [["8"], ["9", "10"], many(3000), ["last"]]
    with committing(path, batches, go):
        follower = seven.follow(6, PATIENCE)
        assert iter(follower) is follower
        assert [next(follower), next(follower)] == ["6", "7"]
        go.set()
        later = [record for batch in batches for record in batch]
        assert [next(follower) for _ in later] == later
        assert (len(seven), seven[-1]) == (7, "7")
    assert seven.refresh() is True


def test_following_starts_with_the_first_record_not_seen_yet(seven: Any, path: Path) -> None:  # noqa: ANN401
    write(path, ["8", "9"])
    assert list(seven.follow(timeout=0)) == ["8", "9"]
    assert list(seven.follow(1, timeout=0)) == list("123456789")
    assert list(seven.follow(start=9, timeout=0)) == ["9"]
    assert list(seven.follow(10, timeout=0)) == list(seven.follow(2**200, timeout=0)) == []


def test_a_follower_of_a_writer_gives_only_committed_records(path: Path) -> None:
    with CaptureFile(path, True) as cf:
        cf.add_records(["1", "2"])
        cf.commit()
        cf.add_record("3")
        follower = cf.follow(1, timeout=0)
        assert [next(follower), next(follower), next(follower, "end")] == ["1", "2", "end"]
        cf.commit()
        assert list(follower) == ["3"]


def test_following_ends_after_the_timeout(seven: Any) -> None:  # noqa: ANN401
    started, used = time.monotonic(), time.process_time()
    assert list(seven.follow(timeout=0.5)) == []
    assert 0.5 <= time.monotonic() - started < PATIENCE
    assert time.process_time() - used < 0.25


@pytest.mark.parametrize("timeout", [None, math.inf, 1e300, 3600])
def test_following_ends_when_the_object_is_closed(seven: Any, timeout: float | None) -> None:  # noqa: ANN401
    follower = seven.follow(timeout=timeout)
    ended: list[str] = []
    thread = threading.Thread(target=lambda: ended.extend([*follower, "ended"]), daemon=True)
    thread.start()
    assert thread.is_alive()
    seven.close()
    thread.join(PATIENCE)
    assert ended == ["ended"]


@pytest.mark.parametrize("timeout", [-1, -0.001, math.nan, -math.inf])
def test_a_timeout_is_a_number_of_seconds(seven: Any, timeout: float) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match="timeout"):
        seven.follow(timeout=timeout)
