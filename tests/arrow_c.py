"""The Arrow C interfaces as a consumer written in C sees them: structures, and streams that are pulled by hand.

The functions at the end are scenarios, like those of `subprocess_scenarios.py`, and are run in the same way.
"""

from __future__ import annotations

import ctypes
import faulthandler
import sys
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int32, c_int64, c_void_p
from typing import TYPE_CHECKING, Any, Protocol

import subprocess_scenarios
from capturefile import CaptureFile
from fork_and_threads import in_a_child
from subprocess_scenarios import say

if TYPE_CHECKING:
    from collections.abc import Iterator

RELEASED: Any = None


class Exporter(Protocol):
    """Anything that exports streams."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A stream in a capsule."""


class ArrowArray(Structure):
    """Values, or a batch of columns."""

    _fields_ = [
        *((name, c_int64) for name in ("length", "null_count", "offset", "n_buffers", "n_children")),
        *((name, c_void_p) for name in ("buffers", "children", "dictionary", "release", "private_data")),
    ]

    def child(self, index: int) -> ArrowArray:
        """A column, without a copy."""
        child: ArrowArray = ctypes.cast(self.children, POINTER(POINTER(ArrowArray)))[index].contents
        return child

    def values(self, most: int | None = None) -> list[int] | list[bytes]:
        """The values of a column of numbers or of byte strings, or the first `most` of them."""
        count = self.length if most is None else most
        buffers = ctypes.cast(self.buffers, POINTER(c_void_p))
        assert buffers[0] is None, "there are nulls"
        if self.n_buffers == 2:
            return list(ctypes.cast(buffers[1], POINTER(c_int64))[:count])
        ends = ctypes.cast(buffers[1], POINTER(c_int32))[: count + 1]
        start = buffers[2] or 0
        return [ctypes.string_at(start + ends[row], ends[row + 1] - ends[row]) for row in range(count)]

    def take(self) -> ArrowArray:
        """Moves it, as the interface specifies: copies the structure and marks the original as released."""
        copy = ArrowArray.from_buffer_copy(self)
        self.release = RELEASED
        return copy

    def dispose(self) -> None:
        """Releases it."""
        CFUNCTYPE(None, POINTER(ArrowArray))(self.release)(self)
        assert self.release is RELEASED


class ArrowArrayStream(Structure):
    """Batches, one after the other."""

    _fields_ = [(name, c_void_p) for name in ("get_schema", "get_next", "get_last_error", "release", "private_data")]

    def next(self) -> tuple[int, ArrowArray]:
        """Pulls once, without the interpreter lock; returns the error code and the batch."""
        batch = ArrowArray()
        function = CFUNCTYPE(c_int, POINTER(ArrowArrayStream), POINTER(ArrowArray))(self.get_next)
        return function(self, batch), batch

    def next_into(self, batch: ArrowArray) -> int:
        """Pulls into a structure that the caller provides."""
        return int(CFUNCTYPE(c_int, POINTER(ArrowArrayStream), POINTER(ArrowArray))(self.get_next)(self, batch))

    def error(self) -> str:
        """The message of the pull that failed."""
        message = CFUNCTYPE(c_char_p, POINTER(ArrowArrayStream))(self.get_last_error)(self)
        return bytes(message).decode()

    def dispose(self) -> None:
        """Releases it."""
        CFUNCTYPE(None, POINTER(ArrowArrayStream))(self.release)(self)
        assert self.release is RELEASED

    def rows(self) -> Iterator[tuple[int, bytes]]:
        """All remaining rows, pulled batch by batch."""
        while True:
            code, batch = self.next()
            assert code == 0, self.error()
            if batch.release is RELEASED:
                return
            numbers, records = batch.child(0).values(), batch.child(1).values()
            batch.dispose()
            yield from zip(numbers, records, strict=True)


def pointer_in(capsule: object, name: bytes) -> int:
    """The address of the structure in a capsule."""
    get: Any = ctypes.pythonapi.PyCapsule_GetPointer
    get.argtypes, get.restype = [ctypes.py_object, c_char_p], c_void_p
    return int(get(capsule, name))


def stream_of(exporter: Exporter) -> ArrowArrayStream:
    """A stream that is moved out of its capsule; the capsule is dropped."""
    capsule = exporter.__arrow_c_stream__()
    stream = ArrowArrayStream.from_address(pointer_in(capsule, b"arrow_array_stream"))
    copy = ArrowArrayStream.from_buffer_copy(stream)
    stream.release = RELEASED
    return copy


def fork_with_a_stream_half_read(path: str) -> None:
    """Forks while a stream is half read; parent and child both read the rest."""
    faulthandler.cancel_dump_traceback_later()
    size = 1 << 20
    with CaptureFile(path, to_write=True, compression_block_size=size, sync=False) as cf:
        cf.add_records(str(number).ljust(size) for number in range(1, 41))
        cf.commit()
    with CaptureFile(path, threads=4) as cf:
        table = cf.as_arrow()
        stream = stream_of(table)
        code, batch = stream.next()
        assert (code, batch.length) == (0, 16)
        in_a_child(lambda: _check_numbers(stream, 17))
        _check_numbers(stream, 17)
        stream.dispose()
        assert batch.child(0).values() == list(range(1, 17))
        batch.dispose()
        in_a_child(lambda: _check_numbers(stream_of(table), 1))
    say("done")


def _check_numbers(stream: ArrowArrayStream, first: int) -> None:
    rows = list(stream.rows())
    assert [number for number, _ in rows] == list(range(first, 41))
    assert all(int(record) == number for number, record in rows)


def pull_while_the_interpreter_is_held(path: str, library: str, seconds: str) -> None:
    """Pulls in a thread that C starts, and holds the interpreter lock until that is done."""
    with CaptureFile(path) as cf:
        stream = stream_of(cf.as_arrow())
    batch = ArrowArray()
    pull = ctypes.PyDLL(library).pull_in_a_thread
    pull.argtypes = [c_void_p, c_void_p, c_void_p, c_int]
    say(str(pull(stream.get_next, ctypes.addressof(stream), ctypes.addressof(batch), int(seconds))))
    say(str(batch.length))


if __name__ == "__main__":
    subprocess_scenarios.main(globals(), *sys.argv[1:])
