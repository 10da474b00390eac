"""A file system in user space that passes everything to a folder, with configurable gaps and caches.

`python fuse_server.py ROOT BACKING SWITCHES` mounts it at ROOT, prints a line, and serves until it is unmounted. The
switches are the fields of `Switches`, as JSON. It implements the kernel's protocol itself, since the libraries for it
hide half of the settings. It requires root.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import stat
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIBC = ctypes.CDLL(None, use_errno=True)
REQUEST_HEADER = struct.Struct("<IIQQIIIHH")
REPLY_HEADER = struct.Struct("<IiQ")
ATTRIBUTES = struct.Struct("<6Q10I")
ENTRY = struct.Struct("<4QII")
READ_SIZE = 1 << 18
"""The largest request in bytes."""
WRITE_SIZE = 1 << 17
"""The most bytes that one request may write."""
BIG_WRITES = 1 << 5
ROOT_NODE = 1
DIRECT_IO, KEEP_CACHE = 1, 2
"""Flags of the reply to opening a file."""
READ_ONLY = 1
"""A flag of mounts."""
MODE, OWNER, GROUP, SIZE, HAS_HANDLE = 1, 2, 4, 8, 64
"""Flags of a request to set attributes."""


@dataclass
class Switches:
    """How the file system differs from its folder."""

    direct_io: bool = False
    """Whether the kernel caches nothing, and refuses shared maps."""
    attribute_seconds: float = 0
    """How long the kernel caches attributes and names."""
    keep_cache: bool = False
    """Whether the kernel keeps its cached content of a file when the file is opened."""
    read_only: bool = False
    """Whether nothing is written through the mount; then reads do not invalidate cached attributes either."""
    exclusive_rename: bool = True
    """Whether renaming takes flags such as RENAME_NOREPLACE."""
    hard_links: bool = True
    folder_sync_error: int = 0
    """The error number of syncing a folder; 0 if that works."""


class Server:
    """Answers the kernel's requests."""

    def __init__(self, device: int, backing: str, switches: Switches) -> None:
        """Serves what is in the folder `backing`."""
        self.device = device
        self.switches = switches
        self.nodes = {ROOT_NODE: os.open(backing, os.O_PATH | os.O_DIRECTORY)}
        self.lookups = {ROOT_NODE: 1}
        self.answers: dict[int, Callable[[int, bytes], bytes | None]] = {
            1: self.look_up,
            3: self.get_attributes,
            4: self.set_attributes,
            9: self.make_folder,
            10: lambda node, body: os.unlink(name_in(body), dir_fd=self.nodes[node]),
            11: lambda node, body: os.rmdir(name_in(body), dir_fd=self.nodes[node]),
            12: lambda node, body: self.rename(node, body[:8] + bytes(8) + body[8:]),
            13: self.link,
            14: self.open,
            15: self.read,
            16: self.write,
            17: self.describe,
            18: self.release,
            20: lambda node, body: os.fsync(handle_in(body)),
            25: lambda node, body: None,
            26: self.begin,
            27: self.open,
            28: self.list,
            29: self.release,
            30: self.sync_folder,
            35: self.create,
            43: self.allocate,
            45: self.rename,
        }

    def serve(self) -> None:
        """Answers until the file system is unmounted."""
        while True:
            try:
                request = os.read(self.device, READ_SIZE)
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return
                if error.errno in {errno.ENOENT, errno.EINTR}:
                    continue
                raise
            _, operation, unique, node, *_ = REQUEST_HEADER.unpack_from(request)
            body = request[REQUEST_HEADER.size :]
            if operation in {2, 42}:
                self.forget(operation, node, body)
            elif operation != 36:
                self.reply(unique, *self.answer(operation, node, body))

    def answer(self, operation: int, node: int, body: bytes) -> tuple[int, bytes]:
        """The error, or 0, and the content of the reply to a request."""
        answer = self.answers.get(operation)
        if answer is None:
            return errno.ENOSYS, b""
        try:
            return 0, answer(node, body) or b""
        except OSError as error:
            return error.errno or errno.EIO, b""

    def reply(self, unique: int, error: int, content: bytes) -> None:
        """Sends a reply, unless the caller has been interrupted."""
        with suppress(FileNotFoundError):
            os.write(self.device, REPLY_HEADER.pack(REPLY_HEADER.size + len(content), -error, unique) + content)

    def begin(self, node: int, body: bytes) -> bytes:
        """Negotiates with the kernel which parts of the protocol are used."""
        _, _, read_ahead, flags = struct.unpack_from("<4I", body)
        return struct.pack(
            "<4IHHIIHHII6I", 7, 31, read_ahead, flags & BIG_WRITES, 16, 12, WRITE_SIZE, 1, 0, 0, 0, 0, *bytes(6)
        )

    def path(self, node: int) -> str:
        """A path that opens a node again."""
        return f"/proc/self/fd/{self.nodes[node]}"

    def attributes(self, found: os.stat_result) -> bytes:
        """Attributes as the kernel wants them."""
        times = (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)
        return ATTRIBUTES.pack(
            found.st_ino,
            found.st_size,
            found.st_blocks,
            *(each // 10**9 for each in times),
            *(each % 10**9 for each in times),
            found.st_mode,
            found.st_nlink,
            found.st_uid,
            found.st_gid,
            0,
            found.st_blksize,
            0,
        )

    def validity(self) -> tuple[int, int]:
        """How long attributes are valid, in seconds and nanoseconds."""
        return divmod(round(self.switches.attribute_seconds * 10**9), 10**9)

    def entry(self, folder: int, name: bytes) -> bytes:
        """Counts a look-up of a name, and describes its node."""
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=self.nodes[folder])
        found = os.fstat(descriptor)
        if found.st_ino in self.nodes:
            os.close(descriptor)
        else:
            self.nodes[found.st_ino] = descriptor
        self.lookups[found.st_ino] = self.lookups.get(found.st_ino, 0) + 1
        seconds, billionths = self.validity()
        return ENTRY.pack(found.st_ino, 0, seconds, seconds, billionths, billionths) + self.attributes(found)

    def forget(self, operation: int, node: int, body: bytes) -> None:
        """Undoes look-ups; a node without any is closed."""
        if operation == 2:
            forgotten = [(node, struct.unpack_from("<Q", body)[0])]
        else:
            forgotten = list(struct.iter_unpack("<QQ", body[8 : 8 + 16 * struct.unpack_from("<I", body)[0]]))
        for each, count in forgotten:
            self.lookups[each] -= count
            if not self.lookups[each]:
                del self.lookups[each]
                os.close(self.nodes.pop(each))

    def look_up(self, node: int, body: bytes) -> bytes:
        """The node of a name."""
        return self.entry(node, name_in(body))

    def described(self, found: os.stat_result) -> bytes:
        """A reply that has attributes."""
        return struct.pack("<QII", *self.validity(), 0) + self.attributes(found)

    def get_attributes(self, node: int, body: bytes) -> bytes:
        """The attributes of a node."""
        return self.described(os.fstat(self.nodes[node]))

    def set_attributes(self, node: int, body: bytes) -> bytes:
        """Sets mode, owner and size, but not times."""
        valid, _, handle, size = struct.unpack_from("<IIQQ", body)
        mode, _, owner, group = struct.unpack_from("<4I", body, 68)
        if valid & MODE:
            os.chmod(self.path(node), stat.S_IMODE(mode))  # noqa: PTH101  # of a descriptor
        if valid & (OWNER | GROUP):
            os.chown(self.path(node), owner if valid & OWNER else -1, group if valid & GROUP else -1)
        if valid & SIZE:
            os.truncate(handle if valid & HAS_HANDLE else self.path(node), size)
        return self.get_attributes(node, body)

    def make_folder(self, node: int, body: bytes) -> bytes:
        """Creates a folder."""
        name = name_in(body[8:])
        os.mkdir(name, struct.unpack_from("<I", body)[0], dir_fd=self.nodes[node])
        return self.entry(node, name)

    def rename(self, node: int, body: bytes) -> None:
        """Renames, with the flags of the request."""
        new_folder, flags, _ = struct.unpack_from("<QII", body)
        old, new, _ = body[16:].split(b"\0", 2)
        if flags and not self.switches.exclusive_rename:
            raise OSError(errno.EINVAL, "no flags")
        if LIBC.renameat2(self.nodes[node], old, self.nodes[new_folder], new, flags):
            raise OSError(ctypes.get_errno(), "renameat2")

    def link(self, node: int, body: bytes) -> bytes:
        """Gives a file another name."""
        if not self.switches.hard_links:
            raise PermissionError(errno.EPERM, "no hard links")
        name = name_in(body[8:])
        os.link(self.path(struct.unpack_from("<Q", body)[0]), name, dst_dir_fd=self.nodes[node])
        return self.entry(node, name)

    def opened(self, handle: int) -> bytes:
        """A reply that has an open file."""
        flags = DIRECT_IO * self.switches.direct_io | KEEP_CACHE * self.switches.keep_cache
        return struct.pack("<QII", handle, flags, 0)

    def open(self, node: int, body: bytes) -> bytes:
        """Opens a file or folder."""
        flags = struct.unpack_from("<I", body)[0]
        return self.opened(os.open(self.path(node), flags & os.O_ACCMODE))

    def create(self, node: int, body: bytes) -> bytes:
        """Creates and opens a file."""
        flags, mode, *_ = struct.unpack_from("<4I", body)
        name = name_in(body[16:])
        kept = os.O_ACCMODE | os.O_CREAT | os.O_EXCL | os.O_TRUNC
        handle = os.open(name, flags & kept, mode, dir_fd=self.nodes[node])
        return self.entry(node, name) + self.opened(handle)

    def read(self, node: int, body: bytes) -> bytes:
        """Reads from an open file."""
        handle, offset, size = struct.unpack_from("<QQI", body)
        return os.pread(handle, size, offset)

    def write(self, node: int, body: bytes) -> bytes:
        """Writes to an open file."""
        handle, offset, size = struct.unpack_from("<QQI", body)
        return struct.pack("<II", os.pwrite(handle, body[40 : 40 + size], offset), 0)

    def allocate(self, node: int, body: bytes) -> None:
        """Reserves or frees space."""
        handle, offset, length, mode = struct.unpack_from("<3QI", body)
        if LIBC.fallocate64(ctypes.c_int(handle), mode, ctypes.c_int64(offset), ctypes.c_int64(length)):
            raise OSError(ctypes.get_errno(), "fallocate")

    def release(self, node: int, body: bytes) -> None:
        """Closes a file or folder."""
        os.close(handle_in(body))

    def sync_folder(self, node: int, body: bytes) -> None:
        """Syncs the names in a folder to disk."""
        if self.switches.folder_sync_error:
            raise OSError(self.switches.folder_sync_error, "no sync of folders")
        os.fsync(handle_in(body))

    def list(self, node: int, body: bytes) -> bytes:
        """Some of the names in a folder."""
        handle, offset, size = struct.unpack_from("<QQI", body)
        content = b""
        for index, name in enumerate(sorted(os.listdir(handle))):  # noqa: PTH208  # of a descriptor
            encoded = os.fsencode(name)
            found = os.stat(name, dir_fd=handle, follow_symlinks=False)
            entry = struct.pack("<QQII", found.st_ino, index + 1, len(encoded), found.st_mode >> 12) + encoded
            entry += bytes(-len(entry) % 8)
            if index >= offset:
                if len(content) + len(entry) > size:
                    break
                content += entry
        return content

    def describe(self, node: int, body: bytes) -> bytes:
        """The size of the file system."""
        found = os.fstatvfs(self.nodes[ROOT_NODE])
        room = (found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree)
        return struct.pack("<5Q4I24x", *room, found.f_bsize, found.f_namemax, found.f_frsize, 0)


def name_in(body: bytes) -> bytes:
    """The name that a request begins with."""
    return body.split(b"\0", 1)[0]


def handle_in(body: bytes) -> int:
    """The open file that a request begins with."""
    handle: int = struct.unpack_from("<Q", body)[0]
    return handle


def main(root: str, backing: str, switches: str) -> None:
    """Mounts the file system and serves it."""
    os.umask(0)
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    printed = Switches(**json.loads(switches))
    flags = READ_ONLY if printed.read_only else 0
    if LIBC.mount(b"capturefile-tests", os.fsencode(root), b"fuse", flags, options.encode()):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), root)
    server = Server(device, backing, printed)
    print("mounted", flush=True)
    server.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
