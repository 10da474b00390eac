#!/bin/sh
# nanoarrow 0.9.0, `to_pylist()` of an array that is a slice of a larger one also returns the values before the slice, so there
# are more of them than `len` says, and rows of a table get values of other rows. This applies to binary of a fixed size,
# decimals, half floats and intervals. Other numbers, dates and strings are correct. Nothing raises an error.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyarrow==26.0.1 nanoarrow==0.9.0
cat > program.py <<'PYTHON'
import nanoarrow
import pyarrow as pa

for type, values in {
    pa.int64(): [1, 2, 3],
    pa.binary(): [b"aa", b"bb", b"cc"],
    pa.binary(2): [b"aa", b"bb", b"cc"],
    pa.decimal128(3, 0): [1, 2, 3],
    pa.float16(): [1, 2, 3],
    pa.month_day_nano_interval(): [(1, 0, 0), (2, 0, 0), (3, 0, 0)],
}.items():
    last = nanoarrow.Array(pa.array(values, type)[2:])
    print(f"{type}: len {len(last)},", *last.to_pylist())
table = pa.table({"key": pa.array([b"aa", b"bb", b"cc"], pa.binary(2)), "row": [1, 2, 3]})
print("table:", nanoarrow.ArrayStream(table[2:]).read_all().to_pylist())
PYTHON
venv/bin/python program.py > seen
cat > expected <<'TEXT'
int64: len 1, 3
binary: len 1, b'cc'
fixed_size_binary[2]: len 1, b'aa' b'bb' b'cc'
decimal128(3, 0): len 1, 1 2 3
halffloat: len 1, 1.0 2.0 3.0
month_day_nano_interval: len 1, (1, 0, 0) (2, 0, 0) (3, 0, 0)
table: [{'key': b'aa', 'row': 3}]
TEXT
diff expected seen
