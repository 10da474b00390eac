"""Count the words of many files in Dask, look up records by their numbers, and write results to capture files.

Run it as it is, with the extra `dask`: it makes its own files in a temporary folder.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import capturefile
from capturefile.dask import read_bag, read_capture, to_capture


def make_files(folder: Path) -> None:
    """Creates two files of visits."""
    for name, count in (("monday", 30_000), ("tuesday", 20_000)):
        with capturefile.open(folder / f"{name}.capture", "x", sync="none") as cf:
            cf.add_records(f"visit {number} on {name} from {number % 7}" for number in range(1, count + 1))
            cf.commit()


def main() -> None:
    """Runs all parts of the example."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_files(folder)

        visits = read_capture(folder, text=True, records_per_partition=10_000)
        print(visits.npartitions, "partitions", visits.divisions)
        print(visits.record.str.endswith("from 3").sum().compute(), "visits from 3")
        print(visits.loc[30_001].compute().record.item())

        words = read_bag(folder / "monday.capture").map(str.split).map(len)
        print(words.sum().compute(), "words")

        paths = to_capture(visits[visits.record.str.endswith("from 3")], folder / "from-3", sync="none")
        print(len(capturefile.concat(paths)), "records in", len(paths), "files")


if __name__ == "__main__":
    main()
