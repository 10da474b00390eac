"""Adding many records in one call: all or none of them."""

from __future__ import annotations

import random
from itertools import count
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from capturefile import CaptureFile
from files import MEBIBYTE, RefusedError, committed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("both_formats")


def then_raise(*records: bytes) -> Iterator[bytes]:
    """Gives records, and raises in place of the next one."""
    yield from records
    raise RefusedError


@pytest.mark.parametrize("kind", [list, tuple, iter, lambda records: dict.fromkeys(records)])
def test_many_records_are_added_in_order(writer: Any, path: Path, kind: Callable[[Any], Any]) -> None:  # noqa: ANN401
    records = [b"%d" % number for number in range(5000)]
    assert (writer.add_records(kind(records)), writer.add_records([])) == (5000, 5000)
    writer.commit()
    assert committed(path) == records


def test_records_are_taken_from_the_iterable_one_by_one(writer: Any) -> None:  # noqa: ANN401
    endless = count()
    records = (b"%d" % number for number, _ in zip(endless, range(1000), strict=False))
    assert (writer.add_records(records), next(endless)) == (1000, 1001)
    assert (writer[1], writer[-1]) == (b"0", b"999")


def test_the_records_of_a_call_are_added_together_at_its_end(writer: Any, path: Path) -> None:  # noqa: ANN401
    def inner() -> Iterator[bytes]:
        yield b"2"
        assert len(writer) == 1

    def outer() -> Iterator[bytes]:
        yield b"4"
        assert (writer.add_record(b"1"), writer.add_records(inner()), writer.add_record(b"3")) == (1, 2, 3)
        writer.commit()
        yield b"5"

    assert writer.add_records(outer()) == 5
    assert (writer[:], committed(path)) == ([b"1", b"2", b"3", b"4", b"5"], [b"1", b"2", b"3"])


@pytest.mark.parametrize("before", [0, 3, 2000])
@pytest.mark.parametrize("added", [0, 3, 2000])
def test_if_the_iterable_raises_no_record_is_added(writer: Any, path: Path, before: int, added: int) -> None:  # noqa: ANN401
    first = [random.Random(number).randbytes(100) for number in range(before)]
    writer.add_records(first)
    writer.set_metadata(b"kept")
    with pytest.raises(RefusedError):
        writer.add_records(then_raise(*(b"%d" % number * 50 for number in range(added))))
    assert (len(writer), writer[:], writer.get_metadata()) == (before, first, b"kept")
    assert writer.add_record(b"last") == before + 1
    writer.commit()
    assert committed(path) == [*first, b"last"]


@pytest.mark.parametrize("wrong", [None, 5, object()])
def test_an_argument_that_is_not_iterable_is_refused(writer: Any, wrong: object) -> None:  # noqa: ANN401
    with pytest.raises(TypeError):
        writer.add_records(wrong)
    assert len(writer) == 0


@pytest.mark.parametrize("size", [100, 40_000, 3 * MEBIBYTE])
@pytest.mark.parametrize("action", ["commit", "rollback", "transaction"])
def test_effects_of_an_iterable_that_raises_remain_and_its_records_are_discarded(
    writer: Any,  # noqa: ANN401
    path: Path,
    size: int,
    action: str,
) -> None:
    before, other, small, last = (random.Random(number).randbytes(size) for number in range(4))

    def records() -> Iterator[bytes]:
        yield small[:1000]
        if action == "transaction":
            with writer.transaction():
                writer.add_record(other)
        else:
            getattr(writer, action)()
        yield small[:1000]
        raise RefusedError

    writer.add_record(before)
    with CaptureFile(path, encoding=None) as reader:
        with pytest.raises(RefusedError):
            writer.add_records(records())
        stays = {"commit": [before], "rollback": [], "transaction": [before, other]}[action]
        assert (writer[:], reader.refresh(), reader[:]) == (stays, action != "rollback", stays)
        writer.add_record(last)
        writer.commit()
        assert (reader.refresh(), reader[:]) == (True, [*stays, last])
    assert committed(path) == [*stays, last]


@pytest.mark.parametrize("fails", [True, False])
def test_a_call_with_more_records_than_are_buffered_is_also_all_or_nothing(
    writer: Any,  # noqa: ANN401
    path: Path,
    fails: bool,
) -> None:
    large = [random.Random(number).randbytes(MEBIBYTE) for number in range(10)]
    writer.add_record(b"before")
    if fails:
        with pytest.raises(RefusedError):
            writer.add_records(then_raise(*large))
    else:
        assert writer.add_records(iter(large)) == 11
    stays = [b"before"] if fails else [b"before", *large]
    assert (len(writer), writer[:]) == (len(stays), stays)
    writer.add_record(b"after")
    writer.commit()
    assert committed(path) == [*stays, b"after"]


def test_records_committed_during_a_long_call_that_fails_stay_committed(writer: Any, path: Path) -> None:  # noqa: ANN401
    large = [random.Random(number).randbytes(MEBIBYTE) for number in range(12)]

    def records() -> Iterator[bytes]:
        yield from large[:8]
        writer.commit()
        yield from large[8:]
        raise RefusedError

    with CaptureFile(path, encoding=None) as reader:
        with pytest.raises(RefusedError):
            writer.add_records(records())
        reader.refresh()
        seen = reader[:]
        assert 4 <= len(seen) <= 8
        assert seen == large[: len(seen)]
        writer.rollback()
        assert writer[:] == seen
        writer.add_record(b"after")
        writer.commit()
        assert (reader.refresh(), reader[:]) == (True, [*seen, b"after"])
    assert committed(path) == [*seen, b"after"]


def test_closing_inside_the_iterable_ends_the_call(writer: Any, path: Path) -> None:  # noqa: ANN401
    def records() -> Iterator[bytes]:
        yield b"lost"
        writer.close()
        yield b"too late"

    with pytest.raises(capturefile.CaptureFileNotOpen, match=path.name):
        writer.add_records(records())
    assert (writer.closed, committed(path)) == (True, [])
