"""HTTP/1.1 on httptools, with bounds to what is not a body, and to what holds a connection.

httptools takes half the time of h11, but keeps a request's head in memory however long it is; and
uvicorn waits for a head for ever, on any number of connections, each of which is an open file.
"""

import asyncio
import socket
import uuid
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, NamedTuple

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from lfvpipe.service.protocol.faults import Fault
from lfvpipe.service.protocol.model import service_model
from lfvpipe.service.protocol.serializer import serialize_fault

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of a request's address, headers and trailers, and of anything between two bodies' parts."""


@dataclass(frozen=True)
class Limits:
    """What connections may take.

    Attributes:
        connections: How many there may be at once. One more takes the place of the one that has
            waited longest for its handshake or its request's head, among those of the address that
            has most; where none waits, it is answered 503 and closed.
        per_address: How many of them one client's address may have, or a network of IPv6 (/64). One
            more takes the place of one of its own.
        handshake_seconds: How long a TLS handshake may take.
        head_seconds: How long a request's head may take to arrive, from the connection's start or
            its own; then the connection is answered 408 and closed.
    """

    connections: int = 512
    per_address: int = 256
    handshake_seconds: float = 10.0
    head_seconds: float = 30.0


@dataclass
class Waiting:
    """Connections that asked for nothing yet, oldest first: they are ended for others' sake.

    Attributes:
        handshakes: Those whose TLS handshake is not done, by the task that does it.
        heads: Those that wait for a request's head.
    """

    handshakes: dict["asyncio.Task[None]", "Handshake"] = field(default_factory=dict)
    heads: dict["Protocol", None] = field(default_factory=dict)

    def admit(self, address: str, limits: Limits, connections: Iterable[Any]) -> bool:
        """Return whether one more connection may come; others are ended for it, if need be.

        Args:
            address: The client's, as `network_of` has it.
            limits: How many there may be.
            connections: Those whose handshake, if any, is done.
        """
        open_ones: list[Any] = [*connections, *self.handshakes.values()]
        there = Counter(each.address for each in open_ones)
        if there[address] >= limits.per_address:
            return self.make_room(address)
        if there.total() < limits.connections:
            return True
        waiting = {each.address for each in self.heads}
        waiting |= {each.address for each in self.handshakes.values()}
        return self.make_room(max(waiting, key=lambda each: there[each], default=address))

    def make_room(self, address: str | None = None) -> bool:
        """End the oldest connection that waits, of an address; return whether there was one."""
        for task, handshake in self.handshakes.items():
            if address in (None, handshake.address):
                with suppress(OSError):  # it is gone already
                    handshake.accepted.shutdown(socket.SHUT_RDWR)
                del self.handshakes[task]
                task.cancel()
                return True
        for protocol in self.heads:
            if address in (None, protocol.address):
                protocol.end()
                return True
        return False


class Handshake(NamedTuple):
    """A connection whose TLS handshake is not done."""

    accepted: socket.socket
    address: str


def network_of(host: object) -> str:
    """Return a client's address, or of IPv6 the network that one client is usually given (/64)."""
    try:
        address = ip_address(str(host).partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(ip_network((address, 64), strict=False))
    return str(address)


def protocol_within(limits: Limits, waiting: Waiting) -> type["Protocol"]:
    """Return the class of connections within `limits`."""

    class Limited(Protocol):
        _limits = limits
        _waiting = waiting

    return Limited


class Protocol(HttpToolsProtocol):
    """One connection; a request with a head of over `MAX_HEAD_BYTES` is refused with 400."""

    _limits = Limits()
    _waiting = Waiting()
    address = ""  # of the client, as `network_of` has it
    _deadline: asyncio.TimerHandle | None = None  # while a head is awaited
    _head = 0  # bytes of the address, headers and trailers so far
    _asked: tuple[RequestResponseCycle, ...] = ()  # of which some wait for their answers
    _unparsed = 0  # bytes since the parser last made something of them

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection, or refuse it when there are too many."""
        self.address = network_of((transport.get_extra_info("peername") or ("",))[0])
        # One with TLS was let in before its handshake.
        if transport.get_extra_info("sslcontext") is None and not self._waiting.admit(
            self.address, self._limits, self.connections
        ):
            self.transport = transport
            full = "there are too many connections; try again"
            self._refuse(Fault("ServiceUnavailableException", full, status=503))
            return
        super().connection_made(transport)
        self._await_head()

    def end(self) -> None:
        """End the connection, which has asked for nothing yet."""
        self._head_came()
        self.connections.discard(self)
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection."""
        self._head_came()
        super().connection_lost(exc)
        self._answer_no_more()

    def data_received(self, data: bytes) -> None:
        """Take what has come; as uvicorn does, and at most `MAX_HEAD_BYTES` for one header."""
        self._unparsed += len(data)
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._await_head()  # whatever it is, uvicorn no longer waits for a new request
        super().data_received(data)
        if self._unparsed > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("A header is too long.")

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._head = self._unparsed = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer; how long the body takes is the application's affair."""
        self._head_came()
        super().on_headers_complete()
        waiting = [each for each in self._asked if not each.response_complete]
        self._asked = (*waiting, *([self.cycle] if self.cycle else ()))

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, and with it those that wait for their answers."""
        super().send_400_response(msg)
        self._answer_no_more()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing of who asks for another protocol, and is answered in this one.

        uvicorn would advise, twice for each request of any stranger, to install a library.
        """

    def _answer_no_more(self) -> None:
        # uvicorn does so for the last request alone: the answer to one before it in the pipeline
        # would be an error with a traceback in the log.
        for each in self._asked:
            each.disconnected = True
            each.message_event.set()
        self._asked = ()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, whose length the application bounds."""
        self._unparsed = 0
        super().on_body(body)

    def _count(self, size: int) -> None:
        self._unparsed = 0
        self._head += size
        if self._head > MAX_HEAD_BYTES:
            raise ValueError("the request's head is too long")  # httptools makes a 400 of it

    def _await_head(self) -> None:
        seconds = self._limits.head_seconds
        self._deadline = self.loop.call_later(seconds, self._give_up)
        self._waiting.heads[self] = None

    def _head_came(self) -> None:
        self._waiting.heads.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        message = f"the request's head did not arrive within {self._limits.head_seconds:g} s"
        self._refuse(Fault("RequestTimeoutException", message, status=408))

    def _refuse(self, fault: Fault) -> None:
        """Say why, and close the connection."""
        if self.transport.is_closing():
            return
        status, headers, body = serialize_fault(service_model(), fault, str(uuid.uuid4()))
        headers |= {"Content-Length": str(len(body)), "Connection": "close"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(STATUS_LINE[status] + lines.encode() + b"\r\n" + body)
        self.transport.close()
