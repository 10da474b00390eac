"""A writer whose file another program truncates, removes, renames, or left empty."""

from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
import resource_exhaustion
from capturefile import CaptureFile, CaptureFileError, CaptureFileReplaced, InvalidCaptureFile, UncommittedWarning
from command import noise
from files import committed, write
from processes import act, others_may_write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SLOTS_END = 86_016
LENGTH_OF_NEW = 409_600
BLOCKS = 3000
"""Incompressible records that fill several blocks."""


def truncate_to(length: int) -> Callable[[Path], None]:
    """Truncates the file to this many bytes."""

    def truncate(path: Path) -> None:
        os.truncate(path, length)

    truncate.__name__ = f"truncate_to_{length}"
    return truncate


def truncate_and_write(path: Path) -> None:
    """Truncates the file, as `> FILE` in a shell does, and writes something else."""
    path.write_text("something else\n")


def remove(path: Path) -> None:
    """Removes the file."""
    path.unlink()


def rename_over(path: Path) -> None:
    """Renames another file to its path."""
    other = path.with_name("other")
    other.write_text("something else\n")
    other.rename(path)


def add(cf: CaptureFile[bytes], count: int) -> None:
    """Adds and commits records."""
    for record in noise(count):
        cf.add_record(record)
    cf.commit()


HARM = [
    (truncate_to(0), InvalidCaptureFile),
    (truncate_to(4096), InvalidCaptureFile),
    (truncate_to(SLOTS_END - 1), InvalidCaptureFile),
    (truncate_to(SLOTS_END), InvalidCaptureFile),
    (truncate_and_write, InvalidCaptureFile),
    (remove, CaptureFileReplaced),
    (rename_over, CaptureFileReplaced),
]


@pytest.mark.usefixtures("both_formats")
@pytest.mark.parametrize("added", [1, BLOCKS])
@pytest.mark.parametrize(("harm", "error"), HARM, ids=lambda each: getattr(each, "__name__", ""))
def test_a_writer_acknowledges_nothing_once_its_file_is_truncated_or_gone(
    harm: Callable[[Path], None], error: type[Exception], added: int, path: Path
) -> None:
    with CaptureFile(path, True, encoding=None) as cf:
        cf.add_records(noise(BLOCKS))
        cf.commit()
        harm(path)
        left = path.read_bytes() if path.exists() else None
        with pytest.raises(error, match=r"truncated|removed"):
            add(cf, added)
        for call in (cf.commit, cf.rollback, lambda: cf.add_record("more")):
            with pytest.raises(CaptureFileError, match=r"truncated|removed"):
                call()
        # The present content is not overwritten.
        assert (path.read_bytes() if path.exists() else None) == left
        with pytest.warns(UncommittedWarning):
            cf.close()
    assert (path.read_bytes() if path.exists() else None) == left


@pytest.mark.usefixtures("both_formats")
def test_closing_does_not_extend_a_truncated_file(path: Path) -> None:
    cf = CaptureFile(path, True)
    cf.add_record("one")
    cf.commit()
    os.truncate(path, 0)
    cf.close()
    assert path.stat().st_size == 0


