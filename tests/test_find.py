"""Finding records by ascending keys: bisection in Python, times in the command."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from capturefile import CaptureFile
from capturefile._fields.instants import instant
from capturefile.cli.instants import duration, point
from capturefile.rotating import RotatingReader, RotatingWriter
from command import DAMAGED, FAILED, WRONG_USAGE, assert_one_line, make, output, records_of, run

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
LOSSY = 3


def first_not_below(keys: list[int | None], value: int) -> int:
    """The index of the first key that is not below the value."""
    return next((index for index, key in enumerate(keys) if key is not None and key >= value), len(keys))


def key_of(record: bytes) -> int | None:
    """The number in a record, or None."""
    return int(record) if record.isdigit() else None


def random_keys(source: random.Random, slack: int) -> list[int | None]:
    """Ascending keys, except for None and for keys that are lower than an earlier one by at most the slack."""
    keys: list[int | None] = []
    highest = 0
    for _ in range(source.randint(0, 120)):
        highest += source.choice([0, 0, 1, 5])
        keys.append(max(0, highest - source.randint(0, slack)) if source.random() < 0.8 else None)
    return keys


# In Python


@pytest.mark.parametrize("slack", [0, 3, 50])
def test_bisection_finds_the_same_record_as_a_scan(tmp_path: Path, slack: int) -> None:
    source = random.Random(slack)
    for number in range(15):
        keys = random_keys(source, slack)
        records = [b"%d" % key if key is not None else b"none" for key in keys]
        path = make(tmp_path / f"{number}.capture", records)
        folder = tmp_path / f"{number}"
        cut = source.randint(0, len(records))
        with RotatingWriter(folder, encoding=None, sync="none") as log:
            for part in (records[:cut], records[cut:]):
                log.add_records(part)
                log.rotate()
        options: dict[str, Any] = {"key": key_of, **({"slack": slack} if slack else {})}
        with CaptureFile(path, encoding=None) as cf, RotatingReader(folder, encoding=None) as log:
            both = capturefile.concat([cf.as_sequence()[:cut], cf.as_sequence()[cut:]])
            for value in range(max((key or 0 for key in keys), default=0) + 3):
                expected = first_not_below(keys, value)
                assert cf.find(value, **options) == log.find(value, **options) == expected + 1
                assert both.find(value, **options) == cf.as_sequence().find(value, **options) == expected


def test_few_records_are_read(path: Path) -> None:
    make(path, [b"%08d" % number for number in range(100_000)])
    read = []

    def key(record: bytes) -> bytes:
        read.append(record)
        return record

    with CaptureFile(path, encoding=None) as cf:
        assert cf.find(b"%08d" % 77_777, key=key) == 77_778
        assert len(read) < 20
        assert cf.find(b"%08d" % 5) == 6
        assert cf.find(b"x") == 100_001
        assert cf.find(b"") == 1


def test_slack_can_be_anything_that_is_subtracted_from_a_value(path: Path) -> None:
    times = [NOON + timedelta(seconds=number) for number in (0, 2, 1, 3, 5, 4)]
    make(path, [moment.isoformat().encode() for moment in times])
    with CaptureFile(path) as cf:
        found = cf.find(NOON + timedelta(seconds=2), key=datetime.fromisoformat, slack=timedelta(seconds=1))
    assert found == 2


def test_deleted_records_are_not_found(tmp_path: Path) -> None:
    with RotatingWriter(tmp_path / "log", sync="none", keep_files=2) as log:
        for number in range(5):
            log.add_record(str(number))
            log.rotate()
    with RotatingReader(tmp_path / "log") as reader:
        assert (reader.first_record, reader.find("0"), reader.find("9")) == (5, 5, 6)


def test_a_damaged_record_in_the_search_is_an_error(damaged: Path) -> None:
    number = capturefile.verify(damaged).unreadable[0].first
    with CaptureFile(damaged, encoding=None) as cf, pytest.raises(capturefile.InvalidCaptureFile):
        cf.as_sequence()[number - 1 : number].find(b"")


# Times


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-11-30T12:00:00Z", NOON.timestamp()),
        ("2026-11-30 14:00+02:00", NOON.timestamp()),
        ("2026-11-30T12:00:00,250", NOON.timestamp() + 0.25),
        (NOON.timestamp(), NOON.timestamp()),
        (int(NOON.timestamp()), NOON.timestamp()),
        (str(NOON.timestamp()), NOON.timestamp()),
        (int(NOON.timestamp()) * 1000, NOON.timestamp()),
        (int(NOON.timestamp()) * 1_000_000, NOON.timestamp()),
        (int(NOON.timestamp()) * 1_000_000_000, NOON.timestamp()),
        (*("noon", None),),
        (*(True, None),),
        (*(None, None),),
        (*([], None),),
    ],
)
def test_times_in_records_are_numbers_or_text(given: object, expected: float | None) -> None:
    assert instant(given, utc=True) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("now", NOON),
        ("today", NOON - timedelta(hours=12)),
        ("yesterday", NOON - timedelta(hours=36)),
        ("tomorrow", NOON + timedelta(hours=12)),
        ("14:05", NOON + timedelta(hours=2, minutes=5)),
        ("14:05Z", NOON + timedelta(hours=2, minutes=5)),
        ("14:05+02:00", NOON + timedelta(minutes=5)),
        ("9:00:01.5", NOON - timedelta(hours=2, minutes=59, seconds=58.5)),
        ("-2h", NOON - timedelta(hours=2)),
        ("+1h30min", NOON + timedelta(minutes=90)),
        ("3 days ago", NOON - timedelta(days=3)),
        ("2026-11-29", NOON - timedelta(hours=36)),
        ("@0", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_are_given_as_for_journalctl(given: str, expected: datetime) -> None:
    assert point(given, NOON.timestamp(), utc=True) == expected.timestamp()


def test_durations_have_units() -> None:
    assert (duration("1h30min"), duration("2 weeks"), duration("1.5s")) == (5400, 1_209_600, 1.5)
    assert [duration(text) for text in ("", "2", "h", "2 parsecs", "-2h")] == [None] * 5


@pytest.fixture
def log(path: Path) -> Path:
    """JSON records, one per minute from noon on; every tenth has no time."""
    records = []
    for minute in range(120):
        moment = (NOON + timedelta(minutes=minute)).isoformat()
        records.append(json.dumps({"n": minute, **({"at": {"time": moment}} if minute % 10 else {})}).encode())
    return make(path, records)


def numbers_in(data: bytes) -> list[int]:
    """The value of `n` in each line."""
    return [json.loads(line)["n"] for line in data.splitlines()]


WINDOW = ("--since", "2026-11-30T12:25Z", "--until", "2026-11-30T13:01Z", "--time-field", "at.time")


def test_records_of_a_time_range_are_selected(log: Path, tmp_path: Path) -> None:
    # The record without a time at 13:00 follows the one of 12:59.
    assert numbers_in(output("cat", *WINDOW, log)) == list(range(25, 61))
    assert output("count", *WINDOW, log) == b"36\n"
    assert numbers_in(output("grep", *WINDOW, '"n": .5', log)) == [25, 35, 45, 55]
    assert len(output("export", *WINDOW, log).splitlines()) == 36
    run("copy", *WINDOW, log, tmp_path / "copy")
    assert len(records_of(tmp_path / "copy")) == 36
    assert numbers_in(output("cat", "--until", "2026-11-30T12:02Z", "--time-field", "at.time", log)) == [0, 1]
    assert numbers_in(output("cat", "--since", "2026-11-30T13:58Z", "--time-field", "at.time", log)) == [118, 119]
    assert numbers_in(output("cat", *WINDOW, "--range", "1-31", log)) == list(range(25, 31))


def test_a_pattern_finds_times_in_text_over_several_files(tmp_path: Path) -> None:
    paths = [
        make(tmp_path / f"{hour}", [f"[2026-11-30 {hour}:{minute:02}:00,123] {hour}".encode() for minute in range(60)])
        for hour in (12, 13)
    ]
    window = ("--utc", "--since", "2026-11-30 12:58", "--until", "2026-11-30 13:02", "--time-pattern", r"\[(.*?)\]")
    found = output("cat", *window, *paths).splitlines()
    assert [line[12:17] for line in found] == [b"12:58", b"12:59", b"13:00", b"13:01"]


def test_times_that_are_nearly_in_order_need_a_slack(path: Path) -> None:
    order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    make(path, [json.dumps({"n": number, "t": 1e9 + number}).encode() for number in order])
    window = ("--since", "@1000000002", "--until", "@1000000007", "--time-field", "t")
    assert numbers_in(output("cat", "--time-slack", "2", *window, path)) == [3, 2, 6, 4, 5]
    assert output("count", "--time-slack", "2", *window, path) == b"5\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--since", "@inf", "--time-field", "t"],
        ["--time-field", "t"],
        ["--since", "today", "--time-slack", "1"],
        ["--since", "today", "--time-field", "t", "--time-pattern", "t"],
        ["--since", "someday", "--time-field", "t"],
        ["--until", "25:00", "--time-field", "t"],
        ["--until", "-2 parsecs", "--time-field", "t"],
        ["--since", "today", "--time-pattern", "("],
    ],
)
def test_meaningless_options_are_wrong_usage(log: Path, arguments: list[str]) -> None:
    done = run("cat", *arguments, log)
    assert (done.returncode, done.stdout) == (WRONG_USAGE, b"")
    assert_one_line(done.stderr)


def test_a_damaged_record_fails_unless_it_is_to_be_skipped(damaged: Path) -> None:
    window = ("--since", "@1", "--time-field", "t")
    assert run("cat", *window, damaged).returncode in (FAILED, DAMAGED)
    assert run("cat", "--skip-unreadable", *window, damaged).returncode == 0
