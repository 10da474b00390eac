"""Files of the library and of the reference package are read and written by both."""

from __future__ import annotations

import contextlib
import inspect
import random
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import CaptureFile as reference_package  # noqa: N813
import capturefile
import pytest
from builder import (
    DEFAULT,
    OLD_MAGIC,
    TRILLION_RECORDS,
    Geometry,
    build_file,
    parse,
    trillion_file,
    trillion_record,
    without_header_checksum,
)
from files import MEBIBYTE
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    Open = Callable[..., Any]

WRAP = 2**32
OPENING_TAKES = 1.0
"""Seconds in which a file opens on a very busy machine, whatever the number of its records."""
LOOKUP_TAKES = 1e-3
"""Seconds in which a record is found on a very busy machine, on average."""

GEOMETRIES = [
    Geometry(512, 512, 2),
    Geometry(512, 0, 3),
    Geometry(512, 1024, 5),
    Geometry(512, 512, 16),
    Geometry(1024, 2048, 4, version=1),
    Geometry(512, 512, 2, magic=OLD_MAGIC),
    Geometry(4096, 0, 32),
    Geometry(4096, 4096, 32, version=1, magic=OLD_MAGIC),
    Geometry(4096, 32768, 150),
    Geometry(65536, 65536, 1000),
    Geometry(4096, 16 * MEBIBYTE, 32),
]


def ours(path: Path, to_write: bool = False, **options: Any) -> Any:  # noqa: ANN401
    """The file, opened by the library with records as bytes."""
    return capturefile.CaptureFile(path, to_write, encoding=None, sync=False, **options)


def theirs(path: Path, to_write: bool = False, **options: Any) -> Any:  # noqa: ANN401
    """The file, opened by the reference with records as bytes."""
    return reference_package.CaptureFile(str(path), to_write, encoding=None, **options)


