"""How files are opened, created, replaced and closed."""

from __future__ import annotations

import gc
import io
import os
import pickle
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import capturefile
import pytest
from builder import Geometry, parse
from capturefile import CaptureFile
from files import write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READS: list[Callable[..., Any]] = [capturefile.open, CaptureFile]
CREATES = [
    pytest.param(lambda path, **options: CaptureFile(path, True, **options), id="to_write"),
    pytest.param(lambda path, **options: CaptureFile(path, force_new_empty_file=True, **options), id="force_new"),
    *[
        pytest.param(lambda path, mode=mode, **options: capturefile.open(path, mode, **options), id=mode)
        for mode in ("a", "x", "w")
    ],
]
NAMES = ["plain", "with space", "new\nline", "Grüße", "日本語", "\N{GRINNING FACE}", "-", "*", '"quoted"', "n" * 255]


def contents(path: Path | str) -> list[str]:
    """All records."""
    with CaptureFile(path) as cf:
        return list(cf)


def names(folder: Path) -> list[str]:
    """The names in a folder."""
    return [each.name for each in folder.iterdir()]


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Sets the process's file creation mask for a while."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


class CustomPath:
    """An object with only the protocol of paths."""

    def __init__(self, path: str | bytes) -> None:
        self.path = path

    def __fspath__(self) -> str | bytes:
        return self.path


# Paths


@pytest.mark.parametrize("kind", [str, Path, lambda path: CustomPath(os.fspath(path))])
def test_a_path_can_be_text_or_a_path_like_object(path: Path, kind: Callable[[Path], Any]) -> None:
    with CaptureFile(kind(path), True) as cf:
        assert cf.file_name == os.fspath(path)
    for opens in READS:
        opens(kind(path)).close()
    assert capturefile.verify(kind(path)).sound


@pytest.mark.parametrize("wrong", [b"bytes", CustomPath(b"bytes"), 3, None, io.BytesIO()])
def test_anything_else_is_refused_as_a_path(wrong: Any) -> None:  # noqa: ANN401
    for call in (CaptureFile, capturefile.open, capturefile.verify):
        with pytest.raises(TypeError):
            call(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(path, "record")
    with CaptureFile(path) as cf:
        assert (cf.file_name, list(cf)) == (os.fspath(path), ["record"])
        assert list(pickle.loads(pickle.dumps(cf))) == ["record"]
    assert names(tmp_path) == [name]


def test_a_name_need_not_be_text(tmp_path: Path) -> None:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9"))
    write(path, "record")
    with CaptureFile(path) as cf:
        assert cf.file_name == os.fspath(path)
        assert Path(cf.file_name).exists()
        assert "caf\\udce9" in str(cf)
        assert list(pickle.loads(pickle.dumps(cf))) == ["record"]
    assert names(tmp_path) == [path.name]


def test_a_relative_path_is_relative_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with CaptureFile(full.name) as cf:
        copied = pickle.dumps(cf)
        assert (cf.file_name, cf[1]) == (full.name, "one")
    monkeypatch.chdir("/")
    assert list(pickle.loads(copied)) == ["one", "two"]


# Reading and creating


@pytest.mark.parametrize("opens", READS)
def test_files_are_opened_for_reading_by_default(full: Path, opens: Callable[..., CaptureFile]) -> None:
    with opens(full) as cf:
        assert (type(cf), cf.to_write, cf.closed, list(cf)) == (CaptureFile, False, False, ["one", "two"])


@pytest.mark.parametrize("opens", READS)
def test_reading_creates_nothing(path: Path, opens: Callable[..., CaptureFile]) -> None:
    with pytest.raises(FileNotFoundError):
        opens(path)
    assert names(path.parent) == []


@pytest.mark.parametrize("creates", CREATES)
def test_a_new_file_is_empty_complete_and_alone_in_its_folder(path: Path, creates: Any) -> None:  # noqa: ANN401
    with creates(path) as cf:
        assert (len(cf), list(cf), cf.get_metadata()) == (0, [], None)
        assert names(path.parent) == [path.name]
        parsed = parse(path.read_bytes())
        assert (parsed.geometry, parsed.current.serial, parsed.record_count) == (Geometry(), 2, 0)
        assert path.stat().st_size == Geometry().new_length


@pytest.mark.parametrize("creates", CREATES)
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0, 0o666)])
def test_a_new_file_has_the_mode_that_the_umask_allows(path: Path, creates: Any, mask: int, mode: int) -> None:  # noqa: ANN401
    with umask(mask):
        creates(path).close()
    assert path.stat().st_mode & 0o7777 == mode


@pytest.mark.parametrize("creates", CREATES)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_initial_metadata_is_the_metadata_of_the_new_file(path: Path, creates: Any, kind: Any) -> None:  # noqa: ANN401
    creates(path, initial_metadata=kind(b"first")).close()
    with CaptureFile(path) as cf:
        assert (cf.get_metadata(), len(cf)) == (b"first", 0)
    assert [slot and parse(path.read_bytes()).entry(slot.metadata) for slot in parse(path.read_bytes()).slots] == [
        b"first"
    ] * 2


