"""Access control: requests need the token, and a Host header that no foreign name can resolve to."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
"""Headers of every response. Nothing is loaded from elsewhere, no text is run as a script, and the token does not leave
the page in a referrer."""


def new_token() -> str:
    """Returns a token that cannot be guessed."""
    return secrets.token_urlsafe(24)


def is_known_host(header: str, bound_to: str) -> bool:
    """Returns whether a Host header names the machine in a way that DNS rebinding cannot imitate.

    In a rebinding attack, an attacker's domain resolves to this machine, and the browser then sends that domain's
    name. An attacker cannot own an IP address, `localhost`, or the name that the user gave.
    """
    name = _without_port(header.strip().lower())
    if name in ("localhost", bound_to.lower()):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or not _is_loopback(bound_to)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Guard:
    """Passes only permitted requests to the application, and adds the headers to all responses."""

    def __init__(self, app: ASGIApp, token: str, host: str) -> None:
        """Takes the address to which the server is bound."""
        self.app = app
        self.prefix = f"/{token}/"
        self.host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses requests that are not permitted."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self.app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if not is_known_host(headers.get("host", ""), self.host):
            return PlainTextResponse("This page is not served under that name.\n", 421)
        # A user may follow a link from another page, but no other page may send requests by itself.
        is_ours = headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        if not is_ours and headers.get("sec-fetch-mode") != "navigate":
            return PlainTextResponse("Requests from other pages are not permitted.\n", 403)
        start = scope["path"][: len(self.prefix)]
        if not hmac.compare_digest(start.encode(), self.prefix.encode()):
            return PlainTextResponse("Open the address that `capturefile view` printed, with its token.\n", 404)
        return None
