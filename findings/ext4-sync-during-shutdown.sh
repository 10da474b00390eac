#!/bin/sh
# Linux 6.18, ext4: an fdatasync that is in progress when the file system is shut down (FS_IOC_SHUTDOWN without the log, which
# simulates a power cut in xfstests) succeeds, although its data is missing after the next mount. An error was expected. Data
# of syncs that ended before the shutdown began is kept. The script requires root.
set -eu
folder=$(mktemp -d)
trap 'umount "$folder/disk" 2> /dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
mkdir disk
truncate --size 256M image
mkfs.ext4 -q -F image
mount -o loop image disk
cat > program.py <<'PYTHON'
import fcntl
import os
import random
import struct
import subprocess
import sys
import time

SIZE, CUTS = 128 << 10, 200


def block(number):
    return bytes([number % 255 + 1]) * SIZE


def write():
    """Writes blocks of a sparse file, and prints when each is synced, until that fails."""
    file = os.open("disk/file", os.O_RDWR)
    try:
        for number in range(1, 1500):
            os.pwrite(file, block(number), number * SIZE)
            os.fdatasync(file)
            os.write(1, b"%d %d\n" % (number, time.monotonic_ns()))
    except OSError:
        os._exit(0)


def cut():
    """Shuts down the file system during writes; returns how many blocks are lost that were synced before and during it."""
    with open("disk/file", "wb") as file:
        file.truncate(1500 * SIZE)
        os.fsync(file.fileno())
    os.sync()
    with subprocess.Popen([sys.executable, __file__, "write"], stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        time.sleep(random.random() / 50)
        root = os.open("disk", os.O_RDONLY)
        began = time.monotonic_ns()
        fcntl.ioctl(root, 0x8004587D, struct.pack("I", 2))
        os.close(root)
        said = [tuple(map(int, line.split())) for line in writer.stdout.read().splitlines()]
    subprocess.run(["umount", "disk"], check=True)
    subprocess.run(["mount", "-o", "loop", "image", "disk"], check=True)
    with open("disk/file", "rb") as file:
        lost = [when for number, when in said if os.pread(file.fileno(), SIZE, number * SIZE) != block(number)]
    return sum(when < began for when in lost), sum(when >= began for when in lost)


if sys.argv[1:]:
    write()
before = during = 0
for _ in range(CUTS):
    lost = cut()
    before, during = before + lost[0], during + lost[1]
    if before or during:
        break
print("synced before and lost:", "yes" if before else "no")
print("synced during it and lost:", "yes" if during else "no")
PYTHON
python3 program.py > seen
cat > expected <<'TEXT'
synced before and lost: no
synced during it and lost: yes
TEXT
diff expected seen
