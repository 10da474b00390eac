"""Checks of what differs on Windows, run by its interpreter with the package and the reference installed.

    python tests/windows_checks.py [--wine]

With `--wine`, the function that the reference uses to lock is replaced by one that works like Microsoft's: that of wine
uses only 32 bits of a position.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import capturefile
from capturefile import CaptureFile
from capturefile.checkpoint import consume_at_least_once
from capturefile.logging import CaptureHandler
from capturefile.rotating import RotatingReader, RotatingWriter

if TYPE_CHECKING:
    from collections.abc import Callable

assert sys.platform == "win32", "this is for Windows"

COMMAND = (sys.executable, "-m", "capturefile")
PATIENCE = 120


def raised(call: Callable[[], object]) -> Any:  # noqa: ANN401 - errors have attributes of their class
    """The error that a call raises."""
    try:
        call()
    except (OSError, capturefile.CaptureFileError) as error:
        return error
    raise AssertionError("nothing was raised")


def run(*arguments: object, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs the command."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], input=given, capture_output=True, timeout=PATIENCE, check=False
    )


def make(path: Path, count: int = 3) -> Path:
    """A file with some records."""
    with capturefile.open(path, "x") as log:
        log.add_records(f"record {number}" for number in range(1, count + 1))
        log.commit()
    return path


def check_errors(folder: Path) -> None:
    """System errors have Windows' numbers and Python's classes."""
    error = raised(lambda: capturefile.open(folder / "missing.capture"))
    assert type(error) is FileNotFoundError, repr(error)
    assert (error.errno, error.winerror) == (2, 2), repr(error)
    assert error.filename == str(folder / "missing.capture"), error.filename
    error = raised(lambda: capturefile.open(folder))
    assert type(error) is PermissionError, repr(error)
    assert error.winerror == 5, repr(error)
    path = make(folder / "there.capture")
    error = raised(lambda: capturefile.open(path, "x"))
    assert type(error) is FileExistsError, repr(error)
    assert error.winerror == 80, repr(error)
    error = raised(lambda: capturefile.open("NUL"))
    assert type(error) is capturefile.InvalidCaptureFile, repr(error)
    assert "a device" in str(error), repr(error)


def check_replacing(folder: Path) -> None:
    """A file that is being read is not replaced; the error says why, and no temporary file remains."""
    path = make(folder / "log.capture")
    with capturefile.open(path) as reader:
        assert reader[1] == "record 1"
        error = raised(lambda: capturefile.open(path, "w"))
        assert type(error) is PermissionError, repr(error)
        assert "while it is open" in str(error), repr(error)
        assert [each.name for each in folder.iterdir()] == ["log.capture"]
        assert list(reader) == ["record 1", "record 2", "record 3"]
        reader.refresh(durable=True)


def check_paths(folder: Path) -> None:
    """Long names, and names relative to a drive."""
    long = folder / ("a" * 100) / ("b" * 100) / ("c" * 100)
    Path(rf"\\?\{long}").mkdir(parents=True)
    path = long / "log.capture"
    make(path)
    with capturefile.open(path, "a") as log:
        log.add_record("more")
        log.commit()
    assert len(capturefile.open(path)) == 4
    before = Path.cwd()
    os.chdir(folder)
    try:
        make(Path(f"{folder.drive}relative.capture"))
        assert (folder / "relative.capture").exists()
    finally:
        os.chdir(before)


def check_command(folder: Path) -> None:
    """Pipes in and out, a file on standard input, and a reader that exits early."""
    path = folder / "log.capture"
    lines = b"".join(b"line %d\n" % number for number in range(1, 5001))
    done = run("append", path, given=lines)
    assert (done.returncode, done.stderr) == (0, b"capturefile: 5000 records added\n"), done
    assert run("cat", path).stdout == lines
    assert run("count", "-", given=path.read_bytes()).stdout.strip() == b"5000"
    assert run("verify", path).returncode == 0
    assert run("cat", folder / "missing").returncode == 1
    with subprocess.Popen([*COMMAND, "append", "--commit-interval", "0.2", str(path)], stdin=subprocess.PIPE) as append:
        assert append.stdin is not None
        append.stdin.write(b"slow\n")
        append.stdin.flush()
        deadline = time.monotonic() + PATIENCE
        while capturefile.open(path)[-1] != "slow":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        append.stdin.close()
    with subprocess.Popen([*COMMAND, "cat", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as cat:
        assert cat.stdout is not None
        assert cat.stderr is not None
        cat.stdout.close()
        assert cat.stderr.read() == b""
        assert cat.wait(PATIENCE) in (0, 141), cat.returncode


def check_rotation(folder: Path) -> None:
    """A log continues while its oldest file is being read; that file is deleted later; a consumer and a logger work."""
    logs = folder / "logs"
    with RotatingWriter(logs, max_bytes=1, keep_files=2, sync="none") as log:
        log.add_record("first")
        log.commit()
        oldest = next(path for path in sorted(logs.iterdir()) if path.name[0].isdigit())
        with capturefile.open(oldest) as reader:
            assert list(reader) == ["first"]
            for number in range(4):
                log.add_record(f"more {number}")
                log.commit()
            assert list(reader) == ["first"]
        log.add_record("last")
        log.commit()
        assert not oldest.exists()
    with RotatingReader(logs) as reader_of_all:
        assert reader_of_all.record_at(reader_of_all.record_count()) == "last"
    path = make(folder / "source.capture", 10)
    for _ in range(2):
        with consume_at_least_once(path, folder / "cursor") as consumer:
            for batch in consumer:
                assert len(batch) == 10
    handler = CaptureHandler(folder / "app.capture")
    handler.emit(logging.LogRecord("app", logging.INFO, "app.py", 1, "hello", None, None))
    handler.close()
    assert "hello" in capturefile.open(folder / "app.capture")[1]


def check_format_3(folder: Path) -> None:
    """Files of format 3 are followed while they are written, survive a killed writer, and are recovered."""
    path = folder / "log.capture"
    writer = (
        "import sys, capturefile; log = capturefile.open(sys.argv[1], 'x', format=3)\n"
        "for number in range(1, 101):\n"
        "    log.add_record(f'record {number}'); log.commit()\n"
        "log.add_record('lost'); print('committed', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", writer, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"committed"
        with capturefile.open(path) as reader:
            assert list(reader.follow(start=1, timeout=1))[-1] == "record 100"
            error = raised(lambda: capturefile.open(path, "a"))
            assert type(error) is capturefile.CaptureFileAlreadyOpen, repr(error)
        process.kill()
    with capturefile.open(path, "a") as log:
        log.add_record("after")
        log.commit()
        assert (len(log), log[-1]) == (101, "after")
    assert capturefile.verify(path).problems == ()
    capturefile.recover(path, folder / "recovered.capture")
    assert len(capturefile.open(folder / "recovered.capture")) == 101


def check_viewer(folder: Path) -> None:
    """The viewer serves its page and the records, and exits."""
    path = make(folder / "log.capture")
    with subprocess.Popen([*COMMAND, "view", "--no-browser", str(path)], stdout=subprocess.PIPE) as view:
        try:
            assert view.stdout is not None
            address = view.stdout.readline().decode().strip()
            assert address.startswith("http://127.0.0.1:"), address
            with urlopen(address, timeout=PATIENCE) as page:
                assert b"<html" in page.read()
            with urlopen(f"{address}api/files/0/records?first=2&count=1", timeout=PATIENCE) as answer:
                (record,) = json.load(answer)["records"]
            assert "record 2" in json.dumps(record), record
        finally:
            view.kill()


# The reference


def as_microsoft(descriptor: int, mode: int, length: int) -> None:
    """`msvcrt.locking` as in Microsoft's C library."""
    import msvcrt
    from ctypes import wintypes

    class Overlapped(ctypes.Structure):
        _fields_ = (("internal", ctypes.c_void_p * 2), ("position", ctypes.c_uint64), ("event", wintypes.HANDLE))

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    place = Overlapped(position=os.lseek(descriptor, 0, os.SEEK_CUR))
    handle = wintypes.HANDLE(msvcrt.get_osfhandle(descriptor))
    if mode == msvcrt.LK_UNLCK:
        done = kernel.UnlockFileEx(handle, 0, length, 0, ctypes.byref(place))
    else:
        done = kernel.LockFileEx(handle, 3, 0, length, 0, ctypes.byref(place))
    if not done:
        raise PermissionError(13, "Permission denied")


