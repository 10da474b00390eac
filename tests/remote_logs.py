"""Folders in object stores: rotated logs, patterns, and the command, with a local S3 server and a local web server."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

import capturefile
import fsspec
import pyarrow
import pytest
from capturefile import _folders
from capturefile.rotating import RecordsDeleted, RotatingReader
from object_server import ObjectServer
from obstore.store import S3Store
from processes import PATIENCE
from rotating_logs import numbered, write_files
from s3_server import BUCKET, put_folder, s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3_server import Client

URL = f"s3://{BUCKET}/orders/"


@pytest.fixture(scope="module")
def s3() -> Iterator[Client]:
    """A client of an S3 server; the environment has its address and credentials."""
    with s3_server() as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of three files with 9 records."""
    write_files(tmp_path / "orders", 3, 2, 4)
    return tmp_path / "orders"


@pytest.fixture
def stored(folder: Path, s3: Client) -> Path:
    """The log, with a copy in S3."""
    for found in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=found["Key"])
    put_folder(s3, folder, "orders/")
    return folder


def check(log: RotatingReader[str], count: int) -> None:
    """Reads everything in every way."""
    assert (len(log), log.record_count(), log.first_record, log.get_metadata()) == (count, count, 1, b"%d" % count)
    assert (log[1], log[-1], log[4]) == ("record 1", f"record {count}", "record 4")
    assert (log[2:6], log[::-1]) == (numbered(2, 5), numbered(1, count)[::-1])
    assert list(log) == list(log.as_sequence()) == numbered(1, count)
    assert log.as_sequence()[count - 1] == f"record {count}"
    assert pyarrow.table(log.as_arrow(text=True)).column("record").to_pylist() == numbered(1, count)
    assert log.find(5, key=lambda record: int(record.split()[1])) == 5


def summed(records: capturefile.RecordSequence[str]) -> int:
    return sum(len(record) for record in records)


def test_a_log_is_read_through_its_url_and_through_a_store(stored: Path) -> None:
    for url in (URL, URL.rstrip("/")):
        with RotatingReader(url) as log:
            check(log, 9)
            check(pickle.loads(pickle.dumps(log)), 9)
            assert log.file_name == url
    with RotatingReader("orders", store=S3Store(BUCKET)) as log:
        check(log, 9)
    with RotatingReader(str(stored), store=fsspec.filesystem("file")) as log:
        check(log, 9)
    with RotatingReader(stored.as_uri()) as log:
        assert log.folder == stored


def test_a_log_behind_a_web_server_needs_no_list(folder: Path) -> None:
    with ObjectServer() as server:
        for path in folder.iterdir():
            server.objects[f"logs/orders/{path.name}"] = path.read_bytes()
        url = f"{server.url}/logs/orders?signature=secret"
        with RotatingReader(url) as log:
            check(log, 9)
            assert [file.last_record for file in log.files()] == [3, 5, 9]
            assert "secret" not in repr(log)
            del server.objects["logs/orders/00000000000000000001.capture"]
            with RotatingReader(url) as shorter:
                assert shorter.first_record == 4
            with pytest.raises(RecordsDeleted) as deleted:
                list(log)
            assert "secret" not in str(deleted.value)


def test_sequences_of_logs_are_split_among_workers(stored: Path) -> None:
    with RotatingReader(URL) as log, ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        records = log.as_sequence()
        assert sum(pool.map(summed, records.split(2))) == summed(records)
    urls = [file.location for file in log.files()]
    assert list(capturefile.concat(urls)) == numbered(1, 9)
    names = [url.removeprefix(f"s3://{BUCKET}/") for url in urls]
    assert list(capturefile.concat(names, store=S3Store(BUCKET))) == numbered(1, 9)


def test_a_refresh_shows_new_records_of_a_log(stored: Path, s3: Client) -> None:
    with RotatingReader(URL) as log:
        assert log[9] == "record 9"
        assert not log.refresh()
        write_files(stored, 2)
        assert capturefile.upload(stored, URL) == 11
        assert len(log) == 9
        assert log.refresh()
        check(log, 11)
        assert [file.last_record for file in log.files()] == [3, 5, 9, 11]


