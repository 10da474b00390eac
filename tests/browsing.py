"""The viewer's page, and the search of the documentation, in Debian's Chromium: `make test-view`."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import capturefile
import pytest
from builder import TRILLION_RECORDS, trillion_file
from capturefile.rotating import RotatingWriter
from command import DATA_START, PATIENCE, make, noise, running, wait_until
from playwright.sync_api import Browser, Page, expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Viewed = Callable[..., AbstractContextManager[str]]

LAST = f"{TRILLION_RECORDS:,}"
APPEND = """
import sys, time, capturefile
with capturefile.open(sys.argv[1], "a", sync="none") as cf:
    for _ in sys.stdin:
        cf.add_record("appended by another process")
        cf.commit()
        print(time.time(), flush=True)
"""

SERVE = """
import sys, uvicorn
from capturefile.view.app import application
from capturefile.view.sources import ViewedFile
uvicorn.run(application([ViewedFile(sys.argv[1])], "token", "127.0.0.1"), port=int(sys.argv[2]), log_level="error")
"""
WATCH = """count => {
    window.seen = new Promise(done => new MutationObserver(() => {
        if (document.querySelectorAll('.row .text').length === count) done(Date.now());
    }).observe(document.querySelector('.rows'), { childList: true, subtree: true }));
}"""
"""Records when the page has this many rows with text."""


CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. It opens only the viewer, so it can run without a sandbox, which containers do not allow."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A new page; any error in it, or any violation of the content security policy, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("dialog", lambda dialog: failures.append(f"a dialog says {dialog.message}"))
    page.on("console", lambda message: failures.append(message.text) if "Security Policy" in message.text else None)
    yield page
    context.close()
    assert failures == []


@pytest.fixture
def viewed() -> Viewed:
    """Starts the viewer on files and returns the address that it prints."""

    @contextmanager
    def view(*paths: Path | str) -> Iterator[str]:
        with running("view", "--no-browser", *paths) as process:
            assert process.stdout is not None
            yield process.stdout.readline().decode().strip()

    return view


def rows(page: Page) -> list[str]:
    """The numbers of the visible rows."""
    found: list[str] = page.locator(".row .number").all_text_contents()
    return found


def test_a_record_is_opened_as_text_as_json_and_in_hexadecimal(page: Page, viewed: Viewed, path: Path) -> None:
    make(path, [b"plain", b'{"id": 12345678901234567890, "tags": ["a", "b"]}'])
    with viewed(path) as address:
        page.goto(address)
        expect(page.locator("#record pre")).to_have_text("plain")
        page.locator(".row").nth(1).click()
        # JSON is shown as JSON until the user chooses another view.
        expect(page.locator("#record .tree")).to_contain_text("12345678901234567890")
        expect(page.get_by_role("tab", name="JSON")).to_have_attribute("aria-selected", "true")
        page.get_by_role("tab", name="Text").click()
        expect(page.locator("#record pre")).to_contain_text('"tags"')
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == '{"id": 12345678901234567890, "tags": ["a", "b"]}'
        page.get_by_role("tab", name="Hex").click()
        expect(page.locator("#record pre")).to_contain_text("00000000  7b 22 69 64")


def test_the_list_scrolls_to_the_end_of_a_trillion_records_and_back(page: Page, viewed: Viewed, path: Path) -> None:
    path.write_bytes(trillion_file())
    with viewed(path) as address:
        page.goto(address)
        expect(page.locator("#count")).to_have_text(f"{LAST} records")
        page.locator("#list").evaluate("list => { list.scrollTop = list.scrollHeight; }")
        expect(page.locator(".row").last).to_contain_text("after the subtree: 7")
        assert rows(page)[-1] == LAST
        page.mouse.move(300, 400)
        before = int(rows(page)[0].replace(",", ""))
        page.mouse.wheel(0, -280)
        expect(page.locator(".row .number").first).to_have_text(f"{before - 10:,}")
        page.locator("#list").focus()
        page.keyboard.press("Home")
        expect(page.locator(".row .number").first).to_have_text("1")
        page.keyboard.press("End")
        expect(page.locator("#record")).to_contain_text(f"Record {LAST}")


def test_going_to_a_number_and_opening_its_link(page: Page, viewed: Viewed, path: Path) -> None:
    path.write_bytes(trillion_file())
    with viewed(path) as address:
        page.goto(address)
        expect(page.locator(".row .text").first).to_be_visible()
        page.keyboard.press("g")
        page.keyboard.type("1,000,000,000,000")
        page.keyboard.press("Enter")
        expect(page.locator("#record h2")).to_have_text("Record 1,000,000,000,000")
        expect(page.locator("#record pre")).to_have_text(f"modulo 37: {(10**12 - 1) % 37}")
        assert page.url.endswith("#0/records/1000000000000")
        page.reload()
        expect(page.locator("#record h2")).to_have_text("Record 1,000,000,000,000")
        expect(page.locator(".row.chosen .number")).to_have_text("1,000,000,000,000")


def test_the_first_record_is_shown_at_the_start(page: Page, viewed: Viewed, path: Path) -> None:
    make(path, [b"first", b"second"])
    with viewed(path) as address:
        page.goto(address)
        expect(page.locator("#record h2")).to_have_text("Record 1")
        expect(page.locator(".row.chosen .text")).to_have_text("first")


def test_keys_move_from_record_to_record(page: Page, viewed: Viewed, path: Path) -> None:
    make(path, [b"%d" % number for number in range(1, 1001)])
    with viewed(path) as address:
        page.goto(address)
        expect(page.locator(".row .text").first).to_be_visible()
        for key, number in {"j": 2, "ArrowDown": 3, "k": 2, "End": 1000, "ArrowUp": 999, "Home": 1}.items():
            page.keyboard.press(key)
            expect(page.locator("#record h2")).to_have_text(f"Record {number:,}")


def test_a_commit_of_another_process_is_shown_immediately_unless_paused(page: Page, viewed: Viewed, path: Path) -> None:
    make(path, [b"first"])
    command = [sys.executable, "-c", APPEND, str(path)]
    pipe = subprocess.PIPE
    with viewed(path) as address, subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        page.goto(address)
        expect(page.locator("#live")).to_have_text("Live")
        seen = []
        for count in range(2, 8):
            page.evaluate(WATCH, count)
            writer.stdin.write("\n")
            committed = float(writer.stdout.readline())
            seen.append(page.evaluate("window.seen") / 1000 - committed)
            expect(page.locator(".row .text")).to_have_count(count)
        print(f"a commit is on the screen after {sorted(seen)[len(seen) // 2] * 1000:.0f} ms")
        # A fifth of a second on an otherwise idle machine.
        assert sorted(seen)[len(seen) // 2] < 2
        page.keyboard.press("p")
        writer.stdin.write("\n")
        expect(page.locator("#news")).to_have_text("+1 new")
        expect(page.locator("#count")).to_have_text("7 records")
        page.keyboard.press("p")
        expect(page.locator("#count")).to_have_text("8 records")
        writer.stdin.close()


def test_the_page_is_connecting_until_it_is_connected(browser: Browser, viewed: Viewed, path: Path) -> None:
    make(path, [b"before"])
    with viewed(path) as address, browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(address)
        expect(page.locator("#live")).to_have_text("Connecting …")


def test_a_lost_connection_is_reported_and_restored(page: Page, path: Path) -> None:
    make(path, [b"before"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with subprocess.Popen([sys.executable, "-c", SERVE, str(path), str(port)]) as first:
        page.goto(answering(port))
        expect(page.locator("#live")).to_have_text("Live")
        first.kill()
    expect(page.locator("#live")).to_have_text("Connecting …")
    with capturefile.open(path, "a", sync="none") as cf:
        cf.add_record("meanwhile")
        cf.commit()
    with subprocess.Popen([sys.executable, "-c", SERVE, str(path), str(port)]) as second:
        expect(page.locator("#live")).to_have_text("Live", timeout=30_000)
        expect(page.locator(".row .text").last).to_have_text("meanwhile")
        second.kill()


def answering(port: int) -> str:
    """Waits until a server that has just been started answers; returns its address."""
    address = f"http://127.0.0.1:{port}/token/"

    def answers() -> bool:
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE):
                return True
        except OSError:
            return False

    wait_until(answers)
    return address


def test_a_replaced_file_is_reported_and_the_new_one_shown(page: Page, viewed: Viewed, path: Path) -> None:
    make(path, [b"old"])
    with viewed(path) as address:
        page.goto(address)
        expect(page.locator(".row .text")).to_have_text("old")
        make(path.with_name("new"), [b"new"]).replace(path)
        expect(page.locator("#notice")).to_contain_text("The file was replaced")
        page.get_by_role("button", name="Show the new file").click()
        expect(page.locator(".row .text")).to_have_text("new")
        expect(page.locator("#notice")).to_be_hidden()


def test_a_search_shows_hits_and_opens_them(page: Page, viewed: Viewed, path: Path) -> None:
    make(path, [b"record %d" % number for number in range(1, 501)])
    with viewed(path) as address:
        page.goto(address)
        page.locator("#text").fill("D 4[0-9]7$")
        page.get_by_role("button", name="Search", exact=True).click()
        expect(page.locator("#search-status")).to_have_text("Found 0 records")
        page.get_by_role("button", name="Search as a regular expression").click()
        expect(page.get_by_label("Regex")).to_be_checked()
        expect(page.locator("#search-status")).to_have_text("Found 10 records")
        expect(page.get_by_role("button", name="Search as a regular expression")).to_be_hidden()
        page.get_by_label("Match case").check()
        page.get_by_role("button", name="Search", exact=True).click()
        expect(page.locator("#search-status")).to_have_text("Found 0 records")
        page.get_by_label("Match case").uncheck()
        page.get_by_role("button", name="Search", exact=True).click()
        expect(page.locator("#search-status")).to_have_text("Found 10 records")
        expect(page.locator("#hits mark")).to_have_count(10)
        page.locator("#hits button").nth(2).click()
        expect(page.locator("#record h2")).to_have_text("Record 427")


def test_a_search_over_a_trillion_records_is_cancelled(page: Page, viewed: Viewed, path: Path) -> None:
    path.write_bytes(trillion_file())
    with viewed(path) as address:
        page.goto(address)
        expect(page.locator(".row .text").first).to_be_visible()
        page.locator("#text").fill("nowhere")
        page.keyboard.press("Enter")
        expect(page.locator("#search-status")).to_contain_text(f"of {LAST}")
        page.locator("#cancel").click()
        expect(page.locator("#search-status")).to_have_text("Cancelled")


def test_hostile_records_are_shown_and_do_nothing(page: Page, viewed: Viewed, path: Path) -> None:
    script = b"<script>alert(1)</script><img src=x onerror=alert(2)>"
    hostile = [
        script,
        b"\xff\xfe\x00",
        b"\x1b]0;owned\x07",
        "\u202egnp.exe".encode(),
        b'{"<img src=x onerror=alert(3)>": "\\u202e"}',
    ]
    make(path, hostile, metadata=script)
    with viewed(path) as address:
        page.goto(address)
        expect(page.locator(".row .text").first).to_have_text(script.decode())
        for number, expected in enumerate([script.decode(), "Not UTF-8", "␛]0;owned␇", "U+202Egnp.exe", "onerror"]):
            page.locator(".row").nth(number).click()
            expect(page.locator("#record h2")).to_have_text(f"Record {number + 1}")
            for kind in ("Hex", "JSON", "Text"):
                page.get_by_role("tab", name=kind).click()
            expect(page.locator("#record")).to_contain_text(expected)
        page.locator("#text").fill("<")
        page.keyboard.press("Enter")
        expect(page.locator("#hits li")).to_have_count(2)
        page.keyboard.press("Escape")
        page.locator("#tab-metadata").click()
        expect(page.locator("#metadata pre")).to_have_text(script.decode())
        assert page.locator("main img, main script").count() == 0


def test_a_long_record_is_opened_in_full_on_a_click_and_saved(page: Page, viewed: Viewed, path: Path) -> None:
    long = b"0123456789" * 250_000
    make(path, [long])
    with viewed(path) as address:
        page.goto(address)
        page.locator(".row").first.click()
        expect(page.locator("#record .rest")).to_contain_text("The first 16 KiB of 2.4 MiB")
        page.get_by_role("button", name="Show all").click()
        expect(page.locator("#record .rest")).to_have_count(0)
        assert len(page.locator("#record pre").text_content() or "") == len(long)
        with page.expect_download() as download:
            page.get_by_text("Download").click()
        assert Path(download.value.path()).read_bytes() == long


def test_the_readable_part_of_a_damaged_file_is_shown(page: Page, viewed: Viewed, path: Path) -> None:
    data = bytearray(make(path, noise(2000)).read_bytes())
    length = int.from_bytes(data[DATA_START : DATA_START + 4])
    data[DATA_START + 4 + length + 1000] ^= 0xFF
    path.write_bytes(data)
    with viewed(path) as address:
        page.goto(f"{address}#0/records/400")
        expect(page.locator("#record .problem")).to_be_visible()
        expect(page.locator(".row.bad").first).to_be_visible()
        page.locator("#tab-structure").click()
        page.get_by_role("button", name="Check the whole file").click()
        expect(page.locator("#structure")).to_contain_text("✗ Damaged: 1 problem")
        expect(page.locator("#structure")).to_contain_text(re.compile("Records .* cannot be read"))


def test_a_file_that_is_not_a_capture_file_is_reported(page: Page, viewed: Viewed, path: Path) -> None:
    path.write_bytes(b"something else")
    with viewed(path) as address:
        page.goto(address)
        expect(page.locator("#notice")).to_be_visible()


def test_a_rotated_log_begins_after_its_deleted_records_and_has_no_structure(
    page: Page, viewed: Viewed, path: Path, tmp_path: Path
) -> None:
    with RotatingWriter(tmp_path / "orders", keep_files=2, sync="none") as log:
        for number in range(1, 41):
            log.add_record(f"order {number}")
            if number % 10 == 0:
                log.rotate()
    with viewed(tmp_path / "orders", make(path, [b"a file"])) as address:
        page.goto(address)
        expect(page.locator("#record h2")).to_have_text("Record 31")
        expect(page.locator("#record pre")).to_have_text("order 31")
        expect(page.locator("#tab-structure")).to_be_hidden()
        page.locator("#file").select_option("1")
        expect(page.locator("#record pre")).to_have_text("a file")
        expect(page.locator("#tab-structure")).to_be_visible()


def test_the_path_to_a_record_is_drawn_and_can_be_followed(page: Page, viewed: Viewed, path: Path) -> None:
    make(path, [b"%d" % number for number in range(1, 5001)])
    with viewed(path) as address:
        page.goto(f"{address}#0/structure/1234")
        expect(page.locator(".level")).to_have_count(4)
        expect(page.locator(".cell.chosen")).to_have_count(3)
        expect(page.locator(".pill")).to_have_text("current")
        page.locator(".cell").last.click()
        expect(page.locator("#structure")).to_contain_text("Path to record 1,248")


def test_the_bars_of_the_blocks_are_reached_by_keyboard(page: Page, viewed: Viewed, path: Path) -> None:
    make(path, [b"%d" % number * 100 for number in range(1, 5001)])
    with viewed(path) as address:
        page.goto(f"{address}#0/structure/1")
        page.get_by_role("button", name="Read all blocks").focus()
        page.keyboard.press("Enter")
        # The bar of a block that holds only index nodes leads to no record.
        bars = page.get_by_role("group", name="Records in a block").locator("rect")
        expect(bars.first).to_be_visible()
        page.get_by_role("button", name="Read all blocks").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(bars.first).to_be_focused()
        page.keyboard.press("ArrowRight")
        expect(bars.nth(1)).to_be_focused()
        label = bars.nth(1).get_attribute("aria-label") or ""
        expect(page.locator(".words").last).to_have_text(label)
        for key, at in (("Home", 0), ("ArrowLeft", 0), ("End", bars.count() - 1), ("ArrowRight", bars.count() - 1)):
            page.keyboard.press(key)
            expect(bars.nth(at)).to_be_focused()
        page.keyboard.press("Home")
        page.keyboard.press("Enter")
        expect(page.locator("#tab-records")).to_have_attribute("aria-selected", "true")
        expect(page.locator("#list")).to_be_visible()


@pytest.mark.parametrize("width", [360, 700, 1600])
def test_nothing_is_wider_than_the_window(page: Page, viewed: Viewed, path: Path, width: int) -> None:
    make(path, [b"x" * 5000] * 50, metadata=b"y" * 5000)
    page.set_viewport_size({"width": width, "height": 700})
    with viewed(path) as address:
        for view in ("records", "structure", "metadata"):
            page.goto(f"{address}#0/{view}/1")
            expect(page.locator(f"#{view} h2").first).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [360, 700, 1600])
def test_no_panel_is_wider_than_the_window(page: Page, viewed: Viewed, path: Path, width: int) -> None:
    make(path, [json.dumps({"long" * 20: "x" * 5000, "at": 1_700_000_000 + n}).encode() for n in range(50)])
    page.set_viewport_size({"width": width, "height": 700})
    with viewed(path) as address:
        page.goto(f"{address}#0/records/1?fields={'long' * 20},at")
        for name in ("Columns", "Timeline", "Values"):
            page.get_by_role("button", name=name).click()
        page.locator("#text").fill("xxx")
        page.keyboard.press("Enter")
        expect(page.locator("#search-status")).to_have_text("Found 50 records")
        expect(page.locator("#values li").first).to_be_visible()
        expect(page.locator("#timeline .count").first).to_be_attached()
        for place in ("document.documentElement", "document.getElementById('records')"):
            assert page.evaluate(f"{place}.scrollWidth - {place}.clientWidth") <= 0


def events(count: int) -> list[bytes]:
    """JSON records with times, one a second."""
    noon = datetime(2026, 11, 30, 12, tzinfo=UTC)
    return [
        json.dumps(
            {
                "at": (noon + timedelta(seconds=number)).isoformat(),
                "level": "error" if number % 10 == 0 else "info",
                "http": {"status": 200 + number % 3},
                "n": number,
            }
        ).encode()
        for number in range(count)
    ]


def test_fields_are_columns_that_the_address_remembers(page: Page, viewed: Viewed, path: Path) -> None:
    make(path, [*events(50), b"plain\ttext"])
    with viewed(path) as address:
        page.goto(address)
        expect(page.locator(".row .text").first).to_be_visible()
        page.keyboard.press("c")
        page.get_by_label("level").focus()
        page.keyboard.press("Space")
        page.get_by_label("http.status").check()
        expect(page.locator("#heads .fields .text")).to_have_text(["level", "http.status"])
        expect(page.locator(".row").nth(1).locator(".fields .text")).to_have_text(["info", "201"])
        assert page.url.endswith("#0/records/1?fields=level,http.status")
        page.locator("#columns").get_by_label("Other").fill("nowhere")
        page.keyboard.press("Enter")
        page.reload()
        expect(page.locator("#heads .fields .text")).to_have_text(["level", "http.status", "nowhere"])
        expect(page.locator(".row").first.locator(".fields .text")).to_have_text(["error", "200", ""])
        left = "element => element.getBoundingClientRect().left"
        for column in range(3):
            head = page.locator("#heads .fields .text").nth(column).evaluate(left)
            assert abs(head - page.locator(".row").first.locator(".fields .text").nth(column).evaluate(left)) < 2
        page.locator("#list").focus()
        page.keyboard.press("End")
        expect(page.locator(".row.chosen > .text")).to_have_text("plain\ttext", use_inner_text=False)
        page.keyboard.press("c")
        page.get_by_role("button", name="No columns").click()
        expect(page.locator("#heads")).to_be_hidden()
        assert page.url.endswith("#0/records/51")


def test_tabs_are_shown_as_tabs(page: Page, viewed: Viewed, path: Path) -> None:
    make(path, [b"a\tb", b"a b"])
    with viewed(path) as address:
        page.goto(address)
        expect(page.locator("#record pre")).to_have_text("a\tb")
        width = """element => {
            const range = document.createRange();
            range.selectNodeContents(element);
            return range.getBoundingClientRect().width;
        }"""
        wide, narrow = (page.locator(".row .text").nth(index).evaluate(width) for index in range(2))
        assert wide > 1.5 * narrow


def test_a_range_of_time_is_marked_with_the_mouse_and_searched(page: Page, viewed: Viewed, path: Path) -> None:
    make(path, events(3000))
    with viewed(path) as address:
        page.goto(address)
        page.get_by_role("button", name="Timeline").click()
        expect(page.locator("#timeline output")).to_have_text("3,000 records, a bar is 30 seconds")
        box = page.locator("#timeline svg").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.205, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.295, box["y"] + 40)
        expect(page.locator("#timeline .words")).to_contain_text(": 300 records")
        page.mouse.up()
        expect(page.locator("#search-status")).to_have_text("Found 300 records")
        expect(page.locator("#hits li").first).to_contain_text('"n": 600')
        page.reload()
        expect(page.locator("#search-status")).to_have_text("Found 300 records")
        page.get_by_role("button", name="Timeline").click()
        page.get_by_role("button", name="Zoom in").click()
        expect(page.locator("#timeline output")).to_have_text("300 records, a bar is 5 seconds")
        page.get_by_role("button", name="Zoom out").click()
        expect(page.locator("#timeline output")).to_have_text("3,000 records, a bar is 30 seconds")
        page.locator("#range").click()
        expect(page.locator("#found")).to_be_hidden()
        expect(page.locator("#range")).to_be_hidden()


def test_a_range_of_time_is_marked_by_keyboard(page: Page, viewed: Viewed, path: Path) -> None:
    with capturefile.open(path, "x", format=3, sync="none") as log:
        for number in range(300):
            log.add_record(str(number))
            log.commit()
    with viewed(path) as address:
        page.goto(address)
        expect(page.locator(".row .text").first).to_be_visible()
        page.keyboard.press("l")
        expect(page.locator("#timeline select")).to_have_value("")
        expect(page.locator("#timeline output")).to_contain_text("300 records, a bar is")
        bars = page.locator("#timeline .area")
        bars.first.focus()
        counts = [int(re.findall(r": ([0-9,]+) record", label)[0]) for label in labels(page)]
        assert sum(counts) == 300
        for key in ("ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight"):
            page.keyboard.press(key)
        expect(page.locator("#timeline .words")).to_contain_text(f": {sum(counts[1:4])} record")
        page.keyboard.press("Enter")
        expect(page.locator("#search-status")).to_have_text(re.compile(f"^Found {sum(counts[1:4])} record"))
        if sum(counts[1:4]):
            expect(page.locator("#record h2")).to_have_text(f"Record {counts[0] + 1}")
        page.keyboard.press("Escape")
        expect(page.locator("#range")).to_be_hidden()


def labels(page: Page) -> list[str]:
    """The labels of the timeline's bars."""
    found: list[str] = page.locator("#timeline .area").evaluate_all(
        "areas => areas.map(area => area.getAttribute('aria-label'))"
    )
    return found


