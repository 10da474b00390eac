"""The path of the index of a log."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from capturefile._typing import StrPath

NAME_IN_FOLDER = "_index.capture"
"""The name of an index in the folder of a rotated log; engines that read whole folders skip names with underscores."""
SUFFIX = ".index"


def place_of(path: StrPath) -> str:
    """Returns the path or URL of the index of a file, or of the log in a folder."""
    path = os.fspath(path)
    if "://" in path:
        # The query of a web address, which may be a signature, is behind the path.
        place, sign, query = path.partition("?")
        return place + SUFFIX + sign + query
    is_folder = os.path.isdir(path)  # noqa: PTH112 - a Path takes longer to import
    return os.path.join(path, NAME_IN_FOLDER) if is_folder else path + SUFFIX  # noqa: PTH118
