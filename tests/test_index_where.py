"""`capturefile index`, and `--where` with an index: fewer records are read, and the same are found."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import capturefile
import pytest
from capturefile._fields.conditions import Condition
from capturefile._index.conditions import possible
from capturefile._index.ranges import intersection
from capturefile.cli.arguments import Span
from capturefile.cli.records import Selection
from capturefile.cli.sources import opened
from capturefile.rotating import RotatingWriter
from capturefile.view import sample
from capturefile.view.values import values
from command import FAILED, WRONG_USAGE, make, output, pipe_of, run, running
from viewing import job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNT = 12_000


def records() -> Iterator[bytes]:
    """Records with ascending times and fields of different types."""
    for number in range(1, COUNT + 1):
        fields = {
            "time": f"2026-11-30T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}",
            "n": number,
            "level": "error" if number % 4001 == 0 else "info",
            "http": {"status": 500 if number in (5, 9000) else 200},
            "big": 10**400 if number == 700 else -number,
            "mixed": [str(number), number, number % 2 == 0, None, [number], {"a": number}][number % 6],
        }
        yield json.dumps(fields).encode() + b" " * 80


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with these records and an index."""
    path = tmp_path_factory.mktemp("log") / "log.capture"
    with capturefile.open(path, "x", encoding=None, sync="none") as cf:
        cf.add_records(records())
        cf.commit()
    capturefile.index(path, "time", "n", "level", "http.status", "big", "mixed")
    return path


def read_of(path: Path, expression: str) -> float | None:
    """The fraction of the records that is read for an expression; None if the index cannot be used."""
    with capturefile.open(path, encoding=None) as cf:
        ranges = possible(cf, Condition(expression))
    if ranges is None:
        return None
    return sum(last - first + 1 for first, last in intersection(ranges, [(1, COUNT)])) / COUNT


