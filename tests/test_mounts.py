"""Capture files on real mounts that behave unlike a plain disk: those of containers, of images, and in user space."""

from __future__ import annotations

import errno
import mmap
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

import capturefile
import mounts
import pytest
from capturefile import CaptureFile, CommitUncertain, checkpoint
from capturefile._files import sync_path
from capturefile.rotating import RotatingWriter
from command import DATA_START, make, noise
from files import committed
from fuse_server import Switches
from rotating_logs import check, numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

Mounted = TypeVar("Mounted")
COUNT = 3000
"""Records in a file; some are in compressed blocks, some are not compressed yet."""


class Mount(Protocol):
    """The type of the fixture `mount`."""

    def __call__(self, mount: AbstractContextManager[Mounted]) -> Mounted:
        """Enters the context manager of a mount."""
        ...


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts one of the file systems of `mounts.py` until the test ends; skips the test if that is impossible."""
    with ExitStack() as stack:

        def enter(mount: AbstractContextManager[Mounted]) -> Mounted:
            try:
                return stack.enter_context(mount)
            except mounts.Impossible as reason:
                pytest.skip(str(reason))

        yield enter


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a file `log.capture` of `COUNT` records that do not compress."""
    folder = tmp_path / "files"
    folder.mkdir()
    make(folder / "log.capture", noise(COUNT))
    return folder


def append(path: Path, records: list[bytes]) -> None:
    """Appends records in one commit."""
    with CaptureFile(path, True, encoding=None) as cf:
        cf.add_records(records)
        cf.commit()


def add(path: Path, count: int) -> None:
    """Appends records, each in its own commit, and reads them with the object that wrote them."""
    with CaptureFile(path, True, encoding=None) as cf:
        for record in noise(count):
            cf.add_record(record)
            cf.commit()
        assert cf[-count:] == noise(count)


@pytest.mark.usefixtures("both_formats")
@pytest.mark.parametrize("kind", mounts.IMAGES)
def test_a_file_in_a_read_only_image_can_be_read_and_not_written(
    kind: str, files: Path, tmp_path: Path, mount: Mount
) -> None:
    root = mount(mounts.image(tmp_path, kind, files))
    assert committed(root / "log.capture") == noise(COUNT)
    with pytest.raises(OSError, match="Read-only file system"):
        CaptureFile(root / "log.capture", True)


@pytest.mark.usefixtures("both_formats")
def test_a_file_of_a_containers_image_is_copied_up_and_written(files: Path, tmp_path: Path, mount: Mount) -> None:
    overlay = mount(mounts.overlay(tmp_path, files))
    assert committed(overlay.root / "log.capture") == noise(COUNT)
    add(overlay.root / "log.capture", 20)
    assert (
        committed(overlay.root / "log.capture") == committed(overlay.upper / "log.capture") == noise(COUNT) + noise(20)
    )
    assert committed(overlay.lower / "log.capture") == noise(COUNT)


@pytest.mark.usefixtures("both_formats")
@pytest.mark.parametrize("seconds", [0, 1000])
def test_a_file_on_fuse_is_written_read_and_renamed(seconds: int, tmp_path: Path, mount: Mount) -> None:
    fuse = mount(mounts.fuse(tmp_path, Switches(attribute_seconds=seconds)))
    path = fuse.root / "log.capture"
    make(path, noise(COUNT))
    add(path, 20)
    (fuse.root / "folder").mkdir()
    path.rename(fuse.root / "folder" / "other.capture")
    assert committed(fuse.root / "folder" / "other.capture") == noise(COUNT) + noise(20)
    assert committed(fuse.backing / "folder" / "other.capture") == noise(COUNT) + noise(20)
    assert [each.name for each in (fuse.root / "folder").iterdir()] == ["other.capture"]


