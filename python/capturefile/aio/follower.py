"""Following a capture file in asyncio: `async for record in capturefile.aio.follow("log.capture")`.

The event loop never waits for a file. Records are read on the loop's own executor, a batch at a time, and one thread
polls for new records on behalf of all followers in the process.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, overload

from capturefile._at_hand import AtHand, size_of
from capturefile._capturefile import CaptureFile
from capturefile._typing import RecordT, RecordT_co
from capturefile.aio.loops import running_loop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Self

    from capturefile._capturefile import Follower as _FileFollower
    from capturefile._typing import StrPath
    from capturefile.codecs import Codec
    from capturefile.rotating import RotatingFollower, RotatingReader

    _BlockingFollower: TypeAlias = _FileFollower[Any] | RotatingFollower[Any]

_MAX_BYTES_PER_BATCH = 1 << 20
_FIRST_PAUSE = 0.001
_MAX_PAUSE = 0.02
"""Maximum delay of a follower, in seconds."""
_TELL_AGAIN = 0.2
"""Seconds after which a waiter that has not reacted is woken again."""
_LINGER = 1.0
"""Seconds after which a thread without waiters ends."""


class _Waiting:
    """A follower in an event loop that waits for new records."""

    def __init__(self, follower: _BlockingFollower) -> None:
        self.follower = follower
        self.loop = running_loop()
        self.news: asyncio.Future[None] = self.loop.create_future()
        self.pause = _FIRST_PAUSE
        self.due = time.monotonic() + self.pause

    def put_off(self, now: float) -> None:
        self.pause = min(self.pause * 1.5, _MAX_PAUSE)
        self.due = now + self.pause

    def tell(self, now: float) -> bool:
        """Wakes the waiter from another thread. Returns False if its loop is closed.

        The wake-up is repeated if it has no effect, because a signal handler that raises can keep the loop from calling
        `_set`.
        """
        self.due = now + _TELL_AGAIN
        try:
            self.loop.call_soon_threadsafe(self._set)
        except RuntimeError:
            return False
        return True

    def _set(self) -> None:
        if not self.news.done():
            self.news.set_result(None)


class _Watcher:
    """Polls on behalf of all waiters, in one thread that runs while there are any."""

    def __init__(self) -> None:
        # Never held while a file is polled, so that no loop waits for a file through this lock.
        self._changed = threading.Condition()
        self._waiting: set[_Waiting] = set()
        self._thread: threading.Thread | None = None

    def add(self, waiting: _Waiting) -> None:
        with self._changed:
            self._waiting.add(waiting)
            self._changed.notify()
            # It is not alive, either, if an exception interrupted its start.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="capturefile-follow", daemon=True)
                self._thread.start()

    def discard(self, waiting: _Waiting) -> None:
        with self._changed:
            self._waiting.discard(waiting)

    def _run(self) -> None:
        while self._wait():
            self._look()

    def _wait(self) -> bool:
        """Sleeps until a waiter is due. Returns False if none is left."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(_LINGER)
            if not self._waiting:
                self._thread = None
                return False
            # A waiter that is added meanwhile has the shortest pause, so none is late.
            self._changed.wait(max(0.0, min(each.due for each in self._waiting) - time.monotonic()))
            return True

    def _look(self) -> None:
        # A local list: keeping it longer would keep files of dropped followers open.
        with self._changed:
            waiting = list(self._waiting)
        now = time.monotonic()
        for each in waiting:
            # Waiters that are due soon are polled now, so that many followers share wake-ups.
            if each.due > now + each.pause / 2:
                continue
            if not self._is_ready(each.follower):
                each.put_off(now)
            elif not each.tell(now):
                self.discard(each)

    def _is_ready(self, follower: _BlockingFollower) -> bool:
        try:
            return follower.ready()
        except Exception:
            # The waiter gets the error from its next read; the thread continues for the others.
            return True


_watcher = _Watcher()


def _start_anew() -> None:
    global _watcher
    _watcher = _Watcher()


# The child has no such thread, which may have held the lock.
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_start_anew)


