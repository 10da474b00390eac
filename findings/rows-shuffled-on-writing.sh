#!/bin/sh
# deltalake 1.6.6 and DataFusion 55.0.0, on which it is built, shuffle the rows of a table of several batches when they write it
# to Parquet, even to a single file: they process batches in one task per core, and write them in the order of completion.
# DataFusion returns the same rows in order when they are collected. polars 2.1.0 and DuckDB 2.0.1 write the batches of a pyarrow
# reader in their order. A table of one batch remains in order.
set -eu
[ "$(nproc)" -gt 1 ] || { echo "this requires two cores" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1 deltalake==1.6.6 \
    datafusion==55.0.0
cat > program.py <<'PYTHON'
from pathlib import Path

import datafusion
import deltalake
import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet

COUNT, BATCH = 300_000, 1000
schema = pa.schema([("n", pa.int64())])


def reader(size=BATCH):
    batches = (pa.record_batch([pa.array(range(i, i + size))], schema=schema) for i in range(0, COUNT, size))
    return pa.RecordBatchReader.from_batches(schema, batches)


def show(what, values):
    values = values.to_pylist()
    assert sorted(values) == list(range(COUNT))
    print(f"{what}:", "in order" if values == list(range(COUNT)) else "shuffled")


def show_file(what, path):
    show(what, pyarrow.parquet.read_table(path)["n"])


for size, name in ((BATCH, "batches"), (COUNT, "one batch")):
    deltalake.write_deltalake(name, reader(size))
    (path,) = Path(name).glob("*.parquet")
    show_file(f"deltalake, {name}, one file", path)
frame = datafusion.SessionContext().from_arrow(reader())
show("DataFusion, collected", pa.table(frame)["n"])
frame.write_parquet("datafusion.parquet")
show_file("DataFusion, one file", "datafusion.parquet")
polars.DataFrame(reader()).lazy().sink_parquet("polars.parquet")
show_file("polars, one file", "polars.parquet")
rows = reader()
duckdb.execute("COPY (SELECT * FROM rows) TO 'duckdb.parquet'")
show_file("DuckDB, one file", "duckdb.parquet")
PYTHON
venv/bin/python program.py > seen
cat > expected <<'TEXT'
deltalake, batches, one file: shuffled
deltalake, one batch, one file: in order
DataFusion, collected: in order
DataFusion, one file: shuffled
polars, one file: in order
DuckDB, one file: in order
TEXT
diff expected seen
