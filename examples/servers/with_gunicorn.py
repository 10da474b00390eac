"""Log from all workers of gunicorn, which are forked before or after the application is loaded:

gunicorn --workers 3 with_gunicorn:app
gunicorn --workers 3 --preload with_gunicorn:app
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from service_log import configure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

configure()
logger = logging.getLogger("shop")


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Responds with the number of the process."""
    logger.info("request %s", environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % os.getpid()]
