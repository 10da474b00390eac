"""Capture files in asyncio: durable appends, and following records as they are committed.

    async with capturefile.aio.open("log.capture") as log:
        number = await log.append("first")

    async for record in capturefile.aio.follow("log.capture", 1):
        print(record)

The event loop never waits for a file: files are opened, written and read on other threads.
"""

from capturefile.aio.follower import Follower, follow
from capturefile.aio.writer import Writer, open  # noqa: A004 - its name in the package

__all__ = ["Follower", "Writer", "follow", "open"]


def __dir__() -> list[str]:
    return sorted(__all__)
