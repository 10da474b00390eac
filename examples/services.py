"""Send a program's log to a capture file, and read what has been committed.

Run it as it is: it makes its own file in a temporary folder.
"""

from __future__ import annotations

import json
import logging
import logging.config
from pathlib import Path
from tempfile import TemporaryDirectory

import capturefile


def configure(path: Path) -> None:
    """Sends the log to the file."""
    logging.config.dictConfig(
        {
            "version": 1,
            "formatters": {"json": {"()": "capturefile.logging.JSONFormatter"}},
            "handlers": {
                "file": {
                    "class": "capturefile.logging.CaptureHandler",
                    "filename": path,
                    "formatter": "json",
                    "commit_every": 1000,
                    "commit_interval": 5.0,
                    "commit_level": "ERROR",
                }
            },
            "root": {"level": "INFO", "handlers": ["file"]},
        }
    )


def main() -> None:
    """Writes log entries, and reads the file at the same time."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "service.capture"
        configure(path)
        logger = logging.getLogger("shop")
        logger.info("order %d", 1, extra={"customer": "Ada"})
        with capturefile.open(path) as log:
            print(len(log), "records are committed")
            logger.error("no stock for order %d", 1)
            log.refresh()
            for entry in map(json.loads, log):
                print(entry["level"], entry["logger"], entry["message"])
        logging.shutdown()

        with capturefile.open(path, "a") as cf:
            cf.add_records(["four", "more"])
            cf.commit()
            stats = cf.stats()
            print(stats.records, "records and", stats.bytes, "bytes in", stats.commits, "commit")


if __name__ == "__main__":
    main()
