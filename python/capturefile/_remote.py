"""Reading objects in stores: what `CaptureFile` needs from a store, and how URLs lead to one."""

from __future__ import annotations

import errno
import io
import os
import pickle
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from capturefile._disk_cache import DiskCache, ObjectCache, from_environment
from capturefile._errors import CaptureFileReplaced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import Buffer

_T = TypeVar("_T")

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SECRETS = re.compile(r"(?<=://)[^/\s@\"']*@|\?[^\s\"')>]*")
"""User names with passwords, and queries, which may contain signatures."""
_STATUS = re.compile(r"status code: (\d{3} [A-Za-z -]*[A-Za-z])")
_TIMEOUT = "kind: Timeout"
"""Part of the message of `obstore`, which has no exception for this."""
_MAX_MESSAGE = 300
_S3 = ("s3", "s3a")
WEB = ("http", "https")
_SCHEMES = (*_S3, "gs", "az", "adl", "azure", "abfs", "abfss", *WEB)


def is_url(path: object) -> bool:
    """Returns whether a path is the URL of something that is not a local file."""
    return isinstance(path, str) and _URL.match(path) is not None and not path.startswith("file://")


def local(path: str) -> str:
    """Returns the path of a local file, which may be given as a URL."""
    return unquote(urlsplit(path).path) if path.startswith("file://") else path


def without_secrets(url: str) -> str:
    """Returns a URL, or a message with URLs, without passwords and signatures."""
    return _SECRETS.sub("", url)


class Head(NamedTuple):
    """The size and version of an object."""

    size: int
    version: str | None


class Store(Protocol):
    """Access to an object in one process. Methods raise the exceptions of their store."""

    def head(self) -> Head:
        """Returns the size and version."""
        ...

    def start(self, length: int) -> tuple[Head, Buffer]:
        """Reads the first bytes, with size and version."""
        ...

    def read(self, start: int, end: int, head: Head) -> Buffer:
        """Reads a range of this version."""
        ...


class Source:
    """An object that the extension reads. Each process opens the store separately."""

    def __init__(
        self, name: str, given: object, connect: Callable[[], Store], cache: ObjectCache | None = None
    ) -> None:
        self.name = name
        """The URL in messages."""
        self.given = given
        """The store that the caller has given, if any."""
        self._connect = connect
        self._cache = cache
        self._store: Store | None = None
        self._process = 0

    def _connected(self) -> Store:
        store, process = self._store, os.getpid()
        if store is None or self._process != process:
            store = self._connect()
            self._store, self._process = store, process
        return store

    def head(self) -> tuple[int, str | None]:
        """Returns the size and version."""
        return self._call(lambda store: store.head())

    def start(self, length: int) -> tuple[int, str | None, Buffer]:
        """Reads the first bytes, with size and version."""
        (size, version), read = self._call(lambda store: store.start(length))
        return size, version, read

    def read(self, start: int, end: int, size: int, version: str | None) -> Buffer:
        """Reads a range of this version."""

        def fetch(start: int, end: int) -> Buffer:
            return self._call(lambda store: store.read(start, end, Head(size, version)))

        if self._cache is None:
            return fetch(start, end)
        return self._cache.read(start, end, size, version, fetch)

    def _call(self, work: Callable[[Store], _T]) -> _T:
        store = self._connected()
        return calling(self.name, lambda: work(store))

    def refuse_writing(self) -> NoReturn:
        """Raises the exception for an attempt to write."""
        message = (
            f"{self.name!r} is in an object store, where files can only be read: write a local file, and upload it "
            "by `capturefile upload`"
        )
        raise io.UnsupportedOperation(message)


def calling(name: str, work: Callable[[], _T]) -> _T:
    """Returns the result of `work`; converts exceptions of the store so that they name the object."""
    try:
        return work()
    except Exception as error:
        failure = _in_our_words(error, name)
    # Not in the handler: a store's exception may contain credentials, and would be shown together with ours.
    raise failure


class Replaced(Exception):  # noqa: N818  (it is an outcome)
    """The object is no longer the version that is being read."""


