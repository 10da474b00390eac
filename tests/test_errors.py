"""Every error: its class and base classes, its attributes, and a message that names the file."""

from __future__ import annotations

import copy
import errno
import os
import pickle
import shutil
import tempfile
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import capturefile
import pytest
from builder import (
    DEFAULT,
    Geometry,
    build_file,
    encode_header,
    encode_slot,
    parse,
    put_slot,
)
from capturefile import CaptureFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534
"""A user without special rights."""
OPENS: list[Callable[..., Any]] = [
    CaptureFile,
    partial(CaptureFile, to_write=True),
    partial(CaptureFile, to_write=True, force_new_empty_file=True),
    *[partial(capturefile.open, mode=mode) for mode in ("r", "a", "x", "w")],
    capturefile.verify,
]
WRITES: list[tuple[str, tuple[Any, ...]]] = [
    ("add_record", ("record",)),
    ("add_records", (["record"],)),
    ("add_records", ([],)),
    ("set_metadata", (b"metadata",)),
    ("set_metadata", (None,)),
    ("commit", ()),
    ("rollback", ()),
]
READS: list[tuple[str, tuple[Any, ...]]] = [
    ("record_at", (1,)),
    ("records_at", ([1],)),
    ("records_at", ([],)),
    ("__getitem__", (1,)),
    ("__getitem__", (-1,)),
    ("__getitem__", (slice(None),)),
    ("__iter__", ()),
    ("__reversed__", ()),
    ("record_generator", ()),
    ("record_generator", (2,)),
    ("follow", ()),
    ("follow", (1, 0)),
    ("refresh", ()),
    ("refresh", (True,)),
    ("get_metadata", ()),
    ("info", ()),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of the records "one" and "two"."""
    path = tmp_path / "log.capture"
    path.write_bytes(build_file([b"one", b"two"], b"metadata"))
    return path


def names(calls: list[tuple[str, tuple[Any, ...]]]) -> list[str]:
    """The names of the calls in a report."""
    return [f"{name}{arguments}" for name, arguments in calls]


@contextmanager
def nobody() -> Iterator[None]:
    """Runs the block without the rights of root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def folder_for_all() -> Iterator[Path]:
    """A folder that every user can reach, with a file in it."""
    folder = Path(tempfile.mkdtemp())
    (folder / "log.capture").write_bytes(build_file([b"one", b"two"]))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


# Classes


def test_the_librarys_errors_have_one_common_base() -> None:
    names = ("AlreadyOpen", "NotOpen", "NotOpenForWrite")
    classes = [getattr(capturefile, f"CaptureFile{name}") for name in names]
    classes += [capturefile.InvalidCaptureFile, capturefile.CommitUncertain]
    for one in classes:
        assert issubclass(one, capturefile.CaptureFileError)
        assert [issubclass(one, other) for other in classes].count(True) == 1
    assert capturefile.CaptureFileError.__bases__ == (Exception,)
    assert issubclass(capturefile.CommitUncertain, OSError)
    assert not issubclass(capturefile.InvalidCaptureFile, (OSError, ValueError))


def test_an_uncertain_commit_is_a_complete_os_error() -> None:
    error = capturefile.CommitUncertain(errno.EIO, "it may have happened", "log.capture")
    assert (error.errno, error.strerror, error.filename) == (errno.EIO, "it may have happened", "log.capture")
    assert "it may have happened" in str(error)
    with pytest.raises(OSError, match=r"log\.capture"):
        raise error


def test_errors_can_be_pickled_and_copied(path: Path) -> None:
    calls: list[Callable[[], Any]] = [
        partial(CaptureFile, path.parent / "missing"),
        partial(CaptureFile(path).record_at, 3),
        partial(CaptureFile(path).add_record, b""),
    ]
    for call in calls:
        with pytest.raises(Exception, match=r"capture|missing") as caught:
            call()
        for other in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
            assert (type(other), str(other)) == (type(caught.value), str(caught.value))


# Closed objects and readers


@pytest.mark.parametrize(("name", "arguments"), READS + WRITES, ids=names(READS + WRITES))
@pytest.mark.parametrize("to_write", [True, False])
def test_a_closed_object_is_not_open(path: Path, to_write: bool, name: str, arguments: tuple[Any, ...]) -> None:
    cf = CaptureFile(path, to_write)
    cf.close()
    with pytest.raises(capturefile.CaptureFileNotOpen, match=r"log\.capture.* not open"):
        getattr(cf, name)(*arguments)
    cf.open()
    assert cf[:] == ["one", "two"]
    cf.close()


@pytest.mark.parametrize(("name", "arguments"), WRITES, ids=names(WRITES))
def test_a_reader_is_not_open_for_write(path: Path, name: str, arguments: tuple[Any, ...]) -> None:
    before = path.read_bytes()
    with CaptureFile(path) as cf:
        with pytest.raises(capturefile.CaptureFileNotOpenForWrite, match=r"log\.capture.* open for reading"):
            getattr(cf, name)(*arguments)
        assert (cf[:], cf.get_metadata()) == (["one", "two"], b"metadata")
    assert path.read_bytes() == before


@pytest.mark.parametrize(("name", "arguments"), READS, ids=names(READS))
@pytest.mark.parametrize("to_write", [True, False])
def test_an_open_object_raises_none_of_these_errors(
    path: Path, to_write: bool, name: str, arguments: tuple[Any, ...]
) -> None:
    with CaptureFile(path, to_write) as cf:
        getattr(cf, name)(*arguments)


# The operating system's errors


@pytest.mark.parametrize("opens", OPENS, ids=str)
def test_a_missing_folder_is_a_file_not_found_error(tmp_path: Path, opens: Callable[..., Any]) -> None:
    path = tmp_path / "missing" / "log.capture"
    with pytest.raises(FileNotFoundError) as caught:
        opens(path)
    error = caught.value
    assert (error.errno, error.filename, error.strerror) == (errno.ENOENT, str(path), os.strerror(errno.ENOENT))


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("log.capture/below a file", errno.ENOTDIR),
        ("folder", errno.EISDIR),
        ("n" * 256, errno.ENAMETOOLONG),
        ("loop", errno.ELOOP),
        ("", errno.EISDIR),
    ],
)
@pytest.mark.parametrize("opens", OPENS, ids=str)
def test_the_systems_errors_keep_their_number_and_name_the_path(
    path: Path, opens: Callable[..., Any], name: str, number: int
) -> None:
    if opens is OPENS[5] and number == errno.EISDIR:
        number = errno.EEXIST
    (path.parent / "folder").mkdir()
    (path.parent / "loop").symlink_to("loop")
    wanted = path.parent / name
    before = sorted(path.parent.iterdir())
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        opens(wanted)
    assert (caught.value.errno, caught.value.filename) == (number, str(wanted))
    assert sorted(path.parent.iterdir()) == before


