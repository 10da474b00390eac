#!/bin/sh
# Daft 0.7.26, `read_csv`, `read_json` and `read_text`: of a zstd, bzip2 or xz file with several frames, such as `cat`, pzstd,
# pbzip2 and programs that append to a file write, only the rows of the first frame are returned, without an error. Files in
# gzip are read completely. polars 2.1.0, DuckDB 2.0.1, pandas 3.1.1 and DataFusion 55.0.0 read all frames of the zstd file.
# (Daft restricts pyarrow to 25.0.1.)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check daft==0.7.26 polars==2.1.0 duckdb==2.0.1 pandas==3.1.1 \
    datafusion==55.0.0 pyarrow==25.0.1 backports.zstd==1.8.0 zstandard==0.25.0
cat > program.py <<'PYTHON'
import bz2
import gzip
import lzma
from pathlib import Path

import daft
import datafusion
import duckdb
import pandas
import polars
from backports import zstd

pieces = {
    "csv": (b"n\n1\n", b"2\n", b"3\n"),
    "jsonl": (b'{"n":1}\n', b'{"n":2}\n', b'{"n":3}\n'),
    "txt": (b"1\n", b"2\n", b"3\n"),
}
kinds = {"gz": gzip.compress, "zst": zstd.compress, "bz2": bz2.compress, "xz": lzma.compress}
for kind, compress in kinds.items():
    for ending, parts in pieces.items():
        Path(f"log.{ending}.{kind}").write_bytes(b"".join(map(compress, parts)))
    csv = daft.read_csv(f"log.csv.{kind}").count_rows()
    json = daft.read_json(f"log.jsonl.{kind}").count_rows()
    text = daft.read_text(f"log.txt.{kind}").count_rows()
    print(f"Daft, {kind}: {csv}, {json} and {text} rows of 3")
path = "log.csv.zst"
print("polars, zst:", polars.read_csv(path).height)
print("DuckDB, zst:", duckdb.sql(f"SELECT count(*) FROM '{path}'").fetchall()[0][0])
print("pandas, zst:", len(pandas.read_csv(path)))
context = datafusion.SessionContext()
print("DataFusion, zst:", context.read_csv(path, file_extension=".csv.zst", file_compression_type="zstd").count())
PYTHON
DAFT_ANALYTICS_ENABLED=0 DO_NOT_TRACK=1 venv/bin/python -W ignore program.py > seen
cat > expected <<'TEXT'
Daft, gz: 3, 3 and 3 rows of 3
Daft, zst: 1, 1 and 1 rows of 3
Daft, bz2: 1, 1 and 1 rows of 3
Daft, xz: 1, 1 and 1 rows of 3
polars, zst: 3
DuckDB, zst: 3
pandas, zst: 3
DataFusion, zst: 3
TEXT
diff expected seen
