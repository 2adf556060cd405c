"""What stands between the page and other pages, programs and people of this machine."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 32 * 1024 * 1024  # a painted mask, in base 64, and more
_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": _POLICY.encode(),
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}


@dataclass(frozen=True)
class Guard:
    """Lets through what knows the token and comes from the page itself.

    The token is the path's first part, so that the page's own relative addresses carry it and no
    other page can guess it; the Host header must name this machine, so that no foreign name can
    be made to point here (DNS rebinding); what changes something must be JSON and must not come
    from another origin.

    Args:
        app: What is guarded; it sees paths without the token.
        token: Unguessable.
    """

    app: ASGIApp
    token: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let it through."""
        if scope["type"] != "http":
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        token, _, rest = str(scope["path"]).lstrip("/").partition("/")
        refused = _refusal(str(scope["method"]), headers)
        if refused is None and not hmac.compare_digest(token.encode(), self.token.encode()):
            refused = 404, "Open the address that `lfvpipe review` printed."
        app: ASGIApp = self.app
        if refused is not None:
            app = PlainTextResponse(refused[1], refused[0])
        inside = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode(), "root_path": ""}
        await app(inside, receive, _with_headers(send))


def _refusal(method: str, headers: dict[bytes, str]) -> tuple[int, str] | None:
    name, _, port = headers.get(b"host", "").rpartition(":")
    if (name or port) not in _HOSTS:  # a host without a port stands where the port would
        return 421, "This page is for this machine only."
    if method in ("GET", "HEAD"):
        return None
    origin = headers.get(b"origin")
    if origin is not None and origin != f"http://{headers[b'host']}":
        return 403, "The request comes from another page."
    if headers.get(b"sec-fetch-site", "same-origin") != "same-origin":
        return 403, "The request comes from another page."
    if headers.get(b"content-type", "").partition(";")[0].strip() != "application/json":
        return 415, "Only JSON is understood."
    length = headers.get(b"content-length", "")
    if not re.fullmatch("[0-9]{1,9}", length) or int(length) > MAX_BODY:
        return 413, "The request is too large, or does not say how large it is."
    return None


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message["headers"], *_HEADERS.items()]
            if not any(name.lower() == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            message = {**message, "headers": headers}
        await send(message)

    return send_with_headers
