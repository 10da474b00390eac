#!/bin/sh
# polars 2.1.0, `from_arrow(data)`: a pyarrow reader becomes a data frame, but any other object with the same stream becomes a
# series of structs, such as those of arro3 0.9.1, DuckDB 2.0.1 or DataFusion 55.0.0. `polars.DataFrame(data)` creates a frame
# from all of them.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1 arro3-core==0.9.1 \
    datafusion==55.0.0
cat > program.py <<'PYTHON'
import arro3.core
import datafusion
import duckdb
import polars
import pyarrow as pa

table = pa.table({"a": [1, 2], "b": ["x", "y"]})
makers = {
    "pyarrow.Table": lambda: table,
    "pyarrow.RecordBatchReader": table.to_reader,
    "arro3.core.Table": lambda: arro3.core.Table(table),
    "DuckDB's relation": lambda: duckdb.sql("SELECT 1 AS a, 'x' AS b"),
    "DataFusion's frame": lambda: datafusion.SessionContext().from_arrow(table),
}
for name, make in makers.items():
    print(f"{name}: {type(polars.from_arrow(make())).__name__}, {type(polars.DataFrame(make())).__name__}")
PYTHON
venv/bin/python program.py > seen
cat > expected <<'TEXT'
pyarrow.Table: DataFrame, DataFrame
pyarrow.RecordBatchReader: DataFrame, DataFrame
arro3.core.Table: Series, DataFrame
DuckDB's relation: Series, DataFrame
DataFusion's frame: Series, DataFrame
TEXT
diff expected seen
