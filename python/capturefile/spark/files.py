"""Finding the capture files of a read, and opening them on any host of the cluster."""

from __future__ import annotations

import glob
import os
import socket

from capturefile import _folders, _remote
from capturefile._capturefile import CaptureFile
from capturefile._files import SUFFIX, is_hidden


def absolute(path: str) -> str:
    """Returns the absolute path for a path or a `file:` URI, and a URL in an object store as it is.

    Raises:
        ValueError: It is a URI of another kind.
    """
    plain = path
    if _remote.is_url(path):
        _remote.split(path)
        return path
    if path.startswith("file:"):
        plain = path.removeprefix("file:")
        if plain.startswith("//"):
            plain = plain.removeprefix("//").removeprefix("localhost")
    if "://" in plain or not plain:
        raise ValueError(f"{path!r} is not a path")
    return os.path.abspath(plain)


def is_one_file(paths: tuple[str, ...]) -> bool:
    """Returns whether the paths can only refer to one file, so that a column with its name would be redundant."""
    if len(paths) != 1:
        return False
    path = paths[0]
    if _remote.is_url(path):
        return not _folders.has_pattern(path) and not _folders.is_folder(path)
    return not os.path.isdir(path) and (os.path.isfile(path) or not glob.has_magic(path))


def find(paths: tuple[str, ...], *, may_be_none: bool = False) -> list[str]:
    """Lists the files to which files, folders and patterns refer, each once, in the order of their paths.

    In a folder, these are the files whose names end with `.capture` and do not start with `_` or `.`.

    Raises:
        FileNotFoundError: A path does not exist or, unless `may_be_none` is true, a pattern matches nothing.
    """
    return sorted({file for path in paths for file in _expanded(path, may_be_none=may_be_none)})


def _expanded(path: str, *, may_be_none: bool) -> list[str]:
    if _remote.is_url(path):
        return _in_store(path, may_be_none=may_be_none)
    if os.path.isfile(path):
        return [path]
    if os.path.isdir(path):
        return capture_files(path)
    if not glob.has_magic(path):
        raise FileNotFoundError(f"{path!r} does not exist on {socket.gethostname()}, where the read is planned")
    found = [file for file in glob.glob(path, recursive=True) if os.path.isfile(file) and not is_hidden(file)]
    if not found and not may_be_none:
        raise FileNotFoundError(f"no file matches {path!r} on {socket.gethostname()}, where the read is planned")
    return found


def _in_store(url: str, *, may_be_none: bool) -> list[str]:
    if not _folders.has_pattern(url):
        return _folders.captures_in(url) if _folders.is_folder(url) else [url]
    found = _folders.matching(url)
    if not found and not may_be_none:
        raise FileNotFoundError(f"no object matches {_remote.without_secrets(url)!r}")
    return found


def capture_files(folder: str) -> list[str]:
    """Lists the capture files in a folder that are not hidden."""
    names = (name for name in os.listdir(folder) if name.endswith(SUFFIX) and not is_hidden(name))
    return [file for name in names if os.path.isfile(file := os.path.join(folder, name))]


def open_to_read(path: str) -> CaptureFile[bytes]:
    """Opens a file with records as bytes.

    Raises:
        FileNotFoundError: The file does not exist; the message names the host.
    """
    try:
        # Spark runs as many tasks as there are cores, so that each has one.
        return CaptureFile(path, encoding=None, threads=1)
    except FileNotFoundError:
        if _remote.is_url(path):
            raise
        raise FileNotFoundError(
            f"{path!r} does not exist on {socket.gethostname()}, but did on the host that planned the read: all "
            "hosts of the cluster need the file under the same path, and it must stay until the read is done"
        ) from None
