"""Scenarios that tests run in separate processes: each public function below is run by its name in one.

They exchange lines with the test through their standard output and input (`processes.py` is the other end), and exit
with a traceback of every thread when they take longer than the test would wait.
"""

from __future__ import annotations

import faulthandler
import fcntl
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import capturefile
import forking
from capturefile import CaptureFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATIENCE = 60.0
"""Seconds after which a test stops waiting."""
SLOT_RANGE = (4096, 2 * 40_960)
"""Start and length of the two master slots of a file with the default sizes, which the reference locks."""
WRITER_BYTE = 0x7FFF_FFFF_FFFF_FFFE


def say(*words: object) -> None:
    """Sends a line to the test."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def listen() -> str:
    """Waits for a line from the test; returns an empty string once the test has ended."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return ""
        line += byte
    return line[:-1].decode()


def fork() -> int:
    """Forks; returns the child's process id in the parent, 0 in the child.

    The watchdog is stopped first: the child does not have its thread, and would wait for it on exit.
    """
    faulthandler.cancel_dump_traceback_later()
    return forking.fork()


# Locks


def try_to_write(path: str, locking: str = "locking") -> None:
    """Reports whether the file can be opened for writing."""
    try:
        with CaptureFile(path, to_write=True, use_os_file_locking=locking == "locking"):
            say("opened")
    except capturefile.CaptureFileAlreadyOpen:
        say("refused")


def hold_writer(path: str) -> None:
    """Adds and commits one record each time it is told to, until it is told to close."""
    cf = CaptureFile(path, to_write=True)
    say("open")
    while listen() == "add":
        cf.add_record(f"from {os.getpid()}")
        cf.commit()
        say("added")
    cf.close()
    say("closed")
    listen()


def hold_reference_writer(path: str) -> None:
    """The same with the reference and its locks."""
    from CaptureFile import CaptureFile as Reference

    cf = Reference(path, to_write=True, use_os_file_locking=True)
    say("open")
    while listen() == "add":
        cf.add_record("from the reference")
        cf.commit()
        say("added")
    cf.close()
    say("closed")
    listen()


def try_to_write_by_reference(path: str) -> None:
    """Reports whether the reference, with its locks, can open the file for writing."""
    import CaptureFile as reference  # noqa: N813

    try:
        reference.CaptureFile(path, to_write=True, use_os_file_locking=True).close()
        say("opened")
    except reference.CaptureFileAlreadyOpen:
        say("refused")


def hold_slots_shared(path: str) -> None:
    """Holds the lock that a reader of the reference takes while it reads the slots, and does not release it."""
    with Path(path).open("rb") as file:
        start, length = SLOT_RANGE
        fcntl.lockf(file, fcntl.LOCK_SH, length, start)
        say("held")
        listen()


def write_and_fork(path: str, ending: str) -> None:
    """Opens for writing and forks a child that tries to write and to close, and exits as `ending` says."""
    cf = CaptureFile(path, to_write=True)
    cf.add_record("committed")
    cf.commit()
    cf.add_record("added before the fork")
    if child := fork():
        finished, status = os.waitpid(child, 0)
        say("child", finished == child, os.waitstatus_to_exitcode(status))
        listen()
        cf.add_record("added after the fork")
        cf.commit()
        say(*(record.replace(" ", "_") for record in cf))
        listen()
        cf.close()
        say("closed")
        listen()
        return
    _act_as_forked_child(cf, path)
    if ending == "os._exit":
        os._exit(0)
    if ending == "sys.exit":
        sys.exit(0)


def _act_as_forked_child(cf: CaptureFile, path: str) -> None:
    writes: list[Callable[[], object]] = [
        lambda: cf.add_record("from the child"),
        lambda: cf.add_records(["from the child"]),
        lambda: cf.set_metadata(b"of the child"),
        cf.commit,
        cf.rollback,
    ]
    refused = 0
    for write in writes:
        try:
            write()
        except capturefile.CaptureFileNotOpenForWrite:
            refused += 1
    say("refused", refused, "of", len(writes), "and reads", cf.record_at(1))
    cf.close()
    try_to_write(path)


def write_beside_a_living_child(path: str) -> None:
    """Opens for writing, forks a child that runs until told otherwise, and waits to be killed."""
    cf = CaptureFile(path, to_write=True)
    cf.add_record("committed")
    cf.commit()
    if not fork():
        say("child", os.getpid())
        listen()
        os._exit(0)
    wait_forever()


