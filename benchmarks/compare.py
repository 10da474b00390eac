"""Compares the library with its peers, in one run on one machine, and writes a table and plots.

    python benchmarks/compare.py [--quick] [--results FOLDER]

Each figure is the median of several rounds, in which the stores alternate, so that other work on the machine affects
all of them. Absolute figures mean little; the ratios count.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import corpus
import stores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Figures = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Load:
    """The records to store, and how often they are committed."""

    name: str
    records: Sequence[bytes]
    every: int

    @property
    def raw(self) -> int:
        return sum(map(len, self.records))


def timed(work: Callable[[], object]) -> float:
    """Returns the duration of `work` in seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def rounds(load: Load, count: int, folder: Path) -> Figures:
    """Returns the medians of all figures, by figure and store."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(count):
        for store in stores.installed():
            for figure, value in measure(store, load, folder / "store").items():
                found[figure][store.name].append(value)
    return {
        figure: {store: statistics.median(values) for store, values in by_store.items()}
        for figure, by_store in found.items()
    }


def measure(store: stores.Store, load: Load, path: Path) -> dict[str, float]:
    """Measures one store in one round."""
    figures = {}
    count = len(load.records)
    if store.can_sync:
        part = load.records[: max(load.every, count // 10)]
        figures["append, synced (records/s)"] = len(part) / timed(
            lambda: store.write(path, part, load.every, sync=True)
        )
        stores.remove(path)
    figures["append (records/s)"] = count / timed(lambda: store.write(path, load.records, load.every, sync=False))
    figures["size (% of the bytes)"] = 100 * stores.size(path) / load.raw
    figures |= read(store, load, path)
    stores.remove(path)
    if store.has_commits:
        one_by_one = load.records[: count // 100]
        seconds = timed(lambda: store.write(path, one_by_one, 1, sync=False))
        figures["commit of one (1/s)"] = len(one_by_one) / seconds
        stores.remove(path)
    return figures


def read(store: stores.Store, load: Load, path: Path) -> dict[str, float]:
    """Measures a scan with an empty cache, and random reads of the records that are in memory afterwards."""
    count = len(load.records)
    reader = store.reader(path)
    scan = timed(lambda: through(reader.scan()))
    numbers = random.Random(0).choices(range(count), k=min(20_000, count))
    got = zip(numbers, reader.gets(numbers), strict=True)
    if not all(record == load.records[number] for number, record in got):
        raise SystemExit(f"{store.name} does not return the records that it stored")
    get = timed(lambda: through(reader.gets(numbers)))
    return {"scan (records/s)": count / scan, "random get, warm (us)": 1e6 * get / len(numbers)}


def through(records: Iterator[bytes]) -> None:
    """Iterates over all records."""
    for _ in records:
        pass


def table(figures: Figures, load: Load) -> str:
    """Returns the figures as Markdown, each with its ratio to this library's in brackets, and the best ones in bold."""
    own = stores.ALL[0].name
    names = list(next(iter(figures.values())))
    names += [name for by_store in figures.values() for name in by_store if name not in names]
    rows = [
        f"| {load.name}: {len(load.records):,} records, {load.raw / 1e6:.0f} MB | {' | '.join(figures)} |",
        "|---" + "|--:" * len(figures) + "|",
    ]
    best = {
        figure: (min if figure in LOWER_IS_BETTER else max)(by_store.values()) for figure, by_store in figures.items()
    }
    for name in dict.fromkeys(names):
        cells = (cell(by_store.get(name), by_store[own], best[figure]) for figure, by_store in figures.items())
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def cell(value: float | None, own: float, best: float) -> str:
    """Returns a figure and its ratio to this library's."""
    if value is None:
        return ""
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    text = f"**{text}**" if value == best else text
    return text if value == own else f"{text} ({value / own:.2f})"


def plot(all_figures: dict[str, Figures], folder: Path) -> None:
    """Draws one bar chart for each load, as PNG and SVG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    for load, figures in all_figures.items():
        picture, axes = pyplot.subplots(1, len(figures), figsize=(3.2 * len(figures), 3.4), layout="constrained")
        for axis, (figure, by_store) in zip(axes, figures.items(), strict=True):
            axis.barh(list(by_store)[::-1], list(by_store.values())[::-1])
            axis.set_title(figure, fontsize=9)
            axis.tick_params(labelsize=8)
        picture.suptitle(load)
        for ending in ("png", "svg"):
            picture.savefig(folder / f"{load.replace(' ', '-')}.{ending}", dpi=110)
        pyplot.close(picture)


LOSSES = "Where other stores are better than this library at its default level, and by what factor"
LOWER_IS_BETTER = {"size (% of the bytes)", "random get, warm (us)"}
MARKS = ("<!-- From the benchmarks, by `make bench`. -->", "<!-- Up to here. -->")
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def losses(all_figures: dict[str, Figures]) -> str:
    """Returns the results in which other stores are better, as Markdown."""
    own = stores.ALL[0].name
    lines = []
    for load, figures in all_figures.items():
        for figure, by_store in figures.items():
            if own not in by_store:
                continue
            ratios = {name: value / by_store[own] for name, value in by_store.items()}
            better = {
                name: 1 / ratio if figure in LOWER_IS_BETTER else ratio
                for name, ratio in ratios.items()
                if not name.startswith(own) and (ratio < 1 if figure in LOWER_IS_BETTER else ratio > 1)
            }
            if better:
                named = ", ".join(f"{name} {ratio:.3g}" for name, ratio in better.items())
                lines.append(f"- {load}, {figure.partition(' (')[0]}: {named}")
    return "\n".join(lines)


def into_page(text: str) -> None:
    """Inserts the results into the page on performance."""
    content = PAGE.read_text(encoding="utf-8")
    before, begin, rest = content.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not begin or not end:
        raise SystemExit(f"{PAGE} has no place for the results")
    PAGE.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def machine() -> str:
    """Returns a description of the machine."""
    described = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = (line.partition(":")[2].strip() for line in described if line.startswith("model name"))
    model = next(models, platform.processor())
    return f"{os.cpu_count()} cores of {model}, Linux {platform.release()}, Python {platform.python_version()}"


def main() -> None:
    """Measures all loads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the records, one round, no plots")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    scale, count = (10, 1) if options.quick else (1, 3)
    loads = [
        Load("lines", corpus.lines(300_000 // scale), 1000),
        Load("1 KB records", corpus.pieces(60_000 // scale), 1000),
        Load("64 KB binary records", corpus.noise(2000 // scale), 100),
    ]
    print(machine())
    all_figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for load in loads:
            all_figures[load.name] = rounds(load, count, Path(folder))
            print("\n" + table(all_figures[load.name], load), flush=True)
    if options.quick:
        return
    options.results.mkdir(exist_ok=True)
    text = "\n\n".join(table(all_figures[load.name], load) for load in loads)
    (options.results / "README.md").write_text(f"# Results\n\n{machine()}\n\n{text}\n", encoding="utf-8")
    worse = f"{LOSSES}:\n\n{losses(all_figures)}"
    into_page(f"Measured on {machine()}:\n\n{table(all_figures[loads[0].name], loads[0])}\n\n{worse}")
    (options.results / "figures.json").write_text(json.dumps(all_figures, indent=1) + "\n", encoding="utf-8")
    plot(all_figures, options.results)


if __name__ == "__main__":
    main()
