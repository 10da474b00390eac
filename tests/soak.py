"""Tries for a long time to make capture files lose data, and prints what was tried.

    python tests/soak.py [SECONDS] [--only PART ...]

The parts are the crash tests over a simulated disk, the fuzz targets, power cuts of real file systems, and processes
that write, read and are killed. Any failure ends the run with an error that includes the seed.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import time
from collections import Counter
from contextlib import ExitStack
from itertools import cycle, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import capturefile
import mounts
import power_cuts
import soak_scenarios
from CaptureFile import CaptureFile as Reference
from capturefile import CaptureFile
from concurrency_workload import check_state, record
from processes import ScenarioProcess, acting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from concurrency_workload import SyncMode

PROJECT = Path(__file__).parent.parent
SIMULATION_UNIT = 120
"""Seconds that the everyday amount of crash tests takes on two cores."""
ROUND = 15.0
"""Seconds after which all processes start again with a new file."""
READERS = 8
CUTS_OF_A_DISK = 8
SYNC_MODES: tuple[SyncMode, ...] = ("none", "full", "barrier")


class Skipped(Exception):  # noqa: N818
    """A part cannot be run here; the message says why."""


def printed_by(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """The output of a command of the project, which must succeed."""
    done = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}\n{' '.join(command)} failed")
    return done.stdout


def added_up(pattern: str, text: str) -> int:
    """The sum of all numbers that the pattern matches."""
    return sum(map(int, re.findall(pattern, text)))


def simulate(seconds: float) -> Counter[str]:
    """The crash tests of the crate, as many times the everyday amount as time allows."""
    if shutil.which("cargo") is None:
        raise Skipped("there is no cargo")
    times = max(1, round(seconds / SIMULATION_UNIT))
    command = ["cargo", "test", "--locked", "--profile", "fast", "simulation", "--", "--nocapture"]
    said = printed_by(*command, environment={"CAPTUREFILE_SOAK": str(times)})
    images, faults = added_up(r": (\d+) crash images", said), added_up(r"faults: (\d+)", said)
    assert images
    assert faults
    return Counter({"crash states tried": images, "faults injected": faults})


def fuzz(seconds: float) -> Counter[str]:
    """The fuzz targets."""
    if subprocess.run(["make", "--dry-run", "fuzz"], cwd=PROJECT, capture_output=True, check=False).returncode != 0:
        raise Skipped("there is no target fuzz in the Makefile")
    executions = added_up(r"(\d+) executions", printed_by("make", "fuzz", f"FUZZ_SECONDS={int(seconds)}"))
    assert executions
    return Counter({"fuzz executions": executions})


def cut_power(seconds: float) -> Counter[str]:
    """Power cuts of one real file system after another."""
    end = time.monotonic() + seconds
    cuts = 0
    ways: list[tuple[power_cuts.Version, str]] = [(2, "full"), (3, "barrier"), (2, "barrier"), (3, "full")]
    for kind, (version, sync) in zip(cycle(power_cuts.KINDS.values()), cycle(ways), strict=False):
        source = seeded("power cuts")
        try:
            with TemporaryDirectory() as folder, power_cuts.disk(Path(folder), kind) as disk:
                replacements = source.choice([0, 0, 10, 50])
                power_cuts.cut_again_and_again(disk, source, version, sync, CUTS_OF_A_DISK, replacements)
        except mounts.Impossible as reason:
            raise Skipped(str(reason)) from None
        cuts += CUTS_OF_A_DISK
        if time.monotonic() >= end:
            break
    return Counter({"power cuts": cuts})


def run_processes(seconds: float) -> Counter[str]:
    """Writers that are killed, while others read, with the library and with the reference; round after round."""
    end = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    for version, sync in cycle(product(power_cuts.VERSIONS, SYNC_MODES)):
        left = end - time.monotonic()
        if left <= 0 and counts:
            break
        with TemporaryDirectory() as folder:
            counts.update(run_round(Path(folder), max(1.0, min(ROUND, left)), version, sync, seeded("processes")))
    return counts


def run_round(
    folder: Path, seconds: float, version: power_cuts.Version, sync: SyncMode, source: random.Random
) -> Counter[str]:
    """One file and one writer at a time, killed at random; all others read, the reference if it supports the format."""
    path, marks = folder / "log.capture", folder / "marks"
    block_size = source.choice([4096, 32_768, 32_768, 131_072])
    new = CaptureFile(path, to_write=True, initial_metadata=b"0", compression_block_size=block_size, format=version)
    new.close()
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        seed = source.getrandbits(32)
        readers = [stack.enter_context(acting(soak_scenarios.read_and_compare, path, marks)) for _ in range(READERS)]
        lockings = ["locking", "no locking"] if version == 2 else []
        references = [stack.enter_context(acting(soak_scenarios.read_by_reference, path, way)) for way in lockings]
        for process in [*readers, *references]:
            process.expect("reading")
        killer = stack.enter_context(acting(soak_scenarios.kill_writers, path, marks, sync, seconds, seed))
        kills, records = map(int, killer.finish()[0].split())
        counts.update({"kills": kills})
        for reader in readers:
            counts.update(checks_of_reader(reader))
        for reference in references:
            counts.update(checks_of_reference(reference))
    check_end(path, version, records)
    return counts


def checks_of_reader(reader: ScenarioProcess) -> Counter[str]:
    """Ends a reader; returns how many checks its threads have made, all without an error."""
    reader.tell("stop")
    lines = [line.split(" ", 1) for line in reader.finish()]
    assert all(checks.isdigit() for _, checks in lines), lines
    return Counter({"reader checks": sum(int(checks) for _, checks in lines)})


def checks_of_reference(reference: ScenarioProcess) -> Counter[str]:
    """Ends a reader that uses the reference; returns what it reports."""
    reference.tell("stop")
    checks, refusals, steps_back = map(int, reference.finish()[0].split())
    return Counter({"checks by the reference": checks, "its refusals": refusals, "its steps back": steps_back})


def check_end(path: Path, version: power_cuts.Version, records: int) -> None:
    """Checks the file that is left, with a writer that repairs it and with the reference."""
    with CaptureFile(path, to_write=True) as cf:
        assert check_state(cf, records) == records
    assert capturefile.verify(path).sound
    if version != 2:
        return
    with Reference(path) as reference:
        assert reference.record_count() == records
        assert not records or reference.record_at(records) == record(records)


def seeded(what: str) -> random.Random:
    """Random numbers with a seed that is printed."""
    seed = random.randrange(2**32)
    print(f"{what}: seed {seed}", flush=True)
    return random.Random(seed)


PARTS: dict[str, tuple[float, Callable[[float], Counter[str]]]] = {
    "simulation": (0.3, simulate),
    "fuzz": (0.2, fuzz),
    "power": (0.2, cut_power),
    "processes": (0.3, run_processes),
}
"""The share of the time that each part gets, and what it does."""


def main() -> None:
    """Runs the parts and prints the table."""
    parser = argparse.ArgumentParser(description="Tries to make capture files lose something.")
    parser.add_argument("seconds", type=float, nargs="?", default=3600, help="how long, in seconds (3600)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="the parts to run (all)")
    options = parser.parse_args()
    shares = sum(PARTS[name][0] for name in options.only)
    counts: Counter[str] = Counter()
    skipped = []
    for name in options.only:
        share, part = PARTS[name]
        print(f"{name}: {options.seconds * share / shares:.0f} s", flush=True)
        try:
            counts.update(part(options.seconds * share / shares))
        except Skipped as reason:
            skipped.append(f"{name} was left out: {reason}")
    print()
    for what, number in counts.items():
        print(f"{what:<25}{number:>15,}")
    print(f"{'losses':<25}{0:>15}")
    for line in skipped:
        print(line)


if __name__ == "__main__":
    main()
