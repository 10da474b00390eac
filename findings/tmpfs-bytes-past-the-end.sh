#!/bin/sh
# Linux 6.18, tmpfs: bytes that a program writes through a map to the rest of the last page, after the end of the file, become
# part of the file when it is extended over them by `ftruncate`, by `fallocate` or by a write at a later position. The manual
# page of `ftruncate` promises zeros, and that is what ext4, XFS and btrfs return. The script requires root and, from Debian,
# xfsprogs and btrfs-progs.
set -eu
folder=$(mktemp -d)
trap 'umount "$folder/ext4" "$folder/xfs" "$folder/btrfs" "$folder/tmpfs" 2> /dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
mkdir ext4 xfs btrfs tmpfs
truncate --size 400M ext4.image xfs.image btrfs.image
mkfs.ext4 -q -F ext4.image
mkfs.xfs -q xfs.image
mkfs.btrfs -q btrfs.image > log
for kind in ext4 xfs btrfs; do mount -o loop "$kind.image" "$kind"; done
mount -t tmpfs tmpfs tmpfs
cat > program.py <<'PYTHON'
import ctypes
import mmap
import os

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
WAYS = {
    "ftruncate": lambda file: os.ftruncate(file, 200),
    "fallocate": lambda file: os.posix_fallocate(file, 0, 200),
    "pwrite": lambda file: os.pwrite(file, b"x", 199),
}
for kind in ("ext4", "xfs", "btrfs", "tmpfs"):
    for way, grow in WAYS.items():
        file = os.open(f"{kind}/{way}", os.O_RDWR | os.O_CREAT)
        os.write(file, b"0123456789")
        # Python's mmap refuses to map more than the length of the file.
        address = libc.mmap(None, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, file, 0)
        ctypes.memmove(address + 100, b"stray", 5)
        grow(file)
        print(f"{kind}, {way}:", os.pread(file, 5, 100))
PYTHON
python3 program.py > seen
cat > expected <<'TEXT'
ext4, ftruncate: b'\x00\x00\x00\x00\x00'
ext4, fallocate: b'\x00\x00\x00\x00\x00'
ext4, pwrite: b'\x00\x00\x00\x00\x00'
xfs, ftruncate: b'\x00\x00\x00\x00\x00'
xfs, fallocate: b'\x00\x00\x00\x00\x00'
xfs, pwrite: b'\x00\x00\x00\x00\x00'
btrfs, ftruncate: b'\x00\x00\x00\x00\x00'
btrfs, fallocate: b'\x00\x00\x00\x00\x00'
btrfs, pwrite: b'\x00\x00\x00\x00\x00'
tmpfs, ftruncate: b'stray'
tmpfs, fallocate: b'stray'
tmpfs, pwrite: b'stray'
TEXT
diff expected seen
