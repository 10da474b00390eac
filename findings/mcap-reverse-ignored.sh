#!/bin/sh
# mcap 1.6.0, `make_reader(file).iter_messages(reverse=True)` returns the messages of a file without a chunk index in ascending
# order, without an error. mcap's own writer creates such files with `use_chunking=False` or `IndexType.NONE`;
# `NonSeekingReader` reads them in reverse. Messages with the same time are returned in reverse by the first reader, but not by
# the second. `make_reader` cannot read a file that was written with `repeat_channels=False`: it raises KeyError.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check mcap==1.6.0
cat > program.py <<'PYTHON'
import io

from mcap.reader import NonSeekingReader, make_reader
from mcap.writer import IndexType, Writer


def write(times, **options):
    file = io.BytesIO()
    writer = Writer(file, **options)
    writer.start()
    channel = writer.register_channel("topic", "text", writer.register_schema("schema", "text", b""))
    for number, time in enumerate(times, 1):
        writer.add_message(channel, time, b"%d" % number, time)
    writer.finish()
    return file.getvalue()


def backward(reader, content):
    try:
        return [int(message.data) for _, _, message in reader(io.BytesIO(content)).iter_messages(reverse=True)]
    except Exception as error:
        return repr(error)


for name, content in {
    "chunks": write([1, 2, 3]),
    "no chunks": write([1, 2, 3], use_chunking=False),
    "no index": write([1, 2, 3], index_types=IndexType.NONE),
    "all at one time": write([5, 5, 5]),
    "channels once": write([1, 2, 3], repeat_channels=False),
}.items():
    print(f"{name}: make_reader {backward(make_reader, content)}, NonSeekingReader {backward(NonSeekingReader, content)}")
PYTHON
venv/bin/python program.py > seen
cat > expected <<'TEXT'
chunks: make_reader [3, 2, 1], NonSeekingReader [3, 2, 1]
no chunks: make_reader [1, 2, 3], NonSeekingReader [3, 2, 1]
no index: make_reader [1, 2, 3], NonSeekingReader [3, 2, 1]
all at one time: make_reader [3, 2, 1], NonSeekingReader [1, 2, 3]
channels once: make_reader KeyError(1), NonSeekingReader [3, 2, 1]
TEXT
diff expected seen
