#!/bin/sh
# Linux 6.18, a file with preallocated space that has not been written yet: `lseek` finds no data in it until it is read. On
# ext4 and XFS, SEEK_DATA reports what `pread` has read as data for as long as it is cached, and as a hole again when it is
# dropped from the cache. On tmpfs, `pread` changes nothing, but reading through a map does, permanently. On btrfs, neither has
# an effect. A program that searches for the end of a log with SEEK_DATA finds another one after somebody has read the file. The
# script requires root and, from Debian, xfsprogs and btrfs-progs.
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
import errno
import mmap
import os

SIZE, PAGE = 1 << 20, 4096


def data(file):
    """The start and the end of the first data."""
    try:
        begin = os.lseek(file, 0, os.SEEK_DATA)
    except OSError as error:
        return errno.errorcode[error.errno]
    return f"{begin}-{os.lseek(file, begin, os.SEEK_HOLE)}"


for kind in ("ext4", "xfs", "btrfs", "tmpfs"):
    file = os.open(f"{kind}/log", os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(file, 0, SIZE)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)
    seen = [data(file)]
    os.pread(file, PAGE, 64 * PAGE)
    seen.append(data(file))
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    seen.append(data(file))
    with mmap.mmap(file, SIZE, mmap.MAP_SHARED, mmap.PROT_READ) as map:
        map.madvise(mmap.MADV_RANDOM)
        map[128 * PAGE]
    seen.append(data(file))
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    seen.append(data(file))
    print(f"{kind}: {seen[0]}; pread {seen[1]}, dropped {seen[2]}; map {seen[3]}, dropped {seen[4]}")
PYTHON
python3 program.py > seen
cat > expected <<'TEXT'
ext4: ENXIO; pread 262144-266240, dropped ENXIO; map 524288-528384, dropped ENXIO
xfs: ENXIO; pread 262144-266240, dropped ENXIO; map 524288-528384, dropped ENXIO
btrfs: ENXIO; pread ENXIO, dropped ENXIO; map ENXIO, dropped ENXIO
tmpfs: ENXIO; pread ENXIO, dropped ENXIO; map 524288-528384, dropped 524288-528384
TEXT
diff expected seen
