"""Reading and writing files that are compressed as a whole, as indicated by their extensions."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module

from capturefile.cli.exit_codes import WrongUsage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

KINDS = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma", ".zst": "zstd"}
"""The modules for compression, by extension."""
GZIP_LEVEL = 6


@contextmanager
def decompressed(source: BinaryIO, ending: str) -> Iterator[BinaryIO]:
    """Yields a stream of the decompressed content; the file itself if `ending` indicates no compression."""
    if not ending:
        yield source
        return
    with _named_errors(ending), _opened(source, "rb", ending) as content:
        yield content


@contextmanager
def compressing(target: BinaryIO, ending: str) -> Iterator[BinaryIO]:
    """Yields a stream that compresses into a file; the file itself if `ending` indicates no compression."""
    if not ending:
        yield target
        return
    with _opened(target, "wb", ending) as content:
        yield content


def _opened(file: BinaryIO, mode: str, ending: str) -> Any:  # noqa: ANN401 - the modules have no common class
    if ending == ".gz":
        from gzip import GzipFile

        # Without a name and a time, so that the same records produce the same file.
        return GzipFile("", mode, GZIP_LEVEL, file, mtime=0)
    module = _module(ending)
    if ending == ".zst" and mode == "wb":
        # With a checksum, as the command zstd does by default, unlike the module.
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
    """Converts errors in a compressed file to the usual ones."""
    import zlib

    module = None if ending == ".gz" else _module(ending)
    own = [getattr(module, name) for name in ("LZMAError", "ZstdError") if hasattr(module, name)]
    kinds: tuple[type[Exception], ...] = (EOFError, OSError, zlib.error, *own)
    try:
        yield
    except kinds as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # It is an error of the system.
        raise ValueError(f"it is damaged, or its extension {ending} is wrong: {error}") from error
