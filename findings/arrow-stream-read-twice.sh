#!/bin/sh
# A pyarrow 26.0.1 reader that was read to its end returns an empty table when it is read again, without an error: by pandas
# 3.1.1, polars 2.1.0 and pyarrow itself. DuckDB 2.0.1 refuses it since 2.0, and nanoarrow 0.9.0 refuses an exhausted stream of
# its own. DataFusion 55.0.0 copies the data immediately, so that its frame can be queried again.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1 pandas==3.1.1 \
    nanoarrow==0.9.0 datafusion==55.0.0
cat > program.py <<'PYTHON'
import datafusion
import duckdb
import nanoarrow
import pandas
import polars
import pyarrow as pa

batch = pa.record_batch({"a": pa.array([1, 2, 3], pa.int64())})


def reader():
    return pa.RecordBatchReader.from_batches(batch.schema, [batch])


def twice(name, data, count):
    seen = []
    for _ in range(2):
        try:
            seen.append(count(data))
        except Exception as error:
            seen.append(type(error).__name__)
    print(f"{name}:", *seen)


twice("pyarrow", reader(), lambda data: pa.table(data).num_rows)
twice("pandas", reader(), lambda data: len(pandas.DataFrame.from_arrow(data)))
twice("polars", reader(), lambda data: polars.DataFrame(data).height)
twice("DuckDB", reader(), lambda data: duckdb.execute("SELECT count(*) FROM data").fetchall()[0][0])
twice("nanoarrow", nanoarrow.ArrayStream(batch), lambda data: len(nanoarrow.Array(data)))
twice("DataFusion", datafusion.SessionContext().from_arrow(reader()), lambda data: data.count())
PYTHON
venv/bin/python program.py > seen
cat > expected <<'TEXT'
pyarrow: 3 0
pandas: 3 0
polars: 3 0
DuckDB: 3 InvalidInputException
nanoarrow: 3 RuntimeError
DataFusion: 3 3
TEXT
diff expected seen