def test_the_values_of_a_field_narrow_the_search(page: Page, viewed: Viewed, path: Path) -> None:
    make(path, events(500))
    with viewed(path) as address:
        page.goto(address)
        expect(page.locator(".row .text").first).to_be_visible()
        page.keyboard.press("v")
        page.locator("#values select").select_option("level")
        expect(page.locator("#values li").first).to_contain_text("info")
        expect(page.locator("#values output")).to_have_text("of 500 records, 2 values")
        page.get_by_role("button", name="error 50").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#search-status")).to_have_text("Found 50 records")
        expect(page.locator("#values output")).to_have_text("of 50 records, 1 value")
        page.locator("#values select").select_option("http.status")
        expect(page.locator("#values output")).to_have_text("of 50 records, 3 values")
        page.get_by_role("button", name="Not 200").click()
        expect(page.locator("#where")).to_have_value('level == "error" and not http.status == 200')
        expect(page.locator("#search-status")).to_have_text("Found 33 records")
        page.locator("#where").fill("level = 1")
        page.keyboard.press("Enter")
        expect(page.locator("#search-status")).to_contain_text("write == to compare")


def test_a_sample_shows_its_size(page: Page, viewed: Viewed, path: Path) -> None:
    path.write_bytes(trillion_file())
    with viewed(path) as address:
        page.goto(f"{address}#0/records/1?time=at")
        page.get_by_role("button", name="Timeline").click()
        expect(page.locator("#timeline output")).to_contain_text(f"of {LAST}", timeout=60_000)
        expect(page.locator("#timeline output")).to_contain_text("a sample: 0 of")


