"""Measures the library alone: growth of costs with the file, speed-up by threads, and distance from its limits.

    python benchmarks/standalone.py [--largest NUMBER] [--results FOLDER]

Growth is measured in processor time, which is least affected by other work on the machine, and the rest in elapsed
time. Files are written without syncs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import capturefile
import corpus

if TYPE_CHECKING:
    from capturefile import CaptureFile

TESTS = Path(__file__).parent.parent / "tests"
MICRO = 1e6
ROUNDS = 5
THREADS = (1, 2, 4, 8)
CACHE_OF_A_TENTH = 10
"""Factor by which the data is larger than the cache when reads are measured as cold."""

HEADING = "## This library alone"
"""The output of this script is written under it, after that of `compare.py`."""

Table = dict[str, dict[str, float]]
"""Figures by name, and by the file size or number of threads."""


def wall(work: Callable[[], object]) -> float:
    """Returns the elapsed time of `work` in seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def processor(work: Callable[[], object]) -> float:
    """Returns the processor time of all threads of this process for `work`, in seconds."""
    start = time.process_time()
    work()
    return time.process_time() - start


def least(measure: Callable[[Callable[[], object]], float], work: Callable[[], object]) -> float:
    """Returns the least of a few rounds, because other work can only make a round longer."""
    return min(measure(work) for _ in range(ROUNDS))


def again(times: int, work: Callable[[], object]) -> None:
    """Repeats `work` this many times."""
    for _ in range(times):
        work()


def reader(path: Path, **options: Any) -> CaptureFile[bytes]:  # noqa: ANN401
    """Opens the file with an empty cache."""
    return capturefile.open(path, encoding=None, **options)


def write(path: Path, records: Sequence[bytes], **options: Any) -> None:  # noqa: ANN401
    """Writes a file of the records, with a commit after each thousand."""
    with capturefile.open(path, "w", encoding=None, sync="none", **options) as cf:
        for start in range(0, len(records), 1000):
            cf.add_records(records[start : start + 1000])
            cf.commit()


def write_one_by_one(path: Path, records: Sequence[bytes], **options: Any) -> None:  # noqa: ANN401
    """Does the same with a call for each record, and a commit after each thirty thousand."""
    with capturefile.open(path, "w", encoding=None, sync="none", **options) as cf:
        for start in range(0, len(records), 30_000):
            for record in records[start : start + 30_000]:
                cf.add_record(record)
            cf.commit()


def get(cf: CaptureFile[bytes], numbers: Sequence[int]) -> None:
    """Reads records one by one."""
    record_at = cf.record_at
    for number in numbers:
        record_at(number)


def scan(cf: CaptureFile[bytes]) -> None:
    """Reads all records in order."""
    for _ in cf:
        pass


def scan_afresh(path: Path, threads: int) -> None:
    """Does the same with an empty cache, inflating on this many threads."""
    scan(reader(path, threads=threads))


def pack_afresh(path: Path, threads: int) -> None:
    """Reads all records without an object for each."""
    cf = reader(path, threads=threads)
    cf.read_range_buffers(1, len(cf))


def growth(folder: Path, largest: int) -> Table:
    """Returns costs by the number of records. Each size has its own process, so that its memory can be measured."""
    table: Table = defaultdict(dict)
    path, count = folder / "growth.capture", 100_000
    while count <= largest:
        for figure, value in in_a_process("--grow", path, count).items():
            table[figure][f"{count:,}"] = value
        count *= 10
    sys.path.insert(0, str(TESTS))
    import builder

    path.write_bytes(builder.trillion_file())
    for figure, value in in_a_process("--read", path).items():
        table[figure]["a trillion, in shared subtrees"] = value
    return table