def write_beside_a_program(path: str) -> None:
    """Opens for writing, starts another program that inherits all descriptors, and waits to be killed."""
    import subprocess

    with CaptureFile(path, to_write=True):
        program = subprocess.Popen(["sleep", str(PATIENCE)], close_fds=False)
        say("child", program.pid)
        wait_forever()


def wait_forever() -> None:
    """Waits to be killed."""
    while True:
        signal.pause()


def lock_while_forking(path: str, rounds: str) -> None:
    """Opens and closes a writer repeatedly while another thread forks children that keep running.

    At whatever moment of opening a fork happens, no child may keep the lock once the writer is closed.
    """
    children: list[int] = []
    done = threading.Event()

    def fork_children() -> None:
        while not done.is_set() and len(children) < 400:
            child = forking.fork()
            if not child:
                signal.pause()
            children.append(child)

    thread = threading.Thread(target=fork_children)
    thread.start()
    kept = 0
    try:
        for _ in range(int(rounds)):
            try:
                CaptureFile(path, to_write=True, sync=False).close()
            except capturefile.CaptureFileAlreadyOpen:
                kept += 1
    finally:
        done.set()
        thread.join()
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    say("kept", kept)


def take_turns(path: str, rounds: str) -> None:
    """Opens for writing, adds one record, and closes, until that has succeeded `rounds` times."""
    done = 0
    while done < int(rounds):
        try:
            with CaptureFile(path, to_write=True, sync=False) as cf:
                cf.add_record(f"{os.getpid()} {done}")
                cf.commit()
                done += 1
        except capturefile.CaptureFileAlreadyOpen:
            time.sleep(0.0005)


def take_turns_by_reference(path: str, rounds: str) -> None:
    """The same with the reference and its locks."""
    import CaptureFile as reference  # noqa: N813

    done = 0
    while done < int(rounds):
        try:
            with reference.CaptureFile(path, to_write=True, use_os_file_locking=True) as cf:
                cf.add_record(f"{os.getpid()} {done}")
                cf.commit()
                done += 1
        except reference.CaptureFileAlreadyOpen:
            time.sleep(0.0005)


def replace_and_write(path: str, rounds: str) -> None:
    """Alternately replaces the file by a new one and writes to it; while it is open, it must be at its path."""
    done = 0
    while done < int(rounds):
        try:
            with CaptureFile(path, to_write=True, force_new_empty_file=done % 2 == 0, sync=False) as cf:
                before = Path(path).stat().st_ino
                count = cf.add_record("one more")
                cf.commit()
                with CaptureFile(path) as seen:
                    same = seen.record_count() == count and Path(path).stat().st_ino == before
                say("same" if same else "another file")
                done += 1
        except capturefile.CaptureFileAlreadyOpen:
            time.sleep(0.0005)


def write_after_parent(path: str) -> None:
    """Forks a child while the file is open for writing; the child tries to write, before and after it is closed."""
    cf = CaptureFile(path, to_write=True)
    from_child, to_parent = os.pipe()
    from_parent, to_child = os.pipe()
    if child := fork():
        os.read(from_child, 1)
        cf.close()
        os.write(to_child, b".")
        os.waitpid(child, 0)
        return
    try_to_write(path)
    os.write(to_parent, b".")
    os.read(from_parent, 1)
    try_to_write(path)
    os._exit(0)


def watch_slot_lock(path: str) -> None:
    """Waits until another process holds the lock on the slots that a reader of the reference would have to wait for."""
    start, length = SLOT_RANGE
    with Path(path).open("rb") as file:
        say("watching")
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, length, start)
            except BlockingIOError:
                say("locked")
                return
            fcntl.lockf(file, fcntl.LOCK_UN, length, start)


def hold_everything_exclusive(path: str) -> None:
    """Holds an exclusive lock on every byte of the file, including the writer's byte and those beyond the end."""
    with Path(path).open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        say("held")
        listen()


def describe_opening(path: str) -> None:
    """Reports which error opening for writing gives."""
    try:
        CaptureFile(path, to_write=True).close()
    except OSError as error:
        hint = "use_os_file_locking=False"
        say(type(error).__name__, error.errno, error.filename, hint if hint in str(error) else error)


def read_all(path: str) -> None:
    """Reports all records of the file."""
    with CaptureFile(path) as cf:
        for record in cf:
            say(record)


def main(functions: Mapping[str, object], name: str, *arguments: str) -> None:
    """Runs the function called `name`."""
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    function = functions[name]
    assert callable(function)
    function(*arguments)


if __name__ == "__main__":
    main(globals(), *sys.argv[1:])
