#!/bin/sh
# Linux 6.18, ext4: POSIX_FADV_DONTNEED drops none of 20 whole pages, which are clean and not mapped, if they were written as part
# of one large write. Its manual page says that only partial pages are kept. The kernel caches such a write in groups of pages
# ("large folios"), and keeps a group that is only partly in the range (find_lock_entries in mm/filemap.c). The same bytes are
# dropped if they were written in pieces of 4 KiB, and in both cases if the range is extended to multiples of 2 MiB. The script
# uses the system call cachestat (since 6.5) to determine how much is cached.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > program.py <<'PYTHON'
import ctypes
import os

CACHESTAT = 451
SIZE = 4 << 20
libc = ctypes.CDLL(None, use_errno=True)


def cached(file, position, length):
    pages = (ctypes.c_uint64 * 5)()
    if libc.syscall(CACHESTAT, file, (ctypes.c_uint64 * 2)(position, length), pages, 0):
        raise OSError(ctypes.get_errno(), "cachestat")
    return pages[0]


for piece in (SIZE, 4096):
    file = os.open(f"{piece}", os.O_RDWR | os.O_CREAT)
    for _ in range(SIZE // piece):
        os.write(file, bytes(piece))
    os.fsync(file)
    os.posix_fadvise(file, 4096, 81920, os.POSIX_FADV_DONTNEED)
    kept = cached(file, 4096, 81920)
    os.posix_fadvise(file, 0, 2 << 20, os.POSIX_FADV_DONTNEED)
    print(f"written in pieces of {piece}: {kept} of 20 pages kept, {cached(file, 4096, 81920)} with a wider range")
PYTHON
python3 program.py > seen
cat > expected <<'TEXT'
written in pieces of 4194304: 20 of 20 pages kept, 0 with a wider range
written in pieces of 4096: 0 of 20 pages kept, 0 with a wider range
TEXT
diff expected seen
