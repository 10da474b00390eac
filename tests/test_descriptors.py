"""Few descriptors, low descriptors, and files that have only a descriptor."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import capturefile
import descriptor_scenarios
import pytest
from capturefile import CaptureFile
from command import make, noise
from files import committed, write
from processes import act

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("both_formats")


def test_no_file_gets_the_descriptor_of_a_closed_standard_stream(tmp_path: Path) -> None:
    write(tmp_path / "full.capture", "one")
    assert act(descriptor_scenarios.open_without_standard_streams, tmp_path) == ["taken"]


@pytest.mark.parametrize(("free", "said"), [(0, "EMFILE"), (1, "EMFILE"), (2, "EMFILE"), (3, "opened")])
def test_a_lack_of_descriptors_is_reported_as_such(full: Path, free: int, said: str) -> None:
    assert act(descriptor_scenarios.write_with_free_descriptors, full, free) == [said]
    assert committed(full) == [b"one", b"two"]


def test_a_file_longer_than_the_free_address_space_is_read(path: Path) -> None:
    make(path, noise(3000))
    os.truncate(path, 16 << 30)
    assert act(descriptor_scenarios.read_with_few_addresses, path, 8 << 30) == ["3000"]


# Files by the number of a descriptor


@contextmanager
def _removed(full: Path) -> Iterator[int]:
    descriptor = os.open(full, os.O_RDWR)
    full.unlink()
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _renamed(full: Path) -> Iterator[int]:
    with _removed(full) as descriptor:
        # The name that the system reports for a removed file can be the name of another file.
        full.with_name(f"{full.name} (deleted)").write_bytes(b"another program's")
        yield descriptor


@contextmanager
def _in_memory(full: Path) -> Iterator[int]:
    descriptor = os.memfd_create("log.capture")
    try:
        os.write(descriptor, full.read_bytes())
        full.unlink()
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _existing(full: Path) -> Iterator[int]:
    descriptor = os.open(full, os.O_RDWR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


WAYS = [_removed, _renamed, _in_memory, _existing]


@pytest.mark.parametrize("folder", ["/proc/self/fd", "/dev/fd"])
@pytest.mark.parametrize("way", WAYS)
def test_a_file_is_written_through_the_number_of_its_descriptor(
    way: Callable[[Path], Iterator[int]], folder: str, full: Path, tmp_path: Path
) -> None:
    with way(full) as descriptor:  # type: ignore[attr-defined]
        names = set(tmp_path.iterdir())
        path = f"{folder}/{descriptor}"
        with CaptureFile(path, True) as cf:
            assert list(cf) == ["one", "two"]
            cf.add_record("three")
            cf.commit()
            with pytest.raises(capturefile.CaptureFileAlreadyOpen):
                CaptureFile(path, True)
        with CaptureFile(path) as cf:
            assert list(cf) == ["one", "two", "three"]
        assert set(tmp_path.iterdir()) == names


def test_an_empty_file_in_memory_becomes_a_capture_file() -> None:
    descriptor = os.memfd_create("log.capture")
    try:
        with capturefile.open(f"/proc/self/fd/{descriptor}", "a") as cf:
            cf.add_record("one")
            cf.commit()
        with capturefile.open(f"/proc/self/fd/{descriptor}") as cf:
            assert list(cf) == ["one"]
    finally:
        os.close(descriptor)


def test_a_file_that_has_only_a_descriptor_is_not_created_or_replaced(full: Path, tmp_path: Path) -> None:
    with _removed(full) as descriptor:
        path = f"/proc/self/fd/{descriptor}"
        with pytest.raises(FileExistsError):
            capturefile.open(path, "x")
        with pytest.raises(OSError, match="without a name"):
            capturefile.open(path, "w")
        with CaptureFile(path) as cf:
            assert list(cf) == ["one", "two"]
    assert list(tmp_path.iterdir()) == []