def test_the_switches_of_the_fuse_server_work(files: Path, tmp_path: Path, mount: Mount) -> None:
    """Other tests here rely on these switches."""
    switches = Switches(direct_io=True, exclusive_rename=False, hard_links=False, folder_sync_error=errno.EINVAL)
    fuse = mount(mounts.fuse(tmp_path, switches))
    path = fuse.root / "file"
    path.write_bytes(bytes(8192))
    with path.open("rb") as file, pytest.raises(OSError, match="No such device"):
        mmap.mmap(file.fileno(), 8192, mmap.MAP_SHARED, mmap.PROT_READ)
    with pytest.raises(PermissionError):
        (fuse.root / "link").hardlink_to(path)
    descriptor = os.open(fuse.root, os.O_RDONLY)
    with pytest.raises(OSError, match="Invalid argument"):
        os.fsync(descriptor)
    os.close(descriptor)


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOTSUP])
def test_files_are_created_even_if_folders_cannot_be_synced(tmp_path: Path, mount: Mount, error: int) -> None:
    root = mount(mounts.fuse(tmp_path, Switches(folder_sync_error=error))).root
    with RotatingWriter(root / "log") as log:
        for record in numbered(1, 3):
            log.rotate()
            log.add_record(record)
            log.set_metadata(record.split()[1].encode())
            log.commit()
    check(root / "log", 3)
    first = root / "log" / "00000000000000000001.capture"
    with checkpoint.consume_at_least_once(first, root / "cursor") as consumer:
        assert list(consumer) == [["record 1"]]
    sync_path(root)
    with pytest.raises(FileNotFoundError):
        sync_path(root / "missing")


@pytest.mark.usefixtures("both_formats")
def test_a_full_disk_fails_a_commit_and_keeps_earlier_commits(tmp_path: Path, mount: Mount) -> None:
    root = mount(mounts.tmpfs(tmp_path, 4 << 20))
    path = root / "log.capture"
    make(path, noise(COUNT))
    mounts.fill(root)
    with pytest.raises(OSError, match="No space left"):
        append(path, noise(COUNT))
    assert committed(path) == noise(COUNT)


def test_a_log_and_a_consumer_continue_once_there_is_room_again(tmp_path: Path, mount: Mount) -> None:
    root = mount(mounts.tmpfs(tmp_path, 4 << 20))
    with RotatingWriter(root / "log", max_bytes=1, sync="none") as log:
        log.add_record("record 1")
        log.set_metadata(b"1")
        log.commit()
        first = log.file_name
        with checkpoint.consume_at_least_once(first, root / "cursor") as consumer:
            mounts.fill(root)
            for _ in range(3):
                with pytest.raises(OSError, match="No space left"):
                    log.add_record("record 2")
                with pytest.raises(OSError, match="No space left"):
                    list(consumer)
            assert log.file_name == first
            assert {path.name for path in root.iterdir()} == {"log", "filler"}
            (root / "filler").unlink()
            log.add_record("record 2")
            log.set_metadata(b"2")
            log.commit()
            assert log.file_name != first
            assert list(consumer) == [["record 1"]]
    check(root / "log", 2)


@pytest.mark.usefixtures("both_formats")
def test_a_full_btrfs_keeps_all_commits(tmp_path: Path, mount: Mount) -> None:
    root = mount(mounts.btrfs(tmp_path, 128 << 20))
    path = root / "log.capture"
    make(path, noise(COUNT))
    mounts.fill(root)
    assert committed(path) == noise(COUNT)


# Stale or impossible memory maps


@pytest.mark.usefixtures("both_formats")
def test_a_reader_of_a_containers_image_continues_when_the_file_is_copied_up(
    files: Path, tmp_path: Path, mount: Mount
) -> None:
    overlay = mount(mounts.overlay(tmp_path, files))
    path = overlay.root / "log.capture"
    with CaptureFile(path, encoding=None) as cf:
        follower = cf.follow(1, timeout=0)
        assert list(follower) == list(cf) == noise(COUNT)
        for count in (COUNT, 20):
            append(path, noise(count))
            assert list(follower) == noise(count)
            cf.refresh()
            assert cf[-count:] == noise(count)
        assert [bytes(each) for each in cf.read_range_buffers(1, 1)] != []


@pytest.mark.usefixtures("both_formats")
@pytest.mark.parametrize("writes", [False, True])
def test_a_file_that_cannot_be_mapped_is_read(writes: bool, tmp_path: Path, mount: Mount) -> None:
    fuse = mount(mounts.fuse(tmp_path, Switches(direct_io=True)))
    path = fuse.root / "log.capture"
    make(path, noise(COUNT))
    with CaptureFile(path, writes, encoding=None) as cf:
        assert list(cf) == noise(COUNT)
        assert list(reversed(cf))[-1] == noise(COUNT)[0]
        assert sum(block.size for block in cf.blocks()) > 0
        if writes:
            cf.add_records(noise(COUNT))
            iterator = cf.record_generator(COUNT + 1)
            first = next(iterator)
            cf.rollback()
            # Records that were rolled back stay readable for readers that have begun.
            assert [first, *iterator] == noise(COUNT)
    assert committed(path) == noise(COUNT)


