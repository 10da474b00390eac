"""Long jobs, each in a separate process, which can be ended at any time and does not slow down the pages."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

MAX_JOBS = 6
"""Maximum number of jobs at the same time."""
BEAT = 0.5
"""Seconds between empty lines, which show whether the client is still connected."""
MAX_LINE_BYTES = 4 * 1024 * 1024
PART = 256 * 1024
"""Maximum number of bytes of an export that are passed on together."""


class IncompleteError(Exception):
    """The worker ended before everything was exported."""


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
        process = await _started(task)
        try:
            async for line in _relay(process, asyncio.StreamReader.readline, is_gone):
                yield line or b"\n"
        finally:
            await self._end(process)

    async def parts(self, task: dict[str, Any], is_gone: Callable[[], Awaitable[bool]]) -> AsyncGenerator[bytes]:
        """Yields the first line of the worker, and then the rest of its output in parts.

        Raises:
            IncompleteError: The worker has failed.
        """
        process = await _started(task)
        try:
            line = b""
            async for line in _relay(process, asyncio.StreamReader.readline, is_gone):
                if line:
                    break
            yield line
            async for part in _relay(process, lambda output: output.read(PART), is_gone):
                if part:
                    yield part
            if process.stdout and process.stdout.at_eof() and await process.wait():
                raise IncompleteError
        finally:
            await self._end(process)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        # A worker that is about to end is left alone: killing it would take its exit code away from the waiter.
        if process.returncode is None and not (process.stdout and process.stdout.at_eof()):
            process.kill()
        # If the client disconnects, this wait is cancelled, and another one has to continue: a process that is
        # forgotten before its end is reaped twice, and asyncio prints a warning about it on standard error.
        ending = asyncio.ensure_future(process.wait())
        self.ending.add(ending)
        ending.add_done_callback(self.ending.discard)
        await asyncio.shield(ending)


async def _started(task: dict[str, Any]) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "capturefile.view.worker",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=MAX_LINE_BYTES,
    )  # fmt: skip
    if process.stdin is not None:
        process.stdin.write(json.dumps(task).encode() + b"\n")
        process.stdin.close()
    return process


async def _relay(
    process: asyncio.subprocess.Process,
    read: Callable[[asyncio.StreamReader], Awaitable[bytes]],
    is_gone: Callable[[], Awaitable[bool]],
) -> AsyncIterator[bytes]:
    """Yields the output as it is read, and something empty after each pause in it."""
    output = process.stdout
    while output is not None and not await is_gone():
        try:
            found = await asyncio.wait_for(read(output), BEAT)
        except TimeoutError:
            yield b""
            continue
        if not found:
            break
        yield found