def in_a_process(*arguments: object) -> dict[str, float]:
    """Runs this script with these arguments, and returns what it prints."""
    done = subprocess.run([sys.executable, __file__, *map(str, arguments)], stdout=subprocess.PIPE, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def grow(path: Path, count: int) -> dict[str, float]:
    """Writes a file of records of about ten bytes, and reads it."""
    batches = [[b"record %d" % number for number in range(start, start + 1000)] for start in range(0, 100_000, 1000)]
    with capturefile.open(path, "w", encoding=None, sync="none") as cf:

        def append() -> None:
            for _ in range(count // 100_000):
                for batch in batches:
                    cf.add_records(batch)
                cf.commit()

        cost = processor(append)
    return {"append (us)": MICRO * cost / count, **read_costs(path)}


def read_costs(path: Path) -> dict[str, float]:
    """Reads a file at random, cold and warm, and scans its first million records."""
    cf = reader(path)
    numbers = random.Random(0).choices(range(1, len(cf) + 1), k=2000)
    cold = processor(lambda: get(cf, numbers)) / len(numbers)
    few = numbers[:200] * 10
    warm = least(processor, lambda: get(cf, few)) / len(few)
    part = min(len(cf), 1_000_000)
    scanned = processor(lambda: reader(path).read_range(1, part)) / part
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "get, cold (us)": MICRO * cold,
        "get, warm (us)": MICRO * warm,
        "range (us)": MICRO * scanned,
        "memory at most (MB)": memory,
    }


def threads(folder: Path, lines: Sequence[bytes]) -> Table:
    """Returns the number of records per second, by the number of threads or processes."""
    table: Table = defaultdict(dict)
    path = folder / "threads.capture"
    write(path, lines)
    numbers = random.Random(0).choices(range(1, len(lines) + 1), k=len(lines))
    warm = reader(path)
    scan(warm)
    for count in THREADS:
        target = path.with_name("written")
        measured = {
            "append, a commit each 1,000, compressing on": least(wall, partial(write, target, lines, threads=count)),
            "append, a commit each 30,000": least(wall, partial(write_one_by_one, target, lines, threads=count)),
            "loop, inflating on": least(wall, partial(scan_afresh, path, count)),
            "buffers, inflating on": least(wall, partial(pack_afresh, path, count)),
        }
        with ThreadPoolExecutor(count) as pool:
            measured["get, in threads"] = least(wall, partial(together, pool, count, get, warm, numbers)) / count
        with ProcessPoolExecutor(count) as processes:
            measured["loop, in processes"] = (
                least(wall, partial(together, processes, count, scan_afresh, path, 1)) / count
            )
        for name, seconds in measured.items():
            table[name][f"{count}"] = len(lines) / seconds
    return table


def together(pool: Executor, times: int, work: Callable[..., object], *arguments: object) -> None:
    """Runs `work` several times in parallel."""
    for future in [pool.submit(work, *arguments) for _ in range(times)]:
        future.result()


def limits(folder: Path, lines: Sequence[bytes]) -> dict[str, float]:
    """Returns costs, and the costs that limit them: in nanoseconds per record, or microseconds if the name says so."""
    import deflate

    path = folder / "limits.capture"
    write(path, lines)
    content, count = path.read_bytes(), len(lines)
    with reader(path) as cf:
        frames = [(block.position, block.compressed_size, block.size) for block in cf.blocks()]
    # The end of the last frames is in a slot.
    whole = [(at, at + length, size) for at, length, size in frames if at and length and at + length <= len(content)]
    streams = [(content[at + 4 : end], size) for at, end, size in whole]

    def inflate() -> None:
        for stream, size in streams:
            deflate.zlib_decompress(stream, size)

    cores = os.cpu_count() or 1
    blocks = [deflate.zlib_decompress(stream, size) for stream, size in streams]

    def compress() -> None:
        for block in blocks:
            deflate.zlib_compress(block, 6)

    inflating = least(processor, inflate)
    raw = b"".join(lines)
    cf, nano = reader(path), 1e9 / count
    numbers = random.Random(0).choices(range(1, count + 1), k=count)
    with reader(path) as warm:
        scan(warm)
        warm_get = least(processor, lambda: get(warm, numbers)) * nano
    few = reader(path, cache_size=len(raw) // CACHE_OF_A_TENTH)
    cold_numbers = numbers[:2000]
    get(few, numbers[:60_000])
    return {
        "libdeflate alone, compressing at level 6": least(processor, compress) * nano,
        "append on one thread": least(processor, lambda: write(path.with_name("w"), lines, threads=1)) * nano,
        "libdeflate alone, inflating": inflating * nano,
        "buffers on one thread": least(processor, partial(pack_afresh, path, 1)) * nano,
        "libdeflate alone, inflating, shared by all cores": inflating * nano / cores,
        "buffers on all cores": least(wall, partial(pack_afresh, path, cores)) * nano,
        "loop on one thread": least(processor, partial(scan_afresh, path, 1)) * nano,
        "copying the bytes": least(processor, lambda: bytearray(raw)) * nano,
        "an object for each": least(processor, lambda: [bytes(memoryview(line)) for line in lines]) * nano,
        "an empty call": least(processor, lambda: again(count, cf.record_count)) * nano,
        "get, warm": warm_get,
        "libdeflate alone, inflating one block (us)": MICRO * inflating / len(blocks),
        "get, data ten times the cache (us)": MICRO
        * least(processor, partial(get, few, cold_numbers))
        / len(cold_numbers),
        "set of 1,000, data ten times the cache (us)": MICRO
        * wall(lambda: [few.records_at(cold_numbers[start : start + 1000]) for start in (0, 1000)])
        / len(cold_numbers),
        "open and close (us)": MICRO * least(processor, lambda: again(1000, lambda: reader(path).close())) / 1000,
        "refresh without a new commit (us)": MICRO * least(processor, lambda: again(10_000, cf.refresh)) / 10_000,
        "a commit seen by a follower, after a second without any (us)": MICRO * seen_by_follower(folder / "followed"),
        "one sync (us)": MICRO * syncs(folder / "synced"),
        "commit of one, durable (us)": MICRO * durable_commits(folder / "durable.capture"),
    }


def syncs(path: Path) -> float:
    """Returns the seconds that it takes to overwrite a page and sync it."""
    with path.open("wb", buffering=0) as file:
        page = bytes(4096)
        file.write(page)

        def write_and_sync() -> None:
            os.pwrite(file.fileno(), page, 0)
            os.fdatasync(file.fileno())

        return wall(lambda: again(300, write_and_sync)) / 300


def durable_commits(path: Path) -> float:
    """Returns the seconds that a commit of one short record takes."""
    with capturefile.open(path, "w") as cf:

        def add_and_commit() -> None:
            cf.add_record("one short record")
            cf.commit()

        return wall(lambda: again(300, add_and_commit)) / 300


def seen_by_follower(path: Path) -> float:
    """Returns the median time from the start of a commit until a follower in another process has its record."""
    command = [sys.executable, __file__, "--follow", str(path)]
    with (
        capturefile.open(path, "w", sync="none") as cf,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower,
    ):
        for _ in range(5):
            time.sleep(1.2)
            cf.add_record(repr(time.perf_counter()))
            cf.commit()
        seen, _ = follower.communicate()
    return statistics.median(map(float, seen.split()))


def follow(path: Path) -> None:
    """Prints the delay of some records, which contain the time at which they were added."""
    with capturefile.open(path) as cf:
        for _, began in zip(range(5), cf.follow(1), strict=False):
            print(time.perf_counter() - float(began))


def as_markdown(title: str, table: Table) -> str:
    """Returns a table with a row for each figure."""
    columns = list(dict.fromkeys(column for row in table.values() for column in row))
    lines = [f"| {title} | {' | '.join(columns)} |", "|---" + "|--:" * len(columns) + "|"]
    lines += [
        f"| {name} | {' | '.join(number(row[column]) if column in row else '' for column in columns)} |"
        for name, row in table.items()
    ]
    return "\n".join(lines)


def number(value: float) -> str:
    """Returns a number with three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def plot(table: Table, title: str, place: Path) -> None:
    """Draws curves over the number of records, as PNG and SVG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    picture, axis = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for name, row in table.items():
        axis.plot(list(row), list(row.values()), marker="o", label=name)
    axis.set_yscale("log")
    axis.set_title(title)
    axis.tick_params(axis="x", labelsize=7)
    axis.legend(fontsize=8)
    for ending in ("png", "svg"):
        picture.savefig(place.with_suffix(f".{ending}"), dpi=110)
    pyplot.close(picture)


def main() -> None:
    """Measures everything, or, in a child process, what its arguments request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=10**8, help="records of the largest file")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--grow", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--follow", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.grow:
        print(json.dumps(grow(Path(options.grow[0]), int(options.grow[1]))))
        return
    if options.read:
        print(json.dumps(read_costs(options.read)))
        return
    if options.follow:
        follow(options.follow)
        return
    lines = corpus.lines(300_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grown, threaded = growth(folder, options.largest), threads(folder, lines)
        bounded = {name: {"": value} for name, value in limits(folder, lines).items()}
    tables = [
        as_markdown("cost of a record, by records in the file", grown),
        as_markdown("lines a second, by threads or processes", threaded),
        as_markdown("a line of 85 bytes, in nanoseconds unless it says microseconds", bounded),
    ]
    print("\n\n".join(tables))
    options.results.mkdir(exist_ok=True)
    plot(grown, "Cost of a record as the file grows", options.results / "growth")
    plot(threaded, "Lines a second by threads or processes", options.results / "threads")
    grown_table, threads_table, limits_table = tables
    alone = (
        f"{HEADING}\n\n{grown_table}\n\n![Cost of a record as the file grows](growth.svg)\n\n{threads_table}\n\n"
        f"![Lines a second by threads or processes](threads.svg)\n\n{limits_table}\n"
    )
    page = options.results / "README.md"
    before = page.read_text(encoding="utf-8").partition(HEADING)[0] if page.exists() else ""
    page.write_text(before + alone, encoding="utf-8")


if __name__ == "__main__":
    main()
