"""Capture files on real mounts that behave unlike a plain disk: those of containers, of images, and in user space."""

from __future__ import annotations

import errno
import mmap
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol, TypeVar

import mounts
import pytest
from capturefile import CaptureFile
from capturefile._files import sync_path
from command import make, noise
from files import committed
from fuse_server import Switches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

Mounted = TypeVar("Mounted")
COUNT = 3000
"""Records in a file, which has some compressed blocks and some that wait to be compressed."""


class Mount(Protocol):
    """What the fixture `mount` gives."""

    def __call__(self, mount: AbstractContextManager[Mounted]) -> Mounted:
        """Enters a mount."""
        ...


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Enters one of the mounts of `mounts.py` until the test ends; skips the test where that is impossible."""
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
    """Appends records in as many commits, and reads them with the object that wrote them."""
    with CaptureFile(path, True, encoding=None) as cf:
        for record in noise(count):
            cf.add_record(record)
            cf.commit()
        assert cf[-count:] == noise(count)


@pytest.mark.parametrize("kind", mounts.IMAGES)
def test_a_file_in_a_read_only_image_is_read_and_not_written(
    kind: str, files: Path, tmp_path: Path, mount: Mount
) -> None:
    root = mount(mounts.image(tmp_path, kind, files))
    assert committed(root / "log.capture") == noise(COUNT)
    with pytest.raises(OSError, match="Read-only file system"):
        CaptureFile(root / "log.capture", True)


def test_a_file_of_a_containers_image_is_copied_up_and_written(files: Path, tmp_path: Path, mount: Mount) -> None:
    overlay = mount(mounts.overlay(tmp_path, files))
    assert committed(overlay.root / "log.capture") == noise(COUNT)
    add(overlay.root / "log.capture", 20)
    assert (
        committed(overlay.root / "log.capture") == committed(overlay.upper / "log.capture") == noise(COUNT) + noise(20)
    )
    assert committed(overlay.lower / "log.capture") == noise(COUNT)


@pytest.mark.parametrize("seconds", [0, 1000])
def test_a_file_in_user_space_is_written_read_and_renamed(seconds: int, tmp_path: Path, mount: Mount) -> None:
    fuse = mount(mounts.fuse(tmp_path, Switches(attribute_seconds=seconds)))
    path = fuse.root / "log.capture"
    make(path, noise(COUNT))
    add(path, 20)
    (fuse.root / "folder").mkdir()
    path.rename(fuse.root / "folder" / "other.capture")
    assert committed(fuse.root / "folder" / "other.capture") == noise(COUNT) + noise(20)
    assert committed(fuse.backing / "folder" / "other.capture") == noise(COUNT) + noise(20)
    assert [each.name for each in (fuse.root / "folder").iterdir()] == ["other.capture"]


def test_a_file_in_user_space_lacks_what_is_switched_off(files: Path, tmp_path: Path, mount: Mount) -> None:
    """Sees that the switches do something, on which other tests here rely."""
    switches = Switches(direct_io=True, exclusive_rename=False, hard_links=False, folder_sync_error=errno.EINVAL)
    fuse = mount(mounts.fuse(tmp_path, switches))
    path = fuse.root / "file"
    path.write_bytes(bytes(8192))
    with path.open("rb") as file, pytest.raises(OSError, match="No such device"):
        mmap.mmap(file.fileno(), 8192, mmap.MAP_SHARED, mmap.PROT_READ)
    with pytest.raises(PermissionError):
        (fuse.root / "link").hardlink_to(path)
    with pytest.raises(OSError, match="Invalid argument"):
        sync_path(fuse.root)


def test_a_full_disk_fails_a_commit_and_keeps_those_before(tmp_path: Path, mount: Mount) -> None:
    root = mount(mounts.tmpfs(tmp_path, 4 << 20))
    path = root / "log.capture"
    make(path, noise(COUNT))
    mounts.fill(root)
    with pytest.raises(OSError, match="No space left"):
        append(path, noise(COUNT))
    assert committed(path) == noise(COUNT)


def test_a_full_btrfs_keeps_what_was_committed(tmp_path: Path, mount: Mount) -> None:
    root = mount(mounts.btrfs(tmp_path, 128 << 20))
    path = root / "log.capture"
    make(path, noise(COUNT))
    mounts.fill(root)
    assert committed(path) == noise(COUNT)
