"""Metadata as a JSON object that several programs share, each with its own key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capturefile._capturefile import CaptureFile


def load(cf: CaptureFile[Any], key: str, content: str) -> dict[str, Any]:
    """Returns the metadata of a file as an object, with an object under `key` for `content`.

    Raises:
        ValueError: The metadata is something else.
        CaptureFileError: The metadata cannot be read.
    """
    metadata = cf.get_metadata()
    try:
        found = json.loads(metadata) if metadata else {}
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and isinstance(found.setdefault(key, {}), dict):
        return found
    what = f"has no object under {key!r}" if isinstance(found, dict) else "is not a JSON object"
    raise ValueError(
        f"the metadata of {cf.file_name!r} {what}, so the {content} cannot be stored in it: {metadata!r:.80}"
    )


def save(cf: CaptureFile[Any], metadata: dict[str, Any]) -> None:
    """Sets the metadata, which the next commit saves.

    Raises:
        CaptureFileError: The file is not open for writing, or cannot be written.
    """
    cf.set_metadata(json.dumps(metadata).encode())
