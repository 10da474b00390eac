"""Sequences of records, counted from 0: views, many files as one, splitting, other processes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from builder import TRILLION_RECORDS, trillion_file, trillion_record
from capturefile import CaptureFile, RecordSequence
from capturefile._capturefile import block_range
from files import write
from forking import fork
from processes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.usefixtures("both_formats")

COUNT = 2000


def text(number: int) -> str:
    """A record that states its number, and its file if that is not the first."""
    return f"{number} " + "x" * (number * 37 % 360)


@pytest.fixture
def many(path: Path) -> Path:
    """A file of many records in a few dozen small blocks."""
    with CaptureFile(path, True, compression_block_size=4096, sync=False) as cf:
        cf.add_records(text(number) for number in range(1, COUNT + 1))
        cf.commit()
    return path


def sequence(path: Path) -> RecordSequence[str]:
    """All records of a file."""
    with CaptureFile(path) as cf:
        return cf.as_sequence()


def assert_same(found: RecordSequence[Any], expected: Sequence[Any]) -> None:
    """Checks that every way of reading a sequence gives the same for both."""
    assert len(found) == len(expected)
    assert list(found) == list(expected)
    assert list(reversed(found)) == list(reversed(expected))
    indices = range(-len(expected), len(expected))
    chosen = random.sample(indices, min(50, len(indices)))
    assert [found[index] for index in chosen] == [expected[index] for index in chosen]
    assert found.__getitems__(chosen) == [expected[index] for index in chosen]


def random_slice(source: random.Random, length: int) -> slice:
    """A slice with ends inside and outside, and all kinds of steps."""
    start, stop = (source.choice([None, source.randint(-length - 5, length + 5)]) for _ in range(2))
    return slice(start, stop, source.choice([None, 1, 2, 3, 7, 400, -1, -2, -5, -900]))


# Views


def test_a_sequence_counts_from_0_and_reads_like_a_list(many: Path) -> None:
    records = sequence(many)
    assert records[0] == text(1)
    assert records[-1] == text(COUNT)
    assert_same(records, [text(number) for number in range(1, COUNT + 1)])
    assert text(7) in records
    assert "no such record" not in records
    assert (records.index(text(7)), records.count(text(7))) == (6, 1)


@pytest.mark.parametrize("seed", range(20))
def test_slices_are_views_that_read_like_slices_of_a_list(many: Path, seed: int) -> None:
    source = random.Random(seed)
    view, expected = sequence(many), [text(number) for number in range(1, COUNT + 1)]
    for _ in range(3):
        part = random_slice(source, len(expected))
        view, expected = view[part], expected[part]
        assert type(view) is RecordSequence
        assert_same(view, expected)


@pytest.mark.parametrize("seed", range(20))
def test_slices_of_many_files_as_one_read_like_slices_of_a_list(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    parts: list[RecordSequence[str]] = []
    expected: list[str] = []
    for name in range(6):
        count = source.choice([0, 1, 30, 200])
        write(tmp_path / f"{name}", *(f"{name}: {text(number)}" for number in range(1, count + 1)))
        part = random_slice(source, count)
        parts.append(sequence(tmp_path / f"{name}")[part])
        expected += [f"{name}: {text(number)}" for number in range(1, count + 1)][part]
    view = capturefile.concat(parts)
    assert_same(view, expected)
    for _ in range(5):
        part = random_slice(source, len(expected))
        assert_same(view[part], expected[part])


def test_a_view_of_any_length_copies_nothing(path: Path) -> None:
    path.write_bytes(trillion_file())
    whole = CaptureFile(path, encoding=None).as_sequence()
    numbers = range(1, TRILLION_RECORDS + 1)
    for part in (slice(None), slice(None, None, 3), slice(100, -100), slice(None, None, -2), slice(-5, None)):
        whole, numbers = whole[part], numbers[part]
        assert len(whole) == len(numbers)
        assert [whole[index] for index in (0, 1, -1)] == [trillion_record(numbers[index]) for index in (0, 1, -1)]
    views = CaptureFile(path).as_sequence().split(8)
    assert sum(map(len, views)) == TRILLION_RECORDS


def test_invalid_indexes_are_refused_as_by_a_list(full: Path) -> None:
    records = sequence(full)
    for index in (2, -3, 10**30):
        with pytest.raises(IndexError, match=f"no record at index {index} of a sequence of 2, counted from 0"):
            records[index]
        with pytest.raises(IndexError):
            records.__getitems__([0, index])
    wrong: Any = "0"
    for use in (lambda: records[wrong], lambda: records.__getitems__([wrong])):
        with pytest.raises(TypeError):
            use()
    with pytest.raises(ValueError, match="step"):
        records[::0]
    empty = records[5:]
    assert (len(empty), list(empty), empty[:]) == (0, [], empty)
    with pytest.raises(IndexError):
        empty[0]


# A length that never changes


def test_later_commits_are_not_in_a_sequence(full: Path) -> None:
    with CaptureFile(full) as reader, CaptureFile(full, True) as writer:
        records = reader.as_sequence()
        writer.add_record("three")
        writer.commit()
        reader.refresh()
        assert (len(reader), len(records), list(records)) == (3, 2, ["one", "two"])
        assert list(reader.as_sequence()) == ["one", "two", "three"]
        assert records[:].__getitems__([-1]) == ["two"]


def test_uncommitted_records_are_not_in_a_sequence(full: Path) -> None:
    with CaptureFile(full, True) as writer:
        writer.add_record("three")
        records = writer.as_sequence()
        assert (len(records), records[-1], list(records)) == (2, "two", ["one", "two"])
        writer.rollback()
        writer.add_record("another")
        writer.commit()
        assert list(records) == ["one", "two"]
        assert list(writer.as_sequence()) == ["one", "two", "another"]


def test_a_sequence_outlives_its_object_and_the_file_at_its_path(full: Path) -> None:
    with CaptureFile(full) as cf:
        records = cf.as_sequence()
    assert list(records) == ["one", "two"]
    capturefile.open(full, "w").close()
    assert list(records) == ["one", "two"]
    full.unlink()
    assert records[1:][0] == "two"


def test_a_closed_object_cannot_create_a_sequence(full: Path) -> None:
    cf = CaptureFile(full)
    cf.close()
    with pytest.raises(capturefile.CaptureFileNotOpen):
        cf.as_sequence()


# Equality


def test_sequences_of_the_same_records_of_the_same_file_are_equal(many: Path, tmp_path: Path) -> None:
    records, again = sequence(many), sequence(many)
    (tmp_path / "link").symlink_to(many)
    for other in (again, records[:], records[::-1][::-1], sequence(tmp_path / "link"), capturefile.concat([many])):
        assert records == other
        assert hash(records) == hash(other)
    joined = capturefile.concat([records[:700], records[700:]])
    assert (joined, hash(joined)) == (records, hash(records))
    (tmp_path / "copy").write_bytes(many.read_bytes())
    in_bytes = CaptureFile(many, encoding=None).as_sequence()
    for different in (records[1:], records[::-1], sequence(tmp_path / "copy"), in_bytes, list(records)):
        assert records != different
    assert records[5:5] == again[:0] == RecordSequence()


def test_a_sequence_shows_its_length_and_its_file(full: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", "three")
    assert repr(sequence(full)) == f"<RecordSequence: 2 records of {str(full)!r}>"
    assert repr(sequence(full)[1:]) == f"<RecordSequence: 1 record of {str(full)!r}>"
    assert repr(capturefile.concat([full, tmp_path / "other"])) == "<RecordSequence: 3 records of 2 files>"
    assert repr(RecordSequence()) == "<RecordSequence: 0 records>"


# Other processes


def read_all(records: RecordSequence[str]) -> tuple[int, list[str], list[str]]:
    """The records that another process reads from a sequence."""
    return len(records), list(records), records.__getitems__([0, -1])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_sequence_is_passed_to_the_processes_of_a_pool(many: Path, method: str) -> None:
    views = sequence(many)[::2].split(3)
    views.append(capturefile.concat([many, many])[COUNT - 5 : COUNT + 5])
    for view in views:
        assert view[0]
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.map_async(read_all, views).get(PATIENCE)
    assert found == [read_all(view) for view in views]


def test_a_forked_child_continues_to_read_its_parents_sequences(many: Path) -> None:
    records = sequence(many)
    under_way = iter(records)
    assert next(under_way) == text(1)
    child = fork()
    if not child:
        fine = list(under_way) == list(records[1:]) and records[77] == text(78)
        os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(under_way) == list(records[1:])


def test_an_unpickled_sequence_is_equal_and_opens_its_file_on_first_use(full: Path, tmp_path: Path) -> None:
    with CaptureFile(full, encoding=None, cache_size=0) as cf:
        pickled = pickle.dumps(cf.as_sequence()[1:])
    full.rename(tmp_path / "elsewhere")
    again = pickle.loads(pickled)
    assert len(again) == 1
    with pytest.raises(FileNotFoundError):
        again[0]
    (tmp_path / "elsewhere").rename(full)
    assert again == CaptureFile(full, encoding=None).as_sequence()[1:]
    assert again[0] == b"two"


def test_a_sequence_pickles_no_records_and_an_absolute_path(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(many.parent)
    pickled = pickle.dumps(sequence(Path(many.name)))
    monkeypatch.chdir("/")
    assert len(pickled) < 1000
    assert pickle.loads(pickled)[5] == text(6)


def test_a_sequence_does_not_accept_a_different_file(full: Path) -> None:
    pickled = pickle.dumps(sequence(full))
    capturefile.open(full, "w").close()
    write(full, "one", "two", "three")
    again = pickle.loads(pickled)
    for _ in range(2):
        with pytest.raises(capturefile.CaptureFileReplaced, match="not the file that this sequence was created from"):
            list(again)


def test_a_sequence_whose_file_was_recreated_is_refused(full: Path) -> None:
    """File systems reuse the inode number of a deleted file; the new file has a different creation time."""
    pickled = pickle.dumps(sequence(full))
    full.unlink()
    write(full, "one", "two")
    with pytest.raises(capturefile.CaptureFileReplaced):
        pickle.loads(pickled)[0]


def test_a_sequence_whose_file_has_lost_records_reports_that(full: Path) -> None:
    before = full.read_bytes()
    write(full, "three")
    pickled = pickle.dumps(sequence(full))
    full.write_bytes(before)
    with pytest.raises(capturefile.InvalidCaptureFile, match="has 2 records, but had 3 when this sequence was created"):
        pickle.loads(pickled)[0]


# Many files


def test_files_are_joined_in_whatever_form_they_are_given(full: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", "three")
    with CaptureFile(full) as cf, CaptureFile(tmp_path / "other", True) as writer:
        parts: list[RecordSequence[str] | CaptureFile[str]] = [cf, writer, cf.as_sequence()[:1]]
        mixed = capturefile.concat(parts)
    assert list(mixed) == ["one", "two", "three", "one"]
    assert list(capturefile.concat([str(full), tmp_path / "other"])) == ["one", "two", "three"]
    assert list(capturefile.concat([full], encoding=None, cache_size=0)) == [b"one", b"two"]
    assert list(capturefile.concat([])) == []


def test_a_single_file_in_place_of_a_list_is_an_error(full: Path) -> None:
    one: Any
    for one in (full, str(full)):
        with pytest.raises(TypeError, match="not a single one"):
            capturefile.concat(one)
    with pytest.raises(FileNotFoundError):
        capturefile.concat([full, full / "missing", full.parent / "missing"][2:])


def open_files() -> int:
    """The number of open descriptors of this process."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_files_that_are_not_read_use_no_descriptors(tmp_path: Path) -> None:
    paths = [tmp_path / str(name) for name in range(20)]
    for path in paths:
        write(path, path.name)
    before = open_files()
    records = capturefile.concat(paths)
    assert open_files() == before
    assert records[7] == "7"
    assert open_files() == before + 1
    del records
    assert open_files() == before


