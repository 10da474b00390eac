#!/bin/sh
# polars 2.1.0 multiplies Arrow's timestamps in seconds by 1000, because it has no such type, and ignores the overflow: the
# valid second 2^62 becomes the beginning of 1970, without an error. DuckDB 2.0.1 has a type for seconds and raises if it
# cannot convert a value; pandas 3.1.1 and DataFusion 55.0.0 keep the number.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1 pandas==3.1.1 \
    datafusion==55.0.0
cat > program.py <<'PYTHON'
import datafusion
import duckdb
import pandas
import polars
import pyarrow as pa

stamps = pa.table({"t": pa.array([1 << 62], pa.timestamp("s"))})
print("polars:", polars.DataFrame(stamps)["t"].to_physical().to_list())
print("pandas:", pandas.DataFrame.from_arrow(stamps)["t"].astype("int64").tolist() == [1 << 62])
frame = datafusion.SessionContext().from_arrow(stamps)
print("DataFusion:", pa.table(frame)["t"].cast(pa.int64()).to_pylist() == [1 << 62])
try:
    duckdb.sql("SELECT t FROM stamps").fetchall()
except duckdb.Error as error:
    print("DuckDB:", type(error).__name__)
PYTHON
venv/bin/python program.py > seen
cat > expected <<'TEXT'
polars: [0]
pandas: True
DataFusion: True
DuckDB: ConversionException
TEXT
diff expected seen
