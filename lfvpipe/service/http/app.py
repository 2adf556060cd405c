"""The ASGI application: the API, /health and /metrics."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from lfvpipe import __version__
from lfvpipe.lookout import likeness
from lfvpipe.lookout.rules import MAX_IMAGE_BYTES
from lfvpipe.service.http import body as bodies
from lfvpipe.service.http.access_log import Access, log_access
from lfvpipe.service.http.auth import Authenticator, host_of, is_loopback
from lfvpipe.service.http.head import Head, head_of
from lfvpipe.service.http.metrics import CONTENT_TYPE, Metrics
from lfvpipe.service.log import service_log
from lfvpipe.service.protocol.faults import Fault
from lfvpipe.service.protocol.model import service_model
from lfvpipe.service.protocol.router import Router
from lfvpipe.service.protocol.serializer import Response as Answer
from lfvpipe.service.protocol.serializer import serialize_fault
from lfvpipe.service.roles import acting

Handle = Callable[[str, str, Mapping[str, str], bytes], Answer]
ModelCounts = Callable[[], Mapping[str, int]]
T = TypeVar("T")

DETECT = "DetectAnomalies"
UNKNOWN = "Unknown"
_DETECTING = 64  # threads, which only wait for units: more than their pipes can keep busy
_OTHERS = 4  # threads for all operations but DetectAnomalies
_METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]


@dataclass(frozen=True)
class Application:
    """The service behind HTTP.

    Attributes:
        handle: Answers a request; called in threads.
        authenticator: Decides who may ask.
        model_counts: Returns the number of models by status; called in threads.
        workers: How many images are judged at once, whatever inference units there are; None
            leaves it to those.
        image_bytes: How large an image may be: the service's quota.
        body_seconds: How long a request's body may take to arrive.
        origins: The origins (``https://host``) whose pages browsers let ask; ``*`` for any.
    """

    handle: Handle
    authenticator: Authenticator
    model_counts: ModelCounts
    workers: int | None = None
    image_bytes: int = MAX_IMAGE_BYTES
    body_seconds: float = 60.0
    origins: tuple[str, ...] = ()
    metrics: Metrics = field(default_factory=Metrics)
    memory: bodies.Memory = field(default_factory=bodies.Memory)
    router: Router = field(default_factory=lambda: Router(service_model()))
    _pools: dict[str, ThreadPoolExecutor] = field(default_factory=dict)

    def asgi(self) -> Starlette:
        """Return the ASGI application."""
        routes = [
            Route("/health", self.health, methods=["GET"]),
            Route("/metrics", self.scrape, methods=["GET"]),
            Route("/{path:path}", self.answer, methods=_METHODS),
        ]
        # A browser asks, unsigned, whether a page may ask; the page's own requests are signed.
        allowing = Middleware(
            CORSMiddleware,
            allow_origins=self.origins,
            allow_methods=_METHODS,
            allow_headers=["*"],
            expose_headers=[
                "x-amzn-RequestId",
                "x-amzn-ErrorType",
                "Retry-After",
                likeness.HEADER,
            ],
        )
        return Starlette(routes=routes, middleware=[allowing] if self.origins else [])

    def close(self) -> None:
        """Wait for the requests under way, and start no more."""
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)

    async def health(self, _request: Request) -> Response:
        """Say that the service answers and its state can be read."""
        try:
            await self._in_thread("health", self.model_counts)
        except Exception as error:  # whatever it is, the answer is: not healthy
            message = {"status": "failing", "error": type(error).__name__}
            return JSONResponse(message, status_code=503)
        return JSONResponse({"status": "ok", "version": __version__})

    async def scrape(self, request: Request) -> Response:
        """Say the metrics in Prometheus' text format.

        They are asked for unsigned. What only this machine reaches is not told to a foreign name
        that was made to point here (DNS rebinding), by which a page could read it.
        """
        server, host = request.scope.get("server"), request.headers.get("host", "")
        if server and is_loopback(server[0]) and not is_loopback(host_of(host)):
            return PlainTextResponse("Ask by the name localhost, or by the address.", 421)
        models = await self._in_thread("health", self.model_counts)
        return PlainTextResponse(self.metrics.render(models), media_type=CONTENT_TYPE)

    async def answer(self, request: Request) -> Response:
        """Answer one request to the API, count it, and log it."""
        started = time.perf_counter()
        exchange = _Exchange(head_of(request))
        with suppress(Fault):  # which the answer will tell; here it is for counting
            exchange.operation = self.router.find(exchange.head.method, exchange.head.path)[0].name
        self.metrics.in_flight += 1  # only ever in the event loop's thread
        try:
            status, headers, reply = await self._respond(request, exchange)
        finally:
            self.metrics.in_flight -= 1
        seconds = time.perf_counter() - started
        self.metrics.observe(exchange.operation, status, seconds)
        log_access(exchange.access(status, headers, reply, seconds))
        return Response(reply, status, headers)

    async def _respond(self, request: Request, exchange: "_Exchange") -> Answer:
        """Return what a request is answered, whatever happens."""
        try:
            return await self._handle(request, exchange)
        except Fault as fault:
            await bodies.discard(request, seconds=self.body_seconds)
            return serialize_fault(service_model(), fault, str(uuid.uuid4()))
        except Exception:  # the boundary: a bug must not reach the wire
            request_id = str(uuid.uuid4())
            service_log().exception("request failed", request_id=request_id)
            message = f"the service failed; its log has the details under request id {request_id}"
            broken = Fault("InternalServerException", message)
            return serialize_fault(service_model(), broken, request_id)

    async def _handle(self, request: Request, exchange: "_Exchange") -> Answer:
        """Read the body, within bounds and only of who may ask, and hand all to the service."""
        head, operation = exchange.head, exchange.operation
        admission = self.authenticator.admit(head)
        limit = bodies.limit_of(operation, image_bytes=self.image_bytes)
        with self.memory.reserved(bodies.expected_size(head, limit)):
            body = await bodies.read(request, limit, seconds=self.body_seconds)
            exchange.bytes_in = len(body)

            def call() -> Answer:
                # In the thread as well: hashing a body of megabytes would hold up the event loop.
                admission.check(body)
                exchange.access_key = admission.actor.access_key
                with acting(admission.actor):
                    return self.handle(head.method, head.target, dict(head.headers), body)

            return await self._in_thread("detect" if operation == DETECT else "others", call)

    def _in_thread(self, pool: str, call: Callable[[], T]) -> Awaitable[T]:
        """Call in a thread; images being judged take no thread from the other operations."""
        if pool not in self._pools:
            size = (self.workers or _DETECTING) if pool == "detect" else _OTHERS
            self._pools[pool] = ThreadPoolExecutor(size, f"lfvpipe-{pool}")
        return asyncio.get_running_loop().run_in_executor(self._pools[pool], call)


@dataclass
class _Exchange:
    """What is learnt of a request on its way."""

    head: Head
    operation: str = UNKNOWN
    bytes_in: int = 0
    access_key: str = ""

    def access(
        self, status: int, headers: Mapping[str, str], reply: bytes, seconds: float
    ) -> Access:
        """Return what is logged of it."""
        return Access(
            operation=self.operation,
            status=status,
            ms=round(seconds * 1000, 2),
            bytes_in=self.bytes_in,
            bytes_out=len(reply),
            request_id=headers.get("x-amzn-RequestId", ""),
            access_key=self.access_key,
            error=headers.get("x-amzn-ErrorType", ""),
            unlike=headers.get(likeness.HEADER, ""),
        )
