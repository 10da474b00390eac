#!/bin/sh
# Linux 6.18, squashfs and erofs: `fsync` and `fdatasync` fail with EINVAL, for files and for folders, on descriptors that
# otherwise behave like any descriptor for reading. These file systems have no such operation, because they never write. On
# ext4 or overlayfs mounted read-only, both succeed; `syncfs` succeeds everywhere. The script requires root, and the Debian
# packages squashfs-tools and erofs-utils.
set -eu
folder=$(mktemp -d)
trap 'umount "$folder/squashfs" "$folder/erofs" "$folder/overlay" 2> /dev/null; rm -rf "$folder"' EXIT
cd "$folder"
mkdir files other squashfs erofs overlay
echo content > files/log
mksquashfs files squashfs.image -quiet -no-progress > log
mkfs.erofs erofs.image files > log 2>&1
mount -o loop,ro squashfs.image squashfs
mount -o loop,ro erofs.image erofs
mount -t overlay -o ro,lowerdir=files:other overlay overlay
cat > program.py <<'PYTHON'
import ctypes
import errno
import os


def outcome(call, descriptor):
    try:
        call(descriptor)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"


for kind in ("squashfs", "erofs", "overlay"):
    for path in (f"{kind}/log", kind):
        descriptor = os.open(path, os.O_RDONLY)
        outcomes = [outcome(call, descriptor) for call in (os.fsync, os.fdatasync)]
        print(f"{path}: fsync {outcomes[0]}, fdatasync {outcomes[1]}, syncfs {ctypes.CDLL(None).syncfs(descriptor)}")
PYTHON
python3 program.py > seen
cat > expected <<'TEXT'
squashfs/log: fsync EINVAL, fdatasync EINVAL, syncfs 0
squashfs: fsync EINVAL, fdatasync EINVAL, syncfs 0
erofs/log: fsync EINVAL, fdatasync EINVAL, syncfs 0
erofs: fsync EINVAL, fdatasync EINVAL, syncfs 0
overlay/log: fsync done, fdatasync done, syncfs 0
overlay: fsync done, fdatasync done, syncfs 0
TEXT
diff expected seen
