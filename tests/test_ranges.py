"""Ranges of records: as lists, and as two buffers without an object for each record."""

from __future__ import annotations

import gc
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from capturefile import CaptureFile
from files import DAMAGE, damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("both_formats")

RECORDS = [b"%d " % number * (number % 80) for number in range(1, 2001)]


@pytest.fixture(params=[True, False], ids=["committed", "not committed"])
def cf(path: Path, request: pytest.FixtureRequest) -> Any:  # noqa: ANN401
    """A file of `RECORDS`, in blocks that are inflated by several threads."""
    with CaptureFile(path, to_write=True, encoding=None, compression_block_size=4096, threads=3) as cf:
        cf.add_records(RECORDS)
        if request.param:
            cf.commit()
        yield cf
        cf.commit()


def unpacked(buffers: tuple[memoryview, memoryview]) -> list[bytes]:
    """The records in a pair of buffers."""
    offsets, data = buffers
    assert (offsets.format, offsets.itemsize, data.format, data.readonly) == ("q", 8, "B", True)
    ends: Sequence[int] = offsets.tolist()
    assert (ends[0], ends[-1]) == (0, data.nbytes)
    return [bytes(data[start:end]) for start, end in pairwise(ends)]


def test_a_range_includes_both_ends(cf: CaptureFile[bytes]) -> None:
    for first, last in [(1, 1), (1, 2000), (7, 9), (2000, 2000), (500, 1500)]:
        assert cf.read_range(first, last) == RECORDS[first - 1 : last]
        assert unpacked(cf.read_range_buffers(first, last)) == RECORDS[first - 1 : last]


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_range_has_the_records_of_record_at(cf: CaptureFile[bytes], data: st.DataObject) -> None:
    first, last = data.draw(st.integers(1, 2000)), data.draw(st.integers(0, 2000))
    expected = [cf.record_at(number) for number in range(first, last + 1)]
    assert cf.read_range(first, last) == expected == unpacked(cf.read_range_buffers(first, last))


def test_a_range_that_ends_before_it_begins_is_empty(cf: CaptureFile[bytes]) -> None:
    for first, last in [(1, 0), (5, 4), (9000, 3), (7, -1), (1, -(10**30))]:
        assert cf.read_range(first, last) == [] == unpacked(cf.read_range_buffers(first, last))


def test_a_range_past_the_end_is_an_error(cf: CaptureFile[bytes]) -> None:
    for read in (cf.read_range, cf.read_range_buffers):
        for first, last, number in [(1, 2001, 2001), (2001, 2001, 2001), (3000, 4000, 3000), (1, 10**30, 2001)]:
            with pytest.raises(IndexError, match=f"record {number} does not exist in .*, which has 2000 records"):
                read(first, last)
        with pytest.raises(IndexError, match="record 0 does not exist"):
            read(0, 10)
        with pytest.raises(TypeError):
            read(1.0, 2)  # type: ignore[arg-type]


def test_buffers_outlive_their_file_and_everything_else(path: Path) -> None:
    with CaptureFile(path, to_write=True) as cf:
        cf.add_records("ÄÖÜ" * 1000 for _ in range(100))
        cf.commit()
        offsets, data = cf.read_range_buffers(1, 100)
        part = data[offsets[50] : offsets[51]]
    del cf, offsets, data
    gc.collect()
    assert bytes(part).decode() == "ÄÖÜ" * 1000


def test_buffers_cannot_be_written(cf: CaptureFile[bytes]) -> None:
    for view in cf.read_range_buffers(1, 10):
        with pytest.raises(TypeError, match="read-only"):
            view[0] = 1


def test_a_damaged_record_in_a_range_is_an_error(path: Path, both_formats: int) -> None:
    with CaptureFile(path, to_write=True, encoding=None, compression_block_size=4096) as cf:
        cf.add_records(RECORDS)
        cf.commit()
    damage(path)
    with CaptureFile(path, encoding=None) as cf:
        for read in (cf.read_range, cf.read_range_buffers):
            with pytest.raises(capturefile.InvalidCaptureFile, match=DAMAGE[both_formats]):
                read(1, 2000)
            assert len(read(1, 10)) in {2, 10}
