"""Folders of capture files, in the file system and in object stores, and the files that a pattern matches."""

from __future__ import annotations

import glob
import os
from fnmatch import fnmatchcase
from io import UnsupportedOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from capturefile import _remote
from capturefile._files import SUFFIX, is_hidden

if TYPE_CHECKING:
    from capturefile._typing import StrPath

_WEB = tuple(f"{scheme}://" for scheme in _remote.WEB)


class LocalFolder:
    """A folder in the file system."""

    is_remote = False

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def given(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def name(self) -> str:
        """Its name in messages."""
        return str(self.path)

    def file(self, name: str) -> str:
        """Returns the path of a file."""
        return str(self.path / name)

    def shown(self, name: str) -> str:
        """Returns the name of a file in messages."""
        return str(self.path / name)

    def size_of(self, name: str) -> int | None:
        """Returns the size of a file; None if it does not exist."""
        try:
            return (self.path / name).stat().st_size
        except FileNotFoundError:
            return None

    def has(self, name: str) -> bool:
        """Whether a file exists."""
        return (self.path / name).exists()

    def names(self) -> list[str] | None:
        """Returns the names of all files."""
        return [path.name for path in self.path.iterdir()]

    def look(self) -> None:
        """Does nothing: the folder is always shown as it is."""


class RemoteFolder:
    """A folder in a store, as it was at the first question about its files or at the last call of `look`."""

    is_remote = True

    def __init__(self, url: str, store: object = None) -> None:
        self._url = url
        self._store = store
        self._process = os.getpid()
        self._listed: dict[str, int] | None = None
        self._asked: dict[str, int | None] = {}

    @property
    def path(self) -> Path:
        """Raises the exception for what only folders in the file system have."""
        raise UnsupportedOperation(f"{self.name!r} is in an object store, and has no path")

    @property
    def given(self) -> str:
        """Its URL, or its path in the store, as it was given."""
        return self._url

    @property
    def name(self) -> str:
        """Its URL in messages."""
        return _remote.without_secrets(self._url)

    def file(self, name: str) -> str:
        """Returns the URL of a file."""
        if not self._url.lower().startswith(_WEB):
            return f"{self._url.rstrip('/')}/{name}"
        parts = urlsplit(self._url)
        # A query, which may contain a signature, applies to all files.
        return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))

    def shown(self, name: str) -> str:
        """Returns the URL of a file in messages."""
        return _remote.without_secrets(self.file(name))

    def size_of(self, name: str) -> int | None:
        """Returns the size of a file; None if it does not exist."""
        listed = self._listing()
        if listed is not None:
            return listed.get(name)
        if name not in self._asked:
            self._asked[name] = size_of(self.file(name), self._store)
        return self._asked[name]

    def has(self, name: str) -> bool:
        """Whether a file exists."""
        return self.size_of(name) is not None

    def names(self) -> list[str] | None:
        """Returns the names of all files; None if the store does not list them, like a web server."""
        listed = self._listing()
        return None if listed is None else sorted(listed)

    def look(self) -> None:
        """Makes the next question ask the store again."""
        self._listed = None
        self._asked = {}

    def _listing(self) -> dict[str, int] | None:
        listed = self._listed
        if listed is None:
            found = _listed(self._url.rstrip("/") + "/", self._store, self._process)
            if found is None:
                return None
            self._listed = listed = {path.rpartition("/")[2]: size for path, size in found}
        return listed


Folder: TypeAlias = LocalFolder | RemoteFolder


def folder_at(path: StrPath, store: object = None) -> Folder:
    """Returns the folder at a path, or at a URL."""
    text, store = str(path), _remote.without_cache(store)
    if store is not None or _remote.is_url(text):
        return RemoteFolder(text, store)
    return LocalFolder(Path(_remote.local(text)).absolute())


def size_of(url: str, store: object = None) -> int | None:
    """Returns the size of an object; None if there is none."""
    found = _remote.source(url, store)
    assert not isinstance(found, str)
    try:
        return found.head()[0]
    except FileNotFoundError:
        return None


