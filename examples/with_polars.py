"""Scan capture files lazily in polars: a query reads records when it runs, and only those that it needs.

Run it as it is, with `pip install polars`: it makes its own file in a temporary folder.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import capturefile
import polars
from polars.io.plugins import register_io_source

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 65_536
"""Number of rows in a batch, unless polars requests another one."""


def scan_capture(path: Path | str, *, text: bool = False) -> polars.LazyFrame:
    """Returns a lazy frame of the current records, in order. Each query reads the file again."""
    log = capturefile.open(path, encoding=None)
    count = log.record_count()
    schema = polars.DataFrame(log.as_arrow(1, 0, text=text)).schema

    def batches(
        columns: list[str] | None, condition: polars.Expr | None, rows: int | None, batch: int | None
    ) -> Iterator[polars.DataFrame]:
        wanted = list(schema) if columns is None else columns
        last = count if rows is None else min(count, rows)
        for first in range(1, last + 1, batch or ROWS):
            end = min(first + (batch or ROWS) - 1, last)
            if "record" in wanted:
                frame = polars.DataFrame(log.as_arrow(first, end, text=text))
            else:
                frame = polars.select(record_number=polars.int_range(first, end + 1))
            yield (frame if condition is None else frame.filter(condition)).select(wanted)

    return register_io_source(batches, schema=schema, validate_schema=True, is_pure=True)


def main() -> None:
    """Creates a file of visits, and runs lazy queries on it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "visits.capture"
        with capturefile.open(path, "x") as log:
            log.add_records(f"visit {number} from {number % 7}" for number in range(1, 100_001))
            log.commit()

        visits = scan_capture(path, text=True)
        print(visits.filter(polars.col("record").str.ends_with("from 3")).select(polars.len()).collect().item())
        print(visits.tail(1).collect().row(0))
        visits.with_columns(place=polars.col("record").str.tail(1)).sink_parquet(path.with_suffix(".parquet"))
        print(polars.scan_parquet(path.with_suffix(".parquet")).select(polars.col("place").n_unique()).collect().item())


if __name__ == "__main__":
    main()
