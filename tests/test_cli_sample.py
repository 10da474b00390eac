"""The commands `sample`, `du` and `merge`."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest
from capturefile.rotating import RotatingWriter
from command import DAMAGED, FAILED, WRONG_USAGE, assert_one_line, lines, make, metadata_of, output, records_of, run

if TYPE_CHECKING:
    from pathlib import Path

ALL = [b"%d" % number for number in range(1, 1001)]
LOSSY = 3


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A rotated log of 1,000 records in ten files."""
    folder = tmp_path / "log"
    with RotatingWriter(folder, encoding=None, sync="none") as writer:
        for first in range(0, 1000, 100):
            writer.add_records(ALL[first : first + 100])
            writer.rotate()
    return folder


# sample


def test_a_sample_is_in_order_without_repetition_and_different_each_time(path: Path) -> None:
    make(path, ALL)
    samples = [[int(record) for record in output("sample", path).split()] for _ in range(3)]
    assert all(len(sample) == 10 == len(set(sample)) and sample == sorted(sample) for sample in samples)
    assert samples[0] != samples[1] or samples[1] != samples[2]
    assert output("sample", "-n", "5000", path).split() == ALL
    assert output("sample", "-n", "0", path) == b""


def test_a_seed_always_chooses_the_same_records(log: Path, path: Path) -> None:
    make(path, [b"a", b"b"])
    command = ("sample", "--seed", "7", "-n", "1001", log, path)
    assert output(*command) == output(*command)
    found = [json.loads(line) for line in output("sample", "--format", "jsonl", "-n", "1002", log, path).splitlines()]
    assert [(fact["file"], fact["record_number"]) for fact in found] == [
        *((str(log), number) for number in range(1, 1001)),
        (str(path), 1),
        (str(path), 2),
    ]
    assert {fact["record"] for fact in found[:1000]} == {record.decode() for record in ALL}


def test_every_record_is_as_likely_as_any_other(path: Path, tmp_path: Path) -> None:
    make(path, ALL[:900])
    other = make(tmp_path / "other", ALL[900:])
    found = [
        int(record)
        for seed in range(3)
        for record in output("sample", "-q", "-n", "300", "--seed", str(seed), path, other).split()
    ]
    late = sum(number > 900 for number in found)
    assert 40 < late < 150  # A tenth of 900.


def test_a_sample_of_a_damaged_file_says_where(damaged: Path) -> None:
    done = run("sample", "-n", "2000", damaged)
    assert done.returncode in (FAILED, DAMAGED)
    assert_one_line(done.stderr)


# du


def test_file_sizes_are_listed_with_a_total(log: Path, path: Path) -> None:
    make(path, [b"x" * 1000] * 1000)
    found = json.loads(output("du", "--json", "--files", path, log))
    assert [fact["record_count"] for fact in found] == [1000, 0, *[100] * 10, 0, 1000]
    assert found[0]["record_bytes"] == 1_000_000
    assert found[0]["disk_bytes"] == path.stat().st_blocks * 512
    assert found[-1] == {
        "file": str(log),
        "disk_bytes": sum(part.stat().st_blocks * 512 for part in log.iterdir()),
        "record_count": 1000,
        "record_bytes": sum(map(len, ALL)),
    }
    table = output("du", path, log).decode().splitlines()
    assert [line.split()[-1] for line in table] == ["file", str(path), str(log), "total"]
    assert table[1].split()[2:4] == ["977", "KiB"]
    assert table[-1].split()[-2] == "2,000"
    assert len(output("du", path).splitlines()) == 2


# merge


def keyed(*keys: object) -> list[bytes]:
    """Records with these keys."""
    return [json.dumps({"at": {"t": key}}).encode() for key in keys]


def test_records_are_merged_by_a_field(log: Path, tmp_path: Path) -> None:
    source = random.Random(1)
    parts: list[list[int]] = [[], [], []]
    for key in range(3000):
        source.choice(parts).append(key)
    files = [make(tmp_path / f"{index}", keyed(*part), metadata=b"%d" % index) for index, part in enumerate(parts)]
    target = tmp_path / "merged"
    done = run("merge", "--key", "at.t", *files, target)
    assert done.stderr == b"capturefile: 3000 records merged\n"
    assert records_of(target) == keyed(*range(3000))
    assert metadata_of(target) == b"2"


