"""The logging of the servers in this folder: each process writes a capture file of its own; all are read as one log.

LOG_FOLDER names the folder of the files. `python service_log.py` prints their records in the order of time.
"""

from __future__ import annotations

import heapq
import json
import logging.config
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import capturefile

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(os.environ.get("LOG_FOLDER", "."))

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "capturefile.logging.JSONFormatter"}},
    "handlers": {
        "file": {
            "class": "capturefile.logging.CaptureHandler",
            # A file for each process, also if it is forked after logging was configured.
            "filename": FOLDER / "service.{pid}.capture",
            # Processes that log nothing, such as the supervisor, create no file.
            "delay": True,
            "formatter": "json",
        }
    },
    "root": {"level": "INFO", "handlers": ["file"]},
}


def configure() -> None:
    """Configures this process and its forked children to log to their files."""
    logging.config.dictConfig(LOGGING)


def entries(folder: Path = FOLDER) -> Iterator[dict[str, Any]]:
    """Generates the entries of all processes in the order of time."""
    logs = [capturefile.concat([path]) for path in sorted(folder.glob("service.*.capture"))]
    return heapq.merge(*(map(json.loads, log) for log in logs), key=lambda entry: entry["time"])


if __name__ == "__main__":
    for entry in entries():
        print(entry["time"], entry["level"], entry["logger"], entry["message"])
