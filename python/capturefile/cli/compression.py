"""Files that are compressed as a whole: what the endings of their names say, and how they are read and written."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module

from capturefile.cli.exit_codes import WrongUsage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

KINDS = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma", ".zst": "zstd"}
"""The modules that know them, by the endings of names."""
GZIP_LEVEL = 6


@contextmanager
def decompressed(source: BinaryIO, ending: str) -> Iterator[BinaryIO]:
    """What a file contains; that itself where `ending` says that it is not compressed."""
    if not ending:
        yield source
        return
    with _named_errors(ending), _opened(source, "rb", ending) as content:
        yield content


@contextmanager
def compressing(target: BinaryIO, ending: str) -> Iterator[BinaryIO]:
    """What compresses into a file; that itself where `ending` says that it is not compressed."""
    if not ending:
        yield target
        return
    with _opened(target, "wb", ending) as content:
        yield content


def _opened(file: BinaryIO, mode: str, ending: str) -> Any:  # noqa: ANN401 - the modules have no class in common
    if ending == ".gz":
        from gzip import GzipFile

        # Without a name and a time, so that the same records make the same file.
        return GzipFile("", mode, GZIP_LEVEL, file, mtime=0)
    module = _module(ending)
    if ending == ".zst" and mode == "wb":
        # As its command does, which the module does not.
        return module.open(file, mode, options={module.CompressionParameter.checksum_flag: 1})
    return module.open(file, mode)


def _module(ending: str) -> Any:  # noqa: ANN401
    if ending != ".zst":
        return import_module(KINDS[ending])
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ImportError:
            continue
    raise WrongUsage(
        ".zst needs Python 3.14, or backports.zstd, which comes with the extra `zstd`: "
        "pip install 'capturefile-rs[zstd]'"
    )


@contextmanager
def _named_errors(ending: str) -> Iterator[None]:
    """Lets what is wrong in a compressed file be an error like any other."""
    import zlib

    module = None if ending == ".gz" else _module(ending)
    own = [getattr(module, name) for name in ("LZMAError", "ZstdError") if hasattr(module, name)]
    kinds: tuple[type[Exception], ...] = (EOFError, OSError, zlib.error, *own)
    try:
        yield
    except kinds as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # It is the system's.
        raise ValueError(f"it is damaged, or not what its name says, which ends in {ending}: {error}") from error