def test_equal_keys_stay_in_file_order_and_records_without_a_key_follow_their_predecessors(tmp_path: Path) -> None:
    files = [
        make(tmp_path / "a", [b"first", *keyed(1), b"behind 1", *keyed(3)]),
        make(tmp_path / "b", [*keyed(1, 2), b"behind 2"]),
    ]
    run("merge", "--key", "at.t", *files, tmp_path / "merged")
    assert records_of(tmp_path / "merged") == [
        b"first",
        *keyed(1),
        b"behind 1",
        *keyed(1, 2),
        b"behind 2",
        *keyed(3),
    ]


@pytest.mark.parametrize(
    ("kind", "first", "last"),
    [
        ("text", b"10", b"9"),
        ("number", b"9", b"10.5"),
        ("time", b"2026-11-30T12:00+02:00", b"2026-11-30T11:00Z"),
        ("time", b"2026-11-30", b"1796000000000"),
    ],
)
def test_keys_are_found_in_text_and_compared_by_their_type(
    tmp_path: Path, kind: str, first: bytes, last: bytes
) -> None:
    records = [b"key=" + first + b";", b"key=" + last + b";"]
    files = [make(tmp_path / "a", records[1:]), make(tmp_path / "b", records[:1])]
    options = ("--key-pattern", "key=(.*);", "--key-type", kind, "--utc")
    assert run("merge", *options, *files, tmp_path / "merged").returncode == 0
    assert records_of(tmp_path / "merged") == records


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (keyed(1, 3, 2), [], b"a: the key of record 3 is below an earlier one"),
        (keyed(1), keyed("x"), b"b: the key of record 1 is a text, and others are numbers"),
        (keyed("a", 1), [], b"a: the key of record 2 is a number, and others are texts"),
    ],
)
def test_keys_that_decrease_or_do_not_compare_are_an_error(
    tmp_path: Path, first: list[bytes], second: list[bytes], message: bytes
) -> None:
    files = [make(tmp_path / "a", first), make(tmp_path / "b", second)]
    done = run("merge", "--key", "at.t", *files, tmp_path / "merged")
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert message in done.stderr
    assert_one_line(done.stderr)
    assert not (tmp_path / "merged").exists()


def test_a_merge_accepts_logs_and_the_options_of_a_copy(log: Path, path: Path, tmp_path: Path) -> None:
    make(path, [b"%d.5" % number for number in range(1, 1001)])
    target = tmp_path / "merged"
    options = ("--key-pattern", ".*", "--key-type", "number", "--format", "3", "--compression", "lz4")
    assert run("merge", *options, log, path, target).returncode == 0
    numbers = [float(record) for record in records_of(target)]
    assert (numbers, len(numbers)) == (sorted(numbers), 2000)
    assert output("info", target).startswith(b"version: 3\n")
    assert run("merge", *options, log, path, target).returncode == FAILED
    assert run("merge", *options, "--overwrite", path, target, target).returncode == 0


@pytest.mark.parametrize(
    "options", [[], ["--key", "a", "--key-pattern", "b"], ["--key-pattern", "("], ["--key", "t", "--level", "13"]]
)
def test_a_merge_accepts_one_key(path: Path, tmp_path: Path, options: list[str]) -> None:
    make(path)
    assert run("merge", *options, path, tmp_path / "merged").returncode == WRONG_USAGE


def test_unreadable_records_are_skipped_in_a_merge(damaged: Path, tmp_path: Path) -> None:
    words = ("merge", "--key", "t", damaged, tmp_path / "merged")
    assert run(*words).returncode == FAILED
    assert run(*words, "--skip-unreadable").returncode == LOSSY
    assert output("cat", tmp_path / "merged") == lines(*records_of(tmp_path / "merged"))
