#!/bin/sh
# fsspec 2026.9.0, its file system for HTTP with aiohttp 3.14.5: if a server ignores the range of a request, as the one in
# Python's library does, `cat_file(url, start, end)` and `cat_ranges` return the whole file instead of the ten requested bytes,
# without an error. `open` detects this and raises, and so do obstore 0.12.1 and smart_open 9.0.2.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check fsspec==2026.9.0 aiohttp==3.14.5 obstore==0.12.1 'smart_open[http]==9.0.2'
mkdir site
cat > program.py <<'PYTHON'
import functools
import http.server
import threading
from pathlib import Path

import fsspec
import obstore.store
import smart_open

Path("site/data").write_bytes(bytes(range(256)) * 8)


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory="site"))
threading.Thread(target=server.serve_forever, daemon=True).start()
root = f"http://127.0.0.1:{server.server_port}"
url = f"{root}/data"
system = fsspec.filesystem("http")


def read(opened):
    with opened as file:
        file.seek(100)
        return file.read(10)


def obstore_range():
    store = obstore.store.HTTPStore.from_url(root, client_options={"allow_http": True})
    return bytes(obstore.get_range(store, "data", start=100, end=110))


for name, call in {
    "fsspec cat_file": lambda: system.cat_file(url, start=100, end=110),
    "fsspec cat_file from the end": lambda: system.cat_file(url, start=-10),
    "fsspec cat_ranges": lambda: system.cat_ranges([url], [100], [110])[0],
    "fsspec open": lambda: read(system.open(url)),
    "obstore get_range": obstore_range,
    "smart_open": lambda: read(smart_open.open(url, "rb")),
}.items():
    try:
        print(f"{name}: {len(call())} bytes")
    except Exception as error:
        print(f"{name}: {type(error).__name__}")
PYTHON
venv/bin/python program.py > seen
cat > expected <<'TEXT'
fsspec cat_file: 2048 bytes
fsspec cat_file from the end: 2048 bytes
fsspec cat_ranges: 2048 bytes
fsspec open: ValueError
obstore get_range: NotSupportedError
smart_open: UnsupportedOperation
TEXT
diff expected seen
