"""One writer for each file, among objects, threads, processes, forks, and the reference package."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import capturefile
import pytest
import subprocess_scenarios
from CaptureFile import CaptureFile as Reference
from capturefile import CaptureFile, CaptureFileAlreadyOpen
from processes import act, acting, others_may_write, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.usefixtures("both_formats")

MAX_COMMIT_SECONDS = 5.0
"""Seconds that a commit may take if it waits for a reader of the reference: a tenth, or more on a busy machine."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A capture file with one record, closed."""
    path = tmp_path / "log.capture"
    with CaptureFile(path, to_write=True) as cf:
        cf.add_record("first")
        cf.commit()
    return path


@pytest.fixture
def writer(path: Path) -> Iterator[CaptureFile[str]]:
    """The file, open for writing in this process."""
    with CaptureFile(path, to_write=True) as cf:
        yield cf


# One process


def test_an_open_object_cannot_be_opened_again(writer: CaptureFile[str]) -> None:
    for to_write in (False, True):
        with pytest.raises(CaptureFileAlreadyOpen, match="this object"):
            writer.open(to_write)
    writer.add_record("still works")
    writer.commit()


@pytest.mark.parametrize("locking", [True, False])
@pytest.mark.parametrize("first_locking", [True, False])
def test_a_second_writer_in_this_process_is_refused(path: Path, first_locking: bool, locking: bool) -> None:
    with CaptureFile(path, to_write=True, use_os_file_locking=first_locking) as first:
        with pytest.raises(CaptureFileAlreadyOpen, match="this process"):
            CaptureFile(path, to_write=True, use_os_file_locking=locking)
        first.add_record("of the first")
        first.commit()
    with CaptureFile(path, to_write=True, use_os_file_locking=locking) as second:
        assert list(second) == ["first", "of the first"]


def test_a_second_writer_in_another_thread_is_refused(path: Path, writer: CaptureFile[str]) -> None:
    refused = []

    def open_again() -> None:
        try:
            CaptureFile(path, to_write=True).close()
        except CaptureFileAlreadyOpen as error:
            refused.append(error)

    thread = threading.Thread(target=open_again)
    thread.start()
    thread.join()
    assert len(refused) == 1
    assert not writer.closed


def test_of_many_threads_that_open_a_file_at_the_same_time_one_succeeds(path: Path) -> None:
    threads = 8
    barrier = threading.Barrier(threads)
    won: list[int] = []

    def compete() -> None:
        for turn in range(50):
            barrier.wait(subprocess_scenarios.PATIENCE)
            with suppress(CaptureFileAlreadyOpen):
                cf = CaptureFile(path, to_write=True, sync=False)
                won.append(turn)
                barrier.wait(subprocess_scenarios.PATIENCE)
                cf.close()
                continue
            barrier.wait(subprocess_scenarios.PATIENCE)

    competitors = [threading.Thread(target=compete) for _ in range(threads)]
    for thread in competitors:
        thread.start()
    for thread in competitors:
        thread.join()
    assert sorted(won) == list(range(50))


def test_a_failed_opening_leaves_the_file_unlocked(path: Path) -> None:
    path.with_name("broken.capture").write_bytes(b"no capture file")
    for _ in range(2):
        with pytest.raises(capturefile.InvalidCaptureFile):
            CaptureFile(path.with_name("broken.capture"), to_write=True)
    with CaptureFile(path, to_write=True), pytest.raises(CaptureFileAlreadyOpen):
        CaptureFile(path, to_write=True)
    CaptureFile(path, to_write=True).close()


def test_a_dropped_writer_releases_its_lock(path: Path) -> None:
    cf = CaptureFile(path, to_write=True)
    assert not others_may_write(path)
    del cf
    assert others_may_write(path)


# Other names of the same file


def by_hard_link(path: Path) -> Path:
    other = path.with_name("hard")
    other.hardlink_to(path)
    return other


def by_symbolic_link(path: Path) -> Path:
    other = path.with_name("soft")
    other.symlink_to(path.name)
    return other


def by_linked_folder(path: Path) -> Path:
    folder = path.parent.with_name(f"{path.parent.name}-linked")
    folder.symlink_to(path.parent)
    return folder / path.name


