"""The answers of the viewer's server, without a browser."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import select
import shutil
import socket
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from builder import TRILLION_RECORDS, trillion_file, trillion_record
from capturefile._previews import text_of
from capturefile.rotating import RotatingWriter
from capturefile.view.app import STATIC, application
from capturefile.view.events import events
from capturefile.view.fields import Columns
from capturefile.view.jobs import MAX_JOBS
from capturefile.view.security import HEADERS, is_known_host
from capturefile.view.sources import ViewedFile, ViewedLog
from command import WRONG_USAGE, make, noise, run, running
from files import damage_some_blocks
from viewing import HERE, TOKEN, api, client, job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, MutableMapping

    from starlette.applications import Starlette

# Access


@pytest.mark.parametrize(
    "address", ["/", "/api/files", "/other/api/files", "/toke/", f"/{TOKEN}x/api/files", "/index.html"]
)
def test_without_the_token_nothing_is_served(full: Path, address: str) -> None:
    answer = client(full).get(f"{HERE}{address}")
    assert (answer.status_code, answer.text.startswith("Open the address")) == (404, True)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[evil]:8000", "10.1.2.3"]
)
def test_an_unknown_host_name_is_refused(full: Path, host: str) -> None:
    assert client(full).get("api/files", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1234", "LOCALHOST", "[::1]:8000"])
def test_the_machines_own_names_are_accepted(full: Path, host: str) -> None:
    assert client(full).get("api/files", headers={"Host": host}).status_code == 200


def test_a_server_for_the_network_accepts_only_addresses_and_its_own_name() -> None:
    assert is_known_host("192.168.1.7:80", "0.0.0.0")
    assert is_known_host("box.lan:80", "box.lan")
    assert not is_known_host("evil.example", "0.0.0.0")


def test_requests_from_other_sites_are_refused_even_with_the_token(full: Path) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Origin": "https://evil.example"}
    assert client(full).get("api/files", headers=headers).status_code == 403
    answer = client(full).get("api/files", headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("address", ["", "api/files", "api/files/0/records/1", "nothing", f"{HERE}/stranger"])
def test_every_answer_has_the_security_headers(full: Path, address: str) -> None:
    headers = client(full).get(address).headers
    for name, value in HEADERS.items():
        assert headers[name] == value
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize("address", ["..%2f..%2f__init__.py", "../__init__.py", "%2e%2e/app.py", "api/../../app.py"])
def test_nothing_outside_of_the_page_is_served(full: Path, address: str) -> None:
    assert "import" not in client(full).get(f"{HERE}/{TOKEN}/{address}").text


def test_the_files_are_only_read(full: Path) -> None:
    before = full.read_bytes()
    page = client(full)
    for address in ("", "/records", "/records/1", "/metadata", "/structure", "/way/2", "/jobs/verify", "/jobs/blocks"):
        assert page.get(f"api/files/0{address}").status_code == 200
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert page.request(method, f"api/files/0{address}").status_code == 405
    assert full.read_bytes() == before
    with capturefile.open(full, "a"):
        assert page.get("api/files/0/records").status_code == 200


# Records


def test_a_page_has_the_requested_records(numbers: Path) -> None:
    page = api(numbers, "/records", first=19, count=100)
    assert page["count"] == "20"
    assert page["records"] == [
        {"number": "19", "size": 2, "text": "19", "utf8": True},
        {"number": "20", "size": 2, "text": "20", "utf8": True},
    ]
    assert api(numbers, "/records", first=21)["records"] == []


def test_the_numbers_of_a_trillion_records_are_sent_as_text(path: Path) -> None:
    path.write_bytes(trillion_file())
    assert api(path, "")["state"]["count"] == str(TRILLION_RECORDS)
    page = api(path, "/records", first=TRILLION_RECORDS - 1)["records"]
    assert [row["number"] for row in page] == [str(TRILLION_RECORDS - 1), str(TRILLION_RECORDS)]
    assert page[1]["text"] == trillion_record(TRILLION_RECORDS).decode()


@pytest.mark.parametrize("number", ["0", "21", "-1", "1.5", "x", "9" * 30, "%D9%A1"])
def test_a_number_without_a_record_is_an_error_with_a_message(numbers: Path, number: str) -> None:
    answer = client(numbers).get(f"api/files/0/records/{number}")
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]


def test_the_size_of_answers_is_bounded_for_records_of_any_length(path: Path) -> None:
    long = b"x" * 3_000_000
    make(path, [long] * 3 + [b"short"] * 1000)
    page = client(path)
    listed = page.get("api/files/0/records?count=100000")
    assert len(listed.json()["records"]) == 500
    assert len(listed.content) < 100_000
    part = page.get("api/files/0/records/1?start=10&length=99999999")
    assert (len(part.content), part.headers["X-Total-Bytes"]) == (1024 * 1024, "3000000")
    whole = page.get("api/files/0/records/1/download")
    assert whole.content == long
    assert whole.headers["Content-Disposition"] == 'attachment; filename="log-1.bin"'


HOSTILE = [
    b"<script>alert(1)</script>",
    b"\xff\xfe\x80 no text",
    b"\x1b[2J\x1b]0;title\x07",
    "\u202egnp.exe\u2066\u200b\ufeff".encode(),
    "\u0085\u2028\x00\x7f".encode(),
]


def test_hostile_records_are_sent_as_data_with_control_characters_escaped(path: Path) -> None:
    make(path, HOSTILE)
    answer = client(path).get("api/files/0/records")
    assert answer.headers["Content-Type"] == "application/json"
    rows = answer.json()["records"]
    assert [row["text"] for row in rows] == [
        "<script>alert(1)</script>",
        "\ufffd\ufffd\ufffd no text",
        "␛[2J␛]0;title␇",
        "⟨U+202E⟩gnp.exe⟨U+2066⟩⟨U+200B⟩⟨U+FEFF⟩",
        "⟨U+0085⟩⟨U+2028⟩␀␡",
    ]
    assert [row["utf8"] for row in rows] == [True, False, True, True, True]
    for number, record in enumerate(HOSTILE, 1):
        raw = client(path).get(f"api/files/0/records/{number}")
        assert (raw.content, raw.headers["Content-Type"]) == (record, "application/octet-stream")


@pytest.mark.parametrize("letter", ["a", "é", "€", "😀"])
def test_a_preview_ends_with_a_complete_character(letter: str) -> None:
    for shift in range(4):
        text, is_text = text_of(("." * shift + letter * 400).encode())
        assert is_text
        assert text.strip(".").replace(letter, "") == ""


def test_a_page_of_a_hundred_records_is_served_quickly(path: Path) -> None:
    make(path, noise(20_000, 300))
    page = client(path)
    page.get("api/files/0/records?first=1").raise_for_status()
    source = ViewedFile(path)
    from capturefile.view import records

    times = []
    for first in range(100, 20_000, 1000):
        start = time.perf_counter()
        json.dumps(records.page(source.file(), first, 100, Columns([])))
        times.append(time.perf_counter() - start)
    # Five milliseconds on an otherwise idle machine.
    assert sorted(times)[len(times) // 2] < 0.1


# Metadata


def test_metadata_is_served_like_a_record(full: Path, path: Path) -> None:
    assert client(full).get("api/files/0/metadata").content == b"metadata"
    assert client(full).get("api/files/0/metadata/download").content == b"metadata"


def test_missing_metadata_is_reported(numbers: Path) -> None:
    assert client(numbers).get("api/files/0/metadata").status_code == 404


# Damage


def test_the_readable_part_of_a_damaged_file_is_shown(damaged: Path) -> None:
    rows = [
        row for first in (1, 501, 1001, 1501) for row in api(damaged, "/records", first=first, count=500)["records"]
    ]
    bad = [int(row["number"]) for row in rows if "error" in row]
    assert len(rows) == 2000
    assert bad == list(range(bad[0], bad[-1] + 1))
    assert 0 < len(bad) < 1000
    (finding,) = [line["finding"] for line in job(damaged, "verify") if "finding" in line]
    assert finding.keys() == {"kind", "position", "found", "expected"}
    assert finding["kind"] == "problems"
    assert job(damaged, "verify")[-1]["done"]["unreadable"] == [[str(bad[0]), str(bad[-1])]]
    assert job(damaged, "blocks")[-1]["done"]["problems"]


def test_a_diagram_of_blocks_marks_those_with_unknown_records(path: Path) -> None:
    make(path, noise(20_000, 60))
    damaged = damage_some_blocks(path)
    done = job(path, "blocks")[-1]["done"]
    unknown = [segment for segment in done["segments"] if segment["unknown"]]
    assert unknown
    assert all(segment["records"] == 0 for segment in unknown if segment["unknown"] == segment["blocks"])
    assert len(done["problems"]) == damaged


@pytest.mark.parametrize("data", [b"", b"no capture file", b"\0" * 100_000, b"MioCapture\0" + b"\xff" * 100_000])
def test_a_file_that_is_not_a_capture_file_is_shown_with_the_error(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    assert api(path, "")["state"]["error"]
    assert client(path).get("api/files/0/records").status_code == 422
    assert api(path, "/structure")["error"]
    assert api(path, "/way/1")["error"]
    assert "error" in job(path, "verify")[-1]


def test_a_torn_master_node_is_shown_with_the_complete_one(full: Path) -> None:
    data = bytearray(full.read_bytes())
    serial = capturefile.open(full).info().serial_number
    data[4096 + (serial + 1) % 2 * 40_960 + 8] ^= 0xFF
    full.write_bytes(data)
    printed = api(full, "/structure")
    assert printed["current"] == serial % 2
    assert [slot["problem"] is None for slot in printed["slots"]] == [serial % 2 == 0, serial % 2 == 1]
    torn = printed["slots"][1 - printed["current"]]
    assert (torn["serial"], torn["records"], torn["stored"] == torn["computed"]) == (serial - 1, "0", False)
    assert printed["last_commit"] is None
    assert api(full, "/way/1")["error"] is None


def test_a_complete_but_invalid_slot_leaves_no_current_one_as_in_opening(full: Path) -> None:
    data = bytearray(full.read_bytes())
    serial = capturefile.open(full).info().serial_number
    now, before = (4096 + (serial + back) % 2 * 40_960 for back in (0, 1))
    data[before : before + 40_960] = data[now : now + 40_960]
    full.write_bytes(data)
    with pytest.raises(capturefile.InvalidCaptureFile):
        capturefile.open(full)
    printed = api(full, "/structure")
    assert (printed["current"], printed["error"]) == (None, None)
    assert [slot["problem"] is None for slot in printed["slots"]] == [serial % 2 == 0, serial % 2 == 1]
    assert api(full, "/way/1")["error"]


def test_with_a_wrong_checksum_of_the_header_the_slots_are_still_shown(full: Path) -> None:
    data = bytearray(full.read_bytes())
    data[36] ^= 1
    full.write_bytes(data)
    printed = api(full, "/structure")
    assert printed["header"]["checksum"] == "wrong"
    assert [slot["problem"] for slot in printed["slots"]] == [None, None]
    assert api(full, "/way/1")["error"] is None


def test_in_a_truncated_file_the_path_to_a_record_is_shown_as_far_as_possible(path: Path) -> None:
    make(path, noise(20_000))
    with capturefile.open(path) as cf:
        middle = cf.info().file_size // 2
    with path.open("r+b") as file:
        file.truncate(middle)
    printed = api(path, "/structure")
    assert [slot["problem"] for slot in printed["slots"]] == [None, None]
    ways = [api(path, f"/way/{number}") for number in (1, 19_999)]
    assert [way["steps"][-1]["height"] for way in ways] == [0, 0]
    within = api(path, "/way/10000")
    assert "truncated" in within["error"]
    assert within["steps"][-1]["height"] > 0


# Live


async def _gone_after(path: Path, grow: int) -> list[dict[str, Any]]:
    source = ViewedFile(path)
    printed: AsyncIterator[str] = events(source, _never)
    states: list[dict[str, Any]] = []
    async for event in printed:
        if event.startswith("data: "):
            states.append(json.loads(event[6:]))
            if len(states) > grow:
                break
            with capturefile.open(path, "a", sync="none") as cf:
                cf.add_record("more")
                cf.commit()
    return states


async def _never() -> bool:
    return False


def test_events_report_the_commits_of_other_processes(numbers: Path) -> None:
    states = asyncio.run(asyncio.wait_for(_gone_after(numbers, 3), 30))
    assert [state["count"] for state in states] == ["20", "21", "22", "23"]
    assert set(states[0]) == {"count", "serial", "size", "replaced", "error", "format", "first"}


def test_a_replaced_file_is_reported_and_the_new_one_opened_on_request(numbers: Path, tmp_path: Path) -> None:
    page = client(numbers)
    assert page.get("api/files/0").json()["state"]["replaced"] is False
    make(tmp_path / "new.capture", [b"new"]).replace(numbers)
    state = page.get("api/files/0").json()["state"]
    assert (state["replaced"], state["count"]) == (True, "20")
    state = page.post("api/files/0/reopen").json()["state"]
    assert (state["replaced"], state["count"]) == (False, "1")


def test_the_state_of_a_truncated_file_keeps_its_count_and_has_an_error(path: Path) -> None:
    make(path, noise(2000))
    source = ViewedFile(path)
    with path.open("r+b") as file:
        file.truncate(5000)
    state = source.look()
    assert state.count == "2000"
    assert state.error


# Search


def test_a_search_gives_hits_and_ends(numbers: Path) -> None:
    lines = job(numbers, "search", text="1")
    assert [line["hit"]["number"] for line in lines[:-1]] == ["1", *map(str, range(10, 20))]
    assert lines[-1]["done"] == {"at": "20", "of": "20", "hits": 11, "unreadable": 0}


def test_a_search_accepts_patterns_any_case_and_ranges(path: Path) -> None:
    make(path, [b"Alpha", b"beta", b"ALP", b"a.b"])
    hits = [
        [line["hit"]["number"] for line in job(path, "search", **query) if "hit" in line]
        for query in (
            {"text": "^alp", "pattern": "", "any_case": ""},
            {"text": "alp", "any_case": "", "first": 2},
            {"text": "."},
        )
    ]
    assert hits == [["1", "3"], ["3"], ["4"]]


@pytest.mark.parametrize("pattern", ["(", "(" * 900 + ")" * 900, "a{1}{99999999999}"])
def test_an_invalid_regular_expression_is_reported_in_one_line(numbers: Path, pattern: str) -> None:
    (line,) = job(numbers, "search", text=pattern, pattern="")
    assert line["error"].startswith("This is not a valid regular expression: ")


def test_a_regular_expression_is_compiled_only_by_the_worker(numbers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[object] = []
    real = re.compile
    monkeypatch.setattr(re, "compile", lambda *given: compiled.append(given[0]) or real(*given))  # type: ignore[func-returns-value]
    assert job(numbers, "search", text="(1|2)0", pattern="")[0]["hit"]["number"] == "10"
    assert "(1|2)0" not in compiled


async def _status_of(app: Starlette, address: str) -> int:
    """The status of an answer, which is read completely."""
    statuses: list[int] = []

    async def receive() -> dict[str, object]:
        await asyncio.sleep(3600)
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    path = f"/{TOKEN}/{address}"
    headers = [(b"host", b"127.0.0.1")]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    await app({**scope, "http_version": "1.1", "scheme": "http", "root_path": "", "app": app}, receive, send)
    return statuses[0]


def test_the_number_of_simultaneous_jobs_is_limited(numbers: Path) -> None:
    app = application([ViewedFile(numbers)], TOKEN, "127.0.0.1")

    async def ask(count: int) -> list[int]:
        return await asyncio.gather(*(_status_of(app, "api/files/0/jobs/sizes") for _ in range(count)))

    assert sorted(asyncio.run(ask(40))) == [200] * MAX_JOBS + [429] * (40 - MAX_JOBS)
    # Their slots are free again.
    assert asyncio.run(ask(MAX_JOBS)) == [200] * MAX_JOBS


@pytest.mark.parametrize("number", ["9" * 5000, "-1", "x", "9" * 20])
def test_an_invalid_file_number_is_an_error_with_a_message(numbers: Path, number: str) -> None:
    for address in ("", "/records", "/jobs/sizes"):
        answer = client(numbers).get(f"api/files/{number}{address}")
        assert answer.status_code in (400, 404)
        assert answer.json()["error"]


def test_the_files_of_the_page_can_be_links(full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "static"
    folder.mkdir()
    for file in STATIC.iterdir():
        (folder / file.name).symlink_to(file)
    monkeypatch.setattr("capturefile.view.app.STATIC", folder)
    for name in ("", "main.js", "style.css"):
        assert client(full).get(name).status_code == 200
    assert client(full).get("../app.py").status_code == 404


@pytest.mark.parametrize("query", ["text=", "", f"text={'x' * 3000}"])
def test_an_invalid_search_is_refused(numbers: Path, query: str) -> None:
    assert client(numbers).get(f"api/files/0/jobs/search?{query}").status_code == 400


def test_a_hit_shows_its_context_with_control_characters_escaped(path: Path) -> None:
    make(path, [b"x" * 10_000 + b"\x1b[needle\xff" + b"y" * 10_000])
    (hit, _) = job(path, "search", text="needle")
    before, found, behind = hit["hit"]["text"]
    assert before.endswith("x␛[")
    assert found == "needle"
    assert behind.startswith("\ufffdyy")
    assert len(before + behind) < 300


def test_a_search_continues_after_damage(damaged: Path) -> None:
    done = job(damaged, "search", text="nowhere to be found")[-1]["done"]
    assert done["at"] == "2000"
    assert done["unreadable"] > 0


def test_a_search_ends_when_its_client_is_gone_even_within_one_match(path: Path) -> None:
    from capturefile.view.jobs import Jobs

    make(path, [b"a" * 100 + b"b"])
    asked = 0

    async def is_gone() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    async def search() -> Jobs:
        jobs = Jobs()
        task = {"kind": "search", "path": str(path), "text": "(a+)+$", "pattern": True, "any_case": False}
        async for _ in jobs.lines({**task, "first": 1, "last": 0}, is_gone):
            pass
        return jobs

    assert asyncio.run(asyncio.wait_for(search(), 30)).ending == set()


# Structure


@pytest.mark.parametrize("commits", [1, 2])
def test_both_master_nodes_are_shown_with_the_current_one(full: Path, commits: int) -> None:
    with capturefile.open(full, "a") as cf:
        for _ in range(commits):
            cf.add_records(["three", "four", "five"])
            cf.commit()
        info = cf.info()
    printed = api(full, "/structure")
    assert printed["header"]["fan_out"] == 32
    assert printed["header"]["checksum"] == "right"
    now, before = printed["slots"][printed["current"]], printed["slots"][1 - printed["current"]]
    assert (now["serial"], now["records"], now["levels"]) == (
        info.serial_number,
        str(2 + 3 * commits),
        [2 + 3 * commits],
    )
    assert now["stored"] == now["computed"]
    assert int(before["records"]) == int(now["records"]) - 3
    assert printed["last_commit"] == "3"


@pytest.mark.parametrize("number", [1, 32, 33, 1024, 1025, 39_999, 40_000])
def test_the_path_down_ends_at_the_record(path: Path, number: int) -> None:
    make(path, [b"%d" % index for index in range(1, 40_001)])
    printed = api(path, f"/way/{number}")
    assert printed["error"] is None
    *nodes, record = printed["steps"]
    last = nodes[-1]
    assert int(last["first"]) + int(last["below"]) * last["chosen"] == number
    with capturefile.open(path) as cf:
        places = [block.position for block in cf.blocks() if block.records and block.records.first <= number]
    expected = None if record["pending"] else int(record["at"][0])
    assert places[-1] == expected


def test_heads_and_log_of_format_3_are_shown(path: Path) -> None:
    with capturefile.open(path, "x", format=3, compression_block_size=4096) as cf:
        for first in range(0, 3000, 100):
            cf.add_records(f"record {number}".ljust(200) for number in range(first, first + 100))
            cf.commit()
    with capturefile.open(path) as cf:
        blocks = [block for block in cf.blocks() if block.position is not None]
        framed = max(block.records.last for block in blocks if block.records)
    told = api(path, "/structure")
    assert (told["error"], told["slots"], told["last_commit"]) == (None, [], "100")
    assert (told["header"]["version"], told["header"]["checksum"]) == (3, "right")
    now, before = told["heads"][told["current"]], told["heads"][1 - told["current"]]
    assert int(now["serial"]) == int(before["serial"]) + 1
    assert now["problem"] is before["problem"] is None
    assert (int(now["records"]), int(told["log"]["records"])) == (framed, 3000 - framed)
    assert int(told["log"]["end"]) - int(told["log"]["begin"]) == told["log"]["used"] <= told["log"]["size"]

    data = bytearray(path.read_bytes())
    data[now["position"] + 50] ^= 1
    path.write_bytes(data)
    told = api(path, "/structure")
    assert "wrong checksum" in told["heads"]["AB".index(now["name"])]["problem"]
    assert told["error"] is None
    data[20] ^= 1
    path.write_bytes(data)
    told = api(path, "/structure")
    assert told["header"]["checksum"] == "wrong"
    assert "header" in told["error"]
    assert api(path, "/way/1")["error"]


@pytest.mark.parametrize("number", [1, 2, 500, 20_000, 39_999, 40_000])
def test_the_path_down_in_format_3_ends_at_the_record(path: Path, number: int) -> None:
    with capturefile.open(path, "x", format=3, compression_block_size=4096) as cf:
        for first in range(1, 40_001, 1000):
            cf.add_records(f"record {index} " * (index % 7) for index in range(first, first + 1000))
            cf.commit()
    with capturefile.open(path) as cf:
        blocks = list(cf.blocks())
    told = api(path, f"/way/{number}")
    assert told["error"] is None
    *nodes, record = told["steps"]
    assert len(nodes) > 1
    for node in nodes:
        before = [int(node["first"]) - 1, *map(int, node["lasts"])]
        assert before == sorted(set(before))
        if node["chosen"] is not None:
            assert before[node["chosen"]] < number <= before[node["chosen"] + 1]
    found = [(block.records.first, block.position) for block in blocks if block.records]
    first, position = max(each for each in found if each[0] <= number)
    if position is None:
        assert record["kind"] == "entry"
    else:
        assert (record["kind"], int(record["at"][0]), int(record["first"])) == ("block", position, first)


@pytest.mark.parametrize("number", [0, 3, 2**64 - 1, 2**64])
def test_there_is_no_path_to_a_record_that_does_not_exist(full: Path, number: int) -> None:
    assert "does not exist" in api(full, f"/way/{number}")["error"]


def test_the_path_down_in_a_trillion_records_is_short(path: Path) -> None:
    path.write_bytes(trillion_file())
    steps = api(path, "/way/1000000000000")["steps"]
    assert [step["height"] for step in steps] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_the_blocks_are_reported_in_few_segments(path: Path) -> None:
    make(path, noise(60_000, 300))
    done = job(path, "blocks")[-1]["done"]
    assert len(done["segments"]) <= 512
    assert sum(segment["records"] for segment in done["segments"]) == 60_000
    assert sum(segment["blocks"] for segment in done["segments"]) == done["blocks"]


def test_the_sizes_of_records_are_counted(path: Path) -> None:
    make(path, [b"", b"a", b"ab", b"abc", b"x" * 1000])
    done = job(path, "sizes")[-1]["done"]
    assert [(size, count) for size, count in enumerate(done["buckets"]) if count] == [(0, 1), (1, 1), (2, 2), (10, 1)]
    assert (done["looked"], done["largest"]) == (5, 1000)


# The command


# Rotated logs


def rotated(folder: Path, count: int, **options: Any) -> RotatingWriter:  # noqa: ANN401 - whatever a log takes
    """A log of this many records in files of ten each, still open."""
    log = RotatingWriter(folder, sync="none", **options)
    for number in range(1, count + 1):
        log.add_record(f"order {number}")
        if number % 10 == 0:
            log.rotate()
    log.set_metadata(b"state")
    log.commit()
    return log


def test_a_rotated_log_is_shown_as_one(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    rotated(folder, 35).close()
    described = api(folder, "")
    assert (described["name"], described["jobs"]) == ("orders", ["search", "fields", "values", "timeline"])
    assert (described["state"]["count"], described["state"]["first"]) == ("35", "1")
    page = api(folder, "/records", first=9, count=13)
    assert [row["text"] for row in page["records"]] == [f"order {number}" for number in range(9, 22)]
    asked = client(folder)
    assert asked.get("api/files/0/records/30").content == b"order 30"
    assert asked.get("api/files/0/metadata").content == b"state"
    hits = [line["hit"]["number"] for line in job(folder, "search", text="3") if "hit" in line]
    assert hits == ["3", "13", "23", *map(str, range(30, 36))]
    assert asked.get("api/files/0/jobs/verify").status_code == 404
    assert asked.get("api/files/0/structure").status_code == 404
    assert asked.get("api/files/0/way/1").status_code == 404


def test_a_log_grows_across_rotations_and_begins_after_its_deleted_records(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    with rotated(folder, 35, keep_files=2) as log:
        viewed = ViewedLog(folder)
        before = viewed.look()
        assert (before.count, before.first) == ("35", "21")
        log.add_record("order 36")
        log.rotate()
        log.add_record("order 37")
        log.commit()
        after = viewed.look()
        assert (after.count, after.first, after.serial > before.serial) == ("37", "31", True)
        assert viewed.look() == after
    page = api(folder, "/records", first=30, count=2)["records"]
    assert "deleted" in page[0]["error"]
    assert page[1]["text"] == "order 31"
    assert job(folder, "search", text="order", first=1)[-1]["done"]["hits"] == 7


def test_the_command_shows_the_folder_of_a_log(full: Path, tmp_path: Path) -> None:
    rotated(tmp_path / "orders", 35).close()
    with running("view", "--no-browser", tmp_path / "orders", full) as process:
        assert process.stdout is not None
        with urllib.request.urlopen(f"{process.stdout.readline().decode().strip()}api/files") as answer:
            files = json.load(answer)["files"]
    assert [(file["name"], file["state"]["count"]) for file in files] == [("orders", "35"), (full.name, "2")]
    done = run("view", "--no-browser", tmp_path)
    assert (done.returncode, b"without a rotated log" in done.stderr) == (1, True)


def test_the_command_prints_an_address_that_works(full: Path) -> None:
    with running("view", "--no-browser", full) as process:
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}api/files", timeout=30) as answer:
            assert json.load(answer)["files"][0]["state"]["count"] == "2"
        process.terminate()


def test_the_command_shows_standard_input(full: Path) -> None:
    with running("view", "--no-browser", "-") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(full.read_bytes())
        process.stdin.close()
        address = process.stdout.readline().decode().strip()
        with urllib.request.urlopen(f"{address}api/files", timeout=30) as answer:
            (file,) = json.load(answer)["files"]
        assert (file["name"], file["state"]["count"]) == ("standard input", "2")
        with urllib.request.urlopen(f"{address}api/files/0/jobs/search?text=two", timeout=30) as answer:
            assert b'"number": "2"' in answer.read()
        process.terminate()
        process.wait(30)
        assert not Path(file["path"]).exists()
    assert run("view", "--no-browser", "-", "-").returncode == 2


def test_answers_are_not_delayed_by_nagles_algorithm(full: Path) -> None:
    """The delay would be 40 ms; the fastest of several requests is not affected by other work on the machine."""
    with running("view", "--no-browser", full) as process:
        assert process.stdout is not None
        address = urllib.parse.urlsplit(process.stdout.readline().decode().strip())
        connection = http.client.HTTPConnection(address.netloc, timeout=30)

        def seconds() -> float:
            start = time.perf_counter()
            connection.request("GET", f"{address.path}api/files/0/records")
            assert json.loads(connection.getresponse().read())
            return time.perf_counter() - start

        assert min(seconds() for _ in range(50)) < 0.02
        connection.close()


def test_completed_or_abandoned_jobs_write_nothing_to_standard_error(full: Path) -> None:
    with running("view", "--no-browser", full) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address = process.stdout.readline().decode().strip()
        job = f"{address}api/files/0/jobs/verify"
        for number in range(15):
            with urllib.request.urlopen(job, timeout=30) as answer:
                select.select([answer], [], [], number / 50)
        with urllib.request.urlopen(job, timeout=30) as answer:
            assert b'"sound": true' in answer.read()
        process.terminate()
        assert process.stderr.read() == b"capturefile: Ctrl-C ends it\n"


def test_the_command_refuses_a_missing_file(path: Path) -> None:
    done = run("view", "--no-browser", path)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"No such file" in done.stderr


def test_the_command_names_an_address_that_it_cannot_use(full: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("view", "--no-browser", "--port", str(port), full)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == f"capturefile: 127.0.0.1:{port}: Address already in use\n".encode()
    done = run("view", "--no-browser", "--host", "192.0.2.1", "--port", "1", full)
    assert done.stderr == b"capturefile: 192.0.2.1:1: Cannot assign requested address\n"


def test_the_command_says_what_it_needs(full: Path, tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError(name='uvicorn')")
    done = run("view", "--no-browser", full, environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == WRONG_USAGE
    assert b"pip install 'capturefile-rs[view]'" in done.stderr


def test_a_deleted_file_is_reported(full: Path, tmp_path: Path) -> None:
    source = ViewedFile(full)
    shutil.move(full, tmp_path / "elsewhere")
    assert source.look().replaced


# Colours

TEXT_ON_GROUND = [
    *((text, ground) for text in ("ink", "quiet") for ground in ("ground", "panel", "raised", "soft")),
    *((text, "panel") for text in ("accent", "bad", "warm", "string", "figure")),
    ("accent", "soft"), ("on-accent", "accent"), ("bad", "bad-soft"), ("warm", "warm-soft"), ("accent", "raised"),
    ("bad", "raised"), ("bad", "soft"),
]  # fmt: skip
READABLE = 4.5
"""The contrast that WCAG AA requires for text; for the edges of controls, it requires 3."""
VISIBLE = 3.0


def palettes() -> list[dict[str, str]]:
    """The colours of the page: light, dark as a system setting, and dark chosen by the user."""
    sheet = (STATIC / "style.css").read_text(encoding="utf-8")
    return [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", body)) for body in re.findall(r":root[^{]*\{([^}]*)\}", sheet)
    ]


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as WCAG defines it."""
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """How bright a colour is, from 0 to 1."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_all_text_has_the_contrast_that_wcag_requires() -> None:
    light, dark, chosen_dark = palettes()
    assert dark == chosen_dark
    for colours in (light, dark):
        for text, ground in TEXT_ON_GROUND:
            assert contrast(colours[text], colours[ground]) >= READABLE, (text, ground)
        for ground in ("ground", "panel", "raised"):
            assert contrast(colours["edge"], colours[ground]) >= VISIBLE, ground


def test_the_page_loads_nothing_from_elsewhere_and_never_turns_text_into_markup() -> None:
    for file in STATIC.iterdir():
        text = file.read_text(encoding="utf-8")
        assert set(re.findall(r"https?://[^\s\"']+", text)) <= {"http://www.w3.org/2000/svg"}, file
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|style=", text), file


def test_each_file_of_the_page_is_in_the_package() -> None:
    assert {"index.html", "main.js", "style.css", "icon.svg"} <= {file.name for file in STATIC.iterdir()}
    for name in re.findall(r'from "\./([a-z]+\.js)"', (STATIC / "main.js").read_text(encoding="utf-8")):
        assert (STATIC / name).exists()