def is_folder(url: str) -> bool:
    """Whether a URL without a pattern is that of a folder: it ends with a slash, or there is no such object.

    A URL that ends like a capture file is that of one, without a request.
    """
    path = _path_of(url)
    return path.endswith("/") or (not path.endswith(SUFFIX) and size_of(url) is None)


def has_pattern(url: str) -> bool:
    """Whether a URL contains a pattern."""
    return glob.has_magic(_path_of(url))


def matching(url: str) -> list[str]:
    """Returns the URLs of the objects that a pattern matches, as `glob` does, in order and without hidden ones.

    Raises:
        ValueError: The store does not list its objects.
    """
    head, pattern = _parted(url)
    parts = pattern.split("/")
    found = _required(_listed(head, recursive=len(parts) > 1), url)
    root = _root(url)
    start = len(_path_of(head))
    wanted = [path for path, _ in found if _matches(path[start:].split("/"), parts)]
    return sorted(f"{root}/{path}" for path in wanted if not is_hidden(path))


def captures_in(url: str) -> list[str]:
    """Returns the URLs of the capture files in a folder, in order and without hidden ones.

    Raises:
        ValueError: The store does not list its objects.
    """
    folder = RemoteFolder(url)
    names = _required(folder.names(), url)
    return [folder.file(name) for name in names if name.endswith(SUFFIX) and not is_hidden(name)]


def _required(found: Any, url: str) -> Any:  # noqa: ANN401
    if found is None:
        raise ValueError(
            f"{_remote.without_secrets(url)!r} refers to several objects, but a web server does not list its objects: "
            "give the URL of each"
        )
    return found


def _path_of(url: str) -> str:
    """Returns the path of a URL in its store."""
    return urlsplit(url).path.lstrip("/") if url.lower().startswith(_WEB) else url.partition("://")[2].partition("/")[2]


def _root(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _parted(url: str) -> tuple[str, str]:
    """Splits a URL into the folder before its first pattern, with a slash, and the rest."""
    parts = url.split("/")
    first = next(index for index, part in enumerate(parts) if index > 2 and glob.has_magic(part))
    return "/".join([*parts[:first], ""]), "/".join(parts[first:])


def _matches(names: list[str], patterns: list[str]) -> bool:
    if not patterns or not names:
        return not patterns and not names
    if patterns == ["**"]:
        return True
    if patterns[0] == "**":
        return _matches(names, patterns[1:]) or _matches(names[1:], patterns)
    return fnmatchcase(names[0], patterns[0]) and _matches(names[1:], patterns[1:])


def _listed(
    url: str, store: object = None, process: int = 0, *, recursive: bool = False
) -> list[tuple[str, int]] | None:
    """Returns the paths and sizes of the objects in a folder; None if the store does not list them."""
    shown = _remote.without_secrets(url)
    if store is None:
        if url.lower().startswith(_WEB):
            return None
        store, url = _remote.store_of(url)
        return _remote.calling(shown, lambda: _listed_by_obstore(store, url, recursive=recursive))
    if not type(store).__module__.startswith("obstore"):
        return _remote.calling(shown, lambda: _listed_by_fsspec(_remote.usable(store, process), url))
    if type(store).__name__ == "HTTPStore":
        return None
    return _remote.calling(shown, lambda: _listed_by_obstore(store, url, recursive=recursive))


def _listed_by_obstore(store: Any, path: str, *, recursive: bool) -> list[tuple[str, int]]:  # noqa: ANN401
    import obstore

    _remote.refuse_fork()
    prefix = path.rstrip("/") or None
    if recursive:
        chunks = obstore.list(store, prefix)
        return [(found["path"], found["size"]) for chunk in chunks for found in chunk]
    return [(found["path"], found["size"]) for found in obstore.list_with_delimiter(store, prefix)["objects"]]


def _listed_by_fsspec(system: Any, path: str) -> list[tuple[str, int]] | None:  # noqa: ANN401
    protocols = getattr(system, "protocol", ())
    if not hasattr(system, "ls") or set(_remote.WEB) & set([protocols] if isinstance(protocols, str) else protocols):
        return None
    if forget := getattr(system, "invalidate_cache", None):
        forget(path)
    return [(found["name"], found["size"]) for found in system.ls(path, detail=True) if found["type"] == "file"]
