"""Following a capture file in asyncio: `async for record in capturefile.aio.follow("log.capture")`.

The event loop never waits for a file. Records are read on the loop's own executor, a batch at a time, and one thread
looks on behalf of all followers in the process whether there is more.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, overload

from capturefile._at_hand import AtHand
from capturefile._capturefile import CaptureFile
from capturefile._typing import RecordT, RecordT_co

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Self

    from capturefile._capturefile import Follower as _FileFollower
    from capturefile._typing import StrPath
    from capturefile.rotating import RotatingFollower, RotatingReader

    _BlockingFollower: TypeAlias = _FileFollower[Any] | RotatingFollower[Any]

__all__ = ["Follower", "follow"]


def __dir__() -> list[str]:
    return sorted(__all__)


_MAX_BYTES_PER_BATCH = 1 << 20
_FIRST_PAUSE = 0.001
_MAX_PAUSE = 0.02
"""How late a follower can be, in seconds."""
_TELL_AGAIN = 0.2
"""Seconds after which somebody is told again who continues waiting."""
_LINGER = 1.0
"""Seconds after which the thread ends that has nothing to look at."""


def _running_loop() -> asyncio.AbstractEventLoop:
    """The event loop of asyncio; other libraries have loops of their own, in which nothing of asyncio works."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "capturefile.aio works in a running event loop of asyncio only; elsewhere, as in trio or gevent, call "
            "CaptureFile.follow in a thread"
        ) from None


class _Waiting:
    """Someone who wants to know when there is something to read."""

    def __init__(self, follower: _BlockingFollower) -> None:
        self.follower = follower
        self.loop = _running_loop()
        self.news: asyncio.Future[None] = self.loop.create_future()
        self.pause = _FIRST_PAUSE
        self.due = time.monotonic() + self.pause

    def put_off(self, now: float) -> None:
        self.pause = min(self.pause * 1.5, _MAX_PAUSE)
        self.due = now + self.pause

    def tell(self, now: float) -> bool:
        """Wakes whoever waits, from another thread; false if the loop is closed, and nobody waits any more.

        It is told again if it does not hear, since a signal handler that raises can keep the loop from calling `_set`.
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
    """Looks on behalf of all who wait, in one thread that lives while there are any."""

    def __init__(self) -> None:
        # Never held during a look, so that a loop never waits for a file through it.
        self._changed = threading.Condition()
        self._waiting: set[_Waiting] = set()
        self._thread: threading.Thread | None = None

    def add(self, waiting: _Waiting) -> None:
        with self._changed:
            self._waiting.add(waiting)
            self._changed.notify()
            # It is not alive either where an exception came before it was started.
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
        """Sleeps until somebody is due; false if there is nobody left."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(_LINGER)
            if not self._waiting:
                self._thread = None
                return False
            # One who comes meanwhile has the shortest pause.
            self._changed.wait(max(0.0, min(each.due for each in self._waiting) - time.monotonic()))
            return True

    def _look(self) -> None:
        # Not kept any longer: it would keep files open whose followers are gone.
        with self._changed:
            waiting = list(self._waiting)
        now = time.monotonic()
        for each in waiting:
            # Who is due soon is looked at now, so that many followers share their wake-ups.
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
            # Whoever reads next is told, and the thread continues for the others.
            return True


_watcher = _Watcher()


def _start_anew() -> None:
    global _watcher
    _watcher = _Watcher()


# The thread does not come along, and it may have held the lock.
os.register_at_fork(after_in_child=_start_anew)


