"""Log from all processes of a Celery worker, which are forked:

celery --app with_celery worker --concurrency 3

A folder is used instead of a message broker.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import Celery, signals
from service_log import FOLDER, configure

app = Celery("shop", broker="filesystem://")
app.conf.broker_transport_options = {
    name: str(FOLDER / "messages") for name in ("data_folder_in", "data_folder_out", "control_folder")
}
logger = logging.getLogger("shop")


@signals.setup_logging.connect
def configure_logging(**_options: Any) -> None:  # noqa: ANN401
    """Replaces Celery's own configuration."""
    configure()


@signals.worker_process_shutdown.connect
def commit(**_options: Any) -> None:  # noqa: ANN401
    """Commits the log when a process ends, because processes of the pool skip Python's exit handlers."""
    logging.shutdown()


@app.task
def visit(path: str) -> None:
    """Logs the call."""
    logger.info("request %s", path)
