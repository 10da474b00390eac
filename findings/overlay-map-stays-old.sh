#!/bin/sh
# overlayfs of Linux 6.18: a descriptor that was opened to read before the file was copied up from the image has two contents.
# `fstat`, `lseek` and `pread` show the new file, and `mmap` the old one, also a map that is made after the copy. Its device
# and inode are those of the new file, so that nothing tells that it is time to open it again. To map as much as `fstat` says
# is to map past the end of the old file. The kernel's documentation names the stale map alone. It takes root.
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
