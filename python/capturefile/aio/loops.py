"""The running event loop."""

from __future__ import annotations

import asyncio


def running_loop() -> asyncio.AbstractEventLoop:
    """Returns the running event loop of asyncio; those of other libraries cannot run this package."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "capturefile.aio requires a running event loop of asyncio; elsewhere, as in trio or gevent, call "
            "CaptureFile's methods, such as follow and commit, in a thread"
        ) from None
