"""Appending in asyncio: many tasks share commits, and each is notified when its records are durable."""

from __future__ import annotations

import asyncio
import copy
import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from capturefile._capturefile import CaptureFile
from capturefile._capturefile import open as open_file
from capturefile._errors import CaptureFileError, CaptureFileNotOpen, CaptureFileNotOpenForWrite
from capturefile.aio.loops import running_loop

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from concurrent.futures import Future
    from typing import Never, Self

    from typing_extensions import Buffer

    from capturefile._typing import Compression, StrPath, SyncMode
    from capturefile.codecs import Codec
    from capturefile.rotating import RotatingWriter

    _Log: TypeAlias = CaptureFile[Any] | RotatingWriter

_TELL_AGAIN = 0.2
"""Seconds after which an event loop that has not reacted is woken again."""


class _Append:
    """Records that are committed together, and the task that waits for the commit."""

    def __init__(self, records: list[Any], after: _Append | None) -> None:
        self.records = records
        self.done: asyncio.Future[int] = running_loop().create_future()
        self.number = 0
        self.error: BaseException | None = None
        # Totals of this and all appends before it.
        self.total: int = (after.total if after else 0) + len(records)
        self.total_bytes: int = (after.total_bytes if after else 0) + sum(map(_size, records))

    def add_to(self, log: _Log) -> bool:
        """Adds the records, unless the task has been cancelled. Returns whether it has added any."""
        if self.done.cancelled():
            return False
        try:
            self.number = log.add_record(self.records[0]) if len(self.records) == 1 else log.add_records(self.records)
        except BaseException as error:
            self.error = error
            return False
        return True

    def settle(self) -> None:
        self.records = []
        if self.done.done():
            return
        if self.error is None:
            self.done.set_result(self.number)
        else:
            self.done.set_exception(self.error)


def _size(record: Any) -> int:  # noqa: ANN401 - whatever callers pass
    try:
        return len(record) if isinstance(record, str) else memoryview(record).nbytes
    except TypeError:
        # It is an object of a codec, whose size is unknown, or will be refused when it is added.
        return 0


