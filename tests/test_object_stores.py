"""Files that are read directly from an object store: results, numbers of requests, and errors."""

from __future__ import annotations

import io
import os
import pickle
import signal
import threading
import time
from typing import TYPE_CHECKING

import capturefile
import pytest
from capturefile import CaptureFile, codecs
from forking import fork
from object_server import ObjectServer, WebStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "logs/log.capture"
COUNT = 20_000


def text(number: int) -> str:
    return f"{number:>10} {number * 0x9E3779B97F4A7C15 % 2**64:016x} {number**5 % 2**61:x}"


def write(path: Path, count: int, version: int) -> bytes:
    """Adds records until there are `count`; returns the content of the file."""
    with capturefile.open(path, "a", format=version, sync="none", threads=1) as cf:  # type: ignore[call-overload]
        cf.add_records(text(number) for number in range(len(cf) + 1, count + 1))
        cf.set_metadata(b"some")
        cf.commit()
    return path.read_bytes()


@pytest.fixture(params=[2, 3])
def version(request: pytest.FixtureRequest) -> int:
    """Each version of the format."""
    number: int = request.param
    return number


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    """A server without objects."""
    with ObjectServer() as server:
        yield server


@pytest.fixture
def local(tmp_path: Path, version: int, server: ObjectServer) -> Path:
    """A file with a copy on the server."""
    path = tmp_path / "log.capture"
    server.objects[NAME] = write(path, COUNT, version)
    return path


@pytest.fixture
def store(server: ObjectServer) -> WebStore:
    """The server as a store."""
    return WebStore(server.url)


def write_objects(path: Path, version: int) -> list[object]:
    """Creates a file with a codec; returns its records."""
    expected: list[object] = [{"n": number} for number in range(1, 3001)]
    with capturefile.open(path, "x", codec=codecs.json(), format=version, sync="none") as cf:  # type: ignore[call-overload]
        cf.add_records(expected)
        cf.commit()
    return expected


def check_objects(store: object, expected: list[object]) -> None:
    """Checks that every way to read from a store gives these objects."""
    with capturefile.open(NAME, store=store, codec=codecs.json()) as cf:
        assert (cf[1], cf[-1], cf[5:7]) == (expected[0], expected[-1], expected[4:6])
        assert list(cf) == expected
        assert cf.records_at([9, 3]) == [expected[8], expected[2]]
        assert cf.find(77, key=lambda record: record["n"]) == 77
        assert pickle.loads(pickle.dumps(cf))[2] == expected[1]
    with pytest.raises(io.UnsupportedOperation, match="can only be read"):
        capturefile.open(NAME, "a", store=store, codec=codecs.json())


def test_records_in_stores_can_be_objects(tmp_path: Path, version: int, server: ObjectServer, store: WebStore) -> None:
    path = tmp_path / "objects.capture"
    expected = write_objects(path, version)
    server.objects[NAME] = path.read_bytes()
    check_objects(store, expected)


def test_all_ways_to_read_work_with_stores(local: Path, store: WebStore) -> None:
    with CaptureFile(NAME, store=store) as cf, CaptureFile(local) as same:
        assert len(cf) == COUNT
        assert cf[1] == same[1]
        assert cf[-1] == same[-1]
        assert cf[700:790] == same[700:790]
        assert list(cf) == [text(number) for number in range(1, COUNT + 1)]
        numbers = [number * 7919 % COUNT + 1 for number in range(300)]
        assert cf.records_at(numbers) == [text(number) for number in numbers]
        assert cf.get_metadata() == b"some"
        assert cf.info() == same.info()
        assert [block.records for block in cf.blocks()] == [block.records for block in same.blocks()]
        assert cf.find(text(5000)) == 5000
        assert cf.file_name == NAME
        assert not cf.refresh()
    report = capturefile.verify(NAME, store=store)
    assert report.sound
    assert report.records_checked == COUNT


def test_sequences_and_pickles_reopen_the_store(local: Path, store: WebStore) -> None:
    cf = CaptureFile(NAME, store=store)
    copy: CaptureFile[str] = pickle.loads(pickle.dumps(cf))
    assert copy[COUNT] == text(COUNT)
    records = cf.as_sequence()
    cf.close()
    part = pickle.loads(pickle.dumps(records[100:200]))
    assert list(part) == [text(number) for number in range(101, 201)]


