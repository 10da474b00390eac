"""Server-sent events about the growth of a file. They contain numbers; the page fetches what it shows."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from capturefile.view.sources import AnyViewed

LOOK_EVERY = 0.03
"""Seconds between two checks of the file, which read a few bytes of it."""
SILENCE = 10.0
"""Seconds after which something is sent, so that both sides detect a lost connection."""


async def events(source: AnyViewed, is_gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
    """Yields the state of the file now, and again whenever it has changed."""
    sent, last = None, 0.0
    yield "retry: 500\n\n"
    while not await is_gone():
        state = await asyncio.to_thread(source.look)
        now = time.monotonic()
        if state != sent:
            yield f"data: {json.dumps(asdict(state))}\n\n"
            sent, last = state, now
        elif now > last + SILENCE:
            yield ": nothing new\n\n"
            last = now
        await asyncio.sleep(LOOK_EVERY)
