"""Generates the file in the pictures of the documentation: the log of a gateway, the same each time."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import capturefile

NAME = "gateway.capture"
COUNT = 20_000
BEGIN = datetime(2026, 11, 30, 13, 0, tzinfo=UTC)
PATHS = ("/v1/items", "/v1/orders", "/v1/users", "/v1/login", "/health")
MESSAGES = {"info": ("served", "cache miss", "connected"), "warning": ("retry", "queue grows")}
ERRORS = ("timeout", "connection refused", "disk full")


def records() -> Iterator[str]:
    """Generates the records, in JSON."""
    dice = random.Random(7)
    time = BEGIN
    for number in range(COUNT):
        time += timedelta(milliseconds=dice.randrange(1, 500))
        level = dice.choices(("info", "warning", "error"), (90, 9, 1))[0]
        fields: dict[str, object] = {"time": f"{time:%Y-%m-%dT%H:%M:%SZ}", "level": level}
        fields["event"] = dice.choice(MESSAGES.get(level, ERRORS))
        if level == "error":
            fields["db"] = {"id": dice.randrange(4), "tries": dice.randrange(1, 5)}
        elif level == "warning":
            length = 2 + round(16 * (1 + math.sin(number / 900)))
            fields["waiting"] = [dice.randrange(1000, 10_000) for _ in range(dice.randrange(1, length))]
        else:
            fields |= {"path": dice.choice(PATHS), "ms": round(dice.expovariate(0.05), 2)}
        yield json.dumps(fields)


def make(folder: Path) -> Path:
    """Creates the file, with a commit after every thousand records."""
    path = folder / NAME
    with capturefile.open(path, "x", sync="none", threads=1) as log:
        for number, record in enumerate(records(), 1):
            log.add_record(record)
            if number % 1000 == 0:
                log.set_metadata(json.dumps({"source": "gateway.log", "line": number}).encode())
                log.commit()
    return path