# Splitting


def block_borders(path: Path) -> set[int]:
    """The starts of all blocks, counted from 0, and the end of the last one."""
    with CaptureFile(path) as cf:
        borders = {0}
        while max(borders) < len(cf):
            first, last = block_range(cf, max(borders) + 1)
            assert first == max(borders) + 1
            borders.add(last)
        return borders


def test_the_range_of_a_block_is_found_from_each_of_its_records(many: Path) -> None:
    borders = sorted(block_borders(many))
    assert len(borders) > 30
    with CaptureFile(many) as cf:
        for start, end in pairwise(borders):
            assert {block_range(cf, number) for number in range(start + 1, end + 1)} == {(start + 1, end)}
        for number in (0, -1, COUNT + 1):
            with pytest.raises(IndexError):
                block_range(cf, number)


def cuts_of(views: Sequence[RecordSequence[str]]) -> list[int]:
    """The ends of consecutive views."""
    return [sum(map(len, views[: index + 1])) for index in range(len(views))]


@pytest.mark.parametrize("n", [1, 2, 3, 7, 10])
def test_views_of_a_split_begin_where_blocks_begin(many: Path, n: int) -> None:
    views = sequence(many).split(n)
    assert len(views) == n
    assert set(cuts_of(views)) <= block_borders(many)
    assert capturefile.concat(views) == sequence(many)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 50, 333, COUNT - 1, COUNT, COUNT + 1, 5 * COUNT])
