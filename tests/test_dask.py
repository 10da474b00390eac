"""What `capturefile.dask` does without Dask: how partitions are planned, read and written.

`tests/clustering.py` tests the rest.
"""

from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING

import capturefile
import pytest
from capturefile import CaptureFile
from capturefile._decoder import Decoder
from capturefile._swap import Swap, part_names
from capturefile.dask import _plan, _put_in_place, _put_in_place_by_a_task, _records, _table, _write_part
from capturefile.rotating import RotatingReader, RotatingWriter
from files import RefusedError, committed, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three capture files of 25, 0 and 7 records, and with entries that must be ignored."""
    for name, count in (("a", 25), ("b", 0), ("c", 7)):
        write(tmp_path / f"{name}.capture", *(f"{name} {number}" for number in range(1, count + 1)))
    write(tmp_path / "_hidden.capture", "hidden")
    write(tmp_path / ".hidden.capture", "hidden")
    (tmp_path / "notes.txt").write_text("no capture file")
    return tmp_path


def spans(paths: Path | str | list[Path], size: int | None = None) -> list[tuple[str, int, int, int]]:
    """The partitions: for each, the name of its file, its records there, and the number of the first."""
    return [(part.path.rpartition("/")[2], part.first, part.last, part.number) for part in _plan(paths, size)]


def test_partitions_follow_the_order_of_the_files_and_number_all_records(folder: Path) -> None:
    expected = [
        ("a.capture", 1, 10, 1),
        ("a.capture", 11, 20, 11),
        ("a.capture", 21, 25, 21),
        ("c.capture", 1, 7, 26),
    ]
    assert spans(folder, 10) == expected
    assert spans(str(folder / "*.capture"), 10) == spans(str(folder / "[_ac]*.capture"), 10) == expected
    assert spans([folder / "c.capture", folder / "a.capture"]) == [("c.capture", 1, 7, 1), ("a.capture", 1, 25, 8)]


def test_missing_files_and_empty_partitions_are_errors(folder: Path) -> None:
    for path in (folder / "missing.capture", folder / "*.log"):
        with pytest.raises(FileNotFoundError, match="there are no capture files at"):
            _plan(path, None)
    with pytest.raises(ValueError, match="records_per_partition cannot be 0"):
        _plan(folder, 0)


def test_partitions_hold_a_few_megabytes_of_the_file(path: Path) -> None:
    with CaptureFile(path, True, encoding=None, sync=False, compression_level=1) as cf:
        noise = bytes(range(256)) * 4096
        cf.add_records(noise[number:] + bytes([number % 256]) for number in range(40))
        cf.commit()
        cf.add_records(random.randbytes(1 << 20) for _ in range(40))
        cf.commit()
    sizes = [last - first + 1 for _, first, last, _ in spans(path)]
    assert sum(sizes) == 80
    assert 2 <= len(sizes) <= 4


def test_a_rotated_log_keeps_its_numbers(tmp_path: Path) -> None:
    with RotatingWriter(tmp_path / "log", sync="none") as log:
        for count in (5, 3, 4):
            log.add_records(["x"] * count)
            log.rotate()
    with RotatingReader(tmp_path / "log") as reader:
        reader.files()[0].path.unlink()
    assert [(first, last, number) for _, first, last, number in spans(tmp_path / "log", 3)] == [
        (1, 3, 6),
        (1, 3, 9),
        (4, 4, 12),
    ]


def test_a_partition_has_the_records_of_the_moment_it_was_planned(folder: Path) -> None:
    *_, part, _ = _plan(folder, 10)
    write(folder / "a.capture", "later")
    assert _table(part, text=True).column("record").to_pylist() == [f"a {number}" for number in range(21, 26)]
    assert _table(part, text=False).schema.field("record").type == "binary"
    assert _records(part, Decoder("utf_8")) == [f"a {number}" for number in range(21, 26)]
    assert _records(part, Decoder(None))[0] == b"a 21"


def test_a_record_of_a_bag_that_is_not_text_is_reported_or_replaced(folder: Path) -> None:
    write(folder / "a.capture", b"caf\xe9")
    part = _plan(folder, 10)[2]
    with pytest.raises(UnicodeDecodeError, match=r'record 26 of ".*a.capture"'):
        _records(part, Decoder("utf_8"))
    assert _records(part, Decoder("utf_8", "replace"))[-1] == "caf\ufffd"


def test_a_worker_without_the_file_or_its_records_reports_that(folder: Path) -> None:
    part = _plan(folder, 10)[2]
    with CaptureFile(folder / "a.capture", True, force_new_empty_file=True):
        pass
    with pytest.raises(capturefile.InvalidCaptureFile, match="has 0 records, but there were 25 or more"):
        _records(part, Decoder(None))
    (folder / "a.capture").unlink()
    with pytest.raises(FileNotFoundError, match=r"each worker must see .*: '.*a\.capture'"):
        _table(part, text=False)


def write_parts(folder: Path, job: str, *parts: list[str], overwrite: bool = False) -> list[str]:
    """Does what the tasks of a job do, one after another."""
    swap = Swap(str(folder), job)
    names = part_names("part-", range(len(parts)))
    written = [_write_part(part, swap, names[index], {"sync": "none"}) for index, part in enumerate(parts)]
    return _put_in_place_by_a_task(written, swap, overwrite)


def test_parts_appear_in_the_folder_once_all_of_them_are_complete(tmp_path: Path) -> None:
    def records() -> Iterator[str]:
        yield "one"
        assert list(tmp_path.glob("*.capture")) == []
        yield "two"

    swap = Swap(str(tmp_path), "job")
    written = [
        _write_part(records(), swap, name, {"sync": "full"}) for name in ("part-00000.capture", "part-00001.capture")
    ]
    assert _put_in_place(written, swap, overwrite=False) == [
        str(tmp_path / "part-00000.capture"),
        str(tmp_path / "part-00001.capture"),
    ]
    assert committed(tmp_path / "part-00001.capture") == [b"one", b"two"]


def test_a_failed_part_leaves_the_existing_file(tmp_path: Path) -> None:
    write(tmp_path / "part-00000.capture", "old")

    def records() -> Iterator[str]:
        yield "new"
        raise RefusedError

    with pytest.raises(RefusedError):
        _write_part(records(), Swap(str(tmp_path), "job"), "part-00000.capture", {"sync": "none"})
    assert committed(tmp_path / "part-00000.capture") == [b"old"]
    assert list(tmp_path.glob("_temporary-job/*")) == []


def test_new_parts_replace_all_old_ones(tmp_path: Path) -> None:
    write_parts(tmp_path, "first", ["a"], ["b"], ["c"])
    with pytest.raises(FileExistsError, match=r"already contains parts, such as part-00000\.capture"):
        write_parts(tmp_path, "refused", ["d"])
    assert len(write_parts(tmp_path, "second", ["d"], overwrite=True)) == 1
    assert [committed(path) for path in tmp_path.glob("*.capture")] == [[b"d"]]


def test_repeated_tasks_of_a_completed_job_change_nothing(tmp_path: Path) -> None:
    write(tmp_path / "part-00000.capture", "1")

    def doubled() -> list[str]:
        return [record.decode() * 2 for record in committed(tmp_path / "part-00000.capture")]

    paths = write_parts(tmp_path, "job", doubled(), overwrite=True)
    assert write_parts(tmp_path, "job", doubled(), overwrite=True) == paths
    assert committed(tmp_path / "part-00000.capture") == [b"11"]


def test_a_worker_that_does_not_see_the_folder_reports_that(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="each worker must see the folder at the same path"):
        write_parts(tmp_path / "elsewhere", "job", ["a"])


def test_the_module_can_be_imported_without_dask() -> None:
    program = "import sys; sys.modules.update(dask=None, pandas=None, pyarrow=None); import capturefile.dask"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
