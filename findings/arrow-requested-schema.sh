#!/bin/sh
# pyarrow 26.0.1, `RecordBatchReader.from_stream(data, schema=...)`: the schema is a request, which the producer may ignore,
# and the result is not checked. polars 2.1.0 and DuckDB 2.0.1 ignore it: they return 64-bit numbers instead of the requested
# 32-bit ones, without an error. pyarrow, pandas 3.1.1 and arro3 0.9.1 cast. DataFusion 55.0.0 raises, even if the values fit.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1 pandas==3.1.1 \
    arro3-core==0.9.1 datafusion==55.0.0
cat > program.py <<'PYTHON'
import arro3.core
import datafusion
import duckdb
import pandas
import polars
import pyarrow as pa

values = [1, 2, 3]
producers = {
    "pyarrow": pa.table({"a": pa.array(values, pa.int64())}),
    "pandas": pandas.DataFrame({"a": values}),
    "arro3": arro3.core.Table(pa.table({"a": pa.array(values, pa.int64())})),
    "polars": polars.DataFrame({"a": values}),
    "DuckDB": duckdb.sql("SELECT unnest([1, 2, 3])::BIGINT AS a"),
    "DataFusion": datafusion.SessionContext().from_pydict({"a": values}),
}
wanted = pa.schema([("a", pa.int32())])
for name, producer in producers.items():
    try:
        came = pa.RecordBatchReader.from_stream(producer, schema=wanted).read_all()
    except Exception as error:
        print(f"{name}: refused, {'Int32 does not equal Int64' in str(error)}")
    else:
        print(f"{name}: {came.schema.field('a').type}")
PYTHON
venv/bin/python program.py > seen
cat > expected <<'TEXT'
pyarrow: int32
pandas: int32
arro3: int32
polars: int64
DuckDB: int64
DataFusion: refused, True
TEXT
diff expected seen