def check_reference(folder: Path) -> None:
    """Each locks the other out, and each reads what the other wrote."""
    from CaptureFile import CaptureFile as Reference

    path = folder / "shared.capture"
    with capturefile.open(path, "x") as ours:
        ours.add_record("ours")
        ours.commit()
        error = raised_by_reference(lambda: Reference(str(path), to_write=True, use_os_file_locking=True))
        assert type(error).__name__ == "CaptureFileAlreadyOpen", repr(error)
    theirs = Reference(str(path), to_write=True, use_os_file_locking=True)
    for mode in ("a", "w"):
        error = raised(lambda mode=mode: capturefile.open(path, mode))
        assert type(error) is capturefile.CaptureFileAlreadyOpen, repr(error)
    with CaptureFile(path) as reader:
        assert reader.is_being_written()
        theirs.add_record("theirs")
        theirs.commit()
        reader.refresh()
        assert list(reader) == ["ours", "theirs"]
        theirs.close()
        assert not reader.is_being_written()


def raised_by_reference(call: Callable[[], object]) -> Exception:
    """The error that a call of the reference raises."""
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def main() -> None:
    """Runs all checks, each in a separate folder."""
    if "--wine" in sys.argv:
        import msvcrt

        msvcrt.locking = as_microsoft
    checks = [check_errors, check_replacing, check_paths, check_command, check_rotation, check_format_3]
    checks += [check_viewer, check_reference]
    for check in checks:
        started = time.monotonic()
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            check(Path(folder).resolve())
        print(f"{check.__name__}: {time.monotonic() - started:.1f} s", flush=True)
    print(f"{len(checks)} passed, 0 failed")


if __name__ == "__main__":
    main()
