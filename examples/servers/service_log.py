"""How the servers of this folder log: each process to a capture file of its own, all of which are read as one.

LOG_FOLDER names the folder of the files. `python service_log.py` prints what is in them, in the order of time.
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
            # A file for each process, also for one that is forked when logging is configured already.
            "filename": FOLDER / "service.{pid}.capture",
            # None for a process that logs nothing, such as the one that watches the others.
            "delay": True,
            "formatter": "json",
        }
    },
    "root": {"level": "INFO", "handlers": ["file"]},
}


def configure() -> None:
    """Sends what this process and its forked children log to their files."""
    logging.config.dictConfig(LOGGING)


def entries(folder: Path = FOLDER) -> Iterator[dict[str, Any]]:
    """What all processes have logged, in the order of time."""
    logs = [capturefile.concat([path]) for path in sorted(folder.glob("service.*.capture"))]
    return heapq.merge(*(map(json.loads, log) for log in logs), key=lambda entry: entry["time"])


if __name__ == "__main__":
    for entry in entries():
        print(entry["time"], entry["level"], entry["logger"], entry["message"])
