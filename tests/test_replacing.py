"""Files that replace others: their owner and permissions, and what is never replaced."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import capturefile
import pytest
from capturefile import checkpoint
from capturefile._files import replacing
from command import FAILED, SUCCEEDED, WRONG_USAGE, make, records_of, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Way = Callable[[Path, Path], object]

OTHER = 12_345
"""A user and a group that do not exist here."""


def command(*arguments: str | os.PathLike[str]) -> None:
    done = run(*arguments)
    assert done.returncode == SUCCEEDED, done.stderr


def replace(_: Path, target: Path) -> None:
    """Replaces a file like Dask's parts and Spark's sink."""
    with replacing(target) as new, capturefile.open(new, "w"):
        pass


def consume(source: Path, target: Path) -> None:
    with checkpoint.consume_at_least_once(source, target) as consumer:
        for _ in consumer:
            pass


def follow(source: Path, target: Path) -> None:
    command("follow", "--from", "begin", "--exit-at-end", "--cursor-file", target, source)


WAYS: dict[str, Way] = {
    "open": lambda _, target: capturefile.open(target, "w").close(),
    "recover": lambda source, target: capturefile.recover(source, target, overwrite=True),
    "replacing": replace,
    "recover_command": lambda source, target: command("recover", "--overwrite", source, target),
    "copy": lambda source, target: command("copy", "--overwrite", source, target),
    "export": lambda source, target: command("export", "--overwrite", source, target, "--format", "csv"),
}
CURSORS: dict[str, Way] = {"follow": follow, "consume": consume}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make(tmp_path / "source.capture", [b"one", b"two"])


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("way", [*WAYS, *CURSORS])
def test_a_new_file_has_the_mode_that_the_umask_allows(way: str, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.capture"
    {**WAYS, **CURSORS}[way](source, target)
    assert mode_of(target) == 0o640


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("mode", [0o600, 0o664])
@pytest.mark.parametrize("way", WAYS)
def test_a_replaced_file_keeps_its_mode(way: str, mode: int, source: Path, tmp_path: Path) -> None:
    target = make(tmp_path / "target.capture", [b"old"])
    target.chmod(mode)
    before = target.stat().st_ino
    WAYS[way](source, target)
    assert mode_of(target) == mode
    assert target.stat().st_ino != before


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("way", CURSORS)
def test_a_cursor_file_keeps_its_mode(way: str, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "cursor"
    CURSORS[way](source, target)
    target.chmod(0o600)
    with capturefile.open(source, "a") as cf, cf.transaction():
        cf.add_record("three")
    before = target.read_bytes()
    CURSORS[way](source, target)
    assert mode_of(target) == 0o600
    assert target.read_bytes() != before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("way", WAYS)
def test_a_replaced_file_keeps_its_owner(way: str, source: Path, tmp_path: Path) -> None:
    target = make(tmp_path / "target.capture", [b"old"])
    os.chown(target, OTHER, OTHER)
    WAYS[way](source, target)
    assert (target.stat().st_uid, target.stat().st_gid) == (OTHER, OTHER)


@pytest.mark.parametrize("way", WAYS)
def test_the_target_of_a_link_is_replaced_and_the_link_stays(way: str, source: Path, tmp_path: Path) -> None:
    target = make(tmp_path / "target.capture", [b"old"])
    link = tmp_path / "link.capture"
    link.symlink_to(target.name)
    before = target.stat().st_ino
    WAYS[way](source, link)
    assert link.is_symlink()
    assert target.stat().st_ino != before


@pytest.mark.parametrize("way", [*WAYS, *CURSORS])
def test_files_with_the_longest_possible_names_can_be_created_and_replaced(
    way: str, source: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    target = folder / ("n" * (255 - len(".capture")) + ".capture")
    for _ in range(2):
        {**WAYS, **CURSORS}[way](source, target)
    assert [path.name for path in folder.iterdir()] == [target.name]


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_is_being_written_is_not_replaced(way: str, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.capture"
    with capturefile.open(target, "x") as cf, cf.transaction():
        cf.add_record("committed")
        with pytest.raises((capturefile.CaptureFileAlreadyOpen, AssertionError), match="already open for writing"):
            WAYS[way](source, target)
    assert records_of(target) == [b"committed"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.capture", "target.capture"]


def test_a_file_cannot_be_written_while_it_is_being_replaced(source: Path, tmp_path: Path) -> None:
    target = make(tmp_path / "target.capture", [b"old"])

    def try_to_write(done: int, total: int) -> None:
        with pytest.raises(capturefile.CaptureFileAlreadyOpen):
            capturefile.open(target, "a")

    capturefile.recover(source, target, overwrite=True, progress=try_to_write)
    assert records_of(target) == [b"one", b"two"]


@pytest.mark.parametrize("way", ["open", "recover", "replacing", "recover_command", "copy"])
def test_only_regular_files_are_replaced(way: str, source: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises((capturefile.InvalidCaptureFile, AssertionError), match="expected a regular file"):
        WAYS[way](source, pipe)
    with pytest.raises((OSError, AssertionError), match="Is a directory"):
        WAYS[way](source, tmp_path)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_pipe_in_place_of_a_new_file_is_refused_immediately(source: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(FileExistsError):
        capturefile.recover(source, pipe)
    for name in ("recover", "copy"):
        done = run(name, source, pipe)
        assert done.returncode == FAILED
        assert b"File exists" in done.stderr


def test_a_file_that_appears_meanwhile_is_replaced_only_on_request(tmp_path: Path) -> None:
    target = tmp_path / "target"
    with pytest.raises(FileExistsError, match="target"), replacing(target, overwrite=False):
        target.write_text("other")
    assert target.read_text() == "other"
    target.unlink()
    with replacing(target) as new:
        Path(new).write_text("new")
        target.write_text("other")
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize(
    "arguments",
    [
        *(["append", "FILE", "FILE"], ["append", "FILE", "LINK"], ["import", "FILE", "FILE"]),
        *(["import", "FILE", "LINK"], ["export", "--overwrite", "FILE", "FILE"]),
        *(["export", "--overwrite", "FILE", "LINK"], ["export", "FILE", "FILE"]),
    ],
)
def test_a_file_is_not_read_and_written_by_the_same_command(arguments: list[str], source: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.capture"
    link.hardlink_to(source)
    before = source.read_bytes()
    done = run(*({"FILE": source, "LINK": link}.get(argument, argument) for argument in arguments))
    assert done.returncode == WRONG_USAGE
    assert b"is the same file" in done.stderr
    assert source.read_bytes() == before


@pytest.mark.parametrize("arguments", [["append", "FILE", "<"], ["import", "FILE", "<"], ["cat", "FILE", ">>"]])
def test_a_file_is_refused_if_it_is_also_a_standard_stream(arguments: list[str], source: Path) -> None:
    from command import shell

    before = source.read_bytes()
    done = shell(f'"$@" {arguments[-1]} {source}', arguments[0], source)
    assert done.returncode == WRONG_USAGE
    assert b"is the same file" in done.stderr
    assert source.read_bytes() == before


def test_the_same_device_may_be_read_and_written() -> None:
    from command import shell

    assert b"expected a regular file" in shell('"$@" < /dev/null', "append", "/dev/null").stderr


def test_a_copy_onto_itself_keeps_all_records(source: Path) -> None:
    source.chmod(0o600)
    command("copy", "--overwrite", "--level", "12", source, source)
    assert mode_of(source) == 0o600
    assert records_of(source) == [b"one", b"two"]