@pytest.mark.parametrize("opens", OPENS, ids=str)
def test_a_path_with_a_nul_is_a_value_error_as_for_open(opens: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"log.*null?|log.*NUL"):
        opens("log\0.capture")


@pytest.mark.parametrize("opens", OPENS, ids=str)
@pytest.mark.parametrize("path", ["", Path()])
def test_an_empty_path_is_an_error(opens: Callable[..., Any], path: Path | str) -> None:
    with pytest.raises(OSError, match=r"No such file|directory|exists"):
        opens(path)


def test_a_file_without_permission_is_a_permission_error(folder_for_all: Path) -> None:
    path = folder_for_all / "log.capture"
    path.chmod(0o600)
    with nobody():
        for opens in (CaptureFile, partial(CaptureFile, to_write=True), capturefile.verify):
            with pytest.raises(PermissionError) as caught:
                opens(path)
            assert (caught.value.errno, caught.value.filename) == (errno.EACCES, str(path))


def test_a_file_with_read_permission_only_is_read_and_not_written(folder_for_all: Path) -> None:
    path = folder_for_all / "log.capture"
    path.chmod(0o444)
    with nobody():
        with CaptureFile(path) as cf:
            assert cf[:] == ["one", "two"]
            cf.close()
            with pytest.raises(PermissionError):
                cf.open(to_write=True)
        assert capturefile.verify(path).sound
        for opens in (partial(CaptureFile, to_write=True), partial(CaptureFile, force_new_empty_file=True)):
            with pytest.raises(PermissionError) as caught:
                opens(path)
            assert caught.value.filename == str(path)


