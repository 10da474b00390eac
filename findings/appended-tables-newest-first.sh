#!/bin/sh
# Tables of pyiceberg 0.12.0 and deltalake 1.6.6 that were written in four commits are read with the newest commit first, by
# their own readers, polars 2.1.0 and Daft 0.7.26; `head` and `limit` also return the newest rows. The order within a commit is
# kept. Lance 14.0.2 reads the oldest rows first, like a log. (pyiceberg restricts pyarrow to 25.0.1.)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyarrow==25.0.1 polars==2.1.0 'pyiceberg[sql-sqlite]==0.12.0' \
    deltalake==1.6.6 pylance==14.0.2 daft==0.7.26
cat > program.py <<'PYTHON'
import os

import daft
import deltalake
import lance
import polars
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

catalog = SqlCatalog("c", uri="sqlite:///catalog.db", warehouse=f"file://{os.getcwd()}/warehouse")
catalog.create_namespace("logs")
iceberg = catalog.create_table("logs.log", schema=pa.schema([("n", pa.int64())]))
for number in range(0, 8, 2):
    rows = pa.table({"n": [number, number + 1]})
    iceberg.append(rows)
    deltalake.write_deltalake("delta", rows, mode="append")
    lance.write_dataset(rows, "lance", mode="append" if number else "create")
delta = deltalake.DeltaTable("delta")
print("pyiceberg:", iceberg.scan().to_arrow()["n"].to_pylist())
print("pyiceberg, limit of 3:", iceberg.scan(limit=3).to_arrow()["n"].to_pylist())
print("polars of Iceberg:", polars.scan_iceberg(iceberg).collect()["n"].to_list())
print("Daft of Iceberg:", daft.read_iceberg(iceberg).to_pydict()["n"])
print("deltalake:", delta.to_pyarrow_table()["n"].to_pylist())
print("polars of Delta Lake, head(2):", polars.scan_delta("delta").head(2).collect()["n"].to_list())
print("Daft of Delta Lake:", daft.read_deltalake("delta").to_pydict()["n"])
print("Lance:", lance.dataset("lance").to_table()["n"].to_pylist())
PYTHON
DAFT_ANALYTICS_ENABLED=0 DO_NOT_TRACK=1 venv/bin/python -W ignore program.py > seen
cat > expected <<'TEXT'
pyiceberg: [6, 7, 4, 5, 2, 3, 0, 1]
pyiceberg, limit of 3: [6, 7, 4]
polars of Iceberg: [6, 7, 4, 5, 2, 3, 0, 1]
Daft of Iceberg: [6, 7, 4, 5, 2, 3, 0, 1]
deltalake: [6, 7, 4, 5, 2, 3, 0, 1]
polars of Delta Lake, head(2): [6, 7]
Daft of Delta Lake: [6, 7, 4, 5, 2, 3, 0, 1]
Lance: [0, 1, 2, 3, 4, 5, 6, 7]
TEXT
diff expected seen
