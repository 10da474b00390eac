"""Query records in SQL, and write them to Parquet in batches, through Arrow.

Run it as it is, with `pip install duckdb pyarrow`: it makes its own files in a temporary folder.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import capturefile
import duckdb
import pyarrow
import pyarrow.parquet


def write_parquet(records: capturefile.ArrowRecords, path: Path) -> None:
    """Writes any number of records, with one batch in memory at a time."""
    batches = pyarrow.RecordBatchReader.from_stream(records)
    with pyarrow.parquet.ParquetWriter(path, batches.schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def main() -> None:
    """Creates a file of measurements in JSON, and queries them in SQL, both directly and from Parquet."""
    with TemporaryDirectory() as folder:
        path, parquet = Path(folder) / "measured.capture", Path(folder) / "measured.parquet"
        with capturefile.open(path, "x") as log:
            log.add_records(f'{{"sensor": {number % 7}, "value": {number}}}' for number in range(1, 100_001))
            log.commit()
            records = log.as_arrow(text=True)

        largest = "max(CAST(record->>'value' AS INT))"
        query = f"SELECT count(*), {largest} FROM {{}} WHERE CAST(record->>'sensor' AS INT) = 3"
        print(duckdb.execute(query.format("records")).fetchall())

        write_parquet(records, parquet)
        print(duckdb.execute(query.format(f"'{parquet}'")).fetchall())


if __name__ == "__main__":
    main()
