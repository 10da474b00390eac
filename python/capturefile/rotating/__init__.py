"""A log in many files: a writer that starts new files by size or age, and readers that present them as one.

from capturefile.rotating import RotatingReader, RotatingWriter

with RotatingWriter("orders", max_bytes=1 << 30, max_age=24 * 3600) as log:
    log.add_record("first")
    log.commit()
with RotatingReader("orders") as log:
    print(log.record_at(1))
"""

from capturefile._errors import RecordsDeleted, RecordsDeletedError
from capturefile.rotating.follower import RotatingFollower
from capturefile.rotating.manifest import RotatedFile
from capturefile.rotating.reader import RotatingReader
from capturefile.rotating.writer import RotatingWriter

__all__ = [
    "RecordsDeleted",
    "RecordsDeletedError",
    "RotatedFile",
    "RotatingFollower",
    "RotatingReader",
    "RotatingWriter",
]


def __dir__() -> list[str]:
    return sorted(__all__)