@pytest.mark.usefixtures("both_formats")
@pytest.mark.parametrize("kind", mounts.IMAGES)
def test_records_in_a_read_only_image_are_durable(kind: str, files: Path, tmp_path: Path, mount: Mount) -> None:
    root = mount(mounts.image(tmp_path, kind, files))
    with CaptureFile(root / "log.capture") as cf:
        assert not cf.refresh(durable=True)


@pytest.mark.usefixtures("both_formats")
@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOTSUP])
@pytest.mark.parametrize("mode", ["x", "a", "w"])
def test_a_file_is_created_on_a_file_system_with_few_features(
    mode: Literal["x", "a", "w"], error: int, tmp_path: Path, mount: Mount
) -> None:
    switches = Switches(exclusive_rename=False, hard_links=False, folder_sync_error=error)
    fuse = mount(mounts.fuse(tmp_path, switches))
    path = fuse.root / "log.capture"
    for _ in range(1 if mode == "x" else 2):
        with capturefile.open(path, mode, initial_metadata=b"metadata") as cf:
            assert cf.get_metadata() == b"metadata"
            cf.add_record("one")
            cf.commit()
    assert committed(path) == [b"one"] * (2 if mode == "a" else 1)
    with pytest.raises(FileExistsError):
        capturefile.open(path, "x")
    assert [each.name for each in fuse.root.iterdir()] == ["log.capture"]


def cached(path: Path, image: bytes | bytearray) -> int:
    """Writes a file without the kernel's knowledge and makes the kernel cache it; returns a descriptor of the file."""
    (path.parent.parent / "backing" / path.name).write_bytes(image)
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    assert os.pread(descriptor, DATA_START, 0) == image[:DATA_START]
    return descriptor


READ_ON: dict[str, Callable[[CaptureFile[bytes]], list[bytes]]] = {
    "refresh": lambda cf: cf[:] if cf.refresh() else [],
    "follow": lambda cf: list(cf.follow(1, timeout=0)),
    "open": lambda cf: committed(Path(cf.file_name)),
}


@pytest.mark.parametrize("read_on", READ_ON)
@pytest.mark.parametrize("torn", ["A", "AB"])
@pytest.mark.parametrize("held_by", ["cache", "map"])
def test_slots_that_were_cached_half_written_are_not_damage(
    held_by: str, torn: str, read_on: str, tmp_path: Path, mount: Mount
) -> None:
    """Neither is an outdated length that the kernel has cached."""
    switches = Switches(attribute_seconds=1000, keep_cache=held_by == "cache", read_only=True)
    fuse = mount(mounts.fuse(tmp_path, switches))
    path, backing = fuse.root / "log.capture", fuse.backing / "log.capture"
    records = noise(10)
    make(backing, records)
    with CaptureFile(path, encoding=None) as cf, ExitStack() as stack:
        length = path.stat().st_size
        for count in (3 * COUNT, 10):
            append(backing, noise(count))
            records += noise(count)
        whole = backing.read_bytes()
        assert len(whole) > path.stat().st_size == length
        half_written = bytearray(whole)
        for slot in torn:
            start = 4096 if slot == "A" else 4096 + 40_960
            half_written[start + 100 : start + 200] = bytes(100)
        descriptor = cached(path, half_written)
        stack.callback(os.close, descriptor)
        backing.write_bytes(whole)
        assert os.pread(descriptor, DATA_START, 0) == half_written[:DATA_START]
        if held_by == "map":
            held = stack.enter_context(mmap.mmap(descriptor, DATA_START, mmap.MAP_SHARED, mmap.PROT_READ))
            assert held[:] == half_written[:DATA_START]
        assert READ_ON[read_on](cf) == records


# Full disks


@pytest.mark.usefixtures("both_formats")
def test_a_commit_to_a_full_btrfs_can_be_retried_or_rolled_back(tmp_path: Path, mount: Mount) -> None:
    root = mount(mounts.btrfs(tmp_path, 128 << 20))
    path = root / "log.capture"
    make(path, noise(COUNT))
    with CaptureFile(path, True, encoding=None) as cf:
        filler = mounts.fill(root)
        for record in (b"rolled back", b"kept"):
            cf.add_record(record)
            with pytest.raises(OSError, match="No space left") as caught:
                cf.commit()
            assert not isinstance(caught.value, CommitUncertain)
            if record == b"rolled back":
                cf.rollback()
        filler.unlink()
        # The space becomes free with the next transaction of the file system.
        os.sync()
        cf.commit()
    assert committed(path) == [*noise(COUNT), b"kept"]
