#!/bin/sh
# CaptureFile 1.2.0, the pure-Python package that introduced the format, on Python 3.14 and newer: `refresh()` never sees what a
# writer commits. It reads the two slots at the beginning of the file through a buffered file, and a seek inside the buffer
# does not read again. Up to 3.13, the buffer was smaller than the distance between the slots; since 3.14 it has 131,072 bytes
# and contains both. The script sets the size of the buffer, so that every version of Python shows this.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check CaptureFile==1.2.0
cat > program.py <<'PYTHON'
import builtins
import functools

from CaptureFile import CaptureFile

plain = builtins.open
for size in (8192, 131_072):
    builtins.open = functools.partial(plain, buffering=size)
    path = f"{size}.capture"
    writer = CaptureFile(path, to_write=True)
    reader = CaptureFile(path)
    counts = []
    for _ in range(3):
        writer.add_record("record")
        writer.commit()
        reader.refresh()
        counts.append(reader.record_count())
    print(f"records after each commit, with a buffer of {size} bytes:", *counts)
    reader.close()
    writer.close()
PYTHON
venv/bin/python program.py > seen
cat > expected <<'TEXT'
records after each commit, with a buffer of 8192 bytes: 1 2 3
records after each commit, with a buffer of 131072 bytes: 0 0 0
TEXT
diff expected seen
