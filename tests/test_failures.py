"""Real failures: full disks, limits, permissions, lack of memory. Commits stay, and work continues."""

from __future__ import annotations

import errno
import os
import random
import struct
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import capturefile
import pytest
import resource_exhaustion
from builder import Coordinates, FileBuilder, Geometry, encode_header, sized
from capturefile import CaptureFile
from processes import act
from test_hostile import bomb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from concurrency_workload import SyncMode

ROOM = 2 << 20
"""Bytes of the small disk."""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def random_records(count: int, size: int = 20_000) -> list[bytes]:
    """Incompressible records."""
    source = random.Random(count)
    return [source.randbytes(size) for _ in range(count)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(disk: Path, *, left: int = 0) -> Path:
    """Fills the disk except for `left` bytes with a file, which the caller removes."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        with suppress(OSError):
            while True:
                file.write(bytes(4096))
        file.truncate(filler.stat().st_size - left)
    return filler


def add_until_full(cf: CaptureFile[bytes]) -> tuple[int, OSError]:
    """Adds records until the disk is full; returns how many were added, and the error."""
    for added in range(ROOM):
        before = len(cf)
        try:
            cf.add_record(random.randbytes(20_000))
        except OSError as error:
            assert len(cf) == before, "a refused record must not be counted"
            return added, error
    raise AssertionError("the disk did not become full")


def check_full(error: OSError, path: Path) -> None:
    """Checks that the error has all that a program needs to know."""
    assert (error.errno, error.filename) == (errno.ENOSPC, os.fspath(path))
    assert not isinstance(error, capturefile.CaptureFileError)


# A full disk


@pytest.mark.parametrize("sync", ["full", "barrier", "none"])
@pytest.mark.parametrize("threads", [1, 4])
def test_a_full_disk_loses_no_commit_and_work_continues_after_a_rollback(
    disk: Path, sync: SyncMode, threads: int
) -> None:
    path = disk / "log.capture"
    committed = random_records(10)
    with CaptureFile(path, to_write=True, encoding=None, sync=sync, threads=threads) as cf:
        cf.add_records(committed)
        cf.set_metadata(b"10")
        cf.commit()
        filler = fill(disk, left=100_000)
        cf.set_metadata(b"never")
        check_full(add_until_full(cf)[1], path)
        for attempt in (cf.commit, lambda: cf.add_records(random_records(50))):
            with pytest.raises(OSError, match="No space left") as caught:
                attempt()
            check_full(caught.value, path)
        with CaptureFile(path, encoding=None) as reader:
            assert (list(reader), reader.get_metadata()) == (committed, b"10")
        cf.rollback()
        assert (list(cf), cf.get_metadata()) == (committed, b"10")
        cf.add_record(b"small")
        cf.commit()
        filler.unlink()
        more = random_records(20)
        cf.add_records(more)
        cf.commit()
        assert list(cf) == [*committed, b"small", *more]
    with CaptureFile(path, encoding=None) as reader:
        assert list(reader) == [*committed, b"small", *more]
    assert capturefile.verify(path).sound


@pytest.mark.parametrize("threads", [1, 4])
def test_a_transaction_that_filled_the_disk_can_be_committed_once_there_is_room(disk: Path, threads: int) -> None:
    path = disk / "log.capture"
    records = random_records(30)
    with CaptureFile(path, to_write=True, encoding=None, threads=threads) as cf:
        filler = fill(disk, left=200_000)
        added = 0
        while added < len(records):
            try:
                cf.add_record(records[added])
                added += 1
            except OSError as error:
                check_full(error, path)
                filler.unlink(missing_ok=True)
        assert not filler.exists()
        cf.commit()
        assert list(cf) == records
    assert capturefile.verify(path).sound


def test_a_batch_that_fills_the_disk_leaves_nothing(disk: Path) -> None:
    path = disk / "log.capture"
    with CaptureFile(path, to_write=True, encoding=None) as cf:
        cf.add_record(b"before")
        filler = fill(disk, left=100_000)
        too_much_to_hold_back = random_records(300)
        with pytest.raises(OSError, match="No space left") as caught:
            cf.add_records(too_much_to_hold_back)
        check_full(caught.value, path)
        assert len(cf) == 1
        with pytest.raises(OSError, match="No space left"), cf.transaction():
            cf.add_records(too_much_to_hold_back)
        assert len(cf) == 0
        filler.unlink()
        cf.add_record(b"after")
        cf.commit()
        assert list(cf) == [b"after"]


def test_after_a_full_disk_the_file_can_be_closed_and_reopened(disk: Path) -> None:
    path = disk / "log.capture"
    committed = random_records(5)
    with CaptureFile(path, to_write=True, encoding=None) as cf:
        cf.add_records(committed)
        cf.commit()
        filler = fill(disk, left=50_000)
        add_until_full(cf)
        with pytest.warns(capturefile.UncommittedWarning, match="uncommitted"):
            cf.close()
        cf.open(to_write=True)
        assert list(cf) == committed
        cf.add_record(b"small")
        cf.commit()
        filler.unlink()
        cf.add_records(committed)
        cf.commit()
        assert list(cf) == [*committed, b"small", *committed]
    assert capturefile.verify(path).sound


@pytest.mark.parametrize("replaced", [False, True])
def test_without_room_no_file_is_created_or_replaced(disk: Path, replaced: bool) -> None:
    path = disk / "log.capture"
    if replaced:
        with CaptureFile(path, to_write=True) as cf:
            cf.add_record("old")
            cf.commit()
    filler = fill(disk)
    with pytest.raises(OSError, match="No space left") as caught:
        CaptureFile(path, to_write=True, force_new_empty_file=replaced)
    check_full(caught.value, path)
    filler.unlink()
    assert list(disk.iterdir()) == ([path] if replaced else [])
    with CaptureFile(path, to_write=True) as cf:
        assert list(cf) == (["old"] if replaced else [])


# Limits and permissions


def test_a_file_size_limit_is_like_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    assert act(resource_exhaustion.write_beyond_file_limit, path) == ["OSError True True", "done"]


def test_with_a_file_size_limit_of_zero_no_file_is_created(tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    assert act(resource_exhaustion.create_beyond_file_limit, path) == ["EFBIG True", "EFBIG True", "0 files"]


@as_root
def test_a_file_without_write_permission_is_read_and_not_written(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    path = tmp_path / "log.capture"
    with CaptureFile(path, to_write=True) as cf:
        cf.add_record("first")
        cf.commit()
    path.chmod(0o644)
    refusal = "PermissionError EACCES"
    assert act(resource_exhaustion.read_only, path, tmp_path) == [
        "read works",
        f"write {refusal} {path}",
        f"replace {refusal} {path}",
        f"create {refusal} {tmp_path / 'new.capture'}",
        f"create-to-read {refusal} {tmp_path / 'new.capture'}",
    ]
    path.chmod(0o600)
    assert act(resource_exhaustion.read_only, path, tmp_path)[0] == f"read {refusal} {path}"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_on_a_read_only_file_system_is_read_and_not_written(disk: Path) -> None:
    path, new = disk / "log.capture", disk / "new.capture"
    with CaptureFile(path, to_write=True) as cf:
        cf.add_record("first")
        cf.commit()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with CaptureFile(path) as cf:
        assert list(cf) == ["first"]
        assert not cf.refresh(durable=True)
    for target in (path, new):
        with pytest.raises(OSError, match="Read-only") as caught:
            CaptureFile(target, to_write=True)
        assert (caught.value.errno, caught.value.filename) == (errno.EROFS, os.fspath(target))
    assert capturefile.verify(path).sound


def test_the_error_names_a_missing_file_or_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.capture", tmp_path / "no folder" / "none.capture"):
        with pytest.raises(FileNotFoundError) as caught:
            CaptureFile(path)
        assert caught.value.filename == os.fspath(path)
        with pytest.raises(FileNotFoundError):
            capturefile.verify(path)
    for write, replace in ((True, False), (False, True)):
        with pytest.raises(FileNotFoundError) as caught:
            CaptureFile(tmp_path / "no folder" / "none.capture", write, force_new_empty_file=replace)
        assert caught.value.filename == os.fspath(tmp_path / "no folder" / "none.capture")
    assert list(tmp_path.iterdir()) == []


def test_the_error_names_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for to_write in (False, True):
        with pytest.raises(NotADirectoryError) as caught:
            CaptureFile(tmp_path / "file" / "x.capture", to_write)
        assert caught.value.filename == os.fspath(tmp_path / "file" / "x.capture")


@as_root
def test_a_file_is_written_where_no_thread_can_be_started(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    folder = tmp_path / "of nobody"
    folder.mkdir()
    os.chown(folder, resource_exhaustion.NOBODY, resource_exhaustion.NOBODY)
    assert act(resource_exhaustion.write_without_threads, folder / "log.capture") == ["done"]


@as_root
def test_a_file_is_written_in_a_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    folder = tmp_path / "of nobody"
    folder.mkdir(mode=0o300)
    os.chown(folder, resource_exhaustion.NOBODY, resource_exhaustion.NOBODY)
    assert act(resource_exhaustion.write_unseen, folder / "log.capture") == ["record 0 record 1"]


# Memory


def test_a_record_larger_than_memory_is_a_memory_error_and_work_continues(tmp_path: Path) -> None:
    assert act(resource_exhaustion.add_beyond_memory, tmp_path / "log.capture") == ["done"]
    assert capturefile.verify(tmp_path / "log.capture").sound


def test_a_record_that_inflates_to_more_than_memory_is_a_memory_error(tmp_path: Path) -> None:
    size = 200 << 20
    builder = FileBuilder()
    start = builder.file_limit
    builder.frames += bomb(size + 4, struct.pack(">I", size))
    builder.metadata = Coordinates(start, 0)
    builder.add_child(1, builder.metadata)
    builder.add_child(1, builder.add_entry(sized(b"second")))
    builder.commit()
    builder.commit()
    path = tmp_path / "log.capture"
    path.write_bytes(builder.image())
    assert act(resource_exhaustion.read_beyond_memory, path) == ["done"]


def test_slots_larger_than_memory_are_a_memory_error(tmp_path: Path) -> None:
    path = tmp_path / "log.capture"
    path.write_bytes(encode_header(Geometry(block_size=2**32 - 4096)))
    os.truncate(path, 2**34)
    assert act(resource_exhaustion.open_beyond_memory, path) == ["MemoryError"] * 4