def by_detour(path: Path) -> Path:
    return path.parent / ".." / path.parent.name / "." / path.name


def by_relative_path(path: Path) -> Path:
    return Path(os.path.relpath(path))


NAMES = [by_hard_link, by_symbolic_link, by_linked_folder, by_detour, by_relative_path]


@pytest.mark.parametrize("other_name", NAMES)
def test_another_name_of_the_file_does_not_allow_a_second_writer(
    path: Path, other_name: Callable[[Path], Path]
) -> None:
    other = other_name(path)
    for first, second in ((path, other), (other, path)):
        with CaptureFile(first, to_write=True):
            for locking in (True, False):
                with pytest.raises(CaptureFileAlreadyOpen):
                    CaptureFile(second, to_write=True, use_os_file_locking=locking)
            assert not others_may_write(second)
        assert others_may_write(second)


@pytest.mark.parametrize("other_name", NAMES)
def test_a_file_that_is_being_written_cannot_be_replaced_by_another_name(
    path: Path, other_name: Callable[[Path], Path]
) -> None:
    other = other_name(path)
    with CaptureFile(path, to_write=True) as cf:
        with pytest.raises(CaptureFileAlreadyOpen):
            CaptureFile(other, to_write=True, force_new_empty_file=True)
        cf.add_record("second")
        cf.commit()
    with CaptureFile(other) as cf:
        assert list(cf) == ["first", "second"]


# Several processes


def test_another_process_is_refused_until_the_writer_closes(path: Path) -> None:
    with CaptureFile(path, to_write=True) as cf:
        assert not others_may_write(path)
        cf.add_record("second")
        cf.commit()
        assert not others_may_write(path)
    assert others_may_write(path)


def test_a_writer_in_another_process_is_respected_until_it_closes(path: Path) -> None:
    with acting(subprocess_scenarios.hold_writer, path) as other:
        other.expect("open")
        with pytest.raises(CaptureFileAlreadyOpen, match="another process"):
            CaptureFile(path, to_write=True)
        with CaptureFile(path) as reader:
            other.tell("add")
            other.expect("added")
            assert reader.refresh()
            assert reader[-1] == f"from {other.pid}"
        other.tell("close")
        other.expect("closed")
        CaptureFile(path, to_write=True).close()


def by_mode_w(path: Path) -> CaptureFile[str]:
    return capturefile.open(path, "w")


def by_mode_x(path: Path) -> CaptureFile[str]:
    return capturefile.open(path, "x")


def to_read(path: Path) -> CaptureFile[str]:
    return CaptureFile(path, force_new_empty_file=True)


def to_write(path: Path) -> CaptureFile[str]:
    return CaptureFile(path, to_write=True, force_new_empty_file=True)


@pytest.mark.parametrize("replace", [by_mode_w, by_mode_x, to_read, to_write])
def test_a_file_that_is_being_written_is_never_replaced(path: Path, replace: Callable[[Path], object]) -> None:
    refusal = FileExistsError if replace is by_mode_x else CaptureFileAlreadyOpen
    with acting(subprocess_scenarios.hold_writer, path) as other:
        other.expect("open")
        with pytest.raises(refusal):
            replace(path)
        other.tell("add")
        other.expect("added")
    with CaptureFile(path, to_write=True) as cf:
        with pytest.raises(refusal):
            replace(path)
        assert list(cf) == ["first", f"from {other.pid}"]
    assert list(path.parent.iterdir()) == [path]


def test_readers_do_not_lock_out_a_writer_or_drop_locks_when_they_close(path: Path, both_formats: int) -> None:
    with CaptureFile(path) as reader, CaptureFile(path, to_write=True):
        for _ in range(3):
            CaptureFile(path).close()
            for locking in (False, True):
                with pytest.raises(Exception, match="version 3") if both_formats == 3 else nullcontext():
                    Reference(str(path), use_os_file_locking=locking).close()
            path.open("rb").close()
            assert not others_may_write(path)
        reader.close()
        assert not others_may_write(path)
    assert others_may_write(path)


def test_a_killed_writer_leaves_no_stale_lock(path: Path) -> None:
    with acting(subprocess_scenarios.hold_writer, path) as other:
        other.expect("open")
        assert not others_may_write(path)
        other.kill()
    with CaptureFile(path, to_write=True) as cf:
        assert list(cf) == ["first"]


