"""Measures reads from a local web server that delays each response by 20 ms, and compares them with the client's limit.

    python benchmarks/remote.py [FOLDER]

It needs `obstore`. The files are kept in the folder, and reused by the next run.
"""

from __future__ import annotations

import os
import random
import resource
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import capturefile
import obstore
from obstore.store import HTTPStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

TESTS = Path(__file__).parent.parent / "tests"
LATENCY = 0.02
BINARY = 100_000
LINES = 500_000
RECORDS = 10_000_000
PICKED = 1000
ROUNDS = 3
MB = 1e6


def serve(folder: Path, pipe: Connection) -> None:
    """Serves the files of a folder until the pipe is closed."""
    sys.path.insert(0, str(TESTS))
    from object_server import ObjectServer

    with ObjectServer() as server:
        server.objects = {path.name: path.read_bytes() for path in folder.glob("*.capture")}
        server.delay = LATENCY
        pipe.send(server.url)
        while True:
            try:
                pipe.recv()
            except EOFError:
                return
            pipe.send(len(server.asked()))


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    """Yields the URL of a server in another process, and a function that counts the requests since its last call."""
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=serve, args=(folder, there), daemon=True)
    process.start()
    there.close()

    def asked() -> int:
        here.send(None)
        count: int = here.recv()
        return count

    yield here.recv(), asked
    here.close()
    process.join()


def make(folder: Path) -> None:
    """Writes the files that do not exist yet."""
    noise = random.Random(1)
    words = [noise.randbytes(noise.randrange(2, 7)).hex() for _ in range(5000)]

    def line(number: int) -> bytes:
        return f"{number} {' '.join(noise.choices(words, k=30))}".encode()

    kinds: dict[str, tuple[int, Callable[[int], bytes]]] = {
        "binary": (BINARY, lambda _: os.urandom(1000)),
        "lines": (LINES, line),
        "digits": (RECORDS, lambda _: os.urandom(20).hex().encode()),
    }
    for version in (2, 3):
        for name, (count, record) in kinds.items():
            path = folder / f"{name}-{version}.capture"
            if not path.exists():
                with capturefile.open(path, "w", encoding=None, sync="none", format=version) as cf:
                    cf.add_records(map(record, range(count)))
                    cf.commit()


def best(work: Callable[[], Any]) -> float:
    """Returns the shortest time of some rounds, in seconds."""
    return min(timed(work) for _ in range(ROUNDS))


def timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def scan(url: str) -> None:
    """Reads all records as Arrow data, without creating an object for each."""
    import pyarrow as pa

    with capturefile.open(url, encoding=None) as cf:
        for _ in pa.RecordBatchReader.from_stream(cf.as_arrow()):
            pass


def iterate(url: str) -> None:
    with capturefile.open(url, encoding=None) as cf:
        for _ in cf:
            pass


def measure_scans(url: str, path: Path, asked: Callable[[], int]) -> None:
    store = HTTPStore.from_url(url, client_options={"allow_http": True})
    size = path.stat().st_size
    whole = best(lambda: obstore.get_range(store, path.name, start=0, end=size))
    print(f"{path.name}, {size / MB:.0f} MB: one GET of everything: {size / whole / MB:.0f} MB/s")
    for name, work in (("as_arrow", scan), ("iteration", iterate)):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        asked()
        work(f"{url}/{path.name}")
        requests = asked()
        seconds = best(partial(work, f"{url}/{path.name}"))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(
            f"  {name}: {size / seconds / MB:.0f} MB/s, {whole / seconds:.2f} of that, {requests} requests; "
            f"the peak of memory grew by {grown:.0f} MiB"
        )


def measure_random(url: str, path: Path, asked: Callable[[], int]) -> None:
    store = HTTPStore.from_url(url, client_options={"allow_http": True})
    numbers = sorted(random.Random(2).sample(range(1, RECORDS + 1), PICKED))
    starts, ends = blocks_of(path, numbers)
    batched = best(lambda: obstore.get_ranges(store, path.name, starts=starts, ends=ends))
    asked()
    obstore.get_ranges(store, path.name, starts=starts, ends=ends)
    print(f"{path.name}: {len(starts)} blocks by one call: {1000 * batched:.0f} ms, {asked()} requests")

    def cold() -> None:
        with capturefile.open(f"{url}/{path.name}", encoding=None) as cf:
            cf.records_at(numbers)

    asked()
    cold()
    requests = asked()
    seconds = best(cold)
    print(f"  opened, {PICKED} records: {1000 * seconds:.0f} ms, {seconds / batched:.2f} of that, {requests} requests")


def blocks_of(path: Path, numbers: list[int]) -> tuple[list[int], list[int]]:
    """Returns where the blocks with these records start and end."""
    starts, ends = [], []
    remaining = iter(numbers)
    number = next(remaining, None)
    with capturefile.open(path) as cf:
        for block in cf.blocks():
            if number is None or block.position is None or block.records is None or number > block.records.last:
                continue
            starts.append(block.position)
            ends.append(block.position + (block.compressed_size or block.size))
            while number is not None and number <= block.records.last:
                number = next(remaining, None)
    return starts, ends


def main(folder: Path) -> None:
    """Measures everything and prints the figures."""
    make(folder)
    with served(folder) as (url, asked):
        for version in (2, 3):
            measure_scans(url, folder / f"binary-{version}.capture", asked)
            measure_scans(url, folder / f"lines-{version}.capture", asked)
            measure_random(url, folder / f"digits-{version}.capture", asked)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
