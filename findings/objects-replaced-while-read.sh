#!/bin/sh
# An object is replaced by another one of the same length while a program has it open: fsspec 2026.9.0 over HTTP, obstore 0.12.1
# (`open_reader`, over HTTP and S3), pyarrow 26.0.1 and smart_open 9.0.2 over S3 return bytes of both versions through one file
# object, without an error, although each response has the entity tag. s3fs 2026.9.0 sends the tag with each request and raises
# an error. So does smart_open over HTTP, but not over S3.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check fsspec==2026.9.0 aiohttp==3.14.5 s3fs==2026.9.0 aiobotocore==3.10.0 \
    botocore==1.43.117 boto3==1.43.117 obstore==0.12.1 pyarrow==26.0.1 'smart_open[s3,http]==9.0.2'
cat > program.py <<'PYTHON'
import http.server
import re
import threading

import boto3
import fsspec
import obstore
import pyarrow.fs
import s3fs
import smart_open
from botocore import UNSIGNED
from botocore.config import Config
from obstore.store import HTTPStore, S3Store

SIZE = 1 << 20
version = "old"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one object over HTTP and S3, with its entity tag; supports ranges and `If-Match`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        tag = f'"{version}"'
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(wanted[1]) if wanted else 0
        last = min(int(wanted[2]), SIZE - 1) if wanted and wanted[2] else SIZE - 1
        content = version[0].encode() * (last + 1 - first)
        status = 206 if wanted else 200
        if self.headers.get("If-Match", tag) != tag:
            status, content = 412, b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", tag)
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{SIZE}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """A reader may close the connection before it has read the whole response."""


server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
root = f"http://127.0.0.1:{server.server_port}"
plain = {"allow_http": True}


def obstore_s3():
    store = S3Store("bucket", endpoint=root, region="us-east-1", skip_signature=True, client_options=plain)
    return obstore.open_reader(store, "log", buffer_size=4096)


def pyarrow_s3():
    system = pyarrow.fs.S3FileSystem(anonymous=True, endpoint_override=root, region="us-east-1")
    return system.open_input_file("bucket/log")


def smart_open_s3():
    client = boto3.client("s3", region_name="us-east-1", endpoint_url=root, config=Config(signature_version=UNSIGNED))
    return smart_open.open("s3://bucket/log", "rb", transport_params={"client": client})


for name, open_it in {
    "fsspec, HTTP": lambda: fsspec.filesystem("http").open(f"{root}/log", block_size=4096),
    "obstore, HTTP": lambda: obstore.open_reader(HTTPStore.from_url(root, client_options=plain), "log", buffer_size=4096),
    "obstore, S3": obstore_s3,
    "pyarrow, S3": pyarrow_s3,
    "smart_open, S3": smart_open_s3,
    "smart_open, HTTP": lambda: smart_open.open(f"{root}/log", "rb"),
    "s3fs": lambda: s3fs.S3FileSystem(anon=True, endpoint_url=root).open("bucket/log", block_size=4096),
}.items():
    version = "old"
    file = open_it()
    begin = bytes(file.read(2))
    version = "new"
    try:
        file.seek(SIZE // 2)
        print(f"{name}: {begin + bytes(file.read(2))}")
    except Exception as error:
        print(f"{name}: {type(error).__name__}")
PYTHON
env -u HTTP_PROXY -u http_proxy AWS_EC2_METADATA_DISABLED=true NO_PROXY=127.0.0.1 \
    venv/bin/python -W ignore program.py > seen 2> log || { cat log >&2; exit 1; }
cat > expected <<'TEXT'
fsspec, HTTP: b'oonn'
obstore, HTTP: b'oonn'
obstore, S3: b'oonn'
pyarrow, S3: b'oonn'
smart_open, S3: b'oonn'
smart_open, HTTP: HTTPError
s3fs: OSError
TEXT
diff expected seen
