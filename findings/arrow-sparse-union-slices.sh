#!/bin/sh
# pyarrow 26.0.1, a column of a sparse union in several batches of one table: DataFusion 55.0.0, arro3 0.9.1 and nanoarrow 0.9.0
# read the values of the first batch in each of them, without an error. pyarrow exports all values with each batch, and the
# position at which the batch begins; these libraries apply that position to the tags, but not to the values. pyarrow itself and
# DuckDB 2.0.1 apply it to both. Other columns of the same batches are correct.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyarrow==26.0.1 datafusion==55.0.0 arro3-core==0.9.1 nanoarrow==0.9.0 \
    duckdb==2.0.1
cat > program.py <<'PYTHON'
import arro3.core
import datafusion
import duckdb
import nanoarrow
import pyarrow as pa

tags = pa.array([0, 1, 0, 1], pa.int8())
values = pa.UnionArray.from_sparse(tags, [pa.array([1, 0, 2, 0]), pa.array(["", "a", "", "b"])], ["n", "s"])
table = pa.table({"u": values, "row": [1, 2, 3, 4]})


def reader():
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=2))


def show(name, rows):
    print(f"{name}:", [row["u"] for row in rows], [row["row"] for row in rows])


batches = reader()
show("pyarrow", pa.RecordBatchReader.from_stream(reader()).read_all().to_pylist())
show("DuckDB", [{"u": u, "row": row} for u, row in duckdb.sql("FROM batches").fetchall()])
show("DataFusion", pa.table(datafusion.SessionContext().from_arrow(reader())).to_pylist())
show("arro3", pa.table(arro3.core.Table(reader())).to_pylist())
show("nanoarrow", nanoarrow.ArrayStream(reader()).read_all().to_pylist())
PYTHON
venv/bin/python program.py > seen
cat > expected <<'TEXT'
pyarrow: [1, 'a', 2, 'b'] [1, 2, 3, 4]
DuckDB: [1, 'a', 2, 'b'] [1, 2, 3, 4]
DataFusion: [1, 'a', 1, 'a'] [1, 2, 3, 4]
arro3: [1, 'a', 1, 'a'] [1, 2, 3, 4]
nanoarrow: [1, 'a', 1, 'a'] [1, 2, 3, 4]
TEXT
diff expected seen
