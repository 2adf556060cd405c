"""A proxy of our own that does to a request what a network may do to it.

It forwards to one upstream server. Each coming request takes the next of its `faults`, and with
none left, `always`; None leaves a request alone. Nothing here waits for longer than a test does:
`shorten_time_outs` makes them fractions of a second, where silence is what a test is about.

S3 forgets an upload in parts that has ended, which the stand-in behind it does not: here it does.

`throttled` is a slow line: it passes bytes on, so many a second for all connections together.
`slower_lines` are several, for a machine that does other work.
`nameless` has names not resolved for a while.
"""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from lfvpipe.aws import calls
from lfvpipe.storage.s3 import buckets as s3_buckets

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
    LOST = "an answer that never comes, of a request that took effect"
    TWICE = "a request that arrives twice; the first answer is lost"
    FLIPPED = "one bit of an object that is turned round on its way, in either direction"


# With the others nobody is silent: what a short time-out would show of them is a busy machine.
_SILENT = {Fault.HANG, Fault.SLOW}


def shorten_time_outs(monkeypatch: pytest.MonkeyPatch, fault: Fault, seconds: float = 0.3) -> None:
    """Have who sends nothing given up so soon, should that be what the fault is."""
    if fault in _SILENT:
        monkeypatch.setattr(calls, "SILENT_SECONDS", seconds)
        monkeypatch.setattr(s3_buckets, "_SILENT", timedelta(seconds=seconds))


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
        tags: In place of all entity tags of the upstream's; "" leaves them alone.
        taken: Whether a bucket that is one's own already is called somebody else's.
        seen: Method and path of all requests so far.
        ranges: What requests asked for a range of, as they put it.
    """

    upstream: str
    url: str = ""
    faults: list[Fault | None] = field(default_factory=list)
    always: Fault | None = None
    only: tuple[str, ...] = ()
    retry_after: str = "7"
    tags: str = ""
    taken: bool = False
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
        if fault is Fault.FLIPPED and self.command == "PUT":
            body = flipped(body, len(body) // 2 + len(proxy.seen))
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

    do_GET = do_PUT = do_HEAD = do_POST = do_PATCH = do_DELETE = forward  # noqa: N815  (the library's names)

    def pass_on(self, proxy: Proxy, sent: bytes, fault: Fault | None) -> None:
        if fault is Fault.TWICE:
            self.ask(proxy, sent)
            proxy.seen.append((self.command, self.path))
        status, kept, body = self.ask(proxy, sent)
        if fault is Fault.LOST:
            self.reset()
            return
        if fault is Fault.SHORT:
            body = body[: len(body) // 2]
        if fault is Fault.FLIPPED and self.command == "GET" and "list-type" not in self.path:
            body = flipped(body, len(body) // 3 + len(proxy.seen))
        self.reply(status, kept, body, fault)

    def ask(self, proxy: Proxy, sent: bytes) -> tuple[int, dict[str, str], bytes]:
        ends_upload = self.command == "POST" and "uploadId=" in self.path
        if ends_upload and (self.command, self.path) in proxy.seen[:-1]:
            gone = b"<Error><Code>NoSuchUpload</Code><Message>gone</Message></Error>"
            return 404, {"Content-Type": "application/xml"}, gone
        there = urlsplit(proxy.upstream)
        connection = HTTPConnection(there.hostname or "", there.port, timeout=30)
        headers = dict(self.headers.items())
        if not self.headers.get("Host", "").startswith(there.hostname or ""):
            headers["Host"] = there.netloc  # the upstream knows nothing of a name for itself
        connection.request(self.command, self.path, sent, headers)
        answer = connection.getresponse()
        body = answer.read()
        kept = {n: v for n, v in answer.getheaders() if n.lower() not in _HOP}
        if self.command == "HEAD":
            kept["Content-Length"] = answer.getheader("Content-Length") or "0"
        connection.close()
        if proxy.tags and "ETag" in kept:
            kept["ETag"] = f'"{proxy.tags}"'
        if proxy.taken:
            body = body.replace(b"BucketAlreadyOwnedByYou", b"BucketAlreadyExists")
        return answer.status, kept, body

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


def flipped(body: bytes, at: int) -> bytes:
    """Return `body` with one bit of one byte turned round; an empty one as it is."""
    if not body:
        return body
    at %= len(body)
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


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
    try:
        yield proxy
    finally:
        proxy.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Line:
    """A slow line, as `throttled` makes it.

    Attributes:
        url: Where it begins.
        rate: Bytes a second, for all connections and both directions together.
    """

    upstream: str
    rate: float
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)
    _free_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, size: int) -> None:
        """Wait until so many bytes have gone through."""
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + size / self.rate
            until = self._free_at
        self.over.wait(max(0.0, until - time.monotonic()))

    def carry(self, source: socket.socket, target: socket.socket) -> None:
        """Pass on what comes, and its end."""
        with suppress(OSError):
            while not self.over.is_set() and (data := source.recv(_PIECE)):
                self.take(len(data))
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


_PIECE = 8192


@contextmanager
def throttled(upstream: str, rate: float) -> Iterator[Line]:
    """Yield a line to `upstream` that carries `rate` bytes a second, however many share it."""
    listener = socket.socket()
    # Buffers as small as those of a real line: loopback would take megabytes at once.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PIECE)
    if hasattr(socket, "TCP_MAXSEG"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    line = Line(upstream, rate, f"http://127.0.0.1:{listener.getsockname()[1]}")
    there = urlsplit(upstream)
    sockets = [listener]

    def accept() -> None:
        with suppress(OSError):
            while True:
                near = listener.accept()[0]
                far = socket.create_connection((there.hostname or "", there.port or 80))
                sockets.extend((near, far))
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=line.carry, args=(source, target), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield line
    finally:
        line.over.set()
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        thread.join(5)


def slower_lines(
    upstream: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Line, float]]:
    """Yield lines that carry `size` bytes in five time-outs, each slower, and the time-out.

    What counts a transfer's length fails on all of them. What a machine that does other work is
    silent for is as long on each, so that a test ends with the first one that shows what it wants.
    """
    for seconds in (0.3, 1.5, 6.0):
        shorten_time_outs(monkeypatch, Fault.SLOW, seconds)
        with throttled(upstream, size / (5 * seconds)) as line:
            yield line, seconds


@contextmanager
def nameless(name: str, times: int) -> Iterator[list[str]]:
    """Have Python's look-ups of `name` fail so often, then lead to this machine; yield them."""
    looked_up: list[str] = []
    real: Any = socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **more: Any) -> Any:
        if host not in (name, name.encode()):
            return real(host, *rest, **more)
        looked_up.append(name)
        if len(looked_up) <= times:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real("127.0.0.1", *rest, **more)

    socket.getaddrinfo = look_up
    try:
        yield looked_up
    finally:
        socket.getaddrinfo = real