class Writer:
    """Appends records to a capture file or a rotated log, for all tasks of an event loop; see `open`.

    Each call of `append` or `append_many` is a separate transaction, and returns when it is durable. While one commit
    waits for the disk, calls queue up, and share the next one. A call that raises an exception has committed nothing,
    except for CommitUncertain. A call that is cancelled, for example by `asyncio.timeout`, has committed all of its
    records or none.
    """

    def __init__(
        self, target: _Log | StrPath, mode: str, options: dict[str, Any], max_queued: int, max_queued_bytes: int
    ) -> None:
        """Use `open`."""
        if mode not in ("a", "x", "w"):
            raise ValueError(
                f"mode cannot be {mode!r}: it must be 'a', 'x' or 'w', since records are appended; use "
                "capturefile.aio.follow or capturefile.open to read"
            )
        for name, value in (("max_queued", max_queued), ("max_queued_bytes", max_queued_bytes)):
            if value < 1:
                raise ValueError(f"{name} cannot be {value}: it must be at least 1")
        self._target = target
        # Absolute, because the file is opened later, when the working directory may have changed.
        self._place = Path(target).absolute() if isinstance(target, str | os.PathLike) else None
        self._mode = mode
        self._options = options
        self._max_queued = (max_queued, max_queued_bytes)
        self._process = os.getpid()
        self._log: _Log | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # A separate thread: those of the loop may all be busy, or waiting for an append.
        self._executor = ThreadPoolExecutor(1, "capturefile-append")
        # The thread takes appends from the first queue, and the loop takes them from the second when they are done.
        self._queue: deque[_Append] = deque()
        self._settled: deque[_Append] = deque()
        self._last: _Append | None = None
        self._last_settled: _Append | None = None
        self._job: Future[None] | None = None
        self._moved = threading.Event()
        # Appends enter the queue one by one, in the order of their calls.
        self._entrance = asyncio.Lock()
        self._room: asyncio.Future[None] | None = None
        self._closing: Future[None] | None = None

    def __repr__(self) -> str:
        """Shows the path, and whether the writer is closed."""
        return f"<Writer of {self.file_name!r}{', closed' if self.closed else ''}>"

    @property
    def file_name(self) -> str:
        """The path of the file, or of the current one of a rotated log."""
        return os.fspath(self._target) if isinstance(self._target, str | os.PathLike) else self._target.file_name

    @property
    def closed(self) -> bool:
        """Whether `aclose` has been called."""
        return self._closing is not None

    @property
    def file(self) -> CaptureFile[Any] | RotatingWriter | None:
        """The open file or log, for example for its `stats()`; None before it is opened."""
        return self._log

    async def append(self, record: object) -> int:
        """Appends a record, and returns when it is durable, as determined by the setting `sync`.

        Args:
            record: As for `CaptureFile.add_record`; it must not change before the call returns.

        Returns:
            The number of the record.

        Raises:
            CaptureFileNotOpen: The writer is closed.
            ValueError: As for `CaptureFile.add_record`.
            TypeError: As for `CaptureFile.add_record`.
            OSError: As for `CaptureFile.add_record` and `CaptureFile.commit`.
            CaptureFileError: Likewise.
            RuntimeError: The writer was opened in another event loop.

        Examples:
            >>> async def append():
            ...     async with capturefile.aio.open("orders.capture") as orders:
            ...         print(await orders.append("tea"))
            ...         print(await asyncio.gather(orders.append("coffee"), orders.append("milk")))
            >>> asyncio.run(append())
            1
            [2, 3]
        """
        return await self._append([record])

    async def append_many(self, records: Iterable[object]) -> int:
        """Appends many records, all or none of them, and returns when they are durable.

        Args:
            records: Records, as for `append`.

        Returns:
            The number of the last record.

        Raises:
            CaptureFileNotOpen: The writer is closed.
            ValueError: As for `CaptureFile.add_records`.
            TypeError: As for `CaptureFile.add_records`.
            OSError: As for `CaptureFile.add_records` and `CaptureFile.commit`.
            CaptureFileError: Likewise.
            RuntimeError: The writer was opened in another event loop.

        Examples:
            >>> async def append():
            ...     async with capturefile.aio.open("orders.capture") as orders:
            ...         print(await orders.append_many(["tea", "coffee"]))
            >>> asyncio.run(append())
            2
        """
        if isinstance(records, str | bytes | bytearray | memoryview):
            raise TypeError(f"records must be an iterable of records, not {type(records).__name__}; use append for one")
        return await self._append(list(records))

    async def aclose(self) -> None:
        """Commits what tasks have appended, and closes the file if the writer has opened it.

        Tasks that append later, or still wait for room in the queue, get CaptureFileNotOpen.

        Raises:
            RuntimeError: The writer was opened in another event loop.

        Examples:
            >>> async def open_and_close():
            ...     orders = await capturefile.aio.open("orders.capture")
            ...     await orders.append("tea")
            ...     await orders.aclose()
            >>> asyncio.run(open_and_close())
        """
        if self._loop is not None:
            self._check_loop()
        await asyncio.shield(asyncio.wrap_future(self._close_soon()))

    def __await__(self) -> Generator[Any, None, Self]:
        """Opens the file, and returns the object itself."""
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        """Opens the file, unless it is open."""
        try:
            return await self._opened()
        except BaseException:
            # The caller does not get the object and so cannot close it.
            self._close_soon()
            raise

    async def __aexit__(self, *exception: object) -> None:
        """Closes the writer."""
        try:
            await self.aclose()
        finally:
            self._close_soon()

    def __reduce__(self) -> Never:
        """Refuses pickling with TypeError: a file has one writer."""
        raise TypeError("a Writer cannot be pickled or copied: a file has one writer")

    # In the event loop

    async def _opened(self) -> Self:
        self._check_open()
        if self._loop is None:
            self._loop = running_loop()
        self._check_loop()
        await asyncio.wrap_future(self._executor.submit(self._open))
        return self

    def _check_loop(self) -> None:
        if self._loop is not running_loop():
            raise RuntimeError(f"the writer of {self.file_name!r} was opened in another event loop; open one in each")

    def _check_open(self) -> None:
        if self._process != os.getpid():
            raise CaptureFileNotOpenForWrite(f"{self.file_name!r} is written by the parent of this process")
        if self._closing is not None:
            raise CaptureFileNotOpen(f"the writer of {self.file_name!r} is closed")

    async def _append(self, records: list[Any]) -> int:
        self._check_open()
        if self._log is None:
            await self._opened()
        self._check_loop()
        async with self._entrance:
            append = _Append(records, self._last)
            while not self._has_room_for(append):
                self._work_soon()
                self._room = running_loop().create_future()
                await self._room
            self._check_open()
            self._queue.append(append)
            self._last = append
        try:
            # Other tasks that are about to append share the commit.
            await asyncio.sleep(0)
        except BaseException:
            append.done.cancel()
            raise
        finally:
            self._work_soon()
        return await append.done

    def _has_room_for(self, append: _Append) -> bool:
        """Returns whether a record may enter the queue. An empty queue has room for anything."""
        settled = self._last_settled
        if settled is self._last:
            return True
        queued = append.total - (settled.total if settled else 0)
        queued_bytes = append.total_bytes - (settled.total_bytes if settled else 0)
        return queued <= self._max_queued[0] and queued_bytes <= self._max_queued[1]

    def _work_soon(self) -> None:
        """Makes sure that the thread takes what is in the queue."""
        if not self._queue or self._closing is not None:
            return
        self._moved.set()
        # Work that has not begun will take it; work that has begun may have seen an empty queue.
        if self._job is None or self._job.running() or self._job.done():
            self._job = self._executor.submit(self._work)

    def _close_soon(self) -> Future[None]:
        """Makes sure that the thread closes the file."""
        if self._closing is None:
            self._closing = self._executor.submit(self._finish)
            self._executor.shutdown(wait=False)
        self._moved.set()
        return self._closing

    def _deliver(self) -> None:
        """Passes the outcomes of appends to their tasks."""
        while self._settled:
            append = self._settled[0]
            append.settle()
            self._last_settled = append
            if self._room is not None and not self._room.done():
                self._room.set_result(None)
            # The last step: interrupted work is repeated.
            self._settled.popleft()
        self._moved.set()

    # In the thread

    def _open(self) -> None:
        if self._log is None:
            log: Any = self._target
            self._log = log if self._place is None else open_file(self._place, self._mode, **self._options)  # type: ignore[call-overload]

    def _work(self) -> None:
        """Commits the content of the queue until it is empty, and makes sure that the loop is notified."""
        assert self._loop is not None
        while True:
            self._commit_queued()
            if not self._settled:
                return
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                # The loop is closed, with all tasks.
                return
            # A signal handler that raises can keep the loop from calling `_deliver`.
            self._moved.wait(_TELL_AGAIN)
            self._moved.clear()
            if not self._loop.is_running():
                return

    def _commit_queued(self) -> None:
        log = self._log
        appends: list[_Append] = []
        while self._queue:
            appends.append(self._queue.popleft())
        if log is None or not appends:
            return
        added = [append for append in appends if append.add_to(log)]
        try:
            if added:
                log.commit()
        except BaseException as error:
            # Records that were reported as failed must not be committed together with later ones.
            with suppress(CaptureFileError, OSError):
                log.rollback()
            for append in added:
                append.error = copy.copy(error)
        self._settled.extend(appends)

    def _finish(self) -> None:
        if self._loop is not None:
            self._work()
        if self._log is not None and self._place is not None:
            self._log.close()


