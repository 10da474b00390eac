"""Starts other processes for the tests, talks to them line by line, and makes sure that they end.

They run the functions of `subprocess_scenarios.py` and its companions. No test waits for one longer than `PATIENCE`.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from subprocess_scenarios import PATIENCE as PATIENCE
from subprocess_scenarios import try_to_write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class ScenarioProcess:
    """A process that runs one scenario."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Takes over a process whose streams are unbuffered pipes."""
        self.process = process
        self.pid = process.pid
        self._heard = b""

    def hear(self) -> str:
        """Returns the next line that it prints; an empty string once it has exited."""
        output = _pipe(self.process.stdout)
        while b"\n" not in self._heard:
            assert select.select([output], [], [], PATIENCE)[0], "the other process prints nothing"
            more = os.read(output.fileno(), 65536)
            if not more:
                return ""
            self._heard += more
        line, self._heard = self._heard.split(b"\n", 1)
        return line.decode()

    def expect(self, line: str) -> None:
        """Waits for the next line, which must be this one."""
        heard = self.hear()
        assert heard == line, f"{heard!r}, not {line!r}: {self.errors() if not heard else ''}"

    def tell(self, line: str = "") -> None:
        """Sends it a line."""
        try:
            _pipe(self.process.stdin).write(f"{line}\n".encode())
        except BrokenPipeError:
            raise AssertionError(f"the other process has exited: {self.errors()}") from None

    def finish(self) -> list[str]:
        """Waits until it exits, which must be without an error; returns its remaining lines."""
        said, errors = self.process.communicate(timeout=PATIENCE)
        assert (self.process.returncode, errors) == (0, b""), f"{self.process.returncode}: {errors.decode()}"
        return (self._heard + said).decode().splitlines()

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kills it, as a crash would."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def errors(self) -> str:
        """Ends it and returns what it wrote to standard error."""
        self.kill()
        return _pipe(self.process.stderr).read().decode()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


@contextmanager
def acting(
    function: Callable[..., None], *arguments: object, environment: Mapping[str, str] | None = None
) -> Iterator[ScenarioProcess]:
    """Starts a process that runs the scenario `function` with its arguments as text; ends it when the block is left."""
    pipe = subprocess.PIPE
    module = function.__code__.co_filename
    command = [sys.executable, "-W", "error", module, function.__name__, *map(str, arguments)]
    with subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as process:
        try:
            yield ScenarioProcess(process)
        finally:
            process.kill()


def act(function: Callable[..., None], *arguments: object, environment: Mapping[str, str] | None = None) -> list[str]:
    """Runs the scenario `function` in a separate process until it exits; returns the lines that it printed."""
    with acting(function, *arguments, environment=environment) as process:
        return process.finish()


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits until another process or thread has made the condition true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.005)


def others_may_write(path: str | os.PathLike[str]) -> bool:
    """Whether another process can open the file for writing now."""
    (answer,) = act(try_to_write, path)
    return answer == "opened"