def test_deleted_records_of_a_remote_log_are_reported(stored: Path, s3: Client) -> None:
    with RotatingReader(URL) as log:
        first = log.files()[0]
        s3.delete_object(Bucket=BUCKET, Key=f"orders/{first.name}")
        with pytest.raises(RecordsDeleted, match="next record that exists is 4"):
            log[1]
        log.refresh()
        assert (log.first_record, log[:]) == (4, numbered(4, 9))
        with pytest.raises(io.UnsupportedOperation, match="no path"):
            first.path  # noqa: B018
        s3.delete_object(Bucket=BUCKET, Key="orders/_manifest.capture")
        with pytest.raises(capturefile.CaptureFileReplaced, match="was removed"):
            log.refresh()


def test_a_log_in_a_store_cannot_be_followed(stored: Path) -> None:
    with RotatingReader(URL) as log, pytest.raises(io.UnsupportedOperation, match=r"refresh\(\)"):
        log.follow()
    with pytest.raises(FileNotFoundError, match="_manifest"):
        RotatingReader(f"s3://{BUCKET}/none/")


def run(*arguments: str, status: int = 0) -> str:
    """The output of the command."""
    command = [sys.executable, "-m", "capturefile", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout


def test_the_command_reads_logs_by_url(stored: Path, s3: Client, tmp_path: Path) -> None:
    everything = "".join(f"{record}\n" for record in numbered(1, 9))
    assert run("cat", URL) == run("cat", URL.rstrip("/")) == everything
    assert run("get", URL, "4") == "record 4\n"
    assert run("head", "-n", "2", URL) == "record 1\nrecord 2\n"
    assert run("tail", "-n", "1", URL) == "record 9\n"
    assert run("grep", "-c", "record [3-5]", URL).strip() == "3"
    assert run("count", URL).split()[0] == "9"
    assert f"{URL}00000000000000000004.capture: sound" in run("verify", URL)
    facts = json.loads(run("info", "--json", URL))
    assert [file["name"] for file in facts["files"]] == sorted(path.name for path in stored.iterdir())[:-1]
    assert [file["file_size"] for file in facts["files"]] == [
        path.stat().st_size for path in sorted(stored.iterdir()) if path.name[0] == "0"
    ]
    assert run("du", "--files", URL).count(URL) == 5
    copy = tmp_path / "copy.capture"
    run("copy", URL, str(copy))
    run("copy", "--overwrite", URL, str(copy))
    assert list(capturefile.open(copy)) == numbered(1, 9)
    s3.delete_object(Bucket=BUCKET, Key="orders/00000000000000000004.capture")
    assert "does not exist, but files before it do" in run("verify", URL, status=1)


def test_patterns_match_as_in_file_systems(s3: Client, folder: Path) -> None:
    put_folder(s3, folder, "2026/11/")
    put_folder(s3, folder, "2026/12/")
    first = "00000000000000000001.capture"

    def found(pattern: str) -> list[str]:
        root = f"s3://{BUCKET}/"
        return [url.removeprefix(root) for url in _folders.matching(root + pattern)]

    assert found("2026/*/*1.capture") == [f"2026/11/{first}", f"2026/12/{first}"]
    assert found("2026/1[23]/*1.capture") == [f"2026/12/{first}"]
    assert found("2026/**/*1.capture") == found("20*/**/*1.capture") == [f"2026/11/{first}", f"2026/12/{first}"]
    assert len(found("2026/12/*")) == len(found("2026/12/?*.capture")) == 3
    assert found("2026/*.capture") == found("*.capture") == []
    with pytest.raises(ValueError, match="does not list its objects"):
        _folders.matching("https://example.org/logs/*.capture")


def test_urls_of_folders_are_distinguished_from_those_of_files(stored: Path) -> None:
    assert _folders.is_folder(URL)
    assert _folders.is_folder(URL.rstrip("/"))
    assert not _folders.is_folder(f"{URL}none.capture")
    assert not _folders.has_pattern("https://host/log.capture?x=*")
    assert _folders.has_pattern(f"{URL}*.capture")
    with pytest.raises(ValueError, match="in no store that can be read"):
        capturefile.open("hdfs://host/log.capture")
