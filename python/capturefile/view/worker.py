"""The process of one job: reads a task as a line of JSON from standard input, and writes lines of JSON.

Each line has one key: `progress`, a result of the task, and at the end `done` or `error`. An export writes one line,
`ready` or `error`, and then the exported content.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from capturefile._errors import in_words
from capturefile.view.sources import BROKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def main() -> None:
    """Performs the task."""
    task = json.loads(sys.stdin.readline())
    try:
        if task["kind"] == "export":
            _export(task)
        else:
            for line in TASKS[task["kind"]](task):
                print(json.dumps(line), flush=True)
    except BrokenPipeError:
        # The reader is gone, so this cannot be reported either.
        os._exit(0)
    except (re.error, OverflowError, RecursionError) as error:
        print(json.dumps({"error": f"This is not a valid regular expression: {error}"}), flush=True)
    except BROKEN as error:
        print(json.dumps({"error": in_words(error)}), flush=True)
    except ValueError as error:
        print(json.dumps({"error": str(error)}), flush=True)


def _export(task: dict[str, Any]) -> None:
    from capturefile.view.export import export

    parts = export(task)
    print(next(parts) + json.dumps({"ready": True}), flush=True)
    output = sys.stdout.buffer
    try:
        for part in parts:
            output.write(part.encode(errors="backslashreplace"))
        output.flush()
    except BrokenPipeError:
        raise
    except BROKEN as error:
        # The server reports that the export is incomplete.
        sys.exit(in_words(error))


def _search(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from capturefile.view.search import search

    return search(task)


def _fields(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from capturefile.view.fields import fields

    return fields(task)


def _values(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from capturefile.view.values import values

    return values(task)


def _timeline(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from capturefile.view.timeline import timeline

    return timeline(task)


def _verify(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from capturefile.view.scans import verification

    return verification(task["path"])


def _blocks(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from capturefile.view.scans import blocks

    return blocks(task["path"])


def _sizes(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from capturefile.view.scans import sizes

    return sizes(task["path"])


TASKS: dict[str, Callable[[dict[str, Any]], Iterator[dict[str, Any]]]] = {
    "search": _search,
    "fields": _fields,
    "values": _values,
    "timeline": _timeline,
    "verify": _verify,
    "blocks": _blocks,
    "sizes": _sizes,
}

if __name__ == "__main__":
    main()