def test_a_forked_process_can_continue_reading(local: Path, store: WebStore) -> None:
    cf = CaptureFile(NAME, store=store)
    assert cf[COUNT // 2] == text(COUNT // 2)
    child = fork()
    if child == 0:
        sound = False
        try:
            sound = list(cf) == [text(number) for number in range(1, COUNT + 1)]
        finally:
            os._exit(0 if sound else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert cf[COUNT // 3] == text(COUNT // 3)


def test_opening_needs_few_requests(local: Path, server: ObjectServer, store: WebStore, version: int) -> None:
    with CaptureFile(NAME, store=store) as cf:
        gets = [request for request in server.asked() if request[0] == "GET"]
        assert len(gets) <= version - 1
        assert cf[COUNT // 2] == text(COUNT // 2)
        assert len([request for request in server.asked() if request[0] == "GET"]) <= 4


def test_writing_is_refused_and_says_what_to_do(local: Path, store: WebStore) -> None:
    for mode in ("a", "w", "x"):
        with pytest.raises(io.UnsupportedOperation, match="capturefile upload"):
            capturefile.open(NAME, mode, store=store)
    cf = CaptureFile(NAME, store=store)
    with pytest.raises(capturefile.CaptureFileNotOpenForWrite):
        cf.add_record("one")
    with pytest.raises(io.UnsupportedOperation, match="newer"):
        cf.follow()
    cf.close()
    with pytest.raises(io.UnsupportedOperation, match="capturefile upload"):
        cf.open(to_write=True)
    cf.open()
    assert cf[1] == text(1)


def test_errors_of_the_store_name_the_object(local: Path, server: ObjectServer, store: WebStore) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        CaptureFile("logs/none.capture", store=store)
    assert missing.value.filename == "logs/none.capture"
    server.always = "403"
    with pytest.raises(PermissionError) as refused:
        CaptureFile(NAME, store=store)
    assert refused.value.filename == NAME
    server.always = "503"
    with pytest.raises(OSError, match="503 Service Unavailable"):
        CaptureFile(NAME, store=store)
    server.always = ""
    server.objects[NAME] = b""
    with pytest.raises(capturefile.InvalidCaptureFile, match=NAME):
        CaptureFile(NAME, store=store)
    with pytest.raises(TypeError, match="obstore"):
        CaptureFile(NAME, store=object())


@pytest.mark.parametrize("fault", ["503", "cut", "short"])
def test_a_failed_read_can_be_repeated(local: Path, server: ObjectServer, store: WebStore, fault: str) -> None:
    with CaptureFile(NAME, store=store) as cf:
        server.always = fault
        with pytest.raises(OSError, match=NAME):
            list(cf)
        server.always = ""
        assert list(cf) == [text(number) for number in range(1, COUNT + 1)]


def test_refresh_sees_a_longer_object_without_mixing_versions(
    local: Path, server: ObjectServer, store: WebStore, version: int
) -> None:
    cf = CaptureFile(NAME, store=store)
    before = cf.as_sequence()
    server.objects[NAME] = write(local, COUNT + 5000, version)
    with pytest.raises(capturefile.CaptureFileReplaced, match=r"refresh\(\)"):
        cf[COUNT // 2]
    assert cf.refresh()
    assert list(cf) == [text(number) for number in range(1, COUNT + 5001)]
    with pytest.raises(capturefile.CaptureFileReplaced):
        before[COUNT // 2]
    assert not cf.refresh()


def test_another_file_in_its_place_is_refused(
    local: Path, tmp_path: Path, server: ObjectServer, store: WebStore, version: int
) -> None:
    cf = CaptureFile(NAME, store=store)
    with capturefile.open(tmp_path / "other.capture", "w", format=version) as other:  # type: ignore[call-overload]
        other.add_records(str(number) for number in range(30_000))
        other.commit()
    server.objects[NAME] = (tmp_path / "other.capture").read_bytes()
    with pytest.raises(capturefile.InvalidCaptureFile, match="another file"):
        cf.refresh()
    assert len(cf) == COUNT


def test_waiting_for_an_answer_can_be_interrupted(local: Path, server: ObjectServer, store: WebStore) -> None:
    cf = CaptureFile(NAME, store=store)
    server.delay = 3
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        cf[COUNT // 2]
    assert time.monotonic() - began < 2.5
    timer.join()


def test_file_urls_open_local_files(local: Path) -> None:
    with CaptureFile(local.as_uri()) as cf:
        assert cf[1] == text(1)
        assert cf.file_name == str(local)
    with capturefile.open(local.as_uri(), "a") as cf:
        assert cf.add_record("x") == COUNT + 1
        cf.commit()


def test_secrets_in_urls_are_removed_from_messages() -> None:
    from capturefile._remote import without_secrets

    url = "https://me:word@host/logs/log.capture?X-Amz-Signature=abc&x=1"
    assert without_secrets(url) == "https://host/logs/log.capture"
    assert without_secrets(f"GET {url} failed") == "GET https://host/logs/log.capture failed"