@overload
def open(  # noqa: A001 - the name that it has in the package
    target: CaptureFile[Any] | RotatingWriter, *, max_queued: int = 10_000, max_queued_bytes: int = 16777216
) -> Writer: ...
@overload
def open(  # noqa: A001
    target: StrPath,
    mode: Literal["a", "x", "w"] = "a",
    *,
    max_queued: int = 10_000,
    max_queued_bytes: int = 16777216,
    initial_metadata: Buffer | None = None,
    encoding: str | None = "utf_8",
    use_os_file_locking: bool = True,
    compression_block_size: int | None = None,
    errors: str | None = None,
    codec: Codec[Any] | None = None,
    sync: SyncMode = "full",
    format: Literal[2, 3] = 2,
    compression: Compression | None = None,
    compression_level: int | None = None,
    threads: int | None = None,
    cache_size: int = 50331648,
) -> Writer: ...
def open(  # noqa: A001
    target: CaptureFile[Any] | RotatingWriter | StrPath,
    mode: Literal["a", "x", "w"] = "a",
    *,
    max_queued: int = 10_000,
    max_queued_bytes: int = 16777216,
    **options: Any,
) -> Writer:
    """Opens a capture file to append to it in asyncio.

    The file is opened by `async with`, by `await`, or by the first append. Many tasks may append at the same time:
    records that they append while one commit waits for the disk are part of the next one.

    Args:
        target: A path; or a `CaptureFile` or `RotatingWriter` that is open for writing, which is not closed at the end.
            Nothing else should write to such an object meanwhile.
        mode: As for `capturefile.open`, if `target` is a path.
        max_queued: Maximum number of records that are queued or being committed. Tasks that append more wait for room.
        max_queued_bytes: Maximum size of these records, likewise. A larger one is queued alone.
        options: As for `capturefile.open`, if `target` is a path.

    Returns:
        The writer. Opening it raises the exceptions of `capturefile.open`.

    Raises:
        ValueError: There is no such mode, or a limit is below 1.

    Examples:
        >>> async def append():
        ...     async with capturefile.aio.open("orders.capture") as orders:
        ...         numbers = await asyncio.gather(*(orders.append(order) for order in ("tea", "coffee", "milk")))
        ...         print(numbers, orders.file.stats().commits)
        >>> asyncio.run(append())
        [1, 2, 3] 1
    """
    return Writer(target, mode, options, max_queued, max_queued_bytes)
