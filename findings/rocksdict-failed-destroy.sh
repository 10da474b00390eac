#!/bin/sh
# rocksdict 0.3.29, `Rdict.destroy(path)` of an open database raises an error, as expected, but has then already removed
# rocksdict-config.json, which says how keys are sorted. The database can be written until it is closed; after that, nobody can
# open it: "does not match existing comparator". A copy of that small file from any other database with the same options makes
# all of its content readable again.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check rocksdict==0.3.29
cat > damage.py <<'PYTHON'
import os

from rocksdict import Rdict

Rdict("other").close()
log = Rdict("log")
log[1] = "before"
try:
    Rdict.destroy("log")
except Exception as error:
    print("destroy:", "lock" in str(error), os.path.exists("log/rocksdict-config.json"))
log[2] = "after"
print("still open:", list(log.items()))
log.close()
PYTHON
cat > look.py <<'PYTHON'
from rocksdict import Rdict

try:
    print("opened again:", list(Rdict("log").items()))
except Exception as error:
    print("opened again:", error)
PYTHON
{
    venv/bin/python damage.py
    venv/bin/python look.py
    cp other/rocksdict-config.json log
    venv/bin/python look.py
} > seen
cat > expected <<'TEXT'
destroy: True False
still open: [(1, 'before'), (2, 'after')]
opened again: Invalid argument: leveldb.BytewiseComparator: does not match existing comparator rocksdict
opened again: [(1, 'before'), (2, 'after')]
TEXT
diff expected seen