BOTH = [pytest.param(ours, id="ours"), pytest.param(theirs, id="theirs")]
BOTH_WAYS = [pytest.param(ours, theirs, id="ours-first"), pytest.param(theirs, ours, id="theirs-first")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a test's file."""
    return tmp_path / "log.capture"


def append(opened: Open, path: Path, records: Iterable[bytes], commit_every: int = 1000) -> None:
    """Adds records with either package."""
    with opened(path, to_write=True) as cf:
        for number, record in enumerate(records, start=1):
            cf.add_record(record)
            if number % commit_every == 0:
                cf.commit()
        cf.commit()


def check(path: Path, records: list[bytes], metadata: bytes | None) -> None:
    """Checks that the library, the reference and the tests' parser find this content, and that the file is sound."""
    parsed = parse(path.read_bytes())
    assert (parsed.records(), parsed.metadata()) == (records, metadata)
    assert [frame.position for frame in parsed.frames()] == sorted({frame.position for frame in parsed.frames()})
    for opened in (ours, theirs):
        with opened(path) as cf:
            assert [cf.record_at(number) for number in range(1, cf.record_count() + 1)] == records
            assert cf.get_metadata() == metadata
            assert not records or list(cf) == records
    report = capturefile.verify(path)
    assert (report.problems, report.record_count, report.records_checked) == ((), len(records), len(records))


def mixed_records(seed: int, count: int, longest: int = 400) -> list[bytes]:
    """Records of many lengths, some of them empty, half of their bytes random."""
    source = random.Random(seed)
    return [
        source.randbytes(source.randrange(longest // 2)).ljust(source.randrange(longest), b".")
        if source.randrange(10)
        else b""
        for _ in range(count)
    ]


def records_around(size: int) -> list[bytes]:
    """Records that fill a block to just below, exactly, and just above `size` bytes."""
    return [bytes([letter]) * max(size - 4 + more, 0) for letter, more in zip(b"abcdefg", range(-3, 4), strict=True)]


@pytest.mark.parametrize(("first", "second"), BOTH_WAYS)
def test_each_reads_what_the_other_wrote(path: Path, first: Open, second: Open) -> None:
    records = [*mixed_records(1, 3000), b"", b"\0", b"large" * 300_000, *records_around(32768), b"last"]
    with first(path, to_write=True, initial_metadata=b"first metadata") as cf:
        for record in records:
            cf.add_record(record)
        cf.set_metadata(b"second metadata")
        cf.commit()
    with second(path) as cf:
        assert list(cf) == records
    check(path, records, b"second metadata")


@pytest.mark.parametrize(("first", "second"), BOTH_WAYS)
def test_each_appends_to_the_others_file_in_turn(path: Path, first: Open, second: Open) -> None:
    records: list[bytes] = []
    for turn in range(10):
        added = mixed_records(turn, 37 * turn, longest=900) + [b"end of turn %d" % turn] * (turn % 3)
        append([first, second][turn % 2], path, added, commit_every=20)
        records += added
        check(path, records, None)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize(("first", "second"), BOTH_WAYS)
def test_files_of_every_geometry_are_read_and_appended_to(
    path: Path, first: Open, second: Open, geometry: Geometry
) -> None:
    records = [*mixed_records(3, 60), *records_around(min(geometry.block_size, 5000))]
    path.write_bytes(build_file(records, b"metadata", geometry))
    check(path, records, b"metadata")
    for turn, opened in enumerate((first, second, first)):
        added = [*mixed_records(4 + turn, 90), *records_around(min(geometry.block_size, 5000)), b"x" * 20_000]
        append(opened, path, added, commit_every=25)
        records += added
        check(path, records, b"metadata")
    assert parse(path.read_bytes()).geometry == geometry


def test_a_block_of_sixteen_mebibytes_is_closed_by_either(path: Path) -> None:
    geometry = Geometry(4096, 16 * MEBIBYTE, 32)
    path.write_bytes(build_file([b"first"], None, geometry))
    records = [b"first"]
    for opened in (ours, theirs, ours):
        added = [b"%d" % len(records) * MEBIBYTE for _ in range(9)]
        append(opened, path, added)
        records += added
    parsed = parse(path.read_bytes())
    assert len(list(parsed.frames())) >= 1
    check(path, records, None)


def test_a_new_file_with_a_custom_block_size_is_the_same_from_both(path: Path, tmp_path: Path) -> None:
    for block_size in (0, 4096, 32768, MEBIBYTE):
        images = []
        for number, opened in enumerate((ours, theirs)):
            each = tmp_path / f"{block_size}-{number}"
            with opened(each, to_write=True, initial_metadata=b"first", compression_block_size=block_size):
                pass
            images.append(parse(each.read_bytes()))
        mine, other = images
        assert mine.geometry == other.geometry
        assert (mine.current, mine.metadata()) == (other.current, other.metadata()) if block_size else True
        assert mine.metadata() == b"first"


def test_a_file_without_compressed_blocks_is_the_same_byte_for_byte_but_for_the_headers_checksum(
    tmp_path: Path,
) -> None:
    images = []
    for opened in (ours, theirs):
        each = tmp_path / opened.__name__
        with opened(each, to_write=True, initial_metadata=b"first") as cf:
            for number in range(100):
                cf.add_record(b"record %d" % number)
                if number % 30 == 0:
                    cf.commit()
            cf.set_metadata(b"second")
            cf.commit()
        images.append(each.read_bytes())
    assert without_header_checksum(images[0]) == images[1]


@pytest.mark.parametrize(("first", "second"), BOTH_WAYS)
def test_serial_numbers_wrap_for_both(path: Path, first: Open, second: Open) -> None:
    path.write_bytes(build_file([b"0"], None, Geometry(512, 512, 2), serial=WRAP - 3))
    records = [b"0"]
    watcher = ours(path)
    for turn in range(8):
        record = b"%d" % (turn + 1) * 200
        append([first, second][turn // 2 % 2], path, [record])
        records.append(record)
        assert watcher.refresh() is True
        assert list(watcher) == records
        check(path, records, None)
    assert parse(path.read_bytes()).current.serial < 100
    watcher.close()


@pytest.mark.parametrize("serial", [0, 1, 2**31 - 1, 2**31, WRAP - 1])
@pytest.mark.parametrize("opened", BOTH)
def test_a_commit_after_any_serial_number_is_the_newest(path: Path, opened: Open, serial: int) -> None:
    path.write_bytes(build_file([b"before"], b"metadata", serial=serial))
    append(opened, path, [b"after"])
    check(path, [b"before", b"after"], b"metadata")
    assert parse(path.read_bytes()).current.serial == (serial + 1) % WRAP


def test_metadata_belongs_to_its_commit(path: Path) -> None:
    values = [b"", b"a", None, b"large" * 20_000, None, None, b"z"]
    for turn, (metadata, opened) in enumerate(zip(values * 2, [ours, theirs] * 7, strict=True)):
        with opened(path, to_write=True) as cf:
            cf.set_metadata(metadata)
            cf.add_record(b"record %d" % turn)
            cf.commit()
        check(path, [b"record %d" % number for number in range(turn + 1)], metadata)


NEVER_REFRESHES = pytest.mark.skipif(
    sys.version_info >= (3, 14),
    reason="its buffer holds both slots from the first read on, so that it sees no later commit",
)


@pytest.mark.parametrize("writer", BOTH)
@pytest.mark.parametrize("reader", [ours, pytest.param(theirs, marks=NEVER_REFRESHES)])
def test_a_reader_follows_a_writer_commit_by_commit(path: Path, writer: Open, reader: Open) -> None:
    records: list[bytes] = []
    with writer(path, to_write=True) as written, reader(path) as read:
        for turn in range(12):
            added = mixed_records(turn, 60, longest=3000)
            for record in added:
                written.add_record(record)
            read.refresh()
            assert read.record_count() == len(records)
            written.commit()
            assert read.record_count() == len(records)
            records += added
            read.refresh()
            assert list(read) == records


@pytest.mark.parametrize(("first", "second"), BOTH_WAYS)
def test_a_transaction_that_one_abandoned_does_not_disturb_the_other(path: Path, first: Open, second: Open) -> None:
    kept = mixed_records(1, 500)
    append(first, path, kept)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", capturefile.UncommittedWarning)
        with first(path, to_write=True) as cf:
            cf.set_metadata(b"abandoned")
            for record in mixed_records(2, 2000):
                cf.add_record(record)
    check(path, kept, None)
    added = mixed_records(3, 300)
    append(second, path, added)
    check(path, kept + added, None)


def test_text_is_the_same_text_for_both(path: Path) -> None:
    words = ["", "plain", "Grüße", "日本語", "\N{GRINNING FACE}", "line\nbreak", "nul\0"]
    with capturefile.CaptureFile(path, True) as mine:
        mine.add_records(words)
        mine.commit()
    with reference_package.CaptureFile(str(path), True) as other:
        for word in words:
            other.add_record(word)
        other.commit()
        assert list(other) == words * 2
    with capturefile.CaptureFile(path) as mine:
        assert list(mine) == words * 2


def test_a_file_of_a_trillion_records_is_opened_and_searched_quickly(path: Path) -> None:
    path.write_bytes(trillion_file())
    numbers = [1, 2, 32, 33, 1024, 1025, 32**8 - 1, 32**8, 32**8 + 1, TRILLION_RECORDS]
    numbers += random.Random(0).choices(range(1, TRILLION_RECORDS + 1), k=2000)
    expected = [trillion_record(number) for number in numbers]
    started = time.perf_counter()
    with ours(path) as cf:
        assert time.perf_counter() - started < OPENING_TAKES
        assert cf.record_count() == len(cf) == TRILLION_RECORDS
        started = time.perf_counter()
        found = [cf.record_at(number) for number in numbers]
        assert time.perf_counter() - started < LOOKUP_TAKES * len(numbers)
        assert found == cf.records_at(numbers) == expected


def test_a_trillion_records_are_sliced_and_iterated_at_both_ends_and_in_the_middle(path: Path) -> None:
    path.write_bytes(trillion_file())
    last = [trillion_record(number) for number in range(TRILLION_RECORDS - 99, TRILLION_RECORDS + 1)]
    half = TRILLION_RECORDS // 2
    with ours(path) as cf:
        assert cf[-100:] == list(cf.record_generator(TRILLION_RECORDS - 99)) == last
        assert cf[: -TRILLION_RECORDS + 2] == [trillion_record(1), trillion_record(2)]
        assert cf[half : half + 50] == [trillion_record(number) for number in range(half, half + 50)]
        assert cf[:: 2**38] == [trillion_record(1 + number * 2**38) for number in range(5)]
        assert cf[:: -(2**39)] == [trillion_record(TRILLION_RECORDS - number * 2**39) for number in range(3)]
        backwards = reversed(cf)
        assert [next(backwards) for _ in range(100)] == last[::-1]


def test_a_slice_of_a_trillion_records_that_cannot_fit_in_memory_is_a_memory_error(path: Path) -> None:
    path.write_bytes(trillion_file())
    with ours(path) as cf:
        for too_many in (slice(None, None, 2), slice(None, None, -1)):
            with pytest.raises(MemoryError):
                cf[too_many]
        assert cf[-1] == trillion_record(TRILLION_RECORDS)


@pytest.mark.parametrize(("first", "second"), BOTH_WAYS)
def test_a_trillion_records_are_appended_to_by_both(path: Path, first: Open, second: Open) -> None:
    path.write_bytes(trillion_file())
    added = mixed_records(1, 2500)
    append(first, path, added[:1200], commit_every=50)
    append(second, path, added[1200:], commit_every=50)
    samples = [1, 32**8, 32**8 + 7, 32**8 // 3]
    for opened in (ours, theirs):
        with opened(path) as cf:
            assert cf.record_count() == TRILLION_RECORDS + len(added)
            assert list(cf.record_generator(TRILLION_RECORDS + 1)) == added
            assert [cf.record_at(TRILLION_RECORDS + number) for number in (1, 25, 26, 2500)] == [
                added[index] for index in (0, 24, 25, 2499)
            ]
            assert [cf.record_at(number) for number in samples] == [trillion_record(number) for number in samples]


def test_a_trillion_records_are_verified_in_proportion_to_the_files_bytes(path: Path) -> None:
    path.write_bytes(trillion_file())
    report = capturefile.verify(path)
    assert report.sound
    assert report.record_count == TRILLION_RECORDS
    assert report.index_nodes < 400


TURN = st.tuples(
    st.sampled_from([ours, theirs]),
    st.lists(st.binary(max_size=700) | st.builds(bytes, st.integers(0, 3000)), max_size=12),
    st.sampled_from(["keep", "replace", "clear"]),
    st.sampled_from(["commit", "commit each", "abandon"]),
)
ANY_GEOMETRY = st.builds(
    Geometry,
    page_size=st.just(512),
    block_size=st.sampled_from([0, 512, 1024]),
    fan_out=st.integers(2, 6),
    version=st.sampled_from([1, 2]),
    magic=st.sampled_from([DEFAULT.magic, OLD_MAGIC]),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(TURN, max_size=6), ANY_GEOMETRY, st.sampled_from([2, 3, WRAP - 2, WRAP - 1, 0]))
def test_any_sequence_of_operations_gives_the_same_result_in_both(
    tmp_path_factory: pytest.TempPathFactory, turns: list[Any], geometry: Geometry, serial: int
) -> None:
    path = tmp_path_factory.mktemp("turns") / "log.capture"
    path.write_bytes(build_file([b"first"], None, geometry, serial))
    records, metadata = [b"first"], None
    for number, (opened, added, change, end) in enumerate(turns):
        wanted = {"keep": metadata, "replace": b"metadata %d" % number * 40, "clear": None}[change]
        with contextlib.ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings(action="ignore", category=capturefile.UncommittedWarning))
            cf = stack.enter_context(opened(path, to_write=True))
            if change != "keep":
                cf.set_metadata(wanted)
            for record in added:
                cf.add_record(record)
                if end == "commit each":
                    cf.commit()
            if end == "abandon":
                continue
            cf.commit()
        records, metadata = records + added, wanted
        check(path, records, metadata)
    check(path, records, metadata)


def test_all_public_names_of_the_reference_exist() -> None:
    for name in dir(reference_package.CaptureFile):
        assert name.startswith("_") or hasattr(capturefile.CaptureFile, name), name
    for name in ("CaptureFileAlreadyOpen", "CaptureFileNotOpen", "CaptureFileNotOpenForWrite", "InvalidCaptureFile"):
        assert issubclass(getattr(capturefile, name), capturefile.CaptureFileError)
        assert hasattr(reference_package, name)


def test_the_arguments_of_the_constructor_have_the_names_and_order_of_the_reference(path: Path) -> None:
    names = [*inspect.signature(reference_package.CaptureFile.__init__).parameters][1:]
    values: list[Any] = [path, True, b"metadata", True, "latin-1", True, 8192]
    assert len(names) == len(values)
    by_position = capturefile.CaptureFile(*values)
    facts = by_position.info()
    by_position.close()
    with capturefile.CaptureFile(**dict(zip(names, values, strict=True))) as by_name:
        assert by_name.info() == facts
        assert (by_name.get_metadata(), by_name.encoding, facts.block_size) == (b"metadata", "latin-1", 8192)
        assert (by_name.file_name, by_name.to_write, by_name.use_os_file_locking) == (str(path), True, True)


def test_a_program_for_the_reference_needs_only_a_different_import(path: Path) -> None:
    outcomes: list[Any] = []
    for package in (reference_package, capturefile):
        cf = package.CaptureFile(str(path), to_write=True, initial_metadata=b"start", force_new_empty_file=True)
        counts = [cf.add_record("one"), cf.add_record(b"two"), cf.add_record("three")]
        cf.commit()
        counts.append(cf.add_record("lost"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", capturefile.UncommittedWarning)
            cf.close()
        cf.close()
        cf.open()
        seen = [cf.record_count(), cf.record_at(1), cf[2], cf[2:4], cf[1:3:1], list(cf), list(cf.record_generator(3))]
        with pytest.raises(IndexError):
            cf.record_at(0)
        with pytest.raises(package.CaptureFileNotOpenForWrite):
            cf.set_metadata(b"refused")
        with pytest.raises(package.CaptureFileAlreadyOpen):
            cf.open()
        outcomes.append((counts, seen, cf.get_metadata(), cf.to_write, cf.encoding))
        cf.close()
        outcomes.append((cf.record_count(), bool(cf)))
        with pytest.raises(package.CaptureFileNotOpen):
            cf.refresh()
    assert outcomes[:2] == outcomes[2:]
