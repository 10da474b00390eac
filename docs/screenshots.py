"""Takes the pictures of the viewer in docs/pictures, in Debian's Chromium.

python docs/screenshots.py
"""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import capturefile
import sample
from playwright.sync_api import Browser, Page, expect, sync_playwright

PICTURES = Path(__file__).parent / "pictures"
CHROMIUM = "/usr/bin/chromium"
WIDE = (1200, 720)
QUALITY = 70
"""Quality of the compression, up to 100."""
ERROR = 71
"""The number of a record with values that can be expanded."""


@contextmanager
def viewed(path: Path) -> Iterator[str]:
    """Runs the viewer on a file, and yields its address."""
    command = [sys.executable, "-m", "capturefile", "view", "--no-browser", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@contextmanager
def window(browser: Browser, size: tuple[int, int], scheme: Literal["light", "dark"] = "light") -> Iterator[Page]:
    """Opens a window without a border."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    yield context.new_page()
    context.close()


def save(page: Page, name: str) -> None:
    """Saves what the window shows."""
    session = page.context.new_cdp_session(page)
    taken = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    (PICTURES / f"{name}.webp").write_bytes(base64.b64decode(taken["data"]))


def open_error(page: Page, address: str) -> None:
    """Shows a record as JSON."""
    page.goto(f"{address}#0/records/{ERROR}?fields=time,level,event")
    expect(page.locator("#record .tree")).to_contain_text("tries:")
    expect(page.locator("#live")).to_have_text("Live")
    page.evaluate("document.activeElement.blur()")


def take_records(page: Page, address: str) -> None:
    """Takes the picture of the list and a record."""
    open_error(page, address)


def take_search(page: Page, address: str) -> None:
    """Takes the picture of a search: errors over time, their values, and the hits above the list."""
    open_error(page, address)
    page.locator("#where").fill('level != "info"')
    page.get_by_role("button", name="Timeline").click()
    page.get_by_role("button", name="Values").click()
    page.get_by_label("Values of").select_option("event")
    expect(page.locator("#values")).to_contain_text("connection refused")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator("#search-status")).to_contain_text("Found")
    bars = page.locator("#timeline svg").bounding_box()
    assert bars is not None
    page.mouse.move(bars["x"] + bars["width"] * 0.31, bars["y"] + 40)
    page.mouse.down()
    page.mouse.move(bars["x"] + bars["width"] * 0.46, bars["y"] + 40)
    page.mouse.up()
    expect(page.locator("#cancel")).to_have_text("Close")
    page.locator("#hits button").nth(2).click()
    expect(page.locator("#record .tree")).to_be_visible()
    expect(page.locator(".row .fields").first).to_be_visible()
    page.mouse.move(0, 0)


def take_structure(page: Page, address: str, path: Path) -> None:
    """Takes the picture of the structure of the file, with commits that were made while the page was open."""
    page.goto(f"{address}#0/structure/12345")
    expect(page.locator("#live")).to_have_text("Live")
    records = sample.records()
    with capturefile.open(path, "a", sync="none") as log:
        for size in (1, 3, 8, 16, 6, 21, 18, 18, 21, 6, 16, 8, 3):
            log.add_records(next(records) for _ in range(size))
            log.commit()
            expect(page.locator("#count")).to_have_text(f"{len(log):,} records")
    for button in ("Read all blocks", "Count sizes", "Check the whole file"):
        page.get_by_role("button", name=button).click()
    expect(page.locator("#structure")).to_contain_text("Sound")
    expect(page.get_by_role("button", name="Check the whole file")).to_be_visible()
    page.mouse.move(0, 0)


def main() -> None:
    """Takes all pictures."""
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = sample.make(Path(folder))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with viewed(path) as address:
            with window(browser, WIDE) as page:
                take_records(page, address)
                save(page, "view-records")
            with window(browser, (1200, 1080), "dark") as page:
                take_search(page, address)
                save(page, "view-search")
            with window(browser, (400, 760)) as page:
                take_records(page, address)
                save(page, "view-narrow")
            with window(browser, (1200, 1440)) as page:
                take_structure(page, address, path)
                save(page, "view-structure")
        browser.close()


if __name__ == "__main__":
    main()