def test_a_folder_without_permission_is_a_permission_error(folder_for_all: Path) -> None:
    path = folder_for_all / "new"
    with nobody():
        for opens in (partial(CaptureFile, to_write=True), *(partial(capturefile.open, mode=mode) for mode in "axw")):
            with pytest.raises(PermissionError) as caught:
                opens(path)
            assert (caught.value.errno, caught.value.filename) == (errno.EACCES, str(path))
    assert [each.name for each in folder_for_all.iterdir()] == ["log.capture"]


def test_a_missing_file_is_the_same_error_as_from_open(tmp_path: Path) -> None:
    path = tmp_path / "new\nline"
    with pytest.raises(FileNotFoundError) as expected:
        path.open("rb")
    for opens in (CaptureFile, capturefile.open, capturefile.verify):
        with pytest.raises(FileNotFoundError) as caught:
            opens(path)
        assert str(caught.value) == str(expected.value)
        assert caught.value.args == expected.value.args


# Files that are not capture files


def damaged_slots(data: bytes) -> bytes:
    """The same file with both checksums wrong."""
    for parity in (0, 1):
        data = put_slot(data, encode_slot(parse(data).current, wrong_crc=True), parity)
    return data


SOUND = build_file([b"one", b"two"])
INVALID = {
    "text": (b"This is not a capture file.\n", "This is not"),
    "zeros": (bytes(500_000), "MioCapture"),
    "only the magic": (b"MioCapture\0", "11 bytes"),
    "only a header": (encode_header(DEFAULT), "4096 bytes"),
    "cut inside the slots": (SOUND[: DEFAULT.data_start - 1], f"{DEFAULT.data_start - 1} bytes"),
    "a later version": (
        encode_header(Geometry(version=4)) + SOUND[4096:],
        "found format version 4, expected a version from 1 to 3",
    ),
    "version 0": (encode_header(Geometry(version=0)) + SOUND[4096:], "version 0"),
    "a fan-out of 1": (encode_header(Geometry(fan_out=1)) + SOUND[4096:], "fan-out 1"),
    "a block that is not a multiple of a page": (encode_header(Geometry(block_size=5000)) + SOUND[4096:], "5000"),
    "committed data cut off": (build_file([os.urandom(100_000)])[: DEFAULT.data_start + 5000], "truncated"),
}


@pytest.mark.parametrize(("content", "found"), INVALID.values(), ids=INVALID)
def test_the_error_for_an_invalid_file_says_what_was_found_and_expected(path: Path, content: bytes, found: str) -> None:
    path.write_bytes(content)
    for opens in (CaptureFile, partial(CaptureFile, to_write=True), partial(capturefile.open, mode="a")):
        with pytest.raises(capturefile.InvalidCaptureFile, match=r"log\.capture.*found .*expected ") as caught:
            opens(path)
        assert found in str(caught.value)
    with suppress(capturefile.InvalidCaptureFile):
        assert not capturefile.verify(path).sound
    assert path.read_bytes() == content
    with pytest.raises(FileExistsError):
        capturefile.open(path, "x")


def test_an_error_in_a_refresh_keeps_the_previous_state(path: Path) -> None:
    with CaptureFile(path) as cf:
        path.write_bytes(damaged_slots(SOUND))
        with pytest.raises(capturefile.InvalidCaptureFile, match=r"log\.capture.*at byte 4096: found checksum"):
            cf.refresh()
        assert (cf[:], cf.get_metadata(), cf.closed) == (["one", "two"], b"metadata", False)
        path.write_bytes(build_file([b"one", b"two", b"three"], b"new", serial=3))
        assert (cf.refresh(), cf[:], cf.get_metadata()) == (True, ["one", "two", "three"], b"new")


def test_a_file_replaced_by_an_older_state_is_an_error(path: Path) -> None:
    with CaptureFile(path) as cf:
        path.write_bytes(build_file([b"other"], serial=4))
        with pytest.raises(capturefile.InvalidCaptureFile, match=r"log\.capture.*older"):
            cf.refresh()
        assert (len(cf), cf[:]) == (2, ["one", "two"])


def test_following_without_an_event_loop_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"requires a running event loop of asyncio.*in a thread"):
        capturefile.aio.follow(tmp_path / "log.capture").__anext__().send(None)
