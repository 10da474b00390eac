"""Indexes of the fields of JSON records: searches with and without an index find the same."""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Literal

import capturefile
import pytest
from capturefile._capturefile import _index_groups, _index_hash, _index_matches, _index_page, _IndexRun
from capturefile._fields.expressions import document, named_field
from capturefile._index import update
from capturefile._index.contents import MAX_RUN, Contents
from capturefile._index.place import place_of
from capturefile._index.ranges import intersection, union
from capturefile._index.update import MIN_RUN, merged
from capturefile.rotating import RotatingReader, RotatingWriter
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FORMATS = pytest.mark.parametrize("version", [2, 3])
SPECIAL: list[Any] = [
    *(None, True, False, 0, 1, -1, 0.0, -0.0, 1.0, 0.1, 1e300, 2**53, 2**53 + 1, 10**400, float("inf"), "", "a", "A"),
    *("1", "\N{GRINNING FACE}", "\ud800", 'quote"back\\slash', "line\nbreak", "\u00e9", [], {}, [1], {"b": 1}),
]
JSON = st.recursive(
    st.sampled_from(SPECIAL) | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "a.b"]), inner, max_size=3),
    max_leaves=6,
)


def order(number: int) -> bytes:
    """A record with a unique order."""
    value = {"order": f"A{number * 7919 % 1000003:07}", "n": number, "level": "error" if number % 1000 == 0 else "info"}
    return json.dumps({**value, "text": "x" * 60}).encode()


def make(path: Path, records: Iterable[bytes], version: int = 2, mode: str = "x") -> Path:
    """A file with these records."""
    with capturefile.open(path, mode, encoding=None, format=version, sync="none") as log:  # type: ignore[call-overload]
        log.add_records(records)
        log.commit()
    return path


def orders(path: Path, count: int, version: int = 2) -> Path:
    """A file with this many orders."""
    return make(path, map(order, range(1, count + 1)), version)


def expected(path: Path, key: str, value: object) -> list[tuple[int, bytes]]:
    """What a scan of all records finds."""
    field = named_field(key)
    with capturefile.open(path, encoding=None) as log:
        return [(n, record) for n, record in enumerate(log, 1) if field(document(record)) == value]


def found(path: Path, key: str, value: object) -> list[tuple[int, bytes]]:
    """What `find_all` finds."""
    with capturefile.open(path, encoding=None) as log:
        return list(log.find_all(key, value))


def contents(path: Path) -> Contents:
    """The contents that an index states."""
    with capturefile.open(place_of(path), encoding=None) as index:
        return Contents.decode(index.get_metadata())


def assert_covers(path: Path, count: int) -> None:
    """Checks that the runs of the index are contiguous and cover this many records."""
    runs = contents(path).runs
    assert [run.first for run in runs] == [1, *(run.last + 1 for run in runs)][: len(runs)]
    assert (runs[-1].last, contents(path).position.records) == (count, count)


def break_record(path: Path, number: int) -> None:
    """Damages the compressed block of a record."""
    with capturefile.open(path) as log:
        block = next(block for block in log.blocks() if block.records and number <= block.records.last)
    with path.open("r+b") as file:
        file.seek(block.position + block.compressed_size // 2)  # type: ignore[operator]
        file.write(b"damage!!")


# Equal values


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "a.b", "\u00e9"]), JSON, max_size=3), max_size=8), JSON)
def test_values_of_all_types_are_found_as_by_a_scan(
    tmp_path_factory: pytest.TempPathFactory, objects: list[dict[str, Any]], value: object
) -> None:
    path = tmp_path_factory.mktemp("index") / "log.capture"
    records = [
        json.dumps(each, ensure_ascii=number % 2 == 0).encode(errors="surrogatepass")
        for number, each in enumerate(objects)
    ]
    make(path, records)
    capturefile.index(path, "a", "a.b")
    values = [value, *(named_field(key)(each) for each in objects for key in ("a", "a.b"))]
    for key in ("a", "a.b", "b", "\u00e9"):
        for each in values:
            assert found(path, key, each) == expected(path, key, each)


@pytest.mark.parametrize(
    ("record", "value"),
    [
        (b'{"a": 1, "a": 2}', 2),
        (b' \t\n\r{ "a" : 1.50e1 , "z":[{"a":"]}"}] }\n', 15),
        (b'{"z": {"a": 7}, "\\u0061": 5}', 5),
        (b'{"a": "\\ud83d\\ude00"}', "\N{GRINNING FACE}"),
        (b'{"a": "\\ud83d"}', "\ud83d"),
        (b'{"a": "\\ud83d\\u0041"}', "\ud83dA"),
        (b'{"a": true}', 1),
        (b'{"a": 1e400}', float("inf")),
        (b'{"a": -Infinity}', float("-inf")),
        (b'{"a": 9007199254740993}', 9007199254740993),
        (b'{"a": [1, [2]], "b": 3}', [1, [2]]),
    ],
)
def test_json_is_parsed_as_by_python(tmp_path: Path, record: bytes, value: object) -> None:
    path = make(tmp_path / "log.capture", [b"no JSON", record, b'{"a": ', b"[1]", b'{"a": NaN}', b'{"b": 1}'])
    assert found(path, "a", value) == [(2, record)]
    capturefile.index(path, "a")
    assert found(path, "a", value) == [(2, record)]
    assert found(path, "a", object()) == []