@pytest.mark.parametrize(
    "hold",
    [
        subprocess_scenarios.hold_writer,
        pytest.param(subprocess_scenarios.hold_reference_writer, marks=pytest.mark.only_format_2),
    ],
)
def test_a_reader_knows_whether_another_process_is_writing(path: Path, hold: Callable[[str], None]) -> None:
    with CaptureFile(path) as reader:
        assert not reader.is_being_written()
        with acting(hold, path) as other:
            other.expect("open")
            assert reader.is_being_written()
            other.tell("close")
            other.expect("closed")
            assert not reader.is_being_written()
    with pytest.raises(capturefile.CaptureFileNotOpen):
        reader.is_being_written()


@pytest.mark.parametrize(
    "scenario", [subprocess_scenarios.write_beside_a_living_child, subprocess_scenarios.write_beside_a_program]
)
def test_a_killed_writer_leaves_no_stale_lock_even_if_its_child_runs(
    path: Path, scenario: Callable[[str], None]
) -> None:
    with acting(scenario, path) as other:
        word, child = other.hear().split()
        assert word == "child"
        try:
            assert not others_may_write(path)
            other.kill()
            os.kill(int(child), 0)
            CaptureFile(path, to_write=True).close()
        finally:
            os.kill(int(child), signal.SIGKILL)


def test_processes_that_take_turns_in_writing_lose_nothing(path: Path, both_formats: int) -> None:
    rounds = 60
    takers = [
        subprocess_scenarios.take_turns,
        subprocess_scenarios.take_turns,
        subprocess_scenarios.take_turns_by_reference if both_formats == 2 else subprocess_scenarios.take_turns,
    ]
    with acting(takers[0], path, rounds) as one, acting(takers[1], path, rounds) as two:
        act(takers[2], path, rounds)
        one.finish()
        two.finish()
    with CaptureFile(path) as cf:
        assert len(cf) == 1 + len(takers) * rounds
        assert len(set(cf)) == len(cf)
        for process in (one, two):
            assert [record for record in cf if record.startswith(f"{process.pid} ")] == [
                f"{process.pid} {turn}" for turn in range(rounds)
            ]


def test_a_file_is_never_replaced_while_it_is_open_for_writing(path: Path) -> None:
    rounds = 60
    with (
        acting(subprocess_scenarios.replace_and_write, path, rounds) as one,
        acting(subprocess_scenarios.replace_and_write, path, rounds) as two,
    ):
        said = [*one.finish(), *two.finish()]
    assert said == ["same"] * (2 * rounds)
    assert list(path.parent.iterdir()) == [path]


# Forks


@pytest.mark.parametrize("ending", ["os._exit", "sys.exit", "return"])
def test_a_forked_child_cannot_write_or_release_the_lock_of_its_parent(path: Path, ending: str) -> None:
    with acting(subprocess_scenarios.write_and_fork, path, ending) as parent:
        parent.expect("refused 5 of 5 and reads first")
        parent.expect("refused")
        parent.expect("child True 0")
        assert not others_may_write(path)
        parent.tell()
        parent.expect("first committed added_before_the_fork added_after_the_fork")
        assert not others_may_write(path)
        parent.tell()
        parent.expect("closed")
        assert others_may_write(path)
        parent.tell()
        assert parent.finish() == []


def test_a_child_forked_at_any_moment_does_not_keep_the_lock(path: Path) -> None:
    assert act(subprocess_scenarios.lock_while_forking, path, 1500) == ["kept 0"]


def test_a_child_may_write_a_file_once_its_parent_has_closed_it(path: Path) -> None:
    assert act(subprocess_scenarios.write_after_parent, path) == ["refused", "opened"]


# The reference package


@pytest.mark.only_format_2
def test_the_reference_is_locked_out_while_we_write(path: Path) -> None:
    with CaptureFile(path, to_write=True):
        assert act(subprocess_scenarios.try_to_write_by_reference, path) == ["refused"]
    assert act(subprocess_scenarios.try_to_write_by_reference, path) == ["opened"]