@pytest.mark.parametrize("size", [0, 1, 32763, 32764, 32765, 5_000_000])
@pytest.mark.parametrize("block_size", [0, 4096, 32768, 2**20, 2**24])
def test_initial_metadata_of_any_size_is_kept_with_any_block_size(path: Path, size: int, block_size: int) -> None:
    metadata = os.urandom(size)
    CaptureFile(path, True, metadata, compression_block_size=block_size).close()
    with CaptureFile(path, True) as cf:
        assert cf.get_metadata() == metadata
        cf.add_record("record")
        cf.commit()
    with CaptureFile(path) as cf:
        assert (cf.get_metadata(), cf[1], cf.info().block_size) == (metadata, "record", block_size)
    assert capturefile.verify(path).sound


@pytest.mark.parametrize("mode", ["r", "a"])
def test_initial_metadata_is_ignored_for_an_existing_file(full: Path, mode: Literal["r", "a"]) -> None:
    with capturefile.open(full, mode, initial_metadata=b"other") as cf:
        assert cf.get_metadata() == b"metadata"


def test_writing_appends_to_the_existing_records(full: Path) -> None:
    write(full, "three", metadata=b"ignored")
    with capturefile.open(full, "a") as cf:
        assert (cf.add_record("four"), cf.get_metadata()) == (4, b"metadata")
        cf.commit()
    assert contents(full) == ["one", "two", "three", "four"]


def test_an_existing_file_keeps_its_block_size(path: Path) -> None:
    CaptureFile(path, True, compression_block_size=8192).close()
    for other_size in (32768, 4096, 0):
        with CaptureFile(path, True, compression_block_size=other_size) as cf:
            assert cf.info().block_size == 8192


# Replacing


@pytest.mark.parametrize("mode", ["w", "force"])
def test_readers_of_a_replaced_file_keep_the_old_one(full: Path, mode: str) -> None:
    old = CaptureFile(full)
    iterator = iter(old)
    new = capturefile.open(full, "w") if mode == "w" else CaptureFile(full, True, force_new_empty_file=True)
    assert (len(new), new.get_metadata(), contents(full)) == (0, None, [])
    new.add_record("new")
    new.commit()
    assert (list(old), list(iterator), old.get_metadata()) == (["one", "two"], ["one", "two"], b"metadata")
    assert old.refresh() is False
    assert contents(full) == ["new"]
    assert names(full.parent) == [full.name]
    old.close()
    new.close()


def test_a_file_can_be_replaced_for_reading(full: Path) -> None:
    with CaptureFile(full, force_new_empty_file=True, initial_metadata=b"new") as cf:
        assert (cf.to_write, len(cf), cf.get_metadata()) == (False, 0, b"new")
        with pytest.raises(capturefile.CaptureFileNotOpenForWrite):
            cf.add_record("refused")
        write(full, "by another")


def test_replacing_accepts_any_existing_content(path: Path) -> None:
    path.write_bytes(b"no capture file")
    with capturefile.open(path, "w") as cf:
        assert cf.add_record("record") == 1
        cf.commit()
    assert contents(path) == ["record"]


def test_a_file_open_for_writing_is_not_replaced(full: Path) -> None:
    before = full.read_bytes()
    with CaptureFile(full, True) as writer:
        for force in (True, False):
            with pytest.raises(capturefile.CaptureFileAlreadyOpen, match=full.name):
                CaptureFile(full, force, force_new_empty_file=True)
        with pytest.raises(capturefile.CaptureFileAlreadyOpen, match=full.name):
            capturefile.open(full, "w")
        assert full.read_bytes() == before
        writer.add_record("three")
        writer.commit()
    assert contents(full) == ["one", "two", "three"]
    assert names(full.parent) == [full.name]


@pytest.mark.parametrize("mode", ["a", "w"])
def test_a_link_stays_a_link(full: Path, mode: Literal["a", "w"]) -> None:
    folder = full.parent / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(f"../{full.name}")
    (full.parent / "link to link").symlink_to("folder/link")
    with capturefile.open(full.parent / "link to link", mode) as cf:
        cf.add_record("new")
        cf.commit()
    assert (folder / "link").readlink() == Path(f"../{full.name}")
    assert contents(full) == (["one", "two", "new"] if mode == "a" else ["new"])
    assert names(folder) == ["link"]


@pytest.mark.parametrize("mode", ["a", "w"])
def test_a_file_is_created_where_a_link_points(path: Path, mode: Literal["a", "w"]) -> None:
    (path.parent / "link").symlink_to(path.name)
    capturefile.open(path.parent / "link", mode).close()
    assert (path.parent / "link").is_symlink()
    assert contents(path) == []


def test_creating_refuses_an_existing_file(full: Path) -> None:
    before = full.read_bytes()
    with pytest.raises(FileExistsError) as error:
        capturefile.open(full, "x")
    assert error.value.filename == os.fspath(full)
    assert full.read_bytes() == before
    assert names(full.parent) == [full.name]


