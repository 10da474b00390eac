"""Capture files in object stores as data frames and bags of Dask: `make test-dask` runs this."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from capturefile.dask import read_bag, read_capture
from dask.distributed import Client, LocalCluster
from files import write
from rotating_logs import numbered, write_files
from s3_server import BUCKET, SECRET, put_folder, s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT = f"s3://{BUCKET}"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A cluster of two processes; their environment has the address of an S3 server with files."""
    folder = tmp_path_factory.mktemp("visits")
    for name in ("a", "b", "_hidden"):
        write(folder / f"{name}.capture", *(f"{name} {number}" for number in range(1, 101)))
    log = tmp_path_factory.mktemp("logs") / "orders"
    write_files(log, 30, 20)
    with s3_server() as s3:
        put_folder(s3, folder, "visits/")
        put_folder(s3, log, "orders/")
        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as workers,
            Client(workers) as client,
        ):
            yield client


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("url", [f"{ROOT}/visits/", f"{ROOT}/visits", f"{ROOT}/visits/*.capture", f"{ROOT}/*/[ab].*"])
def test_folders_and_patterns_are_read_in_order(url: str) -> None:
    frame = read_capture(url, text=True, records_per_partition=30, include_path=True)
    assert frame.npartitions == 8
    read = frame.compute()
    assert read.record.tolist() == [f"{name} {number}" for name in "ab" for number in range(1, 101)]
    assert read.index.tolist() == list(range(1, 201))
    assert set(read.path) == {f"{ROOT}/visits/a.capture", f"{ROOT}/visits/b.capture"}
    assert SECRET not in repr(frame.__dask_graph__())


@pytest.mark.usefixtures("cluster")
def test_single_objects_and_logs_are_read() -> None:
    bag = read_bag([f"{ROOT}/visits/b.capture", f"{ROOT}/visits/a.capture"])
    assert bag.compute()[99:101] == ["b 100", "a 1"]
    frame = read_capture(f"{ROOT}/orders/", text=True)
    assert frame.divisions == (1, 31, 50)
    assert frame.compute().record.tolist() == numbered(1, 50)


@pytest.mark.usefixtures("cluster")
def test_missing_files_are_an_error() -> None:
    for url in (f"{ROOT}/none.capture", f"{ROOT}/none/", f"{ROOT}/none/*.capture"):
        with pytest.raises(FileNotFoundError, match="none"):
            read_capture(url)
    with pytest.raises(ValueError, match="does not list its objects"):
        read_capture("http://127.0.0.1:1/logs/*.capture")


def test_urls_of_local_files_are_paths(tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    write(path, "one")
    assert read_bag(path.as_uri()).compute(scheduler="synchronous") == ["one"]
