"""File systems that behave unlike a plain disk, each mounted in a temporary folder while it is needed.

What cannot be mounted on this machine raises `Impossible`, which says why; the fixtures in `test_mounts.py` then skip.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fuse_server import Switches
from processes import ScenarioProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOLS = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
PACKAGES = {
    "mkfs.btrfs": "btrfs-progs",
    "mkfs.erofs": "erofs-utils",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "mksquashfs": "squashfs-tools",
}
"""The Debian packages of the tools that make file systems."""
IMAGES = {"squashfs": ("mksquashfs",), "erofs": ("mkfs.erofs",)}
"""The command that makes a read-only image, by the kind of file system."""


class Impossible(Exception):  # noqa: N818
    """A file system cannot be mounted on this machine; the message says what is missing."""


def require(*tools: str, device: str | None = None) -> None:
    """Raises `Impossible` if this process may not mount file systems, or if tools or a device are missing."""
    if os.geteuid() != 0:
        raise Impossible("mounting file systems requires root")
    if device is not None and not Path(device).exists():
        raise Impossible(f"there is no {device}")
    for tool in ("mount", "umount", *tools):
        if shutil.which(tool, path=TOOLS) is None:
            raise Impossible(f"there is no {tool}, of the package {PACKAGES.get(tool, 'mount')}")


def run(*command: str | Path) -> None:
    """Runs one of the tools."""
    done = subprocess.run(command, env={"PATH": TOOLS}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


def unmount(root: Path) -> None:
    """Unmounts the file system, even if a file is still open: it disappears once the last one is closed."""
    try:
        run("umount", root)
    except OSError:
        run("umount", "--lazy", root)


@contextmanager
def mounted(root: Path, *arguments: str | Path) -> Iterator[Path]:
    """Creates a folder and mounts there what the arguments say."""
    root.mkdir()
    try:
        run("mount", *arguments, root)
    except OSError as error:
        raise Impossible(str(error)) from error
    try:
        yield root
    finally:
        unmount(root)


@dataclass(frozen=True)
class Overlay:
    """A folder as in a container: a read-only image below and a writable layer above."""

    lower: Path
    """The image, which does not change."""
    upper: Path
    """Where a file is copied to before it is first written."""
    root: Path
    """The merged view of both."""


@contextmanager
def overlay(folder: Path, lower: Path) -> Iterator[Overlay]:
    """An overlay over the files in `lower`."""
    require()
    upper, work = folder / "upper", folder / "work"
    for each in (upper, work):
        each.mkdir()
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    with mounted(folder / "overlay", "-t", "overlay", "-o", options, "overlay") as root:
        yield Overlay(lower, upper, root)


@contextmanager
def image(folder: Path, kind: str, files: Path) -> Iterator[Path]:
    """A read-only image, of one of the kinds in `IMAGES`, of the files in a folder."""
    require(*IMAGES[kind], device="/dev/loop-control")
    path = folder / f"image.{kind}"
    run(*IMAGES[kind], *((files, path) if kind == "squashfs" else (path, files)))
    with mounted(folder / kind, "-t", kind, "-o", "loop,ro", path) as root:
        yield root


@contextmanager
def btrfs(folder: Path, size: int) -> Iterator[Path]:
    """A btrfs of this many bytes, including its own tables; the minimum is 109 MiB."""
    require("mkfs.btrfs", device="/dev/loop-control")
    path = folder / "image.btrfs"
    with path.open("wb") as file:
        file.truncate(size)
    run("mkfs.btrfs", "--quiet", path)
    with mounted(folder / "btrfs", "-t", "btrfs", "-o", "loop", path) as root:
        yield root


@contextmanager
def tmpfs(folder: Path, size: int) -> Iterator[Path]:
    """A file system in memory with room for this many bytes."""
    require()
    with mounted(folder / "tmpfs", "-t", "tmpfs", "-o", f"size={size}", "tmpfs") as root:
        yield root


def fill(folder: Path) -> Path:
    """Fills the file system of a folder with a file in that folder; returns the file."""
    path = folder / "filler"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1 << 20, 4096, 1):
            while _wrote(descriptor, size):
                pass
    finally:
        os.close(descriptor)
    return path


def _wrote(descriptor: int, size: int) -> bool:
    try:
        # Noise, which a compressing file system cannot make smaller.
        os.write(descriptor, os.urandom(size))
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


@dataclass(frozen=True)
class Fuse:
    """A file system in user space."""

    backing: Path
    """The folder that holds its files; changes there are like those that another machine makes."""
    root: Path


@contextmanager
def fuse(folder: Path, switches: Switches) -> Iterator[Fuse]:
    """A folder seen through a file system in user space, which differs from it as `switches` say."""
    require(device="/dev/fuse")
    backing, root = folder / "backing", folder / "fuse"
    backing.mkdir()
    root.mkdir()
    program = Path(__file__).with_name("fuse_server.py")
    command = [sys.executable, *map(str, (program, root, backing)), json.dumps(asdict(switches))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        server = ScenarioProcess(process)
        if server.hear() != "mounted":
            raise Impossible(server.errors().rpartition("Error: ")[2].strip())
        try:
            yield Fuse(backing, root)
        finally:
            unmount(root)
            server.finish()