@pytest.mark.only_format_2
def test_we_are_locked_out_while_the_reference_writes(path: Path) -> None:
    with acting(subprocess_scenarios.hold_reference_writer, path) as reference:
        reference.expect("open")
        with pytest.raises(CaptureFileAlreadyOpen, match="another process"):
            CaptureFile(path, to_write=True)
        with pytest.raises(CaptureFileAlreadyOpen, match="another process"):
            CaptureFile(path, force_new_empty_file=True)
        reference.tell("close")
        reference.expect("closed")
        CaptureFile(path, to_write=True).close()


@pytest.mark.only_format_2
def test_the_reference_and_the_library_lock_each_other_out_in_one_process(path: Path) -> None:
    with Reference(str(path), to_write=True, use_os_file_locking=True), pytest.raises(CaptureFileAlreadyOpen):
        CaptureFile(path, to_write=True)
    with CaptureFile(path, to_write=True), pytest.raises(Exception, match="already open for write"):
        Reference(str(path), to_write=True, use_os_file_locking=True)


@pytest.mark.only_format_2
def test_a_writer_of_the_reference_and_our_reader_work_together(path: Path) -> None:
    with acting(subprocess_scenarios.hold_reference_writer, path) as reference, CaptureFile(path) as reader:
        reference.expect("open")
        for count in range(2, 12):
            reference.tell("add")
            reference.expect("added")
            assert reader.refresh()
            assert (len(reader), reader[-1]) == (count, "from the reference")


@pytest.mark.only_format_2
def test_a_reader_of_the_reference_that_holds_the_slots_delays_a_commit_only_briefly(path: Path) -> None:
    with acting(subprocess_scenarios.hold_slots_shared, path) as reader:
        reader.expect("held")
        start = time.monotonic()
        with CaptureFile(path, to_write=True) as cf:
            cf.add_record("second")
            cf.commit()
        assert time.monotonic() - start < MAX_COMMIT_SECONDS
        with CaptureFile(path) as cf:
            assert list(cf) == ["first", "second"]


@pytest.mark.only_format_2
def test_a_commit_waits_for_a_reader_of_the_reference_that_releases_the_slots_soon(path: Path) -> None:
    """The library locks the slots as well, so the reference never reads a partly written slot."""
    with CaptureFile(path, to_write=True) as cf, acting(subprocess_scenarios.watch_slot_lock, path) as watcher:
        watcher.expect("watching")

        def seen_locked() -> bool:
            cf.add_record("x" * 20_000)
            cf.commit()
            return watcher.process.poll() is not None

        wait_until(seen_locked)
        assert watcher.finish() == ["locked"]


def test_our_reader_takes_no_lock_and_waits_for_none(path: Path) -> None:
    with acting(subprocess_scenarios.hold_everything_exclusive, path) as holder:
        holder.expect("held")
        with CaptureFile(path) as reader:
            assert list(reader) == ["first"]
            assert not reader.refresh()
        holder.tell()
        assert holder.finish() == []


# File systems without locks


@pytest.fixture(scope="module")
def no_locks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preloaded library that makes locks fail."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler for the library that simulates a file system without locks")
    library = tmp_path_factory.mktemp("no_locks") / "no_locks.so"
    source = Path(__file__).with_name("no_ofd_locks.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EINVAL, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_gives_an_error_that_names_the_solution(
    path: Path, no_locks: Path, number: int
) -> None:
    environment = {**os.environ, "LD_PRELOAD": str(no_locks), "NO_LOCKS": str(number)}
    for target in (path, path.with_name("new.capture")):
        existed = target.exists()
        said = act(subprocess_scenarios.describe_opening, target, environment=environment)
        assert said == [f"OSError {number} {target} use_os_file_locking=False"]
        assert target.exists() == existed
    assert act(subprocess_scenarios.try_to_write, path, "no locking", environment=environment) == ["opened"]
    assert list(path.parent.iterdir()) == [path]


def test_a_reader_needs_no_locks(path: Path, no_locks: Path) -> None:
    environment = {**os.environ, "LD_PRELOAD": str(no_locks), "NO_LOCKS": str(errno.ENOLCK)}
    assert act(subprocess_scenarios.read_all, path, environment=environment) == ["first"]


def test_without_locking_another_process_is_not_locked_out(path: Path) -> None:
    with closing(CaptureFile(path, to_write=True, use_os_file_locking=False)):
        assert others_may_write(path)
