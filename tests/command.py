"""Runs the command `capturefile` for the tests as users run it: in a separate process."""

from __future__ import annotations

import os
import random
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import capturefile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

COMMAND = (sys.executable, "-m", "capturefile")
PATIENCE = 30.0
"""Seconds after which a test stops waiting."""
DATA_START = 86_016
"""Where the first compressed block of a file with the default sizes starts."""

SUCCEEDED = 0
FAILED = 1
DAMAGED = 1
WRONG_USAGE = 2
UNUSABLE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141


def run(
    *arguments: str | bytes | os.PathLike[str],
    given: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Runs the command to its end, with `given` as its standard input."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=given,
        capture_output=True,
        env={**os.environ, **(environment or {})},
        timeout=PATIENCE,
        check=False,
    )


def output(*arguments: str | bytes | os.PathLike[str], given: bytes = b"") -> bytes:
    """What the command writes to standard output; it must succeed and write nothing to standard error."""
    done = run(*arguments, given=given)
    assert (done.returncode, done.stderr) == (SUCCEEDED, b"")
    return done.stdout


def shell(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Runs a script in which `"$@"` is the command with `arguments`."""
    command = ["bash", "-c", script, "bash", *COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)


@contextmanager
def running(*arguments: str | os.PathLike[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The command while it runs, with pipes for its standard streams."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*COMMAND, *arguments], bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def pipe_of(stream: IO[bytes] | None) -> IO[bytes]:
    """The stream, which is a pipe."""
    assert stream is not None
    return stream


def read(stream: IO[bytes] | None, length: int) -> bytes:
    """The next `length` bytes of a pipe; fewer if it ends."""
    pipe, got = pipe_of(stream), b""
    while len(got) < length:
        assert select.select([pipe], [], [], PATIENCE)[0], f"nothing after {got!r}"
        more = os.read(pipe.fileno(), length - len(got))
        if not more:
            break
        got += more
    return got


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits until another process has made the condition true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.01)


def assert_one_line(message: bytes) -> None:
    """Checks that `message` has the form of an error message."""
    assert message.startswith(b"capturefile: ")
    assert message.endswith(b"\n")
    assert message.count(b"\n") == 1


def make(path: Path, records: Sequence[bytes] = (), metadata: bytes | None = None) -> Path:
    """A new capture file at `path`."""
    with capturefile.open(path, "x", initial_metadata=metadata, encoding=None, sync="none") as cf:
        cf.add_records(records)
        cf.commit()
    return path


def records_of(path: Path) -> list[bytes]:
    """All records of the file."""
    with capturefile.open(path, encoding=None) as cf:
        return list(cf)


def count_of(path: Path) -> int:
    """The number of records in the file; 0 if there is no file yet."""
    if not path.exists():
        return 0
    with capturefile.open(path) as cf:
        return cf.record_count()


def metadata_of(path: Path) -> bytes | None:
    """The metadata of the file."""
    with capturefile.open(path) as cf:
        return cf.get_metadata()


def lines(*records: bytes) -> bytes:
    """The records as the command prints them."""
    return b"".join(record + b"\n" for record in records)


def noise(count: int, length: int = 100) -> list[bytes]:
    """Incompressible records without newlines."""
    source = random.Random(count)
    return [source.randbytes(length).replace(b"\n", b"\r") for _ in range(count)]