@pytest.mark.parametrize("step", [1, 3, -1, -4])
def test_views_of_a_split_have_every_record_once_and_about_the_same_length(many: Path, n: int, step: int) -> None:
    records = sequence(many)[::step]
    views = records.split(n)
    assert len(views) == n
    assert capturefile.concat(views) == records
    fair = len(records) / n
    assert all(fair / 2 - 2 <= len(view) <= fair * 1.5 + 2 for view in views)


@pytest.mark.parametrize("step", [2, -1, -3])
def test_views_of_every_nth_record_begin_in_a_new_block_too(many: Path, step: int) -> None:
    records = sequence(many)[::step]
    views = records.split(5)
    with CaptureFile(many) as cf:
        blocks = [[block_range(cf, int(record.split(" ")[0])) for record in view] for view in views]
    assert all(one[-1] != next_one[0] for one, next_one in pairwise(blocks))


def test_views_of_many_files_cross_file_boundaries(many: Path, tmp_path: Path) -> None:
    for name in range(10):
        write(tmp_path / str(name), *(f"{name} {number}" for number in range(name)))
    records = capturefile.concat([many, *(tmp_path / str(name) for name in range(10)), many])
    for n in (1, 2, 5, 40, 9999):
        assert capturefile.concat(records.split(n)) == records


