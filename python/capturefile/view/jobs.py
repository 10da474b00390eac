"""Long jobs, each in a process of its own, which can be ended at any time and does not slow down the pages."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

MAX_JOBS = 4
"""Maximum number of jobs at the same time."""
BEAT = 0.5
"""Seconds between empty lines, which show whether the client is still connected."""
MAX_LINE_BYTES = 4 * 1024 * 1024


class Jobs:
    """The jobs of one server."""

    def __init__(self) -> None:
        """Starts without jobs."""
        self.running = 0
        self.ending: set[asyncio.Future[int]] = set()

    def reserve(self) -> bool:
        """Reserves a place for a job, if there is one; the caller returns it with `release`."""
        if self.running >= MAX_JOBS:
            return False
        self.running += 1
        return True

    def release(self) -> None:
        """Releases a place."""
        self.running -= 1

    async def lines(self, task: dict[str, Any], is_gone: Callable[[], Awaitable[bool]]) -> AsyncGenerator[bytes]:
        """Yields the output of the worker, line by line, until it ends or the client disconnects."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "capturefile.view.worker",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=MAX_LINE_BYTES,
        )  # fmt: skip
        try:
            async for line in _relay(process, task, is_gone):
                yield line
        finally:
            # One at its end is left to end: killing it would take its exit code away from the waiter.
            if process.returncode is None and not (process.stdout and process.stdout.at_eof()):
                process.kill()
            # If the client disconnects, this wait is cancelled, and another one has to continue: a process that is
            # forgotten before its end is reaped twice, and asyncio prints a warning about it on standard error.
            ending = asyncio.ensure_future(process.wait())
            self.ending.add(ending)
            ending.add_done_callback(self.ending.discard)
            await asyncio.shield(ending)


async def _relay(
    process: asyncio.subprocess.Process, task: dict[str, Any], is_gone: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    given, said = process.stdin, process.stdout
    if given is None or said is None:
        return
    given.write(json.dumps(task).encode() + b"\n")
    given.close()
    while not await is_gone():
        try:
            line = await asyncio.wait_for(said.readline(), BEAT)
        except TimeoutError:
            yield b"\n"
            continue
        if not line:
            break
        yield line
