"""The types that the signatures of several modules share."""

from __future__ import annotations

import os
from typing import Literal, TypeAlias, TypeVar

StrPath: TypeAlias = str | os.PathLike[str]
"""A path, as every function takes it."""

SyncMode: TypeAlias = Literal["full", "barrier", "none"] | bool
"""What a commit waits for."""

RecordT = TypeVar("RecordT", bound=str | bytes)
"""What the records of an object are: `str`, or `bytes` without an encoding."""

RecordT_co = TypeVar("RecordT_co", bound=str | bytes, covariant=True)
"""The same, for classes that only give records."""
