"""Types that the signatures of several modules share."""

from __future__ import annotations

import os
from typing import Literal, TypeAlias, TypeVar

StrPath: TypeAlias = str | os.PathLike[str]
"""A path, as all functions accept it."""

SyncMode: TypeAlias = Literal["full", "barrier", "none"] | bool
"""What a commit waits for."""

Compression: TypeAlias = Literal["zlib", "zstd", "lz4", "none"]
"""How blocks are compressed."""

RecordT = TypeVar("RecordT")
"""The type of an object's records: `str`, `bytes` without an encoding, or the objects of a codec."""

RecordT_co = TypeVar("RecordT_co", covariant=True)
"""The type of the records of a class that only returns records."""
