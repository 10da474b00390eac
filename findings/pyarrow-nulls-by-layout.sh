#!/bin/sh
# pyarrow 26.0.1: some functions lose or keep nulls depending on the layout of an array. `unique` and `value_counts` of string
# and binary views, which polars 2.1.0 exports, return an empty string instead of null, in addition to the actual empty string.
# `drop_null` keeps the nulls of run-end encoded arrays and unions, although `is_null` finds them. Nothing raises an error.
# Plain arrays of the same values are handled correctly.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyarrow==26.0.1 polars==2.1.0
cat > program.py <<'PYTHON'
import polars
import pyarrow as pa
import pyarrow.compute as pc

values = ["a", None, "", "a"]
frame = polars.DataFrame({"s": values, "b": [b"a", None, b"", b"a"]})
for name, column in {
    "string": pa.array(values),
    "string view, from polars": pa.table(frame)["s"],
    "binary view, from polars": pa.table(frame)["b"],
}.items():
    counts = [(row["values"], row["counts"]) for row in pc.value_counts(column).to_pylist()]
    print(f"{name}: unique {pc.unique(column).to_pylist()}, value_counts {counts}")
numbers = pa.array([1, None, None, 2])
kinds = pa.array([0, 0, 0, 0], pa.int8())
for name, column in {
    "plain": numbers,
    "run-end encoded": pc.run_end_encode(numbers),
    "sparse union": pa.UnionArray.from_sparse(kinds, [numbers]),
}.items():
    print(f"{name}: is_null {pc.is_null(column).to_pylist()}, drop_null {column.drop_null().to_pylist()}")
PYTHON
venv/bin/python program.py > seen
cat > expected <<'TEXT'
string: unique ['a', None, ''], value_counts [('a', 2), (None, 1), ('', 1)]
string view, from polars: unique ['a', '', ''], value_counts [('a', 2), ('', 1), ('', 1)]
binary view, from polars: unique [b'a', b'', b''], value_counts [(b'a', 2), (b'', 1), (b'', 1)]
plain: is_null [False, True, True, False], drop_null [1, 2]
run-end encoded: is_null [False, True, True, False], drop_null [1, None, None, 2]
sparse union: is_null [False, True, True, False], drop_null [1, None, None, 2]
TEXT
diff expected seen
