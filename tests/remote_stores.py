"""Reading from real stores: a local S3 server and a local web server, which `make test-remote` installs."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import random
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import capturefile
import fsspec
import obstore
import pytest
from capturefile import CaptureFile
from forking import fork
from object_server import ObjectServer
from obstore.store import HTTPStore, S3Store
from processes import PATIENCE
from s3_server import BUCKET, SECRET, s3_server
from test_object_stores import COUNT, NAME, check_objects, text, write, write_objects

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3_server import Client

SOON = timedelta(milliseconds=10)
URL = f"s3://{BUCKET}/{NAME}"


@pytest.fixture(scope="module")
def s3() -> Iterator[Client]:
    """A client of an S3 server; the environment has its address and credentials."""
    with s3_server() as client:
        yield client


@pytest.fixture(params=[2, 3])
def version(request: pytest.FixtureRequest) -> int:
    """Each version of the format."""
    number: int = request.param
    return number


@pytest.fixture
def local(tmp_path: Path, version: int) -> Path:
    """A file."""
    path = tmp_path / "log.capture"
    write(path, COUNT, version)
    return path


@pytest.fixture
def stored(local: Path, s3: Client) -> Path:
    """A file with a copy in S3."""
    s3.put_object(Bucket=BUCKET, Key=NAME, Body=local.read_bytes())
    return local


@pytest.fixture
def web(local: Path) -> Iterator[ObjectServer]:
    """A web server with the file."""
    with ObjectServer() as server:
        server.objects[NAME] = local.read_bytes()
        yield server


def check(cf: CaptureFile[str], count: int = COUNT) -> None:
    assert cf[1] == text(1)
    assert cf[-1] == text(count)
    assert list(cf) == [text(number) for number in range(1, count + 1)]
    numbers = [number * 7919 % count + 1 for number in range(300)]
    assert cf.records_at(numbers) == [text(number) for number in numbers]


def length_of(cf: CaptureFile[str]) -> int:
    return sum(len(record) for record in cf)


def test_s3_is_read_through_a_url_and_through_a_store(stored: Path) -> None:
    with capturefile.open(URL) as cf:
        check(cf)
    with CaptureFile(NAME, store=S3Store(BUCKET)) as cf:
        check(cf)
        check(pickle.loads(pickle.dumps(cf)))
    assert capturefile.verify(URL).sound


@pytest.mark.parametrize("version", [2, 3])
def test_records_in_memory_can_be_objects(tmp_path: Path, version: int) -> None:
    path = tmp_path / "objects.capture"
    expected = write_objects(path, version)
    memory = fsspec.filesystem("memory")
    memory.pipe(f"/{NAME}", path.read_bytes())
    check_objects(memory, expected)


def test_fsspec_reads_the_same(stored: Path, web: ObjectServer) -> None:
    http = fsspec.filesystem("http")
    with CaptureFile(f"{web.url}/{NAME}", store=http) as cf:
        check(cf)
    local = fsspec.filesystem("file")
    with CaptureFile(str(stored), store=local) as cf:
        check(cf)


def test_a_growing_object_is_never_read_as_a_mixture_of_two_states(stored: Path, s3: Client, version: int) -> None:
    cf = capturefile.open(URL)
    s3.put_object(Bucket=BUCKET, Key=NAME, Body=write(stored, COUNT + 1000, version))
    with pytest.raises(capturefile.CaptureFileReplaced):
        cf[COUNT // 2]
    assert cf.refresh()
    check(cf, COUNT + 1000)


def test_spawned_workers_reopen_the_store(stored: Path) -> None:
    with (
        capturefile.open(URL) as cf,
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool,
    ):
        expected = length_of(cf)
        assert list(pool.map(length_of, [cf, cf])) == [expected, expected]


def test_a_forked_child_of_a_reader_gets_a_helpful_error(stored: Path) -> None:
    cf = capturefile.open(URL)
    child = fork()
    if child == 0:
        told = False
        try:
            list(cf)
        except RuntimeError as error:
            told = "forkserver" in str(error)
        finally:
            os._exit(0 if told else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_presigned_url_is_read_and_not_shown(stored: Path, s3: Client) -> None:
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": NAME})
    assert "Signature" in url
    with capturefile.open(url) as cf:
        check(cf)
        assert "Signature" not in repr(cf)
    with pytest.raises(FileNotFoundError) as missing:
        capturefile.open(url.replace("log.capture", "none.capture"))
    assert "Signature" not in str(missing.value)


def test_credentials_are_in_no_message(s3: Client) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        capturefile.open(f"s3://{BUCKET}/none.capture")
    assert missing.value.filename == f"s3://{BUCKET}/none.capture"
    assert SECRET not in str(missing.value)
    with pytest.raises(OSError, match="s3://") as broken:
        capturefile.open(NAME.join(("s3://other/", "")))
    assert SECRET not in str(broken.value)


@pytest.mark.parametrize("faults", [["503", "503"], ["cut"], ["", "503", "cut", "503"]])
def test_transient_faults_are_retried(web: ObjectServer, faults: list[str]) -> None:
    web.faults.extend(faults)
    with capturefile.open(f"{web.url}/{NAME}") as cf:
        check(cf)
    assert not web.faults


@pytest.mark.parametrize("fault", ["503", "403", "cut", "short", "whole"])
def test_persistent_faults_are_errors_with_the_url(web: ObjectServer, fault: str) -> None:
    retries: Any = {"max_retries": 1, "backoff": {"init_backoff": SOON, "max_backoff": SOON, "base": 2}}
    options: Any = {"allow_http": True}
    store = HTTPStore.from_url(web.url, client_options=options, retry_config=retries)
    with CaptureFile(NAME, store=store) as cf:
        web.always = fault
        with pytest.raises(OSError, match=NAME):
            list(cf)
        web.always = ""
        check(cf)


def test_a_server_without_ranges_is_an_error_even_if_the_file_system_does_not_detect_it(web: ObjectServer) -> None:
    web.always = "whole"
    with pytest.raises(OSError, match=f"returned [0-9]+ bytes instead of [0-9]+.*{NAME}"):
        capturefile.open(f"{web.url}/{NAME}", store=fsspec.filesystem("http"))


def test_changes_are_detected_without_tags_and_conditions(web: ObjectServer, local: Path, version: int) -> None:
    web.has_tags = web.heeds_conditions = False
    web.objects[NAME] = write(local, 4 * COUNT, version)
    cf = capturefile.open(f"{web.url}/{NAME}")
    web.objects[NAME] = write(local, 5 * COUNT, version)
    with pytest.raises(capturefile.CaptureFileReplaced):
        list(cf)
    assert cf.refresh()
    check(cf, 5 * COUNT)


def test_requests_are_few(web: ObjectServer, version: int) -> None:
    with capturefile.open(f"{web.url}/{NAME}") as cf:
        assert len(web.asked()) <= version - 1
        assert cf[COUNT // 2] == text(COUNT // 2)
        assert len(web.asked()) <= 4
        assert not cf.refresh()
        assert [method for method, _, _ in web.asked()] == ["HEAD"]


def test_the_command_reads_urls(stored: Path) -> None:
    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "capturefile", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout

    assert run("cat", URL) == "".join(f"{text(number)}\n" for number in range(1, COUNT + 1))
    assert run("get", URL, "7") == f"{text(7)}\n"
    assert run("grep", "-c", "^ *77", URL).strip() == run("grep", "-c", "^ *77", str(stored)).strip()
    assert "sound" in run("verify", URL)
    assert str(COUNT) in run("info", URL)


def test_a_process_can_exit_while_it_reads(stored: Path) -> None:
    program = f"import capturefile\ncf = capturefile.open({URL!r})\nnext(iter(cf))\ncf[{COUNT // 2}]\n"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE)


def test_the_installed_version_of_obstore_is_supported() -> None:
    assert tuple(map(int, obstore.__version__.split(".")[:2])) >= (0, 9)


def test_repeating_a_complete_upload_sends_nothing(local: Path, s3: Client, tmp_path: Path, version: int) -> None:
    url = f"s3://{BUCKET}/uploaded/{version}.capture"
    assert capturefile.upload(local, url) == COUNT
    before = s3.head_object(Bucket=BUCKET, Key=f"uploaded/{version}.capture")
    with capturefile.open(url) as cf:
        check(cf)
    assert capturefile.upload(local, url) == COUNT
    assert s3.head_object(Bucket=BUCKET, Key=f"uploaded/{version}.capture")["LastModified"] == before["LastModified"]
    write(local, COUNT + 10, version)
    with pytest.raises(FileExistsError):
        capturefile.upload(local, url)
    assert capturefile.upload(local, url, overwrite=True) == COUNT + 10


def test_a_file_that_is_being_written_is_uploaded_as_of_its_last_commit(tmp_path: Path, s3: Client) -> None:
    url = f"s3://{BUCKET}/live.capture"
    with capturefile.open(tmp_path / "live.capture", "w") as live:
        live.add_record("committed")
        live.commit()
        live.add_record("not committed")
        assert capturefile.upload(tmp_path / "live.capture", url) == 1
        live.rollback()
    assert list(capturefile.open(url)) == ["committed"]


def test_a_log_is_uploaded_file_by_file_and_its_manifest_last(tmp_path: Path, s3: Client) -> None:
    from capturefile.rotating import RotatingWriter

    folder = tmp_path / "orders"
    with RotatingWriter(folder) as log:
        for number in range(1, 36):
            log.add_record(text(number))
            if number % 10 == 0:
                log.commit()
                log.rotate()
        log.commit()
        assert capturefile.upload(folder, f"s3://{BUCKET}/orders") == 35
        names = {path.name for path in folder.glob("*.capture")}
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="orders/")["Contents"]
    assert {found["Key"].removeprefix("orders/") for found in listed} == names
    first = min(names - {"_manifest.capture"})
    assert capturefile.open(f"s3://{BUCKET}/orders/{first}")[1] == text(1)
    assert capturefile.upload(folder, f"s3://{BUCKET}/orders") == 35


def test_uploads_need_a_store(local: Path) -> None:
    for url in ("https://example.org/log.capture", str(local)):
        with pytest.raises(ValueError, match="not a URL of an object store"):
            capturefile.upload(local, url)


def test_a_scan_fetches_each_byte_once_in_large_requests(web: ObjectServer, local: Path, version: int) -> None:
    web.objects[NAME] = write(local, 20 * COUNT, version)
    with capturefile.open(f"{web.url}/{NAME}") as cf:
        assert sum(1 for _ in cf) == 20 * COUNT
        assert cf[10 * COUNT] == text(10 * COUNT)
    asked = sorted((start, end) for method, start, end in web.asked() if method == "GET")
    size = len(web.objects[NAME])
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(asked))
    assert max(end - start for start, end in asked) == 2 << 20
    assert len(asked) <= size / (2 << 20) + 12


def test_records_from_everywhere_are_requested_together(web: ObjectServer, local: Path, version: int) -> None:
    web.objects[NAME] = write(local, 20 * COUNT, version)
    numbers = random.Random(1).sample(range(1, 20 * COUNT + 1), 50)
    with capturefile.open(f"{web.url}/{NAME}") as cf:
        web.asked()
        web.delay = 0.2
        begun = time.monotonic()
        assert cf.records_at(numbers) == [text(number) for number in numbers]
        # Far less than one after the other.
        assert time.monotonic() - begun < 0.2 * len(numbers) / 2
        ranges = sorted((start, end) for _, start, end in web.asked())
    # In format 2, each record has a leaf of the index of its own.
    assert len(ranges) <= len(numbers) * (4 - version) + 8
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ranges))


def test_an_object_replaced_during_a_scan_is_never_mixed(stored: Path, s3: Client, version: int) -> None:
    write(stored, 20 * COUNT, version)
    s3.upload_file(str(stored), BUCKET, NAME)
    with capturefile.open(URL) as cf:
        records = iter(cf)
        seen = list(itertools.islice(records, 100))
        s3.put_object(Bucket=BUCKET, Key=NAME, Body=write(stored, 21 * COUNT, version))
        with contextlib.suppress(capturefile.CaptureFileReplaced):
            seen.extend(records)
        assert seen == [text(number) for number in range(1, len(seen) + 1)]
        assert len(seen) <= 20 * COUNT
        assert cf.refresh()
        assert sum(1 for _ in cf) == 21 * COUNT


def test_slow_answers_are_waited_for_as_long_as_the_store_is_told(web: ObjectServer) -> None:
    store = HTTPStore.from_url(
        web.url, client_options={"allow_http": True, "timeout": "500ms"}, retry_config={"max_retries": 0}
    )
    with CaptureFile(NAME, store=store) as cf:
        web.delay = 0.1
        check(cf)
    with CaptureFile(NAME, store=store) as cf:
        web.delay = 2.0
        with pytest.raises(TimeoutError, match=NAME):
            list(cf)
        web.delay = 0.0
        check(cf)


def test_a_get_among_millions_takes_few_requests(tmp_path: Path, version: int) -> None:
    count = 3_000_000
    with capturefile.open(tmp_path / "large.capture", "w", format=version, compression_level=1, sync="none") as cf:  # type: ignore[call-overload]
        cf.add_records(map(str, range(1, count + 1)))
        cf.commit()
    content = (tmp_path / "large.capture").read_bytes()
    for number in random.Random(3).sample(range(1, count + 1), 20):
        # A server for each, so that nothing arrives there that was announced to another one.
        with ObjectServer() as web:
            web.objects[NAME] = content
            with capturefile.open(f"{web.url}/{NAME}") as cf:
                assert len(web.asked()) <= version - 1
                assert cf[number] == str(number)
                assert len(web.asked()) <= 4
                # The index nodes are in memory now.
                near = max(1, number - 500)
                assert cf[near] == str(near)
                assert len(web.asked()) <= 2
