"""The way in: an access key and its secret, or an address that is good once."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlencode

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from lfvpipe.console.addresses import split_address
from lfvpipe.console.rendering import render
from lfvpipe.console.visit import FORM_TOKEN, KIB, ROOT
from lfvpipe.console.wording import say
from lfvpipe.service.http import body as bodies
from lfvpipe.service.http.protocol import network_of
from lfvpipe.service.protocol.faults import Fault
from lfvpipe.service.roles import Actor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from lfvpipe.console.guard import Origins
    from lfvpipe.console.sessions import Sessions
    from lfvpipe.service.http.credentials import AccessKey

_FORM_BYTES, _FORM_SECONDS = 8 * KIB, 30.0
_ENDED = "ended"  # in the query of who had a session before
_NOBODY = "x"  # compared with where there is no such key, so that the time does not tell


@dataclass(frozen=True)
class SignIn:
    """Signs people in and out.

    Attributes:
        sessions: Of the server.
        keys: Secrets and roles by access key id.
        origins: Where the console is offered.
    """

    sessions: Sessions
    keys: Mapping[str, AccessKey]
    origins: Origins

    def show(self, request: Request) -> Response:
        """Ask for a key and its secret."""
        has_ended = _ENDED in request.query_params
        return _page(_wanted(request.query_params.get("to", "")), has_ended=has_ended)

    async def sign_in(self, request: Request) -> Response:
        """Begin a session for whoever knows a key's secret."""
        try:
            limit = bodies.Limit(_FORM_BYTES)
            body = await bodies.read(request, limit, seconds=_FORM_SECONDS)
            form = parse_qs(body.decode(), max_num_fields=10)
        except (Fault, ValueError):
            return _page("", say("frame.no_form"), 400)
        key, secret, to = (form.get(name, [""])[0] for name in ("key", "secret", "to"))
        network = network_of(request.client.host if request.client else "")
        if not self.sessions.may_try(network, key.strip()):
            return _page(_wanted(to), say("frame.too_often"), 429)
        known = self.keys.get(key.strip())
        good = hmac.compare_digest(
            secret.strip().encode(), (known.secret if known else _NOBODY).encode()
        )
        if known is None or not good:
            self.sessions.note_failure(network, key.strip())
            return _page(_wanted(to), say("frame.wrong_key"), 403)
        if known.token:  # its holder was given it for a while, and has to show the token as well
            return _page(_wanted(to), say("frame.session_key"), 403)
        response = RedirectResponse(_wanted(to) or f"{ROOT}/", 303)
        self._begin(request, response, Actor(key.strip(), known.role))
        return response

    def enter(self, request: Request) -> Response:
        """Begin a session for whoever was told an address that is good once.

        The answer is a page that goes on by itself: by a redirection the browser would still come
        from where the address was opened, and leave the new cookie out.
        """
        if not self.sessions.redeem(request.query_params.get("ticket", "")):
            return _page("", say("frame.used_ticket"), 403)
        response = HTMLResponse(render("enter.html.j2", to=f"{ROOT}/"))
        self._begin(request, response, Actor())
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session whose form this is."""
        value = request.cookies.get(cookie_name(request), "")
        try:
            limit = bodies.Limit(_FORM_BYTES)
            body = await bodies.read(request, limit, seconds=_FORM_SECONDS)
            sent = parse_qs(body.decode(), max_num_fields=10).get(FORM_TOKEN, [""])[0]
        except (Fault, ValueError):
            sent = ""
        response = RedirectResponse(f"{ROOT}/sign-in", 303)
        if hmac.compare_digest(sent.encode(), self.sessions.form_token(value).encode()):
            self.sessions.close(value)
            response.delete_cookie(
                cookie_name(request), path=ROOT, httponly=True, samesite="strict"
            )
        return response

    def _begin(self, request: Request, response: Response, actor: Actor) -> None:
        """Put a new session's cookie into an answer; one that the browser had ends."""
        self.sessions.close(request.cookies.get(cookie_name(request), ""))
        origin = self.origins.of_host(request.headers["host"]) or ""
        response.set_cookie(
            cookie_name(request),
            self.sessions.open(actor),
            path=ROOT,
            httponly=True,
            samesite="strict",
            secure=origin.startswith("https://"),
        )


def cookie_name(request: Request) -> str:
    """Return the name of the session's cookie: browsers keep those of a host's ports together."""
    return f"lfvpipe-console-{request.url.port or 'https'}"


def ask_to_sign_in(request: Request) -> Response:
    """Return what a browser without a session gets: the way in, and back to where it was."""
    if request.headers.get("accept", "").startswith("application/json"):
        return JSONResponse({"error": say("frame.signed_out")}, 401)
    to = request.url.path
    if request.method == "GET" and request.url.query:
        to = f"{to}?{request.url.query}"
    said = {"to": to} if request.method == "GET" else {}
    if cookie_name(request) in request.cookies:
        said[_ENDED] = "yes"
    query = f"?{urlencode(said, safe='', quote_via=quote)}" if said else ""
    return RedirectResponse(f"{ROOT}/sign-in{query}", 303)


def _wanted(to: str) -> str:
    """Return the page that somebody wanted; "" unless it is one of ours."""
    parts = split_address(to) if to.isascii() and to.isprintable() and "\\" not in to else None
    if parts is None or parts.scheme or parts.netloc or not parts.path.startswith(f"{ROOT}/"):
        return ""
    return parts._replace(fragment="").geturl()


def _page(to: str, error: str = "", status: int = 200, *, has_ended: bool = False) -> Response:
    page = render("sign_in.html.j2", to=to, error=error, has_ended=has_ended)
    return HTMLResponse(page, status)
