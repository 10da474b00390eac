"""Indexes of files in object stores: searches read them, and nothing is written."""

from __future__ import annotations

import io
import json
import random
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from capturefile._index.place import place_of
from object_server import ObjectServer, WebStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

NAME = "logs/log.capture"
COUNT = 20_000


def order(number: int) -> str:
    """A record with an order that no other has."""
    text = random.Random(number).randbytes(100).hex()
    return json.dumps({"order": f"A{number * 7919 % 1000003:07}", "n": number, "text": text})


def write(path: Path, numbers: Iterable[int], version: int = 2) -> bytes:
    """Adds orders; returns the content of the file."""
    with capturefile.open(path, "a", format=version, sync="none") as cf:  # type: ignore[call-overload]
        cf.add_records(map(order, numbers))
        cf.commit()
    return path.read_bytes()


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    """A server without objects."""
    with ObjectServer() as server:
        yield server


@pytest.fixture(params=[2, 3])
def local(tmp_path: Path, request: pytest.FixtureRequest, server: ObjectServer) -> Path:
    """A file with an index, of both of which the server has copies."""
    path = tmp_path / "log.capture"
    server.objects[NAME] = write(path, range(1, COUNT + 1), request.param)
    capturefile.index(path, "order", "n")
    server.objects[place_of(NAME)] = (tmp_path / "log.capture.index").read_bytes()
    return path


def found(server: ObjectServer, key: str, value: object) -> tuple[list[int], int]:
    """The numbers of the records that a search finds, and how many bytes of the objects it has asked for."""
    server.asked()
    with capturefile.open(NAME, store=WebStore(server.url)) as cf:
        numbers = [number for number, _ in cf.find_all(key, value)]
    return numbers, sum(end - start for method, start, end in server.asked() if method == "GET")


def value_of(number: int) -> Any:  # noqa: ANN401 - a value of JSON
    """The order of a record."""
    return json.loads(order(number))["order"]


def test_a_search_reads_the_index_beside_an_object(local: Path, server: ObjectServer) -> None:
    size = local.stat().st_size
    assert size > 2_000_000
    numbers, read = found(server, "order", value_of(15_000))
    assert (numbers, read < size / 2) == ([15_000], True)
    del server.objects[place_of(NAME)]
    numbers, read = found(server, "order", value_of(15_000))
    assert (numbers, read > size / 2) == ([15_000], True)


def test_records_behind_the_index_of_an_object_are_found(local: Path, server: ObjectServer) -> None:
    server.objects[NAME] = write(local, range(COUNT + 1, COUNT + 8001))
    assert found(server, "n", COUNT + 7000)[0] == [COUNT + 7000]
    assert found(server, "n", 17)[0] == [17]


def test_an_index_of_another_object_is_not_used(local: Path, server: ObjectServer, tmp_path: Path) -> None:
    other = tmp_path / "other.capture"
    server.objects[NAME] = write(other, range(101, COUNT + 101))
    assert found(server, "n", 15_000)[0] == [14_900]
    server.objects[NAME] = local.read_bytes()
    server.objects[place_of(NAME)] = other.read_bytes()
    assert found(server, "n", 15_000)[0] == [15_000]
    server.objects[place_of(NAME)] = b"damaged"
    assert found(server, "n", 15_000)[0] == [15_000]


def test_an_index_that_must_not_be_read_is_done_without(local: Path, server: ObjectServer) -> None:
    assert local.exists()
    with capturefile.open(NAME, store=WebStore(server.url)) as cf:
        server.faults.extend(["403"])
        assert [number for number, _ in cf.find_all("n", 15_000)] == [15_000]


def test_no_index_is_made_in_a_store() -> None:
    with pytest.raises(io.UnsupportedOperation, match="local copy"):
        capturefile.index("s3://user:secret@bucket/log.capture", "n")
    assert place_of("https://host/log.capture?signature=1") == "https://host/log.capture.index?signature=1"
