#!/bin/sh
# Linux 6.18, overlayfs: a descriptor that was opened for reading before the file was copied up from the image has two contents.
# `fstat`, `lseek` and `pread` show the new file, and `mmap` the old one, even if the map is created after the copy. The device
# and inode are those of the new file, so that a program cannot detect that it has to open the file again. Mapping the length
# that `fstat` returns maps beyond the end of the old file. The kernel's documentation mentions only the stale map. The script
# requires root.
set -eu
folder=$(mktemp -d)
trap 'umount "$folder/root" 2> /dev/null; rm -rf "$folder"' EXIT
cd "$folder"
mkdir image layer work root
printf 'old' > image/log
mount -t overlay -o lowerdir=image,upperdir=layer,workdir=work overlay root
cat > program.py <<'PYTHON'
import mmap
import os

before = os.open("root/log", os.O_RDONLY)
writer = os.open("root/log", os.O_RDWR)
os.pwrite(writer, b"new and longer", 0)
print("the same file:", os.path.samestat(os.fstat(before), os.fstat(writer)))
print("fstat and lseek:", os.fstat(before).st_size, os.lseek(before, 0, os.SEEK_END))
print("pread:", os.pread(before, 3, 0))
print("mmap:", mmap.mmap(before, 3, mmap.MAP_SHARED, mmap.PROT_READ)[:])
print("opened again, mmap:", mmap.mmap(os.open("root/log", os.O_RDONLY), 3, mmap.MAP_SHARED, mmap.PROT_READ)[:])
PYTHON
python3 program.py > seen
cat > expected <<'TEXT'
the same file: True
fstat and lseek: 14 14
pread: b'new'
mmap: b'old'
opened again, mmap: b'new'
TEXT
diff expected seen