@pytest.mark.parametrize("mode", ["", "rb", "r+", "ax", "R", "write"])
def test_other_modes_are_refused(path: Path, mode: str) -> None:
    with pytest.raises(ValueError, match=f"'r', 'a', 'x' or 'w', not \"{mode}\"".replace("+", r"\+")):
        capturefile.open(path, mode)  # type: ignore[call-overload]
    assert not path.exists()


# Closing and reopening


def test_closing_can_be_repeated(full: Path) -> None:
    cf = CaptureFile(full, True)
    assert cf.closed is False
    for _ in range(3):
        assert cf.close() is None  # type: ignore[func-returns-value]
        assert cf.closed is True
    CaptureFile(full, True).close()


def test_a_with_block_closes_and_propagates_errors(full: Path) -> None:
    with pytest.raises(ZeroDivisionError), CaptureFile(full, True) as cf:
        _ = 1 / 0
    assert cf.closed
    cf.open()
    with cf as same:
        assert same is cf
    assert cf.closed


def test_an_object_is_reopened_for_reading_or_writing_with_its_settings(full: Path) -> None:
    cf = CaptureFile(full, True, encoding="latin-1", cache_size=0)
    cf.close()
    cf.open()
    assert (cf.to_write, cf.encoding, cf[1]) == (False, "latin-1", "one")
    cf.close()
    cf.open(to_write=True)
    assert (cf.to_write, cf.add_record("\xff")) == (True, 3)
    cf.commit()
    cf.close()
    with CaptureFile(full, encoding=None) as other:
        assert other[3] == b"\xff"


def test_an_open_object_cannot_be_reopened(full: Path) -> None:
    for to_write in (True, False):
        with CaptureFile(full, to_write) as cf:
            for again in (True, False):
                with pytest.raises(capturefile.CaptureFileAlreadyOpen, match=full.name):
                    cf.open(again)
            assert (cf.to_write, cf[1]) == (to_write, "one")


def test_reopening_creates_nothing(full: Path) -> None:
    cf = CaptureFile(full, True)
    cf.close()
    full.unlink()
    for to_write in (True, False):
        with pytest.raises(FileNotFoundError):
            cf.open(to_write)
    assert cf.closed
    assert names(full.parent) == []


@pytest.mark.parametrize("os_locking", [True, False])
def test_a_file_has_one_writer_and_any_number_of_readers(full: Path, os_locking: bool) -> None:
    with CaptureFile(full, True, use_os_file_locking=os_locking) as writer:
        readers = [CaptureFile(full) for _ in range(10)]
        for reader in readers:
            assert list(reader) == ["one", "two"]
            reader.close()
        with pytest.raises(capturefile.CaptureFileAlreadyOpen, match=rf"{full.name}.*this process"):
            CaptureFile(full, True, use_os_file_locking=os_locking)
        reader.open()
        reader.close()
        with pytest.raises(capturefile.CaptureFileAlreadyOpen):
            reader.open(to_write=True)
        writer.close()
        reader.open(to_write=True)
        reader.close()


def test_a_dropped_object_is_closed(full: Path) -> None:
    cf = CaptureFile(full, True)
    with pytest.raises(capturefile.CaptureFileAlreadyOpen):
        CaptureFile(full, True)
    del cf
    gc.collect()
    CaptureFile(full, True).close()


def test_a_dropped_object_warns_about_lost_records(full: Path) -> None:
    cf = CaptureFile(full, True)
    cf.add_record("lost")
    with pytest.warns(capturefile.UncommittedWarning, match=f"{full.name}.* 1 uncommitted"):
        del cf
    assert contents(full) == ["one", "two"]


def test_repeated_opening_leaks_no_descriptors(full: Path) -> None:
    before = len(names(Path("/proc/self/fd")))
    for number in range(200):
        CaptureFile(full, number % 2 == 0).close()
    for _ in range(50):
        iter(CaptureFile(full))
        with pytest.raises(capturefile.CaptureFileAlreadyOpen), CaptureFile(full, True):
            CaptureFile(full, True)
    gc.collect()
    assert len(names(Path("/proc/self/fd"))) == before


def test_there_is_no_warning_if_nothing_is_lost(full: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with CaptureFile(full, True) as cf:
            cf.add_record("rolled back")
            cf.rollback()
        with CaptureFile(full, True) as cf:
            cf.add_record("three")
            cf.commit()
    assert contents(full) == ["one", "two", "three"]


def test_a_file_is_reopened_after_the_process_changes_its_working_folder(
    full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(full.parent)
    with CaptureFile(full.name) as cf:
        (full.parent / "elsewhere").mkdir()
        monkeypatch.chdir("elsewhere")
        with pickle.loads(pickle.dumps(cf)) as other:
            assert list(other) == ["one", "two"]
        assert list(cf.as_sequence()) == ["one", "two"]
        assert list(cf.follow(2, timeout=0)) == ["two"]
        cf.close()
        cf.open(to_write=True)
        assert cf.add_record("three") == 3
        cf.commit()
    assert list((full.parent / "elsewhere").iterdir()) == []