def _in_our_words(error: Exception, name: str) -> Exception:
    """Returns the exception for an error of a store, without secrets."""
    kind = type(error).__name__
    if isinstance(error, Replaced) or kind in ("PreconditionError", "FileExpired"):
        return CaptureFileReplaced(
            f"{name!r} has been replaced in its store since it was opened: call refresh() if the new object is a "
            "later state of the same file, and open it again otherwise"
        )
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(errno.ENOENT, "there is no such object in the store", name)
    text = _told(error)
    if isinstance(error, PermissionError) or kind in ("PermissionDeniedError", "UnauthenticatedError"):
        return PermissionError(errno.EACCES, f"the store refuses access: {text}", name)
    if isinstance(error, TimeoutError) or _TIMEOUT in str(error):
        return TimeoutError(errno.ETIMEDOUT, f"the store does not answer in time: {text}", name)
    number = error.errno if isinstance(error, OSError) and error.errno else errno.EIO
    return OSError(number, f"the store failed: {text}", name)


def _told(error: Exception) -> str:
    """Returns the message of a store in one line."""
    text = str(error)
    if status := _STATUS.search(text):
        return f"it answered {status[1]}"
    lines = text.strip().splitlines() or [type(error).__name__]
    return without_secrets(lines[0])[:_MAX_MESSAGE]


class _Obstore:
    """An object in a store of `obstore`."""

    def __init__(self, store: object, path: str) -> None:
        import obstore

        refuse_fork()
        self._obstore = obstore
        self._store = store
        self._path = path

    def head(self) -> Head:
        return _head_of(self._obstore.head(self._store, self._path))

    def start(self, length: int) -> tuple[Head, Buffer]:
        try:
            result = self._obstore.get(self._store, self._path, options={"range": (0, length)})
        except Exception:
            # The first bytes of an empty object cannot be requested.
            if self.head().size:
                raise
            return self.head(), b""
        head = _head_of(result.meta)
        return head, result.bytes()

    def read(self, start: int, end: int, head: Head) -> Buffer:
        options: dict[str, object] = {"range": (start, end)}
        tag = head.version
        # A weak tag never matches, and a time is not a version.
        if tag is not None and tag.startswith('"'):
            options["if_match"] = tag
        result = self._obstore.get(self._store, self._path, options=options)
        # Checked even if the server supports conditions.
        if _head_of(result.meta) != head:
            raise Replaced
        return result.bytes()  # type: ignore[no-any-return]


def _head_of(meta: Mapping[str, Any]) -> Head:
    tag = meta["e_tag"]
    return Head(meta["size"], str(tag or meta["last_modified"]))


_first_process: int | None = None
"""The process that used `obstore` first: only that process has its threads, and a fork does not copy them."""


def refuse_fork() -> None:
    """Raises RuntimeError in a process in which `obstore` cannot work."""
    global _first_process
    process = os.getpid()
    if _first_process is None:
        _first_process = process
    if _first_process != process:
        message = (
            "obstore cannot be used in a process that was forked after its parent had used it: start processes with "
            '"spawn" or "forkserver", as multiprocessing.get_context() offers them, or give an fsspec file system as '
            "the store"
        )
        raise RuntimeError(message)


class _Fsspec:
    """A file in a file system of `fsspec`, or of any object with its methods `info` and `cat_file`."""

    VERSIONS = ("ETag", "etag", "e_tag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")

    def __init__(self, system: Any, path: str) -> None:  # noqa: ANN401  (fsspec has no types)
        self._system = system
        self._path = path

    def head(self) -> Head:
        # Some file systems cache this information.
        if forget := getattr(self._system, "invalidate_cache", None):
            forget(self._path)
        info = self._system.info(self._path)
        version = next((str(info[key]) for key in self.VERSIONS if info.get(key) is not None), None)
        return Head(info["size"], version)

    def start(self, length: int) -> tuple[Head, Buffer]:
        head = self.head()
        end = min(length, head.size)
        return head, self.read(0, end, head) if end else b""

    def read(self, start: int, end: int, head: Head) -> Buffer:
        read = self._system.cat_file(self._path, start=start, end=end)
        # It has no conditional requests; a version that is there before and after the read was read.
        if self.head() != head:
            raise Replaced
        return read  # type: ignore[no-any-return]


def source(path: str | bytes, store: object = None) -> Source | str:
    """Returns the reader for `path`, a URL or a path in `store`; or the path of a local file.

    Raises:
        TypeError: `store` is neither a store of `obstore` nor a file system of `fsspec`.
        ImportError: `obstore` is not installed.
        ValueError: There is no store for this kind of URL.
    """
    path = os.fsdecode(path)
    inner = without_cache(store)
    if inner is None and not is_url(path):
        return local(path)
    cache = store if isinstance(store, DiskCache) else from_environment() if store is None else None
    if inner is None:
        cached = ObjectCache(cache, path) if cache else None
        return Source(without_secrets(path), store, lambda: _store_of_url(path), cached)
    process = os.getpid()
    cached = ObjectCache(cache, f"{_description(inner)} {path}") if cache else None
    return Source(path, store, lambda: _store_given(inner, path, process), cached)