def test_unused_room_can_be_removed_from_a_file_that_is_being_written(path: Path, both_formats: int) -> None:
    with CaptureFile(path, True, encoding=None) as cf:
        cf.add_records(noise(BLOCKS))
        cf.commit()
        limit = cf.info().file_limit
        # In format 2, the rest of the last page is in a slot.
        os.truncate(path, limit if both_formats == 3 else limit // 4096 * 4096)
        cf.add_records(noise(BLOCKS))
        cf.commit()
    assert committed(path) == noise(BLOCKS) * 2


@pytest.mark.usefixtures("both_formats")
def test_a_writer_continues_in_a_renamed_file(path: Path) -> None:
    moved = path.with_name("log.capture.1")
    with CaptureFile(path, True) as cf:
        cf.add_record("before")
        cf.commit()
        path.rename(moved)
        path.touch()
        cf.add_record("after")
        cf.commit()
    assert committed(moved) == [b"before", b"after"]
    assert path.stat().st_size == 0


@pytest.mark.usefixtures("both_formats")
def test_a_writer_continues_in_a_file_with_a_second_name(path: Path) -> None:
    other = path.with_name("other.capture")
    with CaptureFile(path, True) as cf:
        other.hardlink_to(path)
        path.unlink()
        cf.add_record("one")
        cf.commit()
    assert committed(other) == [b"one"]


# Empty files


@pytest.mark.usefixtures("both_formats")
@pytest.mark.parametrize("links", [False, True])
def test_an_empty_file_becomes_a_capture_file_and_keeps_its_inode_and_mode(
    links: bool, path: Path, tmp_path: Path
) -> None:
    path.touch(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 1235)
    before = path.stat()
    opened = path
    if links:
        opened = path.with_name("link")
        opened.symlink_to(path.name)
    names = set(tmp_path.iterdir())
    with capturefile.open(opened, "a", initial_metadata=b"metadata", compression_block_size=8192) as cf:
        assert (len(cf), cf.get_metadata(), cf.info().block_size) == (0, b"metadata", 8192)
        assert not others_may_write(path)
        cf.add_record("one")
        cf.commit()
    after = path.stat()
    assert (after.st_ino, after.st_uid, after.st_gid) == (before.st_ino, before.st_uid, before.st_gid)
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert set(tmp_path.iterdir()) == names
    assert committed(path) == [b"one"]


@pytest.mark.skipif(os.geteuid() != 0, reason="acting as another user requires root")
def test_an_empty_file_in_a_read_only_folder_becomes_a_capture_file(path: Path) -> None:
    for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
        folder.chmod(0o755)
    path.touch(0o600)
    os.chown(path, resource_exhaustion.NOBODY, resource_exhaustion.NOBODY)
    assert act(resource_exhaustion.write_unseen, path) == ["record 0 record 1"]


@pytest.mark.parametrize("opens", [lambda path: capturefile.open(path), lambda path: capturefile.verify(path)])
def test_an_empty_file_is_not_a_capture_file_for_readers(opens: Callable[[Path], Any], path: Path) -> None:
    path.touch()
    with pytest.raises(InvalidCaptureFile, match="with which every capture file starts"):
        opens(path)


@pytest.mark.usefixtures("both_formats")
def test_reopening_does_not_initialise_a_file_that_was_emptied(full: Path) -> None:
    cf = CaptureFile(full)
    cf.close()
    os.truncate(full, 0)
    with pytest.raises(InvalidCaptureFile):
        cf.open(to_write=True)
    assert full.stat().st_size == 0


@pytest.mark.usefixtures("both_formats")
def test_of_many_threads_that_find_a_file_empty_one_initialises_it(path: Path) -> None:
    path.touch()
    barrier = threading.Barrier(8)
    opened: list[CaptureFile[str]] = []
    refused: list[BaseException] = []

    def fill() -> None:
        barrier.wait()
        try:
            opened.append(capturefile.open(path, "a"))
        except BaseException as error:
            refused.append(error)

    threads = [threading.Thread(target=fill) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(error) for error in refused] == [capturefile.CaptureFileAlreadyOpen] * 7
    (cf,) = opened
    with cf:
        cf.add_record("one")
        cf.commit()
    assert committed(path) == [b"one"]


@pytest.mark.parametrize("pages", [0, 1, 11, 21])
def test_a_file_whose_creation_was_interrupted_is_completed(pages: int, path: Path) -> None:
    """The header is written last, which identifies an incomplete file."""
    capturefile.open(path, "x").close()
    made = bytearray(path.read_bytes()[: pages * 4096])
    made[:4096] = bytes(len(made[:4096]))
    path.write_bytes(made.ljust(LENGTH_OF_NEW, b"\0"))
    with capturefile.open(path, "a") as cf:
        cf.add_record("one")
        cf.commit()
    assert committed(path) == [b"one"]


@pytest.mark.parametrize("records", [["one"], []])
def test_a_file_without_its_header_is_not_mistaken_for_an_empty_one(records: list[str], path: Path) -> None:
    write(path, *records, metadata=b"metadata")
    data = bytearray(path.read_bytes().ljust(LENGTH_OF_NEW, b"\0"))
    data[:4096] = bytes(4096)
    path.write_bytes(data)
    with pytest.raises(InvalidCaptureFile):
        capturefile.open(path, "a")
    assert path.read_bytes() == data
