"""A proxy of our own that does to a request what a network may do to it.

It forwards to one upstream server. Each coming request takes the next of its `faults`, and with
none left, `always`; None leaves a request alone. Nothing here waits for longer than a test does:
time-outs are set by the tests, to fractions of a second.
"""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

PAGE = b"<!DOCTYPE html>\n<html><body>Please log in to this network</body></html>"
_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"}


class Fault(Enum):
    """What happens to a request."""

    RESET = "reset before the answer"
    CUT = "an end in the middle of the answer"
    SHORT = "an answer that is cut short, with a length that fits"
    HANG = "no answer"
    SLOW = "an answer in many pieces, longer in all than any time-out"
    FOREIGN = "the log-in page of a network"
    BUSY = "503 with Retry-After"
    THROTTLED = "429 with Retry-After"
    BROKEN = "500"


_STATUSES = {Fault.BUSY: 503, Fault.THROTTLED: 429, Fault.BROKEN: 500}


@dataclass
class Proxy:
    """What the tests set and see.

    Attributes:
        url: Its address.
        faults: For the coming requests, one each; None for none.
        always: For all requests after those.
        only: The methods that faults are for; all by default.
        retry_after: What busy answers ask for.
        seen: Method and path of all requests so far.
        ranges: What requests asked for a range of, as they put it.
    """

    upstream: str
    url: str = ""
    faults: list[Fault | None] = field(default_factory=list)
    always: Fault | None = None
    only: tuple[str, ...] = ()
    retry_after: str = "7"
    seen: list[tuple[str, str]] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def take(self, method: str) -> Fault | None:
        """Return the fault of the next request."""
        if self.only and method not in self.only:
            return None
        return self.faults.pop(0) if self.faults else self.always


class _Forwarding(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self) -> None:
        proxy: Proxy = self.server.proxy  # type: ignore[attr-defined]  # ours
        proxy.seen.append((self.command, self.path))
        proxy.ranges += [said] if (said := self.headers.get("Range")) else []
        fault = proxy.take(self.command)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if fault is Fault.RESET:
            self.reset()
        elif fault is Fault.HANG:
            proxy.over.wait(30)
            self.reset()
        elif fault is Fault.FOREIGN:
            self.reply(200, {"Content-Type": "text/html"}, PAGE)
        elif fault in _STATUSES:
            self.reply(_STATUSES[fault], {"Retry-After": proxy.retry_after}, b"")
        else:
            self.pass_on(proxy, body, fault)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = forward  # noqa: N815  (the library's names)

    def pass_on(self, proxy: Proxy, sent: bytes, fault: Fault | None) -> None:
        there = urlsplit(proxy.upstream)
        connection = HTTPConnection(there.hostname or "", there.port, timeout=30)
        headers = dict(self.headers.items())
        connection.request(self.command, self.path, sent, headers)
        answer = connection.getresponse()
        body = answer.read()
        kept = {n: v for n, v in answer.getheaders() if n.lower() not in _HOP}
        if self.command == "HEAD":
            kept["Content-Length"] = answer.getheader("Content-Length") or "0"
        connection.close()
        if fault is Fault.SHORT:
            body = body[: len(body) // 2]
        self.reply(answer.status, kept, body, fault)

    def reply(
        self, status: int, headers: dict[str, str], body: bytes, fault: Fault | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers and status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault is Fault.CUT:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.close_connection = True  # no reset, which takes back what was sent before
        elif fault is Fault.SLOW:
            piece = max(1, len(body) // 10)
            for start in range(0, len(body), piece):
                self.wfile.write(body[start : start + piece])
                self.wfile.flush()
                time.sleep(0.08)
        else:
            self.wfile.write(body)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RD)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)  # without a FIN before: the linger of zero makes it a reset

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet: clients that hang up are part of the tests."""


@contextmanager
def faulty(upstream: str, port: int = 0) -> Iterator[Proxy]:
    """Yield a proxy before `upstream`, an ``http://`` address."""
    server: Any = _Server(("127.0.0.1", port), _Forwarding)
    proxy = server.proxy = Proxy(upstream, f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield proxy
    proxy.over.set()
    server.shutdown()
    thread.join()
    server.server_close()
