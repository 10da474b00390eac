"""Capture files as data frames and bags of Dask, in a cluster of processes: `make test-dask` runs this."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import dask.bag
import dask.dataframe
import pandas
import pyarrow
import pytest
from capturefile import CaptureFile
from capturefile.dask import read_bag, read_capture, to_capture
from capturefile.rotating import RotatingWriter
from dask.distributed import Client, LocalCluster
from files import committed, write

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = 200_000
BINARY = pandas.ArrowDtype(pyarrow.binary())
TEXT = pandas.ArrowDtype(pyarrow.string())


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A cluster of two processes on this machine."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files whose records are their numbers; the second continues where the first ends."""
    folder = tmp_path_factory.mktemp("numbers")
    for name, numbers in (("a", range(1, COUNT // 2 + 1)), ("b", range(COUNT // 2 + 1, COUNT + 1))):
        with CaptureFile(folder / f"{name}.capture", True, sync=False) as cf:
            cf.add_records(map(str, numbers))
            cf.commit()
    return folder


def check_frame(frame: Any) -> None:  # noqa: ANN401
    """Checks that Dask knows the types and divisions of a frame, and that they are right."""
    dask.dataframe.utils.assert_eq(frame, frame.compute(), check_divisions=True)


def test_a_frame_has_all_records_in_arrows_type_by_their_numbers(client: Client, folder: Path) -> None:
    frame = read_capture(folder, records_per_partition=30_000)
    assert frame.known_divisions
    assert frame.divisions == (1, 30_001, 60_001, 90_001, 100_001, 130_001, 160_001, 190_001, COUNT)
    assert dict(frame.dtypes) == {"record": BINARY}
    check_frame(frame)
    found = frame.compute()
    assert found.index.name == "record_number"
    assert found.index.tolist() == list(range(1, COUNT + 1))
    assert found["record"].tolist() == [b"%d" % number for number in range(1, COUNT + 1)]


def test_a_number_is_looked_up_in_one_partition(client: Client, folder: Path) -> None:
    frame = read_capture(folder, records_per_partition=30_000, text=True)
    assert dict(frame.dtypes) == {"record": TEXT}
    found = frame.loc[129_999:130_002]
    assert found.npartitions == 2
    assert found.compute()["record"].tolist() == ["129999", "130000", "130001", "130002"]


def test_a_frame_has_the_location_of_each_record(client: Client, folder: Path) -> None:
    frame = read_capture([folder / "b.capture", folder / "a.capture"], include_path=True, records_per_partition=30_000)
    check_frame(frame)
    (found,) = frame.loc[COUNT // 2 + 40_005].compute().to_dict("records")
    assert found == {"record": b"40005", "path": str(folder / "a.capture"), "number_in_file": 40_005}
    assert frame.groupby("path").number_in_file.max().compute().to_dict() == {
        str(folder / "a.capture"): COUNT // 2,
        str(folder / "b.capture"): COUNT // 2,
    }


def test_workers_compute_with_the_records(client: Client, folder: Path) -> None:
    frame = read_capture(folder, text=True, records_per_partition=50_000)
    assert frame["record"].astype("int64[pyarrow]").sum().compute() == COUNT * (COUNT + 1) // 2
    assert frame["record"].str.len().value_counts().compute().to_dict() == Counter(
        len(str(number)) for number in range(1, COUNT + 1)
    )


def test_later_commits_are_not_in_a_frame(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    write(path, "one", "two")
    frame, bag = read_capture(path, text=True), read_bag(path)
    write(path, "three")
    assert frame.compute()["record"].tolist() == bag.compute() == ["one", "two"]
    assert read_capture(path, text=True).compute()["record"].tolist() == ["one", "two", "three"]


def test_a_file_without_records_is_an_empty_frame_and_an_empty_bag(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    write(path)
    frame = read_capture(path)
    check_frame(frame)
    assert len(frame) == 0
    assert dict(frame.dtypes) == {"record": BINARY}
    assert read_bag(path).compute() == []


def test_a_rotated_log_is_read_with_its_own_numbers(client: Client, tmp_path: Path) -> None:
    with RotatingWriter(tmp_path / "log", sync="none") as log:
        for count in (5, 3, 4):
            log.add_records(f"record {log.record_count() + number}" for number in range(1, count + 1))
            log.rotate()
    (tmp_path / "log" / "00000000000000000001.capture").unlink()
    found = read_capture(tmp_path / "log", text=True).compute()["record"]
    assert found.to_dict() == {number: f"record {number}" for number in range(6, 13)}


def test_a_bag_has_all_records_in_order(client: Client, folder: Path) -> None:
    bag = read_bag(folder, records_per_partition=30_000)
    assert bag.npartitions == 8
    assert bag.map(int).sum().compute() == COUNT * (COUNT + 1) // 2
    assert read_bag(folder, encoding=None).take(3, npartitions=-1) == (b"1", b"2", b"3")


def test_a_frame_and_a_bag_are_written_and_read_back_unchanged(client: Client, folder: Path, tmp_path: Path) -> None:
    frame = read_capture(folder, records_per_partition=70_000)
    paths = to_capture(frame, tmp_path / "frame")
    assert [Path(path).name for path in paths] == [f"part-{index:05}.capture" for index in range(4)]
    assert sorted(path.name for path in (tmp_path / "frame").iterdir()) == [Path(path).name for path in paths]
    assert committed(Path(paths[-1]))[-1] == b"%d" % COUNT
    again = read_capture(tmp_path / "frame", records_per_partition=70_000)
    dask.dataframe.utils.assert_eq(again, frame)
    text = to_capture(read_bag(folder).filter(lambda record: record.endswith("7")), tmp_path / "bag", sync="none")
    assert read_bag(text).count().compute() == COUNT // 10


def test_a_series_is_written_too_and_a_null_is_refused(client: Client, folder: Path, tmp_path: Path) -> None:
    text = read_capture(folder / "a.capture", text=True)["record"]
    assert read_bag(to_capture(text.str.slice(0, 1), tmp_path / "first")).distinct().count().compute() == 9
    with pytest.raises(TypeError, match="NAType"):
        to_capture(text.where(text != "77"), tmp_path / "null")


def test_existing_parts_are_replaced_only_on_request(client: Client, folder: Path, tmp_path: Path) -> None:
    bag = read_bag(folder / "a.capture", records_per_partition=60_000)
    assert len(to_capture(bag, tmp_path)) == 2
    with pytest.raises(FileExistsError, match=r"already contains parts, such as part-0000\d\.capture"):
        to_capture(bag, tmp_path)
    later = to_capture(bag.repartition(1), tmp_path, overwrite=True, compute=False)
    assert len(list(tmp_path.iterdir())) == 2
    assert later.compute() == [str(tmp_path / "part-00000.capture")]
    assert [path.name for path in tmp_path.glob("*.capture")] == ["part-00000.capture"]


@pytest.mark.parametrize("compute", [True, False])
def test_the_files_that_are_read_can_be_overwritten(client: Client, tmp_path: Path, *, compute: bool) -> None:
    to_capture(dask.bag.from_sequence(map(str, range(1000)), npartitions=3), tmp_path, sync="none")
    kept = read_bag(tmp_path).filter(lambda record: "7" in record)
    made = to_capture(kept, tmp_path, overwrite=True, sync="none", compute=compute)
    paths = made if compute else made.compute()
    assert read_bag(paths).compute() == [str(number) for number in range(1000) if "7" in str(number)]
    assert sorted(map(str, tmp_path.glob("*.capture"))) == paths


@pytest.mark.parametrize("compute", [True, False])
def test_a_job_that_fails_keeps_the_old_result(client: Client, tmp_path: Path, *, compute: bool) -> None:
    to_capture(dask.bag.from_sequence(map(str, range(1000)), npartitions=3), tmp_path, sync="none")
    failing = read_bag(tmp_path).map(lambda record: record if record != "999" else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        to_capture(failing, tmp_path, overwrite=True, sync="none", compute=compute).compute()
    assert read_bag(tmp_path).compute() == [str(number) for number in range(1000)]


def test_a_missing_column_is_an_error_before_anything_is_deleted(client: Client, folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "part-00000.capture", "old")
    with pytest.raises(KeyError):
        to_capture(read_capture(folder), tmp_path, column="text", overwrite=True)
    assert committed(tmp_path / "part-00000.capture") == [b"old"]


def test_a_partition_of_anything_but_records_is_a_clear_error_and_leaves_no_file(
    client: Client, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(TypeError):
        to_capture(read_bag(folder / "a.capture").map(int), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_worker_loses_nothing(folder: Path, tmp_path: Path) -> None:
    def die_once(record: str, mark: str) -> str:
        import os

        if record == "150000" and not os.path.exists(mark):  # noqa: PTH110
            open(mark, "w").close()  # noqa: PTH123
            os.kill(os.getpid(), signal.SIGKILL)
        return record

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster),
    ):
        bag = read_bag(folder, records_per_partition=40_000).map(die_once, str(tmp_path / "mark"))
        paths = to_capture(bag, tmp_path / "parts")
    assert (tmp_path / "mark").exists()
    assert [record for path in paths for record in committed(Path(path))] == [
        b"%d" % number for number in range(1, COUNT + 1)
    ]


def test_the_example_prints_the_expected_output() -> None:
    example = Path(__file__).parent.parent / "examples" / "with_dask.py"
    done = subprocess.run([sys.executable, example], capture_output=True, encoding="utf-8", timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "5 partitions (1, 10001, 20001, 30001, 40001, 50000)",
        "7143 visits from 3",
        "visit 1 on tuesday from 1",
        "180000 words",
        "7143 records in 5 files",
    ]
