#!/bin/sh
# vortex-data 0.90.0, `open(path).to_polars()`: the scan of the lazy frame raises NotImplementedError for each filter without an
# equivalent Vortex expression, such as one with `%`, although polars 2.1.0 could apply it to the batches itself. Comparisons
# work. `with_row_index()`, through which polars pushes no filter, avoids the error.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyarrow==26.0.1 polars==2.1.0 vortex-data==0.90.0
cat > program.py <<'PYTHON'
import polars
import pyarrow as pa
import vortex

vortex.io.write(pa.table({"n": pa.array(range(100), pa.int64()), "s": [f"row {n}" for n in range(100)]}), "log.vortex")
frame = vortex.open("log.vortex").to_polars()
n, s = polars.col("n"), polars.col("s")
for name, query in {
    "n > 90": frame.filter(n > 90),
    "n % 50 == 0": frame.filter(n % 50 == 0),
    "n in [1, 2]": frame.filter(n.is_in([1, 2])),
    "s ends with 7": frame.filter(s.str.ends_with("7")),
    "n % 50 == 0 behind with_row_index": frame.with_row_index().filter(n % 50 == 0),
}.items():
    try:
        print(f"{name}:", query.collect().height)
    except Exception as error:
        print(f"{name}:", type(error).__name__)
PYTHON
venv/bin/python program.py > seen
cat > expected <<'TEXT'
n > 90: 9
n % 50 == 0: NotImplementedError
n in [1, 2]: 2
s ends with 7: NotImplementedError
n % 50 == 0 behind with_row_index: 2
TEXT
diff expected seen
