"""`capturefile index`, and `--where` with an index: fewer records are read, and the same are found."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import capturefile
import pytest
from capturefile._fields.conditions import Condition
from capturefile._index.ranges import intersection
from capturefile.cli.arguments import Span
from capturefile.cli.narrowing import narrowed
from capturefile.cli.records import Selection
from capturefile.cli.sources import opened
from capturefile.rotating import RotatingWriter
from command import FAILED, output, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNT = 12_000


def records() -> Iterator[bytes]:
    """Records whose times rise, with fields of different types."""
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
    """A file with these records, and an index."""
    path = tmp_path_factory.mktemp("log") / "log.capture"
    with capturefile.open(path, "x", encoding=None, sync="none") as cf:
        cf.add_records(records())
        cf.commit()
    capturefile.index(path, "time", "n", "level", "http.status", "big", "mixed")
    return path


def read_of(path: Path, expression: str) -> float | None:
    """The part of the records that is read for an expression; None if the index says nothing."""
    with capturefile.open(path, encoding=None) as cf:
        ranges = narrowed(cf, Condition(expression))
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
def test_the_same_is_found_and_less_is_read(log: Path, expression: str, most: float | None) -> None:
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


def test_commands_use_the_index(log: Path, tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    with capturefile.open(path, "x", encoding=None) as cf:
        cf.add_records(records())
        cf.commit()
    done = run("index", path, "--key", "n,level", "--key", "http.status")
    size = (tmp_path / "log.capture.index").stat().st_size
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.decode() == f"capturefile: {path}.index covers 12000 records, in {size:,} bytes\n"
    with capturefile.open(path) as cf:
        block = next(block for block in cf.blocks() if block.records and block.records.last >= 6000)
    with path.open("r+b") as file:
        file.seek(block.position + 2000)  # type: ignore[operator]
        file.write(bytes(100))
    assert output("count", "--where", "n == 9000", path) == b"1\n"
    assert output("cat", "--where", "http.status == 500", "--field", "n", path) == b"5\n9000\n"
    assert output("grep", "-c", "--where", "n > 11990", "info", path) == b"10\n"
    assert output("tail", "-n", "1", "--where", "n < 20", "--field", "n", path) == b"19\n"
    assert output("head", "-n", "1", "--where", "n == 11999", "--field", "n", path) == b"11999\n"
    assert run("count", "--where", "big == 1", path).returncode == FAILED
    assert run("index", path).returncode == 0


def test_what_cannot_be_indexed_is_said(tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    assert b"No such file" in run("index", path, "--key", "n").stderr
    with capturefile.open(path, "x") as cf:
        cf.add_record("one")
        cf.commit()
    done = run("index", path)
    assert (done.returncode, done.stderr.count(b"\n")) == (FAILED, 1)
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
        possible = source.narrowed(Condition("n == 7000"))
        assert possible is not None
        assert intersection(possible, [(1, COUNT)])[0][0] > 5000
        assert possible[-1] == (COUNT + 1, sys.maxsize)
    assert output("cat", "--where", "n in (5000, 5001, 12000)", "--field", "n", folder) == b"5000\n5001\n12000\n"
    assert output("verify", folder).count(b"sound") == 4
