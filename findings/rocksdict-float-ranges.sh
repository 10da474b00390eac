#!/bin/sh
# rocksdict 0.3.29 sorts keys that are floats by their bits, the negative ones after all others and in descending order,
# although ints are sorted by value. Iteration from -1.0 therefore misses 1.5, and `delete_range(-3.0, 0.0)` is a range whose
# end is before its start. In a batch, RocksDB detects this after it has applied the operations before it: the batch raises an
# error, and part of it is stored, even after the database is opened again. Until then, each write, flush and close raises the
# same error.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check rocksdict==0.3.29
cat > write.py <<'PYTHON'
from rocksdict import Rdict, WriteBatch


def attempt(what, call):
    try:
        call()
    except Exception as error:
        print(f"{what}: {error}")
    else:
        print(f"{what}: done")


log = Rdict("log")
for key in (1, -1, -2, 2, 1.5, -1.5, -2.5, 2.5):
    log[key] = True
print("in order:", list(log.keys()))
print("from -1.0 on:", list(log.keys(from_key=-1.0)))
batch = WriteBatch()
batch["first"] = True
batch.delete_range(-3.0, 0.0)
batch["last"] = True
attempt("batch", lambda: log.write(batch))
attempt("put", lambda: log.put("other", True))
attempt("close", log.close)
PYTHON
cat > look.py <<'PYTHON'
from rocksdict import Rdict

log = Rdict("log")
print("of the batch, after it is opened again:", [key for key in ("first", "last") if key in log])
PYTHON
{ venv/bin/python write.py; venv/bin/python look.py; } > seen
cat > expected <<'TEXT'
in order: [-2, -1, 1, 2, 1.5, 2.5, -1.5, -2.5]
from -1.0 on: [-1.5, -2.5]
batch: Invalid argument: end key comes before start key
put: Invalid argument: end key comes before start key
close: Invalid argument: end key comes before start key
of the batch, after it is opened again: ['first']
TEXT
diff expected seen