def without_cache(store: object) -> object:
    """Returns the store that a cache is for, and any other store as it is."""
    return store.store if isinstance(store, DiskCache) else store


def _description(store: object) -> str:
    """Returns a text that differs between stores with different objects and is the same in each process."""
    kind = type(store).__qualname__
    # The representation of a store of obstore names its bucket, and that of a file system its address in memory.
    return repr(store) if type(store).__module__.startswith("obstore") else f"{kind} {getattr(store, 'protocol', '')}"


def _store_given(store: object, path: str, process: int) -> Store:
    if hasattr(store, "cat_file") and hasattr(store, "info"):
        return _Fsspec(usable(store, process), path)
    if type(store).__module__.startswith("obstore"):
        return _Obstore(store, path)
    message = f"store must be a store of obstore or a file system of fsspec, not {type(store).__name__}"
    raise TypeError(message)


def usable(system: object, process: int) -> Any:  # noqa: ANN401  (fsspec has no types)
    """Returns a file system of `fsspec` that another process may have created: it can have threads there."""
    return system if process == os.getpid() else pickle.loads(pickle.dumps(system))


def _store_of_url(url: str) -> Store:
    split_object(url)
    return _Obstore(*store_of(url))


def store_of(url: str) -> tuple[Any, str]:
    """Returns the store of `obstore` for a URL, and the path in it.

    Raises:
        ImportError: `obstore` is not installed.
        ValueError: There is no store for this kind of URL.
        RuntimeError: The process was forked after its parent had used `obstore`.
    """
    refuse_fork()
    root, path = split(url)
    require_obstore(root)
    return _connected_to(root), path


_MAX_STORES = 64
_stores: dict[tuple[str, int], object] = {}
"""The most recent stores by root and process; files in one bucket share their connections."""


def _connected_to(root: str) -> object:
    key = (root, os.getpid())
    store = _stores.pop(key, None) or calling(without_secrets(root), lambda: connect(root))
    _stores[key] = store
    for old in list(_stores)[:-_MAX_STORES]:
        _stores.pop(old, None)
    return store


def split(url: str) -> tuple[str, str]:
    """Splits a URL into the root of a store and a path in it, which is empty for the store itself."""
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    root = f"{scheme}://{host}"
    if scheme.lower() not in _SCHEMES:
        raise ValueError(
            f"{without_secrets(url)!r} is in no store that can be read: the schemes are {', '.join(_SCHEMES)}"
        )
    if scheme.lower() in WEB:
        parts = urlsplit(url)
        # A query, which may contain a signature, is part of each request to the root.
        root, path = urlunsplit((parts.scheme, parts.netloc, "/", parts.query, "")), unquote(parts.path.lstrip("/"))
    if not host:
        raise ValueError(f"{without_secrets(url)!r} does not name a store")
    return root, path


def split_object(url: str) -> tuple[str, str]:
    """Splits the URL of an object; see `split`."""
    root, path = split(url)
    if not path:
        raise ValueError(f"{without_secrets(url)!r} does not name an object")
    return root, path


def require_obstore(root: str) -> None:
    """Raises ImportError if `obstore` is not installed."""
    if find_spec("obstore") is None:
        message = f"{without_secrets(root)} requires obstore: pip install 'capturefile-rs[remote]'"
        raise ImportError(message, name="obstore")


def connect(root: str, *, for_upload: bool = False) -> object:
    """Returns a new store of `obstore`."""
    from obstore.store import HTTPStore, from_url

    scheme = root.partition(":")[0].lower()
    if scheme in WEB:
        return HTTPStore.from_url(root, client_options={"allow_http": scheme == "http"})
    settings = _credentials(scheme)
    if for_upload and scheme in _S3:
        # For each part, so that the store refuses data that was changed in transit.
        settings["checksum_algorithm"] = "SHA256"
    return from_url(root, **settings)


def _credentials(scheme: str) -> dict[str, Any]:
    """Credentials that `obstore` does not find by itself: those of AWS profiles, if boto3 is installed."""
    if scheme not in _S3 or "AWS_ACCESS_KEY_ID" in os.environ:
        return {}
    try:
        import boto3
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        return {}
    session = boto3.Session()
    if session.get_credentials() is None:
        return {}
    return {"credential_provider": Boto3CredentialProvider(session)}
