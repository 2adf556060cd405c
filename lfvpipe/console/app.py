"""The ASGI application: who may see a page, and what answers it."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from botocore.exceptions import ClientError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.staticfiles import StaticFiles

from lfvpipe.console import (
    annotation,
    changes,
    dashboard,
    dataset_pages,
    exports,
    models,
    packages,
    projects,
    sign_in,
    trials,
    use,
    version_comparison,
    version_page,
)
from lfvpipe.console.datasets.desk import Desk
from lfvpipe.console.datasets.pipelines import Pipelines
from lfvpipe.console.forms import NotTaken, check_calls, in_words
from lfvpipe.console.guard import Guard, Origins
from lfvpipe.console.rendering import no_page
from lfvpipe.console.sessions import Sessions
from lfvpipe.console.visit import (
    FORM_TOKEN,
    FORM_TOKEN_HEADER,
    ROOT,
    Page,
    Refusal,
    Visit,
)
from lfvpipe.console.wording import say, words_of
from lfvpipe.errors import UserError
from lfvpipe.lookout.client import connect
from lfvpipe.painting import PAINTER
from lfvpipe.report.figures import EXPLORER, OUTLINES, STYLE
from lfvpipe.service.http import body as bodies
from lfvpipe.service.log import service_log
from lfvpipe.service.protocol.faults import Fault
from lfvpipe.service.roles import acting
from lfvpipe.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from lfvpipe.console.sessions import Session
    from lfvpipe.lookout.client import LookoutClient
    from lfvpipe.service import RegionalService, Service
    from lfvpipe.service.http.credentials import AccessKey

PAGES: tuple[Page, ...] = (
    *dashboard.PAGES,
    *projects.PAGES,
    *dataset_pages.PAGES,
    *annotation.PAGES,
    *models.PAGES,
    *trials.PAGES,
    *packages.PAGES,
    *version_page.PAGES,
    *version_comparison.PAGES,
    *use.PAGES,
    *exports.PAGES,
    *changes.PAGES,
)
_BODY_SECONDS = 60.0
_SLOWEST = 50_000  # bytes a second of a line by which photographs still arrive


@dataclass(frozen=True)
class Console:
    """The console of one service.

    What a page changes, it changes through the service's own operations, in this process: a
    client of the API sees it at once, and the page what a client did. Each answer is made as the
    person's key allows, which the service checks, not the page.

    Attributes:
        lookout: The service.
        keys: Who may sign in, with which secret, and as what.
        region: Whose resources are shown first.
        origins: Where it is offered.
        state_root: Where pipelines keep their state beside the service's; None where none do.
        alarms_to: The host that alarms are sent to; "" where nobody asked for that.
    """

    lookout: RegionalService
    keys: Mapping[str, AccessKey]
    region: str
    origins: Origins = field(default_factory=Origins)
    state_root: Path | None = None
    alarms_to: str = ""
    sessions: Sessions = field(default_factory=lambda: Sessions(time.monotonic))
    _clients: dict[str, LookoutClient] = field(default_factory=dict)
    _desks: dict[str, Desk] = field(default_factory=dict)

    def beside(self, api: ASGIApp) -> ASGIApp:
        """Return what answers paths of the console by the console, and all others by `api`."""
        pages = self._asgi()

        async def choose(scope: Any, receive: Any, send: Any) -> None:
            ours = scope["type"] == "http" and (scope["path"] + "/").startswith(f"{ROOT}/")
            await (pages if ours else api)(scope, receive, send)

        return choose

    def entrance(self) -> str:
        """Return a path that signs its caller in as the folder's owner, once."""
        return f"{ROOT}/enter?ticket={self.sessions.make_ticket()}"

    def _asgi(self) -> ASGIApp:
        entering = sign_in.SignIn(self.sessions, self.keys, self.origins)
        files = StaticFiles(packages=[("lfvpipe.console", "static")])
        routes = [
            Route("/static/painter.js", _give(PAINTER, "text/javascript")),
            Route("/static/explore.js", _give(EXPLORER, "text/javascript")),
            Route("/static/figures.css", _give(STYLE, "text/css")),
            Route("/static/outlines.css", _give(OUTLINES, "text/css")),
            Mount("/static", files),
            Route("/enter", entering.enter),
            Route("/sign-in", entering.show),
            Route("/sign-in", entering.sign_in, methods=["POST"]),
            Route("/sign-out", entering.sign_out, methods=["POST"]),
            Route("/sign-out", self._go_home),  # of who loads it: the name is no region's
            Route("/", self._go_home),
            Route("/{region}", self._go_home),
            Route("/{region}/", self._go_home),
            *(Route(f"/{{region}}{p.path}", self._endpoint(p), methods=[p.method]) for p in PAGES),
        ]
        missing = {404: _tell_missing, 405: _tell_missing}
        # What would lead from a path to that with a slash names our own address, not a proxy's.
        pages = Mount(ROOT, Router(routes, redirect_slashes=False))
        mounted = Starlette(routes=[Route(ROOT, self._go_home), pages], exception_handlers=missing)
        mounted.router.redirect_slashes = False
        return Guard(mounted, self.origins)

    def _go_home(self, request: Request) -> Response:
        region = quote(request.path_params.get("region", self.region), safe="")
        return RedirectResponse(f"{ROOT}/{region}/projects", 303)

    def _endpoint(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            value = request.cookies.get(sign_in.cookie_name(request), "")
            session = self.sessions.find(value)
            if session is None:
                return sign_in.ask_to_sign_in(request)
            accept = request.headers.get("accept", "")
            region = request.path_params["region"]
            service = self.lookout.of(region)
            if service is None:
                return no_page(say("frame.no_region"), 404, accept)
            try:
                body = await _read_body(request, page.limit)
            except Fault as fault:
                # A browser that is still sending hears nothing of an answer.
                await bodies.discard(request, seconds=_BODY_SECONDS)
                return no_page(_sentence(fault.message), 413, accept)
            visit = self._visit(request, session, value, service, body)
            return await run_in_threadpool(_answer, page, visit)

        return answer

    def _visit(
        self, request: Request, session: Session, value: str, service: Service, body: bytes
    ) -> Visit:
        region = request.path_params["region"]
        if region not in self._clients:
            handler = self.lookout.handle
            client = connect("embedded", region=region, handler=handler)
            check_calls(client)
            self._clients[region] = client
        if region not in self._desks:
            self._desks[region] = Desk(
                self._clients[region], service, Pipelines(self.state_root, service)
            )
        return Visit(
            request=request,
            session=session,
            form_token=self.sessions.form_token(value),
            region=region,
            regions=self.lookout.regions,
            client=self._clients[region],
            service=service,
            datasets=self._desks[region],
            alarms_to=self.alarms_to,
            origin=self.origins.of_host(request.headers["host"]) or "",
            body=body,
        )


def _give(file: Path, media_type: str) -> Callable[[Request], Response]:
    """Return what answers with a file that other pages of ours share."""

    def answer(_request: Request) -> Response:
        return FileResponse(file, media_type=media_type)

    return answer


def _tell_missing(request: Request, _error: Exception) -> Response:
    return no_page(say("frame.no_page"), 404, request.headers.get("accept", ""))


def _answer(page: Page, visit: Visit) -> Response:
    """Return a page's answer, made in the name of the person who asks.

    This is the one place that lets the console ask the service: nothing of it is asked in any
    other name.
    """
    with acting(visit.session.actor):
        try:
            if page.method != "GET":
                _check_form_token(visit)
            return page.answer(visit)
        except Refusal as refusal:
            return visit.refuse(refusal)
        except ClientError as error:
            told = error.response["Error"]
            status = int(error.response["ResponseMetadata"]["HTTPStatusCode"])
            said = str(told.get("Message", told["Code"]))
            return visit.refuse(Refusal(_sentence(said), status))
        except NotTaken as error:
            fields = page.form.by_field(error.problems) if page.form else {}
            return visit.refuse(Refusal(in_words(error.problems), fields=fields))
        except Fault as fault:
            return visit.refuse(Refusal(_sentence(fault.message), fault.status))
        except StorageError as error:
            service_log().warning("a store failed", path=visit.request.url.path, error=str(error))
            return visit.refuse(Refusal(words_of(error)))
        except UserError as error:
            return visit.refuse(Refusal(f"{error.message} {error.hint}".strip()))
        except Exception:  # the boundary: a bug must not reach the person as a traceback
            service_log().exception("page failed", path=visit.request.url.path)
            return visit.refuse(Refusal(say("frame.failed"), 500))


def _check_form_token(visit: Visit) -> None:
    sent = visit.request.headers.get(FORM_TOKEN_HEADER)
    if sent is None:
        sent = visit.form.get(FORM_TOKEN, "")
    if not hmac.compare_digest(sent.encode(), visit.form_token.encode()):
        raise Refusal(say("frame.form_is_old"), 403)


async def _read_body(request: Request, limit: int) -> bytes:
    if request.method == "GET":
        return b""
    seconds = _BODY_SECONDS + limit / _SLOWEST
    return await bodies.read(request, bodies.Limit(limit), seconds=seconds)


def _sentence(message: str) -> str:
    """Return a message of the API, which begins small and has no end, as a sentence."""
    shown = message[:1].upper() + message[1:]
    return shown if shown.endswith((".", "!", "?")) else f"{shown}."
