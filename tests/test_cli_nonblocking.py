"""Standard streams that are non-blocking, as some parent processes leave them: no command mistakes that for the end."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command import COMMAND, PATIENCE, SUCCEEDED, make, metadata_of, noise, records_of, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe with both ends non-blocking."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    yield reader, writer
    for end in (reader, writer):
        with suppress(OSError):  # The test has closed it.
            os.close(end)


def start(*arguments: str | Path, **streams: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*COMMAND, *map(str, arguments)], **streams)  # type: ignore[call-overload, no-any-return]


def is_waiting(process: subprocess.Popen[bytes]) -> bool:
    """Whether it sleeps, or has exited."""
    return "\nState:\tS" in Path(f"/proc/{process.pid}/status").read_text() or process.poll() is not None


@pytest.mark.parametrize(
    ("command", "pieces"),
    [
        (["append"], [b"a\nb", b"c\n"]),
        (["import"], [b'{"record":"a"}\n{"rec', b'ord":"bc"}\n']),
        (["import", "--format", "csv"], [b"record\na\n", b"bc\n"]),
        (["metadata", "set"], [b"a\nb", b"c"]),
    ],
)
def test_input_without_data_is_waited_for(
    command: Sequence[str], pieces: Sequence[bytes], pipe: Pipe, tmp_path: Path
) -> None:
    path = make(tmp_path / "log.capture")
    reader, writer = pipe
    with start(*command, path, stdin=reader) as process:
        for piece in pieces:
            wait_until(lambda: is_waiting(process))
            os.write(writer, piece)
            wait_until(lambda: not select.select([reader], [], [], 0)[0])
        os.close(writer)
        assert process.wait(PATIENCE) == SUCCEEDED
    if command == ["metadata", "set"]:
        assert metadata_of(path) == b"".join(pieces)
    else:
        assert records_of(path) == [b"a", b"bc"]


@pytest.mark.parametrize(
    "command",
    [
        *(["cat"], ["head", "-n", "3000"], ["tail", "-n", "3000"], ["grep", ""], ["export"], ["metadata", "get"]),
        *(
            ["export", "--format", "csv"],
            ["follow", "--from", "begin", "--exit-at-end"],
        ),
    ],
)
def test_output_without_room_is_waited_for(command: list[str], pipe: Pipe, tmp_path: Path) -> None:
    path = make(tmp_path / "log.capture", [record.hex().encode() for record in noise(30_000)], b"m" * 300_000)
    command = [*command, str(path)]
    expected = subprocess.run([*COMMAND, *command], capture_output=True, check=True).stdout
    assert len(expected) > 100_000
    reader, writer = pipe
    with start(*command, stdout=writer) as process:
        os.close(writer)
        wait_until(lambda: is_waiting(process))
        got = b""
        while select.select([reader], [], [], PATIENCE)[0] and (data := os.read(reader, 4096)):
            got += data
        assert process.wait(PATIENCE) == SUCCEEDED
    assert got == expected


def test_messages_wait_for_room(pipe: Pipe, tmp_path: Path) -> None:
    reader, writer = pipe
    filled = 0
    while select.select([], [writer], [], 0)[1]:
        filled += os.write(writer, bytes(4096))
    with start("count", tmp_path / "missing", stderr=writer) as process:
        os.close(writer)
        wait_until(lambda: is_waiting(process))
        got = b""
        while select.select([reader], [], [], PATIENCE)[0] and (data := os.read(reader, 65536)):
            got += data
        process.wait(PATIENCE)
    assert got[filled:].endswith(b"missing: No such file or directory\n")