def test_only_blocks_that_may_have_a_value_are_read(tmp_path: Path) -> None:
    path = orders(tmp_path / "log.capture", 20_000)
    capturefile.index(path, "order", "n", "level")
    wanted = expected(path, "order", json.loads(order(15_000))["order"])
    # The value is in no block near the damaged one, which therefore is not read.
    break_record(path, 5000)
    assert found(path, "order", json.loads(order(15_000))["order"]) == wanted
    assert [number for number, _ in found(path, "n", 15_000)] == [15_000]
    with pytest.raises(capturefile.InvalidCaptureFile):
        found(path, "text", "y")


# Keeping up


@FORMATS
def test_records_after_the_end_of_the_index_are_found(tmp_path: Path, version: int) -> None:
    path = orders(tmp_path / "log.capture", 10_000, version)
    assert capturefile.index(path, "n") == 10_000
    make(path, map(order, range(10_001, 10_101)), mode="a")
    with capturefile.open(path, encoding=None) as log:
        assert [number for number, _ in log.find_all("n", 10_050)] == [10_050]
        assert_covers(path, 10_000)
        make(path, map(order, range(10_101, 10_001 + MIN_RUN)), mode="a")
        assert list(log.find_all("n", 12_000)) == []  # The object does not see it yet.
        log.refresh()
        assert [number for number, _ in log.find_all("n", 12_000)] == [12_000]
    assert_covers(path, 10_000 + MIN_RUN)
    assert found(path, "n", 12_000) == expected(path, "n", 12_000)


def test_an_index_that_cannot_be_updated_is_still_used(tmp_path: Path) -> None:
    path = orders(tmp_path / "log.capture", 10_000)
    capturefile.index(path, "n")
    make(path, map(order, range(10_001, 20_001)), mode="a")
    with capturefile.open(place_of(path), "a", encoding=None):
        assert [number for number, _ in found(path, "n", 15_000)] == [15_000]
        with pytest.raises(capturefile.CaptureFileAlreadyOpen):
            capturefile.index(path)
    assert_covers(path, 10_000)


def test_uncommitted_records_are_found_and_not_indexed(tmp_path: Path) -> None:
    path = orders(tmp_path / "log.capture", 5000)
    capturefile.index(path, "n")
    with capturefile.open(path, "a", encoding=None) as log:
        log.add_records(map(order, range(5001, 20_001)))
        assert [number for number, _ in log.find_all("n", 15_000)] == [15_000]
        assert_covers(path, 5000)
        log.rollback()
        assert list(log.find_all("n", 15_000)) == []


def test_an_older_view_uses_a_newer_index(tmp_path: Path) -> None:
    path = orders(tmp_path / "log.capture", 5000)
    with capturefile.open(path, encoding=None) as log:
        make(path, map(order, range(5001, 30_001)), mode="a")
        capturefile.index(path, "n")
        assert [number for number, _ in log.find_all("n", 4000)] == [4000]
        assert list(log.find_all("n", 20_000)) == []


