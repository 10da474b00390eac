"""Log from all processes of a Celery worker, which are forked:

celery --app with_celery worker --concurrency 3

Messages go through a folder here, in place of a broker.
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
    """Takes the place of Celery's own configuration."""
    configure()


@signals.worker_process_shutdown.connect
def commit(**_options: Any) -> None:  # noqa: ANN401
    """Commits what is logged when a process ends: the pool ends without Python's own end."""
    logging.shutdown()


@app.task
def visit(path: str) -> None:
    """Logs that it was called."""
    logger.info("request %s", path)
