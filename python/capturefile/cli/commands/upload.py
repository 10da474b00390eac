"""The command `upload`: uploads a file or a rotated log to an object store, as of its last commit."""

from __future__ import annotations

from capturefile.cli.arguments import add_bare
from capturefile.cli.exit_codes import DONE
from capturefile.cli.messages import say
from capturefile.cli.progress import progress
from capturefile.cli.sources import shown_url
from capturefile.cli.streams import ending_cleanly

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands

EXAMPLE = """\
capturefile upload log.capture s3://bucket/logs/log.capture
capturefile upload orders/ gs://bucket/orders"""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    upload = add_bare(commands, "upload", summary, EXAMPLE)
    upload.add_argument("source", metavar="SRC", help="path of a capture file, or of the folder of a rotated log")
    upload.add_argument(
        "target",
        metavar="URL",
        help="URL of the object, or prefix of the URLs of a log's files; objects with the same content are skipped",
    )
    upload.add_argument("--overwrite", action="store_true", help="replace an existing object with different content")
    upload.set_defaults(run=_upload)


def _upload(options: argparse.Namespace, _output: BinaryIO) -> int:
    from capturefile._upload import upload

    with ending_cleanly(), progress("upload", "files") as shown:
        last = upload(options.source, options.target, overwrite=options.overwrite, progress=shown.at)
    target = shown_url(options.target)
    say(f"{target} has all records up to {last}" if last else f"{target} has no records")
    return DONE
