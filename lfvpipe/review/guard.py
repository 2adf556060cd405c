"""What stands between the page and other pages, programs and people of this machine."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

from lfvpipe.service.http.pages import page_headers, with_headers

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

MAX_BODY = 32 * 1024 * 1024  # a painted mask, in base 64, and more
_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_HEADERS = page_headers(forms=False)


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
        await app(inside, receive, with_headers(send, _HEADERS))


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