def test_hits_are_paged_through_and_exported(page: Page, viewed: Viewed, path: Path) -> None:
    make(path, events(25_000))
    with viewed(path) as address:
        page.goto(f"{address}#0/records/1?fields=n")
        page.locator("#where").fill('level == "error"')
        page.keyboard.press("Enter")
        expect(page.locator("#search-status")).to_have_text("Found the first 1,000, up to record 9,991")
        page.get_by_role("button", name="Next 1,000").click()
        expect(page.locator("#search-status")).to_have_text(re.compile("^Found records 1,001 to 2,000 of those"))
        expect(page.locator("#hits .number").first).to_have_text("10,001")
        expect(page.locator("#hits .fields .text").first).to_have_text("10000")
        page.get_by_role("button", name="Next 1,000").click()
        expect(page.locator("#search-status")).to_have_text("Found 2,500 records, of which these are the last 500")
        expect(page.get_by_role("button", name="Next 1,000")).to_be_hidden()
        page.get_by_role("button", name="Previous 1,000").click()
        expect(page.locator("#hits .number").first).to_have_text("10,001")
        for name, count in (("Export JSON lines", 2500), ("CSV", 2501)):
            with page.expect_download() as download:
                page.get_by_role("link", name=name).click()
            lines = Path(download.value.path()).read_text().splitlines()
            assert len(lines) == count
            assert "24991" in lines[-1]


