"""uvicorn around the application: sockets, TLS, signals."""

import asyncio
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from lfvpipe.errors import UserError
from lfvpipe.service.http.handshakes import Handshakes
from lfvpipe.service.http.protocol import Limits, Waiting, protocol_within

KEEP_ALIVE_SECONDS = 75
GRACE_SECONDS = 30
_BACKLOG = 512
_LAST_PORT = 65535


@dataclass(frozen=True)
class Tls:
    """A certificate with its chain, and its key (which may be in the same file)."""

    certificate: Path
    key: Path | None = None


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    Raises:
        UserError: The address is not ours, or taken.
    """
    if not 0 <= port <= _LAST_PORT:
        hint = "Choose another one; port 0 takes a free one."
        raise UserError(f"{port} is no port: these are 0 to {_LAST_PORT}.", hint=hint)
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.create_server((address[0], port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        message = f"No server can listen at {host} port {port}: {reason}."
        hint = "Choose another address or port; port 0 takes a free one."
        raise UserError(message, hint=hint) from error
    # asyncio sends at once (TCP_NODELAY) only where the socket says that it is TCP's, which
    # create_server's do not; else an answer's body waits 40 ms for the client's delayed ACK.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=made.detach())


class Server(uvicorn.Server):
    """Serves `app` on a listening socket until a signal, or `stop`, ends it gracefully.

    Args:
        app: The application.
        listener: Closed in the end.
        tls: For HTTPS.
        on_ready: Called once requests are answered.
        limits: What connections may take; default: the usual.

    Raises:
        UserError: The certificate or its key cannot be used.
    """

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        *,
        tls: Tls | None = None,
        on_ready: Callable[[], None] = lambda: None,
        limits: Limits | None = None,
    ) -> None:
        self._limits, self._waiting = limits or Limits(), Waiting()
        self._accepting: asyncio.Task[None] | None = None
        config = uvicorn.Config(
            app,
            loop="auto",  # uvloop where there is one: on everything but Windows
            http=protocol_within(self._limits, self._waiting),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            ssl_certfile=tls.certificate if tls else None,
            ssl_keyfile=tls.key if tls else None,
        )
        _load(config, tls)
        super().__init__(config)
        self._listener = listener
        self._on_ready = on_ready

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    def serve_until_stopped(self) -> None:
        """Serve; returns after a signal or `stop`, once the open requests are answered."""
        try:
            self.run(sockets=[self._listener])
        finally:
            self._listener.close()

    def stop(self) -> None:
        """End `serve_until_stopped`, from any thread."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        if self.config.ssl is None:
            await super().startup(sockets)
        else:
            await super().startup([])
            handshakes = Handshakes(
                self._listener,
                self._protocol,
                self.config.ssl,
                self._limits,
                self._waiting,
                self.server_state.connections,
            )
            self._accepting = asyncio.get_running_loop().create_task(handshakes.accept())
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, and end once the open requests are answered."""
        if self._accepting is not None:
            self._accepting.cancel()
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # ours, which takes them
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals for the wish to end, and no further: uvicorn's own raises them again."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in _signals()}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def _signals() -> tuple[signal.Signals, ...]:
    if hasattr(signal, "SIGBREAK"):
        return (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup: it is to outlive its terminal
        return (signal.SIGINT, signal.SIGTERM)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _load(config: uvicorn.Config, tls: Tls | None) -> None:
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        if tls is None:
            raise
        hint = "It wants PEM files: the certificate with its chain, and the key without a password."
        message = f"The certificate {tls.certificate} cannot be used: {error.strerror or error}."
        raise UserError(message, hint=hint) from error
