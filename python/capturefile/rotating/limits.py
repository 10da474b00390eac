"""When a rotated log starts a new file."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capturefile._capturefile import CaptureFile


@dataclass(frozen=True)
class RotationLimits:
    """The size and age at which a file is followed by a new one."""

    max_bytes: int | None
    max_age: float | None
    """Age in seconds."""

    def __post_init__(self) -> None:
        """Checks the limits.

        Raises:
            ValueError: A limit is not above 0.
        """
        for name, limit in (("max_bytes", self.max_bytes), ("max_age", self.max_age)):
            if limit is not None and not limit > 0:
                raise ValueError(f"{name} cannot be {limit}: it must be more than 0")

    def are_reached(self, file: CaptureFile[Any], started: float, since: float) -> bool:
        """Returns whether a new file should be started after `file`, in which nothing is uncommitted.

        `started` is when the file was started, by the system's clock, and `since` is when this process learned of it,
        by the monotonic clock. If the system's clock has been set back, it can be before the start, so the larger age
        counts, and a start far in the future counts like one far in the past.
        """
        if not file.record_count():
            return False
        age = max(abs(time.time() - started), time.monotonic() - since)
        if self.max_age is not None and age >= self.max_age:
            return True
        if self.max_bytes is None:
            return False
        info = file.info()
        return info.file_limit + info.pending_bytes >= self.max_bytes
