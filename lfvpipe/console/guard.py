"""What stands between the console and other pages, foreign names and lines that can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.console.rendering import no_page
from lfvpipe.console.wording import say
from lfvpipe.service.http.auth import host_of, is_loopback
from lfvpipe.service.http.pages import page_headers, with_headers

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_HEADERS = page_headers(forms=True)


@dataclass(frozen=True)
class Origins:
    """Where the console is offered.

    Attributes:
        tls: The server speaks TLS itself.
        proxies: The addresses at which proxies offer it, such as ``https://vision.example``.
    """

    tls: bool = False
    proxies: tuple[str, ...] = ()

    def of_host(self, host: str) -> str | None:
        """Return the origin of pages that are asked for by a Host header; None for a foreign one.

        A proxy's comes first: what it offers by TLS it may well ask for by a loopback name.
        """
        for origin in self.proxies:
            if origin == f"https://{host.lower()}":
                return origin
        name = host_of(host)
        if self.tls:
            return f"https://{host}" if name else None
        return f"http://{host}" if is_loopback(name) else None


@dataclass(frozen=True)
class Guard:
    """Lets through what a browser asks for a page of ours.

    Secrets are typed into these pages, so that they are served where nobody can read along: by
    TLS, on this machine, or behind a proxy whose address is known. There the Host header also
    names us, and no foreign name that was made to point here (DNS rebinding).

    Attributes:
        app: What is guarded.
        origins: Where it is offered.
    """

    app: ASGIApp
    origins: Origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let it through."""
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        hosts = sum(name.lower() == b"host" for name, _ in scope["headers"])
        # Of two, a proxy may have looked at the other one.
        refused = self._refusal(str(scope["method"]), headers) if hosts == 1 else "frame.not_here"
        app = (
            self.app if refused is None else no_page(say(refused), 403, headers.get(b"accept", ""))
        )
        await app(scope, receive, with_headers(send, _HEADERS))

    def _refusal(self, method: str, headers: dict[bytes, str]) -> str | None:
        origin = self.origins.of_host(headers.get(b"host", ""))
        if origin is None:
            return "frame.not_here"
        if method in ("GET", "HEAD"):
            return None
        # Every browser says where a form or a script that changes something comes from.
        if headers.get(b"origin") != origin:
            return "frame.other_page"
        if headers.get(b"sec-fetch-site", "same-origin") != "same-origin":
            return "frame.other_page"
        return None
