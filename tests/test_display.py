"""The representation of objects in an interpreter and in a notebook, and the names that modules show."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import capturefile
import pytest
from capturefile import CaptureFile, aio, checkpoint
from capturefile.rotating import RotatingReader, RotatingWriter
from capturefile.structlog import LoggerFactory
from command import DATA_START, make, noise
from files import write
from rotating_logs import write_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTILE = '<script>alert("1")</script><img src=x onerror=alert(1)>&lt;\u202e</td></table>'
NEEDED = {"capturefile.dask": "dask", "capturefile.spark": "pyspark"}
NOT_AN_API = {"capturefile.cli", "capturefile.view"}


# Notebooks


class Table(HTMLParser):
    """Parses the rows of a table, and checks every element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Records an element."""
        self.elements.add(tag)
        assert not {name for name, _ in attributes} - {"style"}
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        """Records text of a cell."""
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def html_of(thing: object) -> str:
    """The HTML for a notebook."""
    html = thing._repr_html_()  # type: ignore[attr-defined]
    assert isinstance(html, str)
    return html


def test_a_notebook_shows_the_first_records_with_their_sizes_and_types(path: Path) -> None:
    write(path, "plain", '{"key": 1}', b"\xff\xfe", *map(str, range(4, 15)))
    with CaptureFile(path, encoding=None) as log:
        for thing in (log, log.as_sequence(), log.as_arrow()):
            html = html_of(thing)
            table = Table(html)
            assert table.rows[:3] == [
                ["record", "bytes", "type", "content"],
                ["1", "5", "text", "plain"],
                ["2", "10", "JSON", '{"key": 1}'],
            ]
            assert table.rows[3][:3] == ["3", "2", "bytes"]
            assert len(table.rows) == 11
            assert "... 4 more" in html
        some = Table(html_of(log.as_arrow(4, 5))).rows[1:]
        assert some == [["4", "1", "text", "4"], ["5", "1", "text", "5"]]
        assert [row[0] for row in Table(html_of(log.as_sequence()[::-1])).rows[1:3]] == ["14", "13"]


def test_records_and_paths_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "<script>x<"
    write(path, HOSTILE, HOSTILE.encode() + b"\xff", '["' + "<b>" * 100 + '"]')
    for encoding in ("utf-8", None, "latin-1"):
        with capturefile.open(path, encoding=encoding) as log:
            for thing in (log, log.as_sequence(), log.as_arrow()):
                table = Table(html_of(thing))
                assert table.elements == {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}
                assert table.rows[1][3].startswith('<script>alert("1")</script><img src=x')
                assert "\u202e" not in table.rows[1][3]


def test_a_notebook_shows_the_text_of_any_encoding(path: Path) -> None:
    with CaptureFile(path, True, encoding="utf-16") as log:
        log.add_record("größer")
        log.commit()
        for thing in (log, log.as_sequence()):
            assert Table(html_of(thing)).rows[1][2:] == ["text", "größer"]


def test_a_notebook_shows_the_beginning_of_a_long_record(path: Path) -> None:
    write(path, "x" * 1_000_000)
    with CaptureFile(path) as log:
        for thing in (log, log.as_sequence(), log.as_arrow()):
            html = html_of(thing)
            assert len(html) < 2000
            assert Table(html).rows[1][1] == "1,000,000"


def test_a_notebook_shows_damage(path: Path) -> None:
    make(path, noise(8, 20_000))
    damaged = bytearray(path.read_bytes())
    damaged[DATA_START + 30_000] ^= 1
    path.write_bytes(damaged)
    with CaptureFile(path, encoding=None) as log:
        for thing in (log, log.as_sequence(), log.as_arrow()):
            assert "more" in html_of(thing)
            assert "expected one that inflates" in html_of(thing)


def test_a_notebook_shows_empty_and_closed_objects(path: Path) -> None:
    with CaptureFile(path, True) as log:
        for thing in (log, log.as_sequence(), log.as_arrow()):
            assert len(Table(html_of(thing)).rows) == 1
    assert log._repr_html_() is None
    assert CaptureFile.__new__(CaptureFile)._repr_html_() is None
    path.unlink()
    assert len(Table(html_of(capturefile.concat([]))).rows) == 1


# Representations


def things(folder: Path) -> Iterator[object]:
    """Objects of all classes, first open and then closed, of a file and a log that are then deleted."""
    path = folder / "log.capture"
    write(path, "one", "two")
    log = CaptureFile(path)
    yield from (log, log.as_sequence(), log.as_arrow(), log.as_arrow(1, 0), log.record_generator(), reversed(log))
    yield from (log.blocks(), log.follow(), log.transaction(), aio.follow(path), capturefile.concat([path]))
    with checkpoint.consume(path, folder / "out.capture", name="a") as exactly:
        yield exactly
    with checkpoint.consume_at_least_once(path, folder / "cursor") as at_least:
        yield at_least
    with RotatingWriter(folder / "rotating") as writer:
        writer.add_record("one")
        writer.commit()
        yield writer
    with RotatingReader(folder / "rotating") as reader:
        yield from (reader, reader.follow(), aio.follow(reader), reader.as_sequence(), *reader.files())
    factory = LoggerFactory(folder / "events.capture")
    yield from (factory, factory())
    factory.close()
    log.close()


def test_every_representation_names_the_class_and_the_file_in_one_line(tmp_path: Path) -> None:
    for thing in list(things(tmp_path)):
        text = repr(thing)
        assert type(thing).__name__ in text
        assert tmp_path.name in text
        assert " object at 0x" not in text
        assert "\n" not in text


def test_representations_of_closed_or_damaged_objects_do_not_raise(tmp_path: Path) -> None:
    made = list(things(tmp_path))
    for path in tmp_path.rglob("*.capture"):
        path.write_bytes(b"")
    for thing in made:
        repr(thing)
    repr(CaptureFile.__new__(CaptureFile))

    async def closed() -> str:
        follower = aio.follow(tmp_path / "gone.capture")
        await follower.aclose()
        return repr(follower)

    assert "closed" in asyncio.run(closed())


# Names


def public_modules() -> list[str]:
    """The modules that users import."""
    found = [module.name for module in pkgutil.iter_modules(capturefile.__path__, "capturefile.")]
    return [name for name in found if "._" not in name and name not in NOT_AN_API]


@pytest.mark.parametrize("name", ["capturefile", *public_modules()])
def test_a_module_shows_its_own_names_and_no_others(name: str) -> None:
    if name in NEEDED:
        pytest.importorskip(NEEDED[name])
    module = importlib.import_module(name)
    assert dir(module) == sorted(module.__all__)
    for public in module.__all__:
        thing = getattr(module, public)
        home = getattr(thing, "__module__", None) or getattr(thing, "__name__", "capturefile")
        assert str(home).startswith("capturefile"), public


def test_a_notebook_does_not_call_bytes_text(path: Path) -> None:
    with CaptureFile(path, True, encoding="utf-8") as log:
        log.add_record(b"\xff\x00")
        log.commit()
        assert Table(html_of(log)).rows[1][2] == "bytes"


def test_a_notebook_shows_a_rotated_log(tmp_path: Path) -> None:
    write_files(tmp_path, 1)
    with RotatingReader(tmp_path) as reader:
        assert repr(reader) == f"<RotatingReader: 1 record of {str(tmp_path)!r}>"
    write_files(tmp_path, 3, 9)
    (tmp_path / "00000000000000000001.capture").unlink()
    with RotatingReader(tmp_path) as reader:
        html = html_of(reader)
        assert [row[0] for row in Table(html).rows] == ["record", *map(str, range(2, 12))]
        assert Table(html).rows[3][3] == "record 4"
        assert "... 2 more" in html
        assert repr(reader).startswith("<RotatingReader: 13 records of ")
    assert reader._repr_html_() is None
