"""Followers of files that are replaced, removed or truncated, and how followers take commits."""

from __future__ import annotations

import os
import threading
from contextlib import chdir
from itertools import islice
from operator import length_hint
from typing import TYPE_CHECKING

import concurrency_workload
import pytest
from capturefile import CaptureFile, CaptureFileReplaced, InvalidCaptureFile
from files import write
from processes import acting

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from capturefile import Follower

pytestmark = pytest.mark.usefixtures("both_formats")

PATIENCE = 60.0
DATA_START = 86_016


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of the records "1" and "2"."""
    path = tmp_path / "folder" / "log.capture"
    path.parent.mkdir()
    write(path, "1", "2")
    return path


def replace(path: Path) -> None:
    """Replaces it by a new file with more records."""
    with CaptureFile(path, to_write=True, force_new_empty_file=True) as cf:
        cf.add_records(["a", "b", "c", "d", "e"])
        cf.commit()


def rename_over(path: Path) -> None:
    """Renames another file to its path."""
    other = path.with_name("other.capture")
    write(other, *"abcde")
    other.rename(path)


def move_away(path: Path) -> None:
    """Renames it."""
    path.rename(path.with_name("old.capture"))


def remove(path: Path) -> None:
    """Removes it."""
    path.unlink()


def remove_folder(path: Path) -> None:
    """Puts a plain file where its folder was."""
    moved = path.parent.with_name("moved")
    path.parent.rename(moved)
    path.parent.write_text("no folder")


REPLACEMENTS = [replace, rename_over, move_away, remove, remove_folder]


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_a_follower_gives_all_records_and_then_reports_that_the_file_is_replaced(
    path: Path, replacement: Callable[[Path], None]
) -> None:
    with CaptureFile(path) as cf:
        follower = cf.follow(1, timeout=PATIENCE)
        assert next(follower) == "1"
        write(path, "3")
        replacement(path)
        assert [next(follower), next(follower)] == ["2", "3"]
        for _ in range(2):
            with pytest.raises(CaptureFileReplaced, match=r"log\.capture.*replaced or removed"):
                next(follower)
        assert cf[:] == ["1", "2"]


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_a_waiting_follower_reports_that_the_file_is_replaced(path: Path, replacement: Callable[[Path], None]) -> None:
    with CaptureFile(path) as cf:
        heard = waiting(cf.follow())
        replacement(path)
        assert isinstance(heard(), CaptureFileReplaced)


def waiting(follower: Follower[str]) -> Callable[[], object]:
    """Starts a thread that waits for a new record; returns a function that gives the record or the error."""
    heard: list[object] = []

    def wait() -> None:
        try:
            heard.append(next(follower))
        except (CaptureFileReplaced, InvalidCaptureFile) as error:
            heard.append(error)

    def join() -> object:
        thread.join(PATIENCE)
        assert heard, "the follower did not return"
        return heard[0]

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return join


def test_a_follower_reports_a_link_that_leads_to_another_file(path: Path) -> None:
    link, other = path.with_name("link.capture"), path.with_name("other.capture")
    link.symlink_to(path)
    write(other, *"abcde")
    with CaptureFile(link) as cf:
        follower = cf.follow(1, timeout=0)
        assert list(follower) == ["1", "2"]
        link.unlink()
        link.symlink_to(other)
        with pytest.raises(CaptureFileReplaced):
            next(follower)


def test_a_file_that_only_has_a_different_name_is_not_replaced(path: Path) -> None:
    link, moved = path.with_name("link.capture"), path.with_name("moved.capture")
    link.symlink_to(path)
    with CaptureFile(link) as cf:
        follower = cf.follow(timeout=0)
        path.rename(moved)
        link.unlink()
        link.symlink_to(moved)
        write(moved, "3")
        assert list(follower) == ["3"]


def test_following_continues_after_the_process_changes_its_folder(
    path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with chdir(path.parent), CaptureFile(path.name) as cf:
        follower = cf.follow(timeout=0)
        with chdir(tmp_path_factory.mktemp("elsewhere")):
            write(path, "3")
            assert list(follower) == ["3"]


def test_a_renamed_file_still_gives_what_its_writer_commits_before_the_next_check(path: Path) -> None:
    with CaptureFile(path, to_write=True) as writer, CaptureFile(path) as reader:
        follower = reader.follow(timeout=0)
        move_away(path)
        writer.add_record("3")
        writer.commit()
        assert next(follower) == "3"
        with pytest.raises(CaptureFileReplaced):
            next(follower)


@pytest.mark.parametrize("length", [0, 27, 4096, 45_056, DATA_START - 1, DATA_START, DATA_START + 4096])
def test_a_waiting_follower_reports_a_truncated_file(path: Path, length: int) -> None:
    with CaptureFile(path, to_write=True) as cf:
        cf.add_records(os.urandom(10_000) for _ in range(50))
        cf.commit()
    with CaptureFile(path) as reader:
        heard = waiting(reader.follow())
        os.truncate(path, length)
        error = heard()
        assert isinstance(error, InvalidCaptureFile)
        assert "log.capture" in str(error)
        assert "truncated" in str(error)


def test_unused_room_at_the_end_of_a_followed_file_can_be_removed(path: Path) -> None:
    with CaptureFile(path) as cf:
        follower = cf.follow(timeout=0.05)
        os.truncate(path, cf.info().file_limit)
        assert list(follower) == []


def test_a_follower_reports_how_many_records_are_available(path: Path) -> None:
    with CaptureFile(path) as cf:
        follower = cf.follow(1, timeout=0)
        assert length_hint(follower) == 2
        assert (next(follower), length_hint(follower)) == ("1", 1)
        write(path, "3", "4", "5")
        assert (next(follower), length_hint(follower)) == ("2", 0)
        assert (next(follower), length_hint(follower)) == ("3", 2)
        assert list(follower) == ["4", "5"]


def test_a_follower_never_has_part_of_a_commit_available(path: Path) -> None:
    path.unlink()
    write(path)
    pauses = 0
    with CaptureFile(path) as cf, acting(concurrency_workload.commit_in_sevens, path) as writer:
        follower = cf.follow(timeout=PATIENCE)
        for number, found in enumerate(islice(follower, 7 * 1000), 1):
            assert found == concurrency_workload.record(number)
            if not length_hint(follower):
                pauses += 1
                assert number % 7 == 0
        writer.tell("stop")
        writer.finish()
    assert pauses, "the follower was never at the end of a commit, where part of the next one could show"
