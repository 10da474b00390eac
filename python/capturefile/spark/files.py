"""Which capture files a read is of, and how one is opened on whatever host that happens."""

from __future__ import annotations

import glob
import os
import socket

from capturefile._capturefile import CaptureFile
from capturefile._files import SUFFIX


def local_path(path: str) -> str:
    """The absolute path that a path or `file:` URI means. Raises ValueError for a URI of another kind."""
    plain = path
    if path.startswith("file:"):
        plain = path.removeprefix("file:")
        if plain.startswith("//"):
            plain = plain.removeprefix("//").removeprefix("localhost")
    if "://" in plain or not plain:
        raise ValueError(f"{path!r} is no path: capture files are read and written in mounted file systems only")
    return os.path.abspath(plain)


def is_one_file(paths: tuple[str, ...]) -> bool:
    """Whether the paths can only mean one file, so that its name tells nothing."""
    return (
        len(paths) == 1 and not os.path.isdir(paths[0]) and (os.path.isfile(paths[0]) or not glob.has_magic(paths[0]))
    )


def find(paths: tuple[str, ...], *, may_be_none: bool = False) -> list[str]:
    """The files that files, folders and patterns stand for, each once, in the order of their paths.

    In a folder these are the files whose names end with `.capture`; those whose names begin with `_` or `.` are left
    out. Raises FileNotFoundError for a path that does not exist and, unless there may be none yet, for a pattern that
    fits nothing.
    """
    return sorted({file for path in paths for file in _expanded(path, may_be_none=may_be_none)})


def _expanded(path: str, *, may_be_none: bool) -> list[str]:
    if os.path.isfile(path):
        return [path]
    if os.path.isdir(path):
        return capture_files(path)
    if not glob.has_magic(path):
        raise FileNotFoundError(f"{path!r} does not exist on {socket.gethostname()}, where the read is planned")
    found = [file for file in glob.glob(path, recursive=True) if os.path.isfile(file) and not _is_hidden(file)]
    if not found and not may_be_none:
        raise FileNotFoundError(f"no file fits {path!r} on {socket.gethostname()}, where the read is planned")
    return found


def capture_files(folder: str) -> list[str]:
    """The capture files in a folder that are not hidden."""
    names = (name for name in os.listdir(folder) if name.endswith(SUFFIX) and not _is_hidden(name))
    return [file for name in names if os.path.isfile(file := os.path.join(folder, name))]


def _is_hidden(path: str) -> bool:
    return os.path.basename(path).startswith(("_", "."))


def open_to_read(path: str) -> CaptureFile[bytes]:
    """The file with records as bytes. Raises FileNotFoundError, with the host's name, if it is not there."""
    try:
        # Spark runs as many tasks as there are cores, so that each has one.
        return CaptureFile(path, encoding=None, threads=1)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path!r} does not exist on {socket.gethostname()}, but did where the read was planned: all hosts of the "
            "cluster need the file under the same path, and it must stay until the read is done"
        ) from None