def test_typed_text_stays_while_records_are_viewed(page: Page, viewed: Viewed, path: Path) -> None:
    make(path, events(50))
    with viewed(path) as address:
        page.goto(address)
        page.locator("#text").fill("not searched for yet")
        page.locator(".row").nth(3).click()
        expect(page.locator("#record h2")).to_have_text("Record 4")
        expect(page.locator("#text")).to_have_value("not searched for yet")
        expect(page.locator("#found")).to_be_hidden()


def test_a_growing_file_is_opened_at_its_end_and_stays_there(page: Page, viewed: Viewed, path: Path) -> None:
    make(path, events(500))

    def grow(count: int) -> None:
        with capturefile.open(path, "a", sync="none") as log:
            log.add_records(["later"] * count)
            log.commit()

    with viewed("--tail", path) as address:
        page.goto(address)
        expect(page.locator("#record h2")).to_have_text("Record 500")
        expect(page.locator("#tail")).to_have_attribute("aria-pressed", "true")
        for total in (501, 540, 700):
            grow(total - len_of(path))
            expect(page.locator("#record h2")).to_have_text(f"Record {total}")
            expect(page.locator(".row .number").last).to_have_text(str(total))
        page.mouse.move(200, 500)
        page.mouse.wheel(0, -400)
        expect(page.locator("#tail")).to_have_attribute("aria-pressed", "false")
        grow(1)
        expect(page.locator("#count")).to_have_text("701 records")
        expect(page.locator("#record h2")).to_have_text("Record 700")
        page.locator("#list").focus()
        page.keyboard.press("f")
        expect(page.locator("#record h2")).to_have_text("Record 701")
        expect(page.locator(".row .number").last).to_have_text("701")
        assert page.url.endswith("#0/records?tail")
        page.keyboard.press("ArrowUp")
        expect(page.locator("#tail")).to_have_attribute("aria-pressed", "false")


