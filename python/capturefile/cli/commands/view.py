"""The command `view`: serves a local web page that shows the contents of files."""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack, contextmanager

from capturefile.cli.arguments import add_bare, whole_number
from capturefile.cli.exit_codes import DONE, WrongUsage
from capturefile.cli.messages import say
from capturefile.cli.sources import check_folder, refuse_twice
from capturefile.cli.streams import STANDARD, STANDARD_INPUT, ending_cleanly, shown_name, write_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from typing import BinaryIO

    from capturefile.cli.arguments import Commands
    from capturefile.view.sources import AnyViewed

EXAMPLE = """\
capturefile view log.capture
capturefile view --tail orders/
capturefile view --no-browser --port 8080 *.capture"""

LOOPBACK = "127.0.0.1"
MAX_PORT = 65_535
TAIL = "#0/records?tail"
"""The fragment of the page's address that shows the end of the file."""
GRACE = 1
"""Seconds after which the server closes open connections when it ends; some would never end."""


def add_to(commands: Commands, summary: str) -> None:
    """Defines the command."""
    view = add_bare(commands, "view", summary, EXAMPLE)
    view.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="capture file, which may be damaged, folder of a rotated log, or - for a capture file on standard input",
    )
    view.add_argument(
        "--host",
        default=LOOPBACK,
        metavar="ADDRESS",
        help="the address to listen on (default: %(default)s, reachable only from this machine)",
    )
    view.add_argument("--port", type=_port, default=0, metavar="N", help="the port (default: any free one)")
    view.add_argument("--tail", action="store_true", help="start at the last record, and stay at the end as files grow")
    view.add_argument("--no-browser", action="store_true", help="print the address without opening a browser")
    view.set_defaults(run=_view)


def _port(text: str) -> int:
    if (number := whole_number(text, 0)) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"expected a port up to {MAX_PORT}, not {text!r}")
    return number


def _view(options: argparse.Namespace, output: BinaryIO) -> int:
    try:
        import uvicorn

        from capturefile.view.app import application
        from capturefile.view.security import new_token
    except ModuleNotFoundError as error:
        raise WrongUsage(f"view needs {error.name}: pip install 'capturefile-rs[view]'") from error
    refuse_twice(options.files)
    token = new_token()
    with ExitStack() as stack:
        sources = [_viewed(path, stack) for path in options.files]
        listener = stack.enter_context(_listening(options.host, options.port))
        config = uvicorn.Config(
            application(sources, token, options.host),
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=GRACE,
        )
        address = f"http://{_name(options.host)}:{listener.getsockname()[1]}/{token}/{TAIL if options.tail else ''}"
        write_line(output, address)
        output.flush()
        say("Ctrl-C ends it")
        if not options.no_browser:
            import webbrowser

            webbrowser.open(address)
        uvicorn.Server(config).run(sockets=[listener])
    return DONE


def _viewed(path: str, stack: ExitStack) -> AnyViewed:
    """Returns the file or log to show; a missing one is an error, a damaged one is not."""
    from capturefile.view.sources import ViewedFile, ViewedLog

    if path == STANDARD:
        # Jobs open it in processes of their own, and so by a name.
        viewed = ViewedFile(stack.enter_context(_copied()))
        viewed.name = shown_name(STANDARD)
        return viewed
    if os.path.isdir(path):
        check_folder(path)
        return ViewedLog(path)
    with open(path, "rb"):
        return ViewedFile(path)


@contextmanager
def _copied() -> Iterator[str]:
    """Copies standard input to a file that is deleted at the end."""
    import shutil
    import tempfile

    with ending_cleanly(), tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "standard-input.capture")
        with open(STANDARD_INPUT, "rb", closefd=False) as given, open(path, "xb") as copy:
            shutil.copyfileobj(given, copy)
        yield path


def _listening(host: str, port: int) -> socket.socket:
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        # Python adds its own form of the address.
        reason = str(error.strerror).partition(" (while")[0]
        name = f"[{host}]" if ":" in host else host
        raise OSError(error.errno, reason, f"{name}:{port}" if port else name) from error
    # Connections inherit this option; without it each response waits 40 ms for the browser to acknowledge its first
    # part.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _name(host: str) -> str:
    """Returns the address in the form for a browser on this machine."""
    if host in ("0.0.0.0", "::"):
        return LOOPBACK if host == "0.0.0.0" else "[::1]"
    return f"[{host}]" if ":" in host else host
