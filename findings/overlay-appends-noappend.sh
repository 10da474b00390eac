#!/bin/sh
# Linux 6.18, overlayfs: RWF_NOAPPEND (since 6.9) lets `pwritev2` write at a position although the file was opened with
# O_APPEND. On overlayfs it appends anyway: it returns the number of bytes as if they had been written there, and the bytes that
# were to be replaced stay as they were. The file system below it (tmpfs in this script; also ext4, XFS and btrfs) writes at the
# position. The script requires root.
set -eu
folder=$(mktemp -d)
trap 'umount "$folder/root" "$folder/tmpfs" 2> /dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
mkdir tmpfs root
mount -t tmpfs tmpfs tmpfs
mkdir tmpfs/image tmpfs/layer tmpfs/work
mount -t overlay -o lowerdir=tmpfs/image,upperdir=tmpfs/layer,workdir=tmpfs/work overlay root
cat > program.py <<'PYTHON'
import ctypes
import os

NOAPPEND = 0x20
libc = ctypes.CDLL(None, use_errno=True)


class Piece(ctypes.Structure):
    _fields_ = (("address", ctypes.c_char_p), ("length", ctypes.c_size_t))


libc.pwritev2.argtypes = [ctypes.c_int, ctypes.POINTER(Piece), ctypes.c_int, ctypes.c_int64, ctypes.c_int]
for folder in ("tmpfs", "root"):
    path = f"{folder}/log"
    with open(path, "wb") as file:
        file.write(b"0123456789")
    appended = os.open(path, os.O_WRONLY | os.O_APPEND)
    count = libc.pwritev2(appended, Piece(b"ab", 2), 1, 2, NOAPPEND)
    with open(path, "rb") as file:
        print(f"{folder}: {count} bytes written at 2:", file.read())
PYTHON
python3 program.py > seen
cat > expected <<'TEXT'
tmpfs: 2 bytes written at 2: b'01ab456789'
root: 2 bytes written at 2: b'0123456789ab'
TEXT
diff expected seen