class Follower(Generic[RecordT_co]):
    """Iterates over records as they are committed, waiting for more without blocking the event loop; see `follow`.

    As an asynchronous context manager, it opens the file at the beginning and closes it at the end. A cancelled call,
    for example by `asyncio.timeout`, loses no record: the next call continues where it stopped.
    """

    def __init__(
        self,
        source: CaptureFile[RecordT_co] | RotatingReader[RecordT_co] | StrPath,
        start: int | None,
        timeout: float | None,
        batch_size: int,
        options: dict[str, Any],
    ) -> None:
        """Use `follow`."""
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout cannot be {timeout}: it must be a number of seconds, at least 0")
        if batch_size < 1:
            raise ValueError(f"batch_size cannot be {batch_size}: a batch has at least one record")
        self._source = source
        # Absolute, because the file is opened later, when the working directory may have changed.
        self._place = Path(source).absolute() if isinstance(source, str | os.PathLike) else None
        self._options = options
        self._start = start
        self._timeout = timeout
        self._batch_size = batch_size
        self._cf: CaptureFile[RecordT_co] | RotatingReader[RecordT_co] | None = None
        self._follower: _BlockingFollower | None = None
        self._at_hand: AtHand[RecordT_co] = AtHand()
        # Work on the executor, which a call that ended with an exception may have left running.
        self._one_at_a_time = threading.Lock()
        self._working: asyncio.Future[None] | None = None
        self._closed = False

    def __repr__(self) -> str:
        """Shows the path, and whether the follower is closed."""
        return f"<Follower of {self.file_name!r}{', closed' if self._closed else ''}>"

    def __aiter__(self) -> Self:
        """Returns the object itself."""
        return self

    async def __anext__(self) -> RecordT_co:
        """Returns the next record, once it is committed."""
        if not await self._fill():
            raise StopAsyncIteration
        return self._given(1)[0]

    async def batches(self) -> AsyncIterator[list[RecordT_co]]:
        """Iterates over records in batches.

        Yields:
            A list of all available records, up to `batch_size` of them and about a mebibyte.

        Examples:
            >>> async def print_batches():
            ...     async for batch in capturefile.aio.follow("log.capture", 1, timeout=0).batches():
            ...         print(batch)
            >>> asyncio.run(print_batches())
            ['first', 'second', 'third']
        """
        while await self._fill():
            yield self._given(len(self._at_hand))

    @property
    def file_name(self) -> str:
        """The path of the file."""
        return os.fspath(self._source) if isinstance(self._source, str | os.PathLike) else self._source.file_name

    def lag(self) -> int:
        """Returns the number of records that are committed now and have not been returned yet.

        Returns:
            The number of records; 0 before the file is opened.

        Raises:
            CaptureFileError: As for `CaptureFile.refresh`.
            OSError: The file cannot be read.

        Examples:
            >>> async def print_lag():
            ...     async with capturefile.aio.follow("log.capture", 1) as follower:
            ...         print(await anext(follower), follower.lag())
            >>> asyncio.run(print_lag())
            first 2
        """
        return len(self._at_hand) + (self._follower.lag() if self._follower else 0)

    async def aclose(self) -> None:
        """Ends the iteration, and closes the file if the follower has opened it.

        Examples:
            >>> async def open_and_close():
            ...     follower = capturefile.aio.follow("log.capture", 1)
            ...     print(await anext(follower))
            ...     await follower.aclose()
            >>> asyncio.run(open_and_close())
            first
        """
        self._closed = True
        self._at_hand.records.clear()
        await self._finish_work()
        if self._follower:
            self._follower.close()
        self._follower = None
        if self._cf and self._cf is not self._source:
            self._cf.close()

    async def __aenter__(self) -> Self:
        """Opens the file; without `start`, records that are committed from now on are returned."""
        await self._in_thread(self._open)
        self._at_hand.raise_error()
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Closes the follower."""
        await self.aclose()

    async def _fill(self) -> bool:
        """Waits until records are available. Returns False at the end of the iteration."""
        while not self._at_hand:
            self._at_hand.raise_error()
            if self._closed:
                return False
            await self._in_thread(self._take)
            if self._at_hand or self._at_hand.error:
                continue
            if not self._cf or self._cf.closed or not await self._news(self._follower):
                return False
        return True

    def _given(self, count: int) -> list[RecordT_co]:
        given: list[RecordT_co] = []
        try:
            self._at_hand.give(count, given)
            return given
        except BaseException:
            self._at_hand.put_back(given)
            raise

    async def _in_thread(self, work: Callable[[], None]) -> None:
        """Runs `work` on the executor, or waits for work that a cancelled call has left there."""
        if not await self._finish_work():
            self._working = running_loop().run_in_executor(None, self._guarded, work)
            await self._finish_work()

    async def _finish_work(self) -> bool:
        """Waits for work that was begun in this loop. Returns False if there is none."""
        if self._working is None:
            return False
        begun_here = self._working.get_loop() is asyncio.get_running_loop()
        # If an exception has ended the loop that began it, new work waits for its end on the executor.
        if begun_here:
            await asyncio.shield(self._working)
        self._working = None
        return begun_here

    def _guarded(self, work: Callable[[], None]) -> None:
        with self._one_at_a_time:
            try:
                work()
            except BaseException as error:
                self._at_hand.error = error

    def _open(self) -> None:
        if self._follower or self._closed:
            return
        cf: Any = self._source if self._place is None else CaptureFile(self._place, **self._options)
        self._cf = cf
        self._follower = cf.follow(self._start, timeout=0)

    def _take(self) -> None:
        """Takes the available records, up to a batch, without waiting for more."""
        self._open()
        if self._follower is None or self._at_hand:
            return
        records = self._at_hand.records
        size = 0
        for _ in self._at_hand.taking(self._follower):
            size += size_of(records[-1])
            if len(records) >= self._batch_size or size >= _MAX_BYTES_PER_BATCH:
                return

    async def _news(self, follower: _BlockingFollower | None) -> bool:
        """Waits until there is something to take. Returns False after the timeout."""
        if follower is None:
            return False
        waiting = _Waiting(follower)
        try:
            _watcher.add(waiting)
            async with asyncio.timeout(self._timeout):
                await waiting.news
        except TimeoutError:
            return False
        finally:
            _watcher.discard(waiting)
        return True


@overload
def follow(
    source: CaptureFile[RecordT] | RotatingReader[RecordT],
    start: int | None = None,
    *,
    timeout: float | None = None,
    batch_size: int = 1000,
) -> Follower[RecordT]: ...
@overload
def follow(
    source: StrPath,
    start: int | None = None,
    *,
    timeout: float | None = None,
    batch_size: int = 1000,
    encoding: str = "utf_8",
    errors: str | None = None,
    codec: None = None,
) -> Follower[str]: ...
@overload
def follow(
    source: StrPath,
    start: int | None = None,
    *,
    timeout: float | None = None,
    batch_size: int = 1000,
    encoding: None,
    errors: None = None,
    codec: None = None,
) -> Follower[bytes]: ...
@overload
def follow(
    source: StrPath,
    start: int | None = None,
    *,
    timeout: float | None = None,
    batch_size: int = 1000,
    codec: Codec[RecordT],
) -> Follower[RecordT]: ...
def follow(
    source: CaptureFile[Any] | RotatingReader[Any] | StrPath,
    start: int | None = None,
    *,
    timeout: float | None = None,
    batch_size: int = 1000,
    encoding: str | None = "utf_8",
    errors: str | None = None,
    codec: Codec[Any] | None = None,
) -> Follower[Any]:
    """Iterates over committed records and then waits for new ones, from any writer, in asyncio.

    A new record is returned within about 20 milliseconds of its commit, and never part of a commit. All followers
    share one waiting thread.

    Args:
        source: A path, an open `CaptureFile`, or an open `RotatingReader`. The state that an object shows does not
            change, and the iteration ends when it is closed. A file at a path is opened by the first step, or by
            `async with`.
        start: Number of the first record, counted from 1; by default the first one that is committed after the file is
            opened or, for an object, the first one that it does not see yet.
        timeout: Seconds without a new record after which the iteration ends; by default it waits for ever.
        batch_size: Maximum number of records that are read together, and that `batches()` returns together.
        encoding: As for `CaptureFile`, if `source` is a path.
        errors: As for `CaptureFile`, if `source` is a path.
        codec: As for `CaptureFile`, if `source` is a path.

    Returns:
        An asynchronous iterator. Its steps raise the exceptions of opening the file and of `CaptureFile.follow` or
        `RotatingReader.follow`: for example CaptureFileReplaced, after the last record, if the file was removed or
        replaced, and InvalidCaptureFile if it was truncated.

    Raises:
        ValueError: The timeout or the batch size is out of range.

    Examples:
        >>> async def print_records():
        ...     async for record in capturefile.aio.follow("log.capture", 1, timeout=0):
        ...         print(record)
        >>> asyncio.run(print_records())
        first
        second
        third
    """
    return Follower(source, start, timeout, batch_size, {"encoding": encoding, "errors": errors, "codec": codec})
