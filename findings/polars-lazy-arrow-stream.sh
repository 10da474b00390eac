#!/bin/sh
# polars 2.1.0, `scan_arrow_c_stream(data)`: the lazy frame has only one stream, even of an object that would return a new one
# for each request. The first query uses up the batches that it needs, later ones get those that are left, and a frame joined
# with itself is empty. Nothing raises an error.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyarrow==26.0.1 polars==2.1.0
cat > program.py <<'PYTHON'
import polars
import pyarrow as pa


class Data:
    """Four batches of 1000 rows, in a new stream for each request."""

    streams = 0

    def __arrow_c_stream__(self, requested_schema=None):
        self.streams += 1
        batches = [pa.record_batch({"a": pa.array(range(first, first + 1000))}) for first in range(0, 4000, 1000)]
        return pa.RecordBatchReader.from_batches(batches[0].schema, batches).__arrow_c_stream__(requested_schema)


data = Data()
frame = polars.scan_arrow_c_stream(data)
print("rows of head(1), of all, of all again:", *(query.collect().height for query in (frame.head(1), frame, frame)))
print("streams:", data.streams)
frame = polars.scan_arrow_c_stream(data)
print("rows of the frame joined with itself:", frame.join(frame, on="a").collect().height)
PYTHON
venv/bin/python program.py > seen
cat > expected <<'TEXT'
rows of head(1), of all, of all again: 1 3000 0
streams: 1
rows of the frame joined with itself: 0
TEXT
diff expected seen
