"""Log from all workers of uvicorn, new processes that each load the application, also when it is reloaded:

uvicorn --workers 3 with_uvicorn:app
uvicorn --reload with_uvicorn:app
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from service_log import configure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

configure()
logger = logging.getLogger("shop")


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Responds with the number of the process."""
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    logger.info("request %s", scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"%d" % os.getpid()})


async def live(
    receive: Callable[[], Awaitable[dict[str, Any]]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """Commits the log when the server ends, because uvicorn ends with its signal, without Python's exit handlers."""
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    logging.shutdown()
    await send({"type": "lifespan.shutdown.complete"})
