"""Searches, counts and exports of the viewer's server: conditions, columns, times, values, pages of hits."""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from builder import TRILLION_RECORDS, trillion_file
from capturefile.rotating import RotatingWriter
from capturefile.view import jobs, reading
from capturefile.view.commits import CommitTimes
from capturefile.view.fields import MAX_PARSED, MAX_TEXT
from capturefile.view.query import SLACK, narrowed
from capturefile.view.search import MAX_HITS
from capturefile.view.timeline import MAX_BARS, scale
from capturefile.view.values import MAX_VALUES
from command import make, run, running
from files import damage_some_blocks
from hypothesis import example, given
from hypothesis import strategies as st
from viewing import api, client, job

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
EVENTS: list[Any] = [
    {"level": "info", "ms": 5, "http": {"status": 200}},
    {"level": "error", "ms": 250.5, "http": {"status": 500}},
    {"level": 'say "hi" \\ \u2028\x00', "ms": -3, "user-id": "ada"},
    {"level": None, "http.status": 404},
    {"level": True, "tags": ["a"]},
    {"level": "error", "ms": 250.5, "class": {"a b": "x"}, "odd.na me": 1},
    ["level"],
    17,
]
OTHERS = [b"no JSON", b"\xff\xfe", b"", b'{"level": "error"']


def encoded(events: Iterable[object]) -> list[bytes]:
    """The events as JSON records."""
    return [json.dumps(event).encode() for event in events]


def hits(path: Path, **query: str | int) -> list[int]:
    """The numbers of the records that a search finds; the search must complete."""
    lines = job(path, "search", **query)
    assert "done" in lines[-1], lines[-1]
    return [int(line["hit"]["number"]) for line in lines if "hit" in line]


def result(path: Path, kind: str, **query: str | int) -> dict[str, Any]:
    """The final result of a job."""
    done: dict[str, Any] = job(path, kind, **query)[-1]["done"]
    return done


def timed(path: Path, times: Iterable[datetime]) -> Path:
    """A file of records with these times."""
    return make(path, encoded({"at": time.isoformat(), "n": number} for number, time in enumerate(times, 1)))


def committed(path: Path, commits: int) -> Path:
    """A file in format 3 with this many commits of several records."""
    with capturefile.open(path, "x", format=3, sync="none") as log:
        for number in range(commits):
            log.add_records([f'{{"n": {number}}}'] * (1 + number % 3))
            log.commit()
    return path


# Fields and columns


def test_the_fields_of_records_are_found(path: Path) -> None:
    events = [{"at": f"2026-11-30T12:00:{n:02}Z", "http": {"status": 200 + n}, "id": n} for n in range(9)]
    make(path, encoded([*events, {"at": "never", "id": 9, "\x1b": 1}]) + OTHERS)
    found = result(path, "fields")
    assert (found["looked"], found["commit_times"]) == (14, False)
    assert {each["name"]: (each["count"], each["is_time"]) for each in found["fields"]} == {
        "at": (10, True),
        "id": (10, False),
        "http.status": (9, False),
    }


def test_the_number_of_fields_of_hostile_records_is_limited(path: Path) -> None:
    deep: Any = 1
    for _ in range(50):
        deep = {"a": deep}
    make(path, [*encoded([{f"{n}": n for n in range(5000)}, deep, {"x" * 500: 1}]), b"[" * 100_000])
    found = result(path, "fields")
    assert len(found["fields"]) == 300
    assert max(len(each["name"]) for each in found["fields"]) < 100


def test_a_page_has_columns_for_records_that_are_objects(path: Path) -> None:
    make(path, encoded([{"a": "x\ty\x1b", "b": {"c": 1}}, {"b": None, "a": [1]}, {"a": "z" * 999}, [1]]) + OTHERS)
    rows = api(path, "/records", fields="a,b.c,b")["records"]
    assert rows[0]["fields"] == ["x␉y␛", "1", '{"c": 1}']
    assert rows[1]["fields"] == ["[1]", None, ""]
    assert rows[2]["fields"] == ["z" * MAX_TEXT + "…", None, None]
    assert not any("fields" in row for row in rows[3:])
    assert all("text" in row for row in rows)