class Follower(Generic[RecordT_co]):
    """Iterates over records as they are committed, waiting for more without holding up the event loop.

    Made by `follow`. As an asynchronous context manager it opens the file at the beginning and closes it at the end.
    A call that is cancelled, also by `asyncio.timeout`, loses no record: the next one continues where it was.
    """

    def __init__(
        self,
        source: CaptureFile[RecordT_co] | RotatingReader[RecordT_co] | StrPath,
        start: int | None,
        timeout: float | None,
        batch_size: int,
        encoding: str | None,
        errors: str | None,
    ) -> None:
        """Use `follow`."""
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout cannot be {timeout}: it must be a number of seconds, from 0 up")
        if batch_size < 1:
            raise ValueError(f"batch_size cannot be {batch_size}: a batch has at least one record")
        self._source = source
        # Opened later, when the process may work in another folder.
        self._place = Path(source).absolute() if isinstance(source, str | os.PathLike) else None
        self._options: dict[str, Any] = {"encoding": encoding, "errors": errors}
        self._start = start
        self._timeout = timeout
        self._batch_size = batch_size
        self._cf: CaptureFile[RecordT_co] | RotatingReader[RecordT_co] | None = None
        self._follower: _BlockingFollower | None = None
        self._at_hand: AtHand[RecordT_co] = AtHand()
        # Of the executor, where a call that an exception has ended may leave work behind.
        self._one_at_a_time = threading.Lock()
        self._working: asyncio.Future[None] | None = None
        self._closed = False

    def __repr__(self) -> str:
        """What it follows."""
        return f"<Follower of {self.file_name!r}{', closed' if self._closed else ''}>"

    def __aiter__(self) -> Self:
        """The object itself."""
        return self

    async def __anext__(self) -> RecordT_co:
        """The next record, once it is committed."""
        if not await self._fill():
            raise StopAsyncIteration
        return self._given(1)[0]

    async def batches(self) -> AsyncIterator[list[RecordT_co]]:
        """Iterates over lists of records: all that there are, at most `batch_size` at once and about a mebibyte."""
        while await self._fill():
            yield self._given(len(self._at_hand))

    @property
    def file_name(self) -> str:
        """The path of the file."""
        return os.fspath(self._source) if isinstance(self._source, str | os.PathLike) else self._source.file_name

    def lag(self) -> int:
        """How many records are committed now and were not given yet; 0 before the file is opened.

        Raises what `CaptureFile.refresh` raises.
        """
        return len(self._at_hand) + (self._follower.lag() if self._follower else 0)

    async def aclose(self) -> None:
        """Ends the iteration, and closes the file if it was opened here."""
        self._closed = True
        self._at_hand.records.clear()
        await self._finish_work()
        if self._follower:
            self._follower.close()
        self._follower = None
        if self._cf and self._cf is not self._source:
            self._cf.close()

    async def __aenter__(self) -> Self:
        """Opens the file; without `start`, what is committed from now on is followed."""
        await self._in_thread(self._open)
        self._at_hand.raise_error()
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Calls `aclose`."""
        await self.aclose()

    async def _fill(self) -> bool:
        """Waits until records are at hand; false at the end."""
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
        """Does `work` on the executor; or waits for what an earlier call, cancelled meanwhile, began."""
        if not await self._finish_work():
            self._working = _running_loop().run_in_executor(None, self._guarded, work)
            await self._finish_work()

    async def _finish_work(self) -> bool:
        """Waits for what was begun and not waited for yet; false if there is nothing."""
        if self._working is None:
            return False
        begun_here = self._working.get_loop() is asyncio.get_running_loop()
        # An exception may have ended the loop in which it began; new work waits for its end in the executor.
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
        """Takes what there is, up to a batch, without waiting for more."""
        self._open()
        if self._follower is None or self._at_hand:
            return
        records = self._at_hand.records
        size = 0
        for _ in self._at_hand.taking(self._follower):
            size += len(records[-1])
            if len(records) >= self._batch_size or size >= _MAX_BYTES_PER_BATCH:
                return

    async def _news(self, follower: _BlockingFollower | None) -> bool:
        """Waits until there is something to take; false if it took too long."""
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
) -> Follower[bytes]: ...
def follow(
    source: CaptureFile[Any] | RotatingReader[Any] | StrPath,
    start: int | None = None,
    *,
    timeout: float | None = None,
    batch_size: int = 1000,
    encoding: str | None = "utf_8",
    errors: str | None = None,
) -> Follower[Any]:
    """Iterates over committed records and continues with those that are committed later, by anybody.

        async for record in capturefile.aio.follow("log.capture"):
            ...

    A new record is given within some 20 milliseconds of its commit, and never half a commit. Any number of followers
    share one thread that waits.

    Arguments:
        source: a path, or an object that is open, also a `RotatingReader`; what the object itself sees does not change,
            and the iteration ends when it is closed. A path is opened by the first step, or by `async with`.
        start: number of the first record, counted from 1; by default the first that is committed after the file is
            opened or, for an object, the first that it does not see yet.
        timeout: seconds without news after which the iteration ends; by default it continues for ever.
        batch_size: how many records are read at once at most, and given at once by `batches()`.
        encoding: as for `CaptureFile`, where `source` is a path.
        errors: as for `CaptureFile`, likewise.

    Raises ValueError for a timeout or batch size that cannot be. The iteration raises what opening the file and
    `CaptureFile.follow`, or `RotatingReader.follow`, raise: among these, CaptureFileReplaced, once there are no more
    records, if another file stands at the path by then, or none, and InvalidCaptureFile if the file was cut short.
    """
    return Follower(source, start, timeout, batch_size, encoding, errors)
