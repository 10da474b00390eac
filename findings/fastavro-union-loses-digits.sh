#!/bin/sh
# fastavro 1.13.1 writes an integer into the first branch of a union that accepts numbers: for ["float", "long"] that is
# float, so that 16777217 is read as 16777216.0, without an error; `validator=True` does not object. With the branches in the
# opposite order, it is read as it was written.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check fastavro==1.13.1
cat > program.py <<'PYTHON'
import io

import fastavro

for union in (["float", "long"], ["long", "float"], ["null", "double", "long"]):
    schema = fastavro.parse_schema({"type": "record", "name": "r", "fields": [{"name": "n", "type": union}]})
    for number in (16_777_217, 2**53 + 1):
        file = io.BytesIO()
        fastavro.writer(file, schema, [{"n": number}], validator=True)
        file.seek(0)
        print(union, number, "->", *(record["n"] for record in fastavro.reader(file)))
PYTHON
venv/bin/python program.py > seen
cat > expected <<'TEXT'
['float', 'long'] 16777217 -> 16777216.0
['float', 'long'] 9007199254740993 -> 9007199254740992.0
['long', 'float'] 16777217 -> 16777217
['long', 'float'] 9007199254740993 -> 9007199254740993
['null', 'double', 'long'] 16777217 -> 16777217.0
['null', 'double', 'long'] 9007199254740993 -> 9007199254740992.0
TEXT
diff expected seen
