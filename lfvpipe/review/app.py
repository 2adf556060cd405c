"""The page's server side: the review over HTTP."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lfvpipe import painting
from lfvpipe.errors import UserError
from lfvpipe.review.guard import Guard
from lfvpipe.review.session import BadRequest
from lfvpipe.steps.advice import advise

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from lfvpipe.review.session import Review

_PAGE = Path(__file__).with_name("page")
_FILES = {
    "": (_PAGE / "review.html", "text/html; charset=utf-8"),
    "review.css": (_PAGE / "review.css", "text/css; charset=utf-8"),
    "review.js": (_PAGE / "review.js", "text/javascript; charset=utf-8"),
    "painter.js": (painting.PAINTER, "text/javascript; charset=utf-8"),
}


def application(review: Review, token: str) -> Guard:
    """Return the ASGI application whose paths begin with `token`."""
    routes = [
        *(Route(f"/{name}", _static(name)) for name in _FILES),
        Route("/api/state", _question(lambda _: review.state())),
        Route(
            "/api/queue",
            _question(lambda request: review.numbers(request.query_params.get("filter", "todo"))),
        ),
        Route("/api/items/{n}", _question(lambda request: review.item(_number(request)))),
        Route("/api/decisions", _order(review.decide), methods=["POST"]),
        Route("/api/undo", _order(review.undo), methods=["POST"]),
        Route("/pictures/{kind}/{n}", _picture(review), methods=["GET"]),
    ]
    return Guard(Starlette(routes=routes), token)


def _static(name: str) -> Callable[[Request], Response]:
    file, kind = _FILES[name]

    def serve(_: Request) -> Response:  # read each time, as a page is loaded once a review
        return Response(file.read_bytes(), media_type=kind)

    return serve


def _error_response(error: UserError) -> JSONResponse:
    status = 404 if isinstance(error, BadRequest) else 500
    text = f"{error.message} {advise(error)}".strip()
    return JSONResponse({"error": text}, status)


def _number(request: Request) -> int:
    """Return the number in a path; of more digits than any image has, Python itself reads none."""
    digits = request.path_params["n"]
    if not re.fullmatch("[0-9]{1,12}", digits):
        raise BadRequest("There is no such image.")
    return int(digits)


def _question(ask: Callable[[Request], dict[str, Any]]) -> Callable[[Request], Response]:
    def serve(request: Request) -> Response:
        try:
            return JSONResponse(ask(request))
        except UserError as error:
            return _error_response(error)

    return serve


def _order(carry_out: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Request], Any]:
    async def serve(request: Request) -> Response:
        try:
            data = json.loads(await request.body())
            json.dumps(data, ensure_ascii=False).encode()  # or half a surrogate pair is in a text
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            return JSONResponse({"error": "This is not a JSON object."}, 400)
        try:
            return JSONResponse(await run_in_threadpool(carry_out, data))
        except BadRequest as error:
            return JSONResponse({"error": error.message}, 400)
        except UserError as error:
            return _error_response(error)

    return serve


def _picture(review: Review) -> Callable[[Request], Response]:
    def serve(request: Request) -> Response:
        try:
            data = review.picture(request.path_params["kind"], _number(request))
        except UserError as error:
            return _error_response(error)
        media = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
        return Response(data, media_type=media)

    return serve