def test_small_runs_become_large_ones_and_the_rest_is_removed(tmp_path: Path) -> None:
    path = orders(tmp_path / "log.capture", 1)
    capturefile.index(path, "order", "n")
    for start in range(2, 60_000, 600):
        make(path, map(order, range(start, start + 600)), mode="a")
        capturefile.index(path)
        assert_covers(path, start + 599)
    assert len(contents(path).runs) < 2 * update.MERGED
    used = sum(run.pages for run in contents(path).runs)
    with capturefile.open(place_of(path), encoding=None) as index:
        assert index.record_count() <= used + max(64, used // update.MAX_GARBAGE)
    for number in random.Random(1).sample(range(1, 60_000), 50):
        assert [found_at for found_at, _ in found(path, "order", json.loads(order(number))["order"])] == [number]


def test_runs_are_merged_by_size() -> None:
    source = random.Random(1)
    sizes: list[int] = []
    for _ in range(30_000):
        size = source.randint(MIN_RUN, 3 * MIN_RUN)
        number = merged(sizes, size)
        sizes[len(sizes) - number :] = [size + sum(sizes[len(sizes) - number :])]
    assert max(sizes) <= MAX_RUN
    assert len(sizes) < 4 * sum(sizes) / MAX_RUN + 50


# Invalid indexes


def test_a_damaged_index_is_rebuilt(tmp_path: Path) -> None:
    path = orders(tmp_path / "log.capture", 10_000)
    capturefile.index(path, "order", "n")
    place = tmp_path / "log.capture.index"
    sound = place.read_bytes()
    values = [("n", 7777), ("order", json.loads(order(1234))["order"]), ("n", -1)]
    wanted = {key: expected(path, *key) for key in values}
    source = random.Random(3)
    for _ in range(60):
        broken = bytearray(sound)
        start = source.randrange(len(broken))
        for at in range(start, min(len(broken), start + source.choice([1, 100, 20_000]))):
            broken[at] ^= source.randrange(256)
        place.write_bytes(broken)
        for key in values:
            assert found(path, *key) == wanted[key]


def test_a_damaged_page_leads_to_a_new_index(tmp_path: Path) -> None:
    path = orders(tmp_path / "log.capture", 10_000)
    capturefile.index(path, "n")
    place = tmp_path / "log.capture.index"
    with capturefile.open(place) as index:
        blocks = [block for block in index.blocks() if block.position]
    sound = place.read_bytes()
    with place.open("r+b") as file:
        for block in blocks:
            file.seek(block.position + block.compressed_size // 2)  # type: ignore[operator]
            file.write(bytes(64))
    assert place.read_bytes() != sound
    assert found(path, "n", 7777) == expected(path, "n", 7777)
    assert capturefile.verify(place).sound
    assert_covers(path, 10_000)


@pytest.mark.parametrize("size", [0, 1, 5000, 60_000])
def test_a_truncated_index_is_ignored(tmp_path: Path, size: int) -> None:
    path = orders(tmp_path / "log.capture", 5000)
    capturefile.index(path, "n")
    os.truncate(place_of(path), size)
    assert [number for number, _ in found(path, "n", 3000)] == [3000]
    assert capturefile.index(path, "n") == 5000
    assert_covers(path, 5000)


def test_an_index_of_another_file_is_rebuilt(tmp_path: Path) -> None:
    path = orders(tmp_path / "log.capture", 5000)
    other = make(tmp_path / "other.capture", map(order, range(3001, 8001)))
    capturefile.index(other, "n")
    shutil.copy(place_of(other), place_of(path))
    assert [number for number, _ in found(path, "n", 2000)] == [2000]
    assert contents(path).identity != contents(other).identity
    assert_covers(path, 5000)


@FORMATS
def test_the_replacement_of_a_log_is_detected(tmp_path: Path, version: int) -> None:
    path = orders(tmp_path / "log.capture", 5000, version)
    capturefile.index(path, "n")
    with capturefile.open(path, encoding=None) as old:
        assert [number for number, _ in old.find_all("n", 2000)] == [2000]
        make(path, map(order, range(3001, 13_001)), version, mode="w")
        assert [number for number, _ in old.find_all("n", 2000)] == [2000]
        assert [number for number, _ in found(path, "n", 5000)] == [2000]
        assert [number for number, _ in old.find_all("n", 2000)] == [2000]
    assert_covers(path, 10_000)


def test_overwriting_a_log_in_place_is_detected(tmp_path: Path) -> None:
    path = orders(tmp_path / "log.capture", 5000)
    other = make(tmp_path / "other.capture", map(order, range(3001, 11_001)))
    capturefile.index(path, "n")
    with path.open("r+b") as file:
        file.truncate()
        file.write(other.read_bytes())
    assert [number for number, _ in found(path, "n", 5000)] == [2000]


def test_searches_work_after_the_index_is_deleted(tmp_path: Path) -> None:
    path = orders(tmp_path / "log.capture", 5000)
    capturefile.index(path, "n")
    with capturefile.open(path, encoding=None) as log:
        assert [number for number, _ in log.find_all("n", 2000)] == [2000]
        (tmp_path / "log.capture.index").unlink()
        assert [number for number, _ in log.find_all("n", 3000)] == [3000]
    with pytest.raises(ValueError, match="no index yet"):
        capturefile.index(path)


def test_a_file_that_is_not_an_index_is_not_replaced(tmp_path: Path) -> None:
    path = orders(tmp_path / "log.capture", 10)
    make(tmp_path / "log.capture.index", [b"precious"])
    with pytest.raises(ValueError, match="is not replaced"):
        capturefile.index(path, "n")
    assert len(found(path, "n", 3)) == 1


@given(st.binary(max_size=300), st.integers(0, 2**64 - 1), st.integers(0, 2**40), st.integers(0, 2**30))
def test_invalid_pages_are_refused(page: bytes, value_hash: int, groups: int, pages: int) -> None:
    with pytest.raises(ValueError, match="damaged"):
        _index_matches(page, (1, "n", groups, pages), value_hash)
    with pytest.raises(ValueError, match="damaged"):
        _index_groups(page, (1, "n", groups, pages), 0, None, None, None)


def test_a_page_in_the_wrong_place_is_refused(tmp_path: Path) -> None:
    path = orders(tmp_path / "log.capture", 10_000)
    run = _IndexRun(["n", "order"], 1)
    with capturefile.open(path) as log:
        run.add(log, 1, 10_000, 0)
    run.end_group()
    (groups, hashes), (_, others) = run.pages()
    value_hash = _index_hash(b"17")
    assert value_hash is not None
    part = (1, "n", run.groups, len(hashes))
    number = _index_page(part, value_hash)
    assert _index_matches(hashes[number], part, value_hash) == [0]
    for page, other in (
        (hashes[number - 1], part),
        (others[number], part),
        (groups[0], part),
        (hashes[number], (2, *part[1:])),
        (hashes[number], (1, "m", *part[2:])),
        (hashes[number], (1, "n", run.groups + 1, len(hashes))),
    ):
        with pytest.raises(ValueError, match="damaged"):
            _index_matches(page, other, value_hash)


# Damage in the log


def test_unreadable_records_may_have_any_value(tmp_path: Path) -> None:
    path = orders(tmp_path / "log.capture", 10_000)
    break_record(path, 5000)
    capturefile.index(path, "n")
    assert contents(path).runs[0].unreadable
    for start in range(10_001, 11_001, 100):
        make(path, map(order, range(start, start + 100)), mode="a")
        capturefile.index(path)
    assert (len(contents(path).runs), contents(path).runs[0].last > 10_000) == (4, True)
    with pytest.raises(capturefile.InvalidCaptureFile):
        found(path, "n", 5000)


# Kills


def test_an_interrupted_index_is_completed_with_each_record_once(tmp_path: Path) -> None:
    path = orders(tmp_path / "log.capture", 60_000)
    program = (
        "import sys, capturefile\nfrom capturefile._index import update\nupdate.MAX_RUN = 3000\n"
        "capturefile.index(sys.argv[1], 'order', 'n')"
    )
    source = random.Random(5)
    for _ in range(12):
        process = subprocess.Popen([sys.executable, "-c", program, str(path)])
        time.sleep(source.uniform(0.1, 0.6))
        process.kill()
        process.wait()
        for number in source.sample(range(1, 60_001), 3):
            assert [each for each, _ in found(path, "n", number)] == [number]
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    assert_covers(path, 60_000)
    assert capturefile.verify(place_of(path)).sound
    for number in source.sample(range(1, 60_001), 20):
        assert [each for each, _ in found(path, "order", json.loads(order(number))["order"])] == [number]


def test_an_index_has_the_permissions_of_its_log(tmp_path: Path) -> None:
    path = orders(tmp_path / "log.capture", 10)
    path.chmod(0o600)
    capturefile.index(path, "n")
    assert stat.S_IMODE((tmp_path / "log.capture.index").stat().st_mode) == 0o600


# Logs


@FORMATS
def test_a_rotated_log_has_one_index(tmp_path: Path, version: Literal[2, 3]) -> None:
    folder = tmp_path / "orders"
    with RotatingWriter(folder, encoding=None, sync="none", format=version) as writer:
        for start in range(1, 20_001, 4000):
            writer.add_records(map(order, range(start, start + 4000)))
            writer.rotate()
        with RotatingReader(folder, encoding=None) as log:
            before = {n: list(log.find_all("n", n)) for n in (1, 4000, 4001, 19_999, 20_001)}
            assert capturefile.index(folder, "n") == 20_000
            assert {n: list(log.find_all("n", n)) for n in before} == before
            writer.add_records(map(order, range(20_001, 30_001)))
            writer.commit()
            log.refresh()
            assert [number for number, _ in log.find_all("n", 25_000)] == [25_000]
            assert_covers(folder, 30_000)
            for file in log.files()[:2]:
                file.path.unlink()
    with RotatingReader(folder) as log:
        assert list(log.find_all("n", 100)) == []
        assert log.first_record == 8001
        assert [(number, json.loads(record)["n"]) for number, record in log.find_all("n", 8001)] == [(8001, 8001)]
    (folder / "_index.capture").unlink()
    assert capturefile.index(folder, "n") == 30_000
    with RotatingReader(folder) as log:
        assert [number for number, _ in log.find_all("n", 29_000)] == [29_000]


# Sets of numbers


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60))),
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60))),
)
def test_sets_of_numbers(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    def numbers(ranges: list[tuple[int, int]]) -> set[int]:
        return {number for first, last in ranges for number in range(first, last + 1)}

    assert numbers(union(left)) == numbers(left)
    common = intersection(union(left), union(right))
    assert numbers(common) == numbers(left) & numbers(right)
    assert union(common) == common