def test_a_sequence_cannot_be_split_into_no_views(full: Path) -> None:
    for n in (0, -1):
        with pytest.raises(ValueError, match=f"split into {n} views"):
            sequence(full).split(n)
    assert [list(view) for view in sequence(full).split(3)] == [[], ["one"], ["two"]]
    assert RecordSequence[str]().split(2) == [RecordSequence(), RecordSequence()]


# Many files


@pytest.fixture
def hundreds(tmp_path: Path) -> RecordSequence[str]:
    """A sequence over 300 files of two records."""
    paths = [tmp_path / f"{number}.capture" for number in range(300)]
    for number, path in enumerate(paths):
        with CaptureFile(path, True, sync="none") as cf:
            cf.add_records([str(2 * number), str(2 * number + 1)])
            cf.commit()
    return capturefile.concat(paths)


def test_iterating_over_many_files_leaves_none_open(hundreds: RecordSequence[str]) -> None:
    before = open_files()
    most = 0
    for number, record in enumerate(hundreds):
        assert record == str(number)
        most = max(most, open_files() - before)
    assert most <= 3
    assert open_files() == before


def test_fetching_from_many_files_keeps_a_bounded_number_open(hundreds: RecordSequence[str]) -> None:
    before = open_files()
    for _ in range(2):
        assert hundreds[::-1].__getitems__(range(600)) == [str(number) for number in range(599, -1, -1)]
        assert open_files() - before <= 256 < len(hundreds) // 2
    assert hundreds[5] == hundreds[4:6][1] == "5"


def test_a_file_that_was_replaced_after_it_was_closed_is_reported(
    hundreds: RecordSequence[str], tmp_path: Path
) -> None:
    assert hundreds[0] == "0"
    capturefile.open(tmp_path / "0.capture", "w").close()
    assert hundreds[1] == "1"
    for number in range(2, 600, 2):
        assert hundreds[number] == str(number)
    with pytest.raises(
        capturefile.CaptureFileReplaced, match=r"0\.capture' is not the file that this sequence was created from"
    ):
        hundreds[0]