def test_the_bytes_that_are_parsed_for_columns_are_bounded(path: Path) -> None:
    make(path, [b'{"a": 1, "b": "' + b"x" * (MAX_PARSED // 4) + b'"}'] * 10)
    rows = api(path, "/records", fields="a")["records"]
    assert ["fields" in row for row in rows] == [True] * 4 + [False] * 6


@pytest.mark.parametrize("fields", [",".join("abcdefghijklmnopqrstu"), "x" * 3000])
def test_too_many_columns_are_refused(path: Path, fields: str) -> None:
    make(path, [b"{}"])
    for address in ("records", "jobs/search", "export/csv"):
        assert client(path).get(f"api/files/0/{address}", params={"fields": fields}).status_code == 400


def test_tabs_are_shown_as_tabs(path: Path) -> None:
    make(path, [b"a\tb\x1b"])
    assert api(path, "/records")["records"][0]["text"] == "a\tb␛"
    assert job(path, "search", text="b")[0]["hit"]["text"] == ["a\t", "b", "␛"]


# Searches


def test_a_search_accepts_conditions(path: Path) -> None:
    make(path, encoded(EVENTS) + OTHERS)
    assert hits(path, where='level == "error"') == [2, 6]
    assert hits(path, where="ms > 0", text="INFO", any_case="") == [1]
    assert hits(path, where="ms > 0", text="ERROR") == []
    assert hits(path, where='level == "error"', text="class") == [6]
    found = job(path, "search", where="ms < 100", fields="http.status,ms")
    assert found[0]["hit"]["text"] == ["", "", json.dumps(EVENTS[0])]
    assert found[0]["hit"]["fields"] == ["200", "5"]


@pytest.mark.parametrize("where", ["level = 1", "ms >", "__import__('os')", "(" * 500])
def test_an_invalid_condition_is_reported_in_one_line(numbers: Path, where: str) -> None:
    for kind in ("search", "values", "timeline"):
        (line,) = job(numbers, kind, where=where, field="x")
        assert line["error"]


@pytest.mark.parametrize(
    "query", [{"where": "x" * 3000}, {"since": "nan"}, {"since": "1e9"}, {"until": "1" * 40}, {"time": "x" * 3000}]
)
def test_an_invalid_query_is_refused(numbers: Path, query: dict[str, str]) -> None:
    for address in ("jobs/search", "jobs/values", "jobs/timeline", "export/jsonl"):
        answer = client(numbers).get(f"api/files/0/{address}", params={"text": "1", "field": "x", **query})
        assert answer.status_code == 400


def test_values_without_a_field_are_refused(numbers: Path) -> None:
    assert client(numbers).get("api/files/0/jobs/values").status_code == 400


def test_hits_are_sent_in_pages(path: Path) -> None:
    make(path, [b"%d" % number for number in range(1, 2 * MAX_HITS + 600)])
    found: list[str] = []
    first, pages = 1, 0
    while True:
        lines = job(path, "search", text=".", pattern="", first=first)
        found += [line["hit"]["number"] for line in lines if "hit" in line]
        done, pages = lines[-1]["done"], pages + 1
        if done["at"] == done["of"]:
            break
        assert done["hits"] == MAX_HITS
        first = int(done["at"]) + 1
    assert (pages, found) == (3, [str(number) for number in range(1, 2 * MAX_HITS + 600)])


@pytest.mark.parametrize("order", ["rising", "nearly", "none"])
def test_a_search_in_a_time_range_finds_the_same_as_a_scan(path: Path, order: str) -> None:
    dice = random.Random(1)
    times = [NOON + timedelta(seconds=number * 7) for number in range(3000)]
    if order == "nearly":
        times = [time + timedelta(seconds=dice.randrange(int(SLACK / 2))) for time in times]
    elif order == "none":
        dice.shuffle(times)
    timed(path, times)
    for _ in range(5):
        since, until = sorted(NOON.timestamp() + dice.randrange(-500, 21_500) for _ in range(2))
        expected = [number for number, time in enumerate(times, 1) if since <= time.timestamp() < until]
        assert hits(path, time="at", since=f"{since:.1f}", until=f"{until:.1f}")[:MAX_HITS] == expected[:MAX_HITS]
    assert hits(path, time="at", since=f"{times[5].timestamp():.1f}", text='"n": 6}') == [6]


class Timed:
    """A reader whose records are times."""

    def __init__(self, times: list[float | None]) -> None:
        """Takes the times."""
        self.times = times

    def record_at(self, number: int) -> float | None:
        """Returns one of them."""
        return self.times[number - 1]


def test_records_of_a_time_range_are_never_omitted() -> None:
    dice = random.Random(2)
    for slack, lack in ((0.0, 0.0), (SLACK, 0.0), (SLACK, 0.3), (1000.0, 0.0)):
        times = [None if dice.random() < lack else number * 7 + dice.uniform(0, slack) for number in range(1000)]
        reader: Any = Timed(times)
        time_of: Any = lambda record: record  # noqa: E731 - the record is its time
        for _ in range(100):
            since, until = sorted(dice.uniform(-100, 7100) for _ in range(2))
            span = narrowed(reader, reading.Span(1, 1000), time_of, since, until)
            found = [number for number, time in enumerate(times, 1) if time is not None and since <= time < until]
            assert all(span.first <= number <= span.last for number in found)


def test_a_search_without_commit_times_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    reader: Any = None
    monkeypatch.setattr(CommitTimes, "of", lambda *_: None)
    with pytest.raises(ValueError, match="no commit time"):
        CommitTimes(reader).first_at(1.0, reading.Span(1, 10**12))


def test_a_search_by_ascending_times_reads_only_its_range(path: Path) -> None:
    timed(path, [NOON + timedelta(seconds=number) for number in range(20_000)])
    done = result(path, "search", time="at", since=f"{NOON.timestamp() + 9000}", until=f"{NOON.timestamp() + 9001}")
    assert done["hits"] == 1
    assert 9000 < int(done["of"]) < 9500


def test_a_search_by_commit_times(path: Path, numbers: Path) -> None:
    committed(path.with_name("timed"), 50)
    with capturefile.open(path.with_name("timed")) as log:
        times = [log.commit_time(number) for number in range(1, len(log) + 1)]
    since, until = times[20], times[60]
    assert since is not None
    assert until is not None
    expected = [number for number, time in enumerate(times, 1) if time is not None and since <= time < until]
    given = {"since": f"{since.timestamp():.6f}", "until": f"{until.timestamp():.6f}"}
    assert hits(path.with_name("timed"), **given) == expected
    (line,) = job(numbers, "search", since="0.5")
    assert "no commit times" in line["error"]


def test_conditions_and_values_are_found_after_damage(path: Path) -> None:
    make(path, encoded({"n": number, "x": random.Random(number).randbytes(200).hex()} for number in range(4000)))
    assert damage_some_blocks(path)
    lost = result(path, "search", where="n >= 0", first=3990)["unreadable"]
    for kind, query in (("search", {"where": "n < 0"}), ("values", {"field": "n"}), ("timeline", {"time": "n"})):
        done = result(path, kind, **query)
        assert done["unreadable"] >= lost
        assert done["unreadable"] > 0
        assert int(done.get("found", 0)) < 4000
    with capturefile.open(path, encoding=None) as log:
        total = result(path, "values", field="n")
        assert total["found"] + total["unreadable"] == len(log)


# Exports


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_complete_export_equals_that_of_the_command(path: Path, form: str) -> None:
    make(path, [*encoded(EVENTS), *OTHERS, b'"\r\n,', *(b"%d" % number for number in range(2 * MAX_HITS))])
    answer = client(path).get(f"api/files/0/export/{form}", params={"text": "", "any_case": ""})
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{path.stem}-found.{form}"'
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    target = path.with_name(f"exported.{form}")
    written = client(path).get(f"api/files/0/export/{form}").content
    assert written == answer.content
    assert written.decode() == exported(path, target)


def exported(path: Path, target: Path) -> str:
    """The export of the command."""
    assert run("export", path, target).returncode == 0
    with target.open(newline="") as file:
        return file.read()


def test_an_export_has_the_found_records_and_the_columns(path: Path) -> None:
    make(path, encoded(EVENTS) + OTHERS)
    page = client(path)
    query = {"where": 'level == "error"', "fields": "ms,http.status"}
    lines = page.get("api/files/0/export/jsonl", params=query).text.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"record_number": 2, "record": {"ms": 250.5, "http.status": 500}},
        {"record_number": 6, "record": {"ms": 250.5}},
    ]
    table = page.get("api/files/0/export/csv", params=query).text
    assert table == '"record_number","ms","http.status"\n2,"250.5",500\n6,"250.5",""\n'


def test_an_invalid_export_is_refused_with_a_message(numbers: Path) -> None:
    page = client(numbers)
    for query in ({"text": "(", "pattern": ""}, {"where": "="}, {"since": "5"}):
        answer = page.get("api/files/0/export/csv", params=query)
        assert (answer.status_code, bool(answer.json()["error"])) == (422, True)
    assert page.get("api/files/0/export/xlsx").status_code == 404


def test_a_failed_export_is_not_mistaken_for_a_complete_one(monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import sys; print('{\"ready\": true}'); print('a part', flush=True); sys.exit(1)"

    async def started(_: object) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdin=pipe, stdout=pipe)

    async def is_gone() -> bool:
        return False

    got = bytearray()

    async def take() -> None:
        async for part in jobs.Jobs().parts({}, is_gone):
            got.extend(part)

    monkeypatch.setattr(jobs, "_started", started)
    with pytest.raises(jobs.IncompleteError):
        asyncio.run(asyncio.wait_for(take(), 30))
    assert got == b'{"ready": true}\na part\n'


# Values


@pytest.mark.parametrize("field", ["level", "ms", "http.status", "user-id", "class.a b", "odd.na me", "tags"])
def test_a_value_is_counted_and_its_condition_finds_its_records(path: Path, field: str) -> None:
    make(path, encoded(EVENTS) + OTHERS)
    done = result(path, "values", field=field)
    assert done["found"] == len(EVENTS) + len(OTHERS)
    assert done["missing"] + sum(value["count"] for value in done["values"]) == done["found"]
    for value in done["values"]:
        if field == "tags":
            assert "is" not in value
            continue
        found = hits(path, where=value["is"])
        assert len(found) == value["count"]
        assert not set(found) & set(hits(path, where=value["is_not"]))


def test_values_are_those_of_the_found_records(path: Path) -> None:
    make(path, encoded({"level": "error" if number % 10 else "info", "n": number} for number in range(1000)))
    done = result(path, "values", field="level", where="n < 100")
    assert [(value["text"], value["count"]) for value in done["values"]] == [("error", 90), ("info", 10)]
    assert (done["found"], done["looked"], done["count"], done["is_whole"]) == (100, "1000", "1000", True)


def test_of_many_values_the_most_frequent_are_shown(path: Path) -> None:
    make(path, encoded({"n": number if number % 3 else 0} for number in range(20_000)))
    done = result(path, "values", field="n")
    assert len(done["values"]) == MAX_VALUES
    assert (done["values"][0]["text"], done["values"][0]["count"]) == ("0", 6667)
    assert done["is_cut"]
    assert sum(value["count"] for value in done["values"]) + done["others"] == 20_000


def test_a_sample_is_marked_as_such_and_everything_can_be_counted(path: Path) -> None:
    count = reading.MAX_WHOLE + 1
    make(path, encoded({"level": "error" if number % 4 else "info"} for number in range(count)))
    sample = result(path, "values", field="level")
    assert (sample["is_whole"], int(sample["looked"]), sample["count"]) == (False, sample["found"], str(count))
    assert sample["found"] <= reading.MAX_SAMPLED
    share = sample["values"][0]["count"] / sample["found"]
    assert abs(share - 0.75) < 0.05
    whole = result(path, "values", field="level", whole="")
    assert (whole["is_whole"], whole["found"], whole["looked"]) == (True, count, str(count))


def test_counts_over_a_trillion_records_complete_soon(path: Path) -> None:
    path.write_bytes(trillion_file())
    for kind in ("fields", "values", "timeline"):
        done = result(path, kind, field="x", time="x")
        assert 0 < int(done["looked"]) <= reading.MAX_SAMPLED
        assert done.get("count", str(TRILLION_RECORDS)) == str(TRILLION_RECORDS)


class Everything:
    """A reader that records which numbers are read."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self.read: list[int] = []

    def record_at(self, number: int) -> bytes:
        """Any record."""
        self.read.append(number)
        return b""


@pytest.mark.parametrize("count", [reading.MAX_WHOLE + 1, 10**8, 2**64 - 1])
def test_a_sample_is_spread_evenly_and_takes_no_record_twice(count: int) -> None:
    reader: Any = Everything()
    for _ in reading.sampled(reader, reading.Span(7, count + 6)):
        pass
    assert len(set(reader.read)) == len(reader.read) == reading.MAX_SAMPLED
    assert min(reader.read) >= 7
    assert max(reader.read) <= count + 6
    tenths = [0] * 10
    for number in reader.read:
        tenths[(number - 7) * 10 // count] += 1
    assert max(tenths) - min(tenths) < 20


# Timelines


@example(29015104876.922417, 0.0)
@example(-29015104876.922417, 1e-4)
@given(st.floats(-6e10, 2.5e11), st.one_of(st.just(0.0), st.floats(1e-6, 1e5), st.floats(0, 1e11)))
def test_the_bars_of_a_timeline_cover_it(low: float, length: float) -> None:
    start, width, number = scale(low, low + length)
    assert 1 <= number <= MAX_BARS
    assert start <= low
    # The last bar includes times that are beyond its end because of a rounding error.
    assert low + length < start + number * width + width * 1e-6 + 1e-5 + 4 * math.ulp(low + length)


def test_a_timeline_by_commits_is_exact(path: Path) -> None:
    committed(path, 200)
    done = result(path, "timeline")
    with capturefile.open(path) as log:
        times = [log.commit_time(number) for number in range(1, len(log) + 1)]
    assert done["is_whole"]
    assert sum(done["counts"]) == done["timed"] == len(times)
    for bar, (count, first) in enumerate(zip(done["counts"], done["firsts"], strict=True)):
        since, until = done["start"] + bar * done["width"], done["start"] + (bar + 1) * done["width"]
        inside = [n for n, time in enumerate(times, 1) if time is not None and since <= time.timestamp() < until]
        assert count == len(inside)
        assert not inside or first == str(inside[0])
    found = result(path, "timeline", where="n < 10")
    assert found["timed"] == found["found"] == sum(1 + number % 3 for number in range(10))
    assert sum(found["counts"]) == found["timed"]


def test_a_timeline_by_a_field_counts_what_is_found(path: Path) -> None:
    timed(path, [NOON + timedelta(seconds=30 * number) for number in range(1000)])
    done = result(path, "timeline", time="at")
    assert (sum(done["counts"]), done["timed"], done["is_whole"]) == (1000, 1000, True)
    assert done["width"] == 300
    part = result(path, "timeline", time="at", where="n <= 10", until=f"{NOON.timestamp() + 90}")
    assert (part["timed"], part["counts"][0]) == (3, 1)
    assert result(path, "timeline", time="nothing")["counts"] == []
    assert result(path, "timeline")["counts"] == []


def test_a_rotated_log_is_searched_counted_and_exported(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    with RotatingWriter(folder, sync="none") as log:
        for number in range(1, 36):
            log.add_record(json.dumps({"n": number, "at": (NOON + timedelta(minutes=number)).isoformat()}))
            if number % 10 == 0:
                log.rotate()
        log.commit()
    assert hits(folder, where="n % 7 == 0") == [7, 14, 21, 28, 35]
    assert hits(folder, time="at", since=f"{NOON.timestamp() + 33 * 60}") == [33, 34, 35]
    assert result(folder, "values", field="n")["distinct"] == 35
    assert sum(result(folder, "timeline", time="at")["counts"]) == 35
    assert result(folder, "fields")["fields"][0]["count"] == 35
    assert len(client(folder).get("api/files/0/export/jsonl").text.splitlines()) == 35


def test_a_log_with_times_of_commits_has_a_timeline(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    with RotatingWriter(folder, sync="none", format=3) as log:
        for number in range(1, 31):
            log.add_record(str(number))
            log.commit()
            if number % 10 == 0:
                log.rotate()
    done = result(folder, "timeline")
    assert (sum(done["counts"]), done["firsts"][0]) == (30, "1")
    assert result(folder, "fields")["commit_times"]
    assert hits(folder, since="1000000000.0") == list(range(1, 31))


def test_deleted_or_damaged_files_do_not_end_a_search_in_a_log(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    with RotatingWriter(folder, sync="none") as log:
        for number in range(1, 31):
            log.add_record(str(number))
            if number % 10 == 0:
                log.rotate()
    (_, second, *_) = sorted(folder.glob("*.capture"))
    second.write_bytes(b"damaged")
    done = result(folder, "search", text="0")
    assert (done["hits"], done["unreadable"]) == (2, 10)


# The command


def test_the_command_opens_files_at_their_end(full: Path) -> None:
    with running("view", "--no-browser", "--tail", full) as process:
        assert process.stdout is not None
        assert process.stdout.readline().decode().strip().endswith("/#0/records?tail")
