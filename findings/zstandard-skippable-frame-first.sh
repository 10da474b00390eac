#!/bin/sh
# zstandard 0.25.0, `decompress(data)` refuses data that begins with a skippable frame, in which some tools store metadata: it
# misreads the length of that frame as that of the content. `stream_reader` with `read_across_frames=True` skips the frame, and
# so do backports.zstd 1.8.0, which is the module of Python 3.14, pyzstd 0.20.0 and pyarrow 26.0.1.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check zstandard==0.25.0 backports.zstd==1.8.0 pyzstd==0.20.0 \
    pyarrow==26.0.1
cat > program.py <<'PYTHON'
import io
import struct

import pyarrow as pa
import pyzstd
import zstandard
from backports import zstd

data = struct.pack("<II", 0x184D2A50, 4) + b"note" + zstd.compress(b"content")
for name, read in {
    "zstandard.decompress": lambda: zstandard.decompress(data),
    "zstandard, stream_reader": lambda: zstandard.ZstdDecompressor()
    .stream_reader(io.BytesIO(data), read_across_frames=True)
    .read(),
    "backports.zstd": lambda: zstd.decompress(data),
    "pyzstd": lambda: pyzstd.decompress(data),
    "pyarrow": lambda: pa.CompressedInputStream(pa.py_buffer(data), "zstd").read(),
}.items():
    try:
        print(f"{name}:", read())
    except Exception as error:
        print(f"{name}:", error)
PYTHON
venv/bin/python program.py > seen
cat > expected <<'TEXT'
zstandard.decompress: decompression error: decompressed 0 bytes; expected 4
zstandard, stream_reader: b'content'
backports.zstd: b'content'
pyzstd: b'content'
pyarrow: b'content'
TEXT
diff expected seen
