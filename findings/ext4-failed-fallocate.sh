#!/bin/sh
# Linux 6.18, ext4: `fallocate` of more than the free space fails with ENOSPC and keeps what it could allocate: the file has
# become longer, no space is free, and no other file can be written until this one is truncated. With FALLOC_FL_KEEP_SIZE the
# length stays the same, and the space is allocated after the end of the file. XFS, btrfs and tmpfs leave the file and the free
# space as they were. The manual page says only that there is not enough space. The script requires root and, from Debian,
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
mount -t tmpfs -o size=400M tmpfs tmpfs
cat > program.py <<'PYTHON'
import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
KEEP_SIZE = 1


def other_file(folder):
    try:
        with open(f"{folder}/other", "wb") as file:
            file.write(bytes(1 << 20))
            os.fsync(file.fileno())
    except OSError as error:
        return errno.errorcode[error.errno]
    finally:
        os.unlink(f"{folder}/other")
    return "written"


for kind in ("ext4", "xfs", "btrfs", "tmpfs"):
    for name, mode in (("", 0), (", KEEP_SIZE", KEEP_SIZE)):
        file = os.open(f"{kind}/log", os.O_RDWR | os.O_CREAT)
        os.write(file, b"x" * 4096)
        failed = libc.fallocate(file, mode, 0, 1 << 30)
        code = errno.errorcode[ctypes.get_errno()] if failed else "done"
        state = os.fstat(file)
        length = "4096 bytes" if state.st_size == 4096 else "more than 100 MiB" if state.st_size > 100 << 20 else state.st_size
        held = "more than 100 MiB" if state.st_blocks * 512 > 100 << 20 else "less than 1 MiB"
        print(f"{kind}{name}: {code}, length {length}, holds {held}, another file: {other_file(kind)}")
        os.close(file)
        os.unlink(f"{kind}/log")
        os.sync()
PYTHON
python3 program.py > seen
cat > expected <<'TEXT'
ext4: ENOSPC, length more than 100 MiB, holds more than 100 MiB, another file: ENOSPC
ext4, KEEP_SIZE: ENOSPC, length 4096 bytes, holds more than 100 MiB, another file: ENOSPC
xfs: ENOSPC, length 4096 bytes, holds less than 1 MiB, another file: written
xfs, KEEP_SIZE: ENOSPC, length 4096 bytes, holds less than 1 MiB, another file: written
btrfs: ENOSPC, length 4096 bytes, holds less than 1 MiB, another file: written
btrfs, KEEP_SIZE: ENOSPC, length 4096 bytes, holds less than 1 MiB, another file: written
tmpfs: ENOSPC, length 4096 bytes, holds less than 1 MiB, another file: written
tmpfs, KEEP_SIZE: ENOSPC, length 4096 bytes, holds less than 1 MiB, another file: written
TEXT
diff expected seen