def len_of(path: Path) -> int:
    """How many records a file has."""
    with capturefile.open(path) as log:
        return len(log)


def test_the_divider_between_list_and_record_can_be_moved_and_stays(page: Page, viewed: Viewed, path: Path) -> None:
    make(path, events(50))
    width = "document.querySelector('.list-pane').getBoundingClientRect().width"
    with viewed(path) as address:
        page.goto(address)
        split = page.locator("#split")
        before = page.evaluate(width)
        split.focus()
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        expect(split).to_have_attribute("aria-valuenow", "60")
        assert page.evaluate(width) > before * 1.15
        box = split.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 5, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(400, box["y"] + 100)
        page.mouse.up()
        after = page.evaluate(width)
        assert 360 < after < 400
        page.reload()
        expect(page.locator(".row .text").first).to_be_visible()
        assert abs(page.evaluate(width) - after) < 2
        page.set_viewport_size({"width": 500, "height": 800})
        expect(split).to_have_attribute("aria-orientation", "horizontal")
        split.dblclick()
        expect(split).to_have_attribute("aria-valuenow", "50")


def test_hostile_fields_and_values_are_shown_and_do_nothing(page: Page, viewed: Viewed, path: Path) -> None:
    script = "<img src=x onerror=alert(1)>"
    make(path, [json.dumps({script: script, "b": "\u202e\x1b"}).encode()] * 3)
    with viewed(path) as address:
        page.goto(address)
        expect(page.locator(".row .text").first).to_be_visible()
        for key in "cv":
            page.keyboard.press(key)
        page.get_by_role("checkbox", name=script).check()
        expect(page.locator(".row .fields .text").first).to_have_text(script)
        page.locator("#values select").select_option(script)
        page.locator("#values .value").first.click()
        expect(page.locator("#search-status")).to_have_text("Found 3 records")
        expect(page.locator("#hits .fields .text").first).to_have_text(script)
        page.locator("#values select").select_option("b")
        expect(page.locator("#values .text").first).to_have_text("⟨U+202E⟩␛")
        page.reload()
        expect(page.locator("#search-status")).to_have_text("Found 3 records")
        assert page.locator("main img, main script").count() == 0


SITE = Path(__file__).parent.parent / "target" / "site"


@pytest.mark.skipif(not SITE.exists(), reason="the site of the documentation is not built: make docs")
@pytest.mark.parametrize("over", ["disk", "http"])
def test_the_search_of_the_documentation_finds_words(browser: Browser, over: str) -> None:
    """Browsers start no workers from `file:` URLs; the site creates its worker from a script instead."""
    page = browser.new_page()
    handler = partial(SimpleHTTPRequestHandler, directory=SITE)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        start = SITE.as_uri() if over == "disk" else f"http://127.0.0.1:{server.server_address[1]}"
        try:
            page.goto(f"{start}/api/capturefile.html")
            page.keyboard.press("/")
            page.keyboard.type("savepoint")
            page.get_by_text(re.compile(r"^\d+ results?$")).wait_for()
        finally:
            server.shutdown()
            page.close()