@pytest.mark.parametrize(
    ("expression", "most"),
    [
        ("n == 5000", 0.2),
        ("5000 == n", 0.2),
        ("n == 5000.0", 0.2),
        ("n is null", 0.0),
        ("mixed == 7", 0.2),
        ("mixed is null", 1.0),
        ("n in (17, 5000, -1)", 0.3),
        ("n in [true]", 0.2),
        ("n > 11000", 0.3),
        ("11000 < n", 0.3),
        ("n <= 100", 0.2),
        ("100 < n <= 200", 0.2),
        ("n > 11000 and nothing == 3", 0.3),
        ("n < 100 or n > 11900", 0.3),
        ("n < 100 and n > 11900", 0.0),
        ("not n == 5000", None),
        ("n != 5000", None),
        ("n + 1 == 5000", None),
        ("n == 5000 or nothing", None),
        ("n == level", None),
        ('level == "error"', 0.5),
        ('level == "error" and http.status == 500', 0.3),
        ("http.status == 500", 0.4),
        ('http["status"] == 500', 0.4),
        ('this["http.status"] == 500', 0.4),
        ('time >= "2026-11-30T03:10"', 0.3),
        ('time.startswith("2026-11-30T03:1")', 0.3),
        ('time < "2026-11-30T00:00:30"', 0.2),
        (f"big == {10**400}", 0.2),
        (f"big > {10**399}", None),
        ("big < -11900", 0.2),
        ('mixed >= "9"', 1.0),
        ("mixed > 11990", 0.3),
        ("mixed == true", 1.0),
        ('"5" in mixed', None),
        ("mixed == [4]", None),
        ("level.lower() == 'error'", None),
        ("len(level) == 5", None),
    ],
)
def test_the_index_finds_the_same_records_and_reads_fewer(log: Path, expression: str, most: float | None) -> None:
    condition = Condition(expression)
    wanted = list(condition.among(enumerate(records(), 1)))
    with opened(str(log)) as source:
        assert list(Selection(source, source.everything(), condition).records()) == wanted
        some = [pair for pair in wanted if 3000 <= pair[0] <= 9001]
        assert list(Selection(source, Span(3000, 9001), condition).records()) == some
        assert list(Selection(source, Span(3000, 9001), condition, lenient=True).records()) == some
    part = read_of(log, expression)
    assert (part is None) == (most is None)
    assert part is None or most is None or part <= most


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A file with these records and an index, of which a block around record 6000 cannot be read."""
    path = tmp_path / "log.capture"
    with capturefile.open(path, "x", encoding=None) as cf:
        cf.add_records(records())
        cf.commit()
    done = run("index", path, "--key", "n,level", "--key", "http.status")
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.decode() == f"capturefile: {path}.index covers 12000 records\n"
    with capturefile.open(path) as cf:
        block = next(block for block in cf.blocks() if block.records and block.records.last >= 6000)
    with path.open("r+b") as file:
        file.seek(block.position + 2000)  # type: ignore[operator]
        file.write(bytes(100))
    return path


def test_commands_use_the_index(damaged: Path) -> None:
    path = damaged
    assert output("count", "--where", "n == 9000", path) == b"1\n"
    assert output("cat", "--where", "http.status == 500", "--field", "n", path) == b"5\n9000\n"
    assert output("grep", "-c", "--where", "n > 11990", "info", path) == b"10\n"
    assert output("tail", "-n", "1", "--where", "n < 20", "--field", "n", path) == b"19\n"
    assert output("head", "-n", "1", "--where", "n == 11999", "--field", "n", path) == b"11999\n"
    assert run("count", "--where", "big == 1", path).returncode == FAILED
    assert run("index", path).returncode == 0


def test_follow_finds_existing_records_with_the_index(damaged: Path, tmp_path: Path) -> None:
    def follow(where: str, *arguments: str | Path) -> list[bytes]:
        selection = ("--where", where, "--field", "n")
        return output("follow", "--exit-at-end", *selection, *arguments, damaged).splitlines()

    assert follow("http.status == 500", "--from", "begin") == [b"5", b"9000"]
    assert follow("n > 11000", "--from", "begin") == [b"%d" % n for n in range(11_001, COUNT + 1)]
    assert follow("n in (5, 9000)", "--from", "6") == [b"9000"]
    cursor = tmp_path / "consumer.cursor"
    assert follow("n in (5, 9000)", "--from", "begin", "--cursor-file", cursor) == [b"5", b"9000"]
    assert json.loads(cursor.read_text())["records"] == COUNT
    with capturefile.open(damaged, "a") as cf:
        cf.add_record('{"n": 5}')
        cf.commit()
    assert follow("n in (5, 9000)", "--from", "begin", "--cursor-file", cursor) == [b"5"]
    done = run("follow", "--exit-at-end", "--from", "begin", "--where", "n < 7000", "--field", "n", damaged)
    assert (done.returncode, done.stderr.count(b"\n")) == (FAILED, 1)
    first_lost = int(done.stdout.splitlines()[-1]) + 1
    assert f"record {first_lost}".encode() in done.stderr


def test_follow_continues_with_later_commits_after_the_index(damaged: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.capture"
    with (
        capturefile.open(other, "x") as cf,
        capturefile.open(damaged, "a") as log,
        running("follow", "-q", "--from", "begin", "--where", "n == 9000", "--field", "n", damaged, other) as process,
    ):
        assert pipe_of(process.stdout).readline() == b"9000\n"
        for file in (cf, log):
            file.add_record('{"n": 9000}')
            file.commit()
            assert pipe_of(process.stdout).readline() == b"9000\n"


def test_the_viewer_uses_the_index_and_does_not_write_it(damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = damaged.with_name("log.capture.index")
    with capturefile.open(damaged, "a", encoding=None) as cf:
        cf.add_records(records())
        cf.commit()
    before = index.read_bytes()
    found = job(damaged, "search", where="n == 9000")
    assert [line["hit"]["number"] for line in found if "hit" in line] == ["9000", f"{COUNT + 9000}"]
    assert (found[-1]["done"]["at"], found[-1]["done"]["unreadable"]) == (f"{2 * COUNT}", 0)
    part = job(damaged, "search", where="n == 9000", last=COUNT)
    assert (part[-1]["done"]["at"], part[-1]["done"]["hits"]) == (f"{COUNT}", 1)
    assert job(damaged, "search", where="n + 0 == 9000")[-1]["done"]["unreadable"] > 0
    monkeypatch.setattr(sample, "MAX_WHOLE", COUNT + 2000)
    task = {"path": str(damaged), "text": "", "pattern": False, "any_case": False, "where": "n == 9000", "time": ""}
    (*_, done) = values({**task, "since": None, "until": None, "first": 1, "last": 0, "field": "n", "whole": False})
    assert done["done"]["values"][0]["count"] == 2
    assert (done["done"]["is_whole"], done["done"]["looked"]) == (True, f"{2 * COUNT}")
    index.write_bytes(before[:5000])
    assert job(damaged, "search", where="n == 9000")[-1]["done"]["hits"] == 2
    assert index.read_bytes() == before[:5000]


def test_an_index_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    assert b"No such file" in run("index", path, "--key", "n").stderr
    with capturefile.open(path, "x") as cf:
        cf.add_record("one")
        cf.commit()
    done = run("index", path)
    assert (done.returncode, done.stderr.count(b"\n")) == (WRONG_USAGE, 1)
    assert b"has no index yet: name its keys" in done.stderr
    assert not (tmp_path / "log.capture.index").exists()


def test_a_log_is_searched_with_its_index(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    with RotatingWriter(folder, encoding=None, sync="none") as writer:
        for number, record in enumerate(records(), 1):
            writer.add_record(record)
            if number % 5000 == 0:
                writer.rotate()
        writer.commit()
    assert run("index", folder, "--key", "n").returncode == 0
    with opened(str(folder)) as source:
        ranges = source.narrowed(Condition("n == 7000"))
        assert ranges is not None
        assert intersection(ranges, [(1, COUNT)])[0][0] > 5000
        assert ranges[-1] == (COUNT + 1, sys.maxsize)
    assert output("cat", "--where", "n in (5000, 5001, 12000)", "--field", "n", folder) == b"5000\n5001\n12000\n"
    assert output("verify", folder).count(b"sound") == 4


def test_an_index_needs_keys_and_json(tmp_path: Path) -> None:
    path = make(tmp_path / "text.capture", [b"one", b"two"])
    done = run("index", path)
    assert done.returncode == WRONG_USAGE
    assert done.stderr == (
        f"capturefile: {path} has no index yet: name its keys, as in capturefile index --key NAME {path}\n".encode()
    )
    covers, hint = run("index", "--key", "x", path).stderr.decode().splitlines()
    assert covers == f"capturefile: {path}.index covers 2 records"
    assert hint == f"capturefile: {path}: an index finds only JSON records, and records 1 to 2 are not JSON"
