"""TLS handshakes, counted and bounded.

The event loop's own server tells nobody of a connection before its handshake is done: those that
never come so far could be neither counted nor ended, and would take every descriptor.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lfvpipe.service.http.protocol import Handshake, Limits, Waiting, network_of

_BREATH = 0.05  # seconds until it is tried again to accept, where no descriptor is left


@dataclass(frozen=True)
class Handshakes:
    """Accepts connections, and hands those over whose handshake is done.

    Attributes:
        listener: Accepts.
        protocol: Makes the protocol of a connection.
        tls: The certificate and its key.
        limits: How many connections there may be, those in their handshake included.
        waiting: Where handshakes are noted, so that they can be ended.
        connections: Those that were handed over.
    """

    listener: socket.socket
    protocol: Callable[[], asyncio.Protocol]
    tls: ssl.SSLContext
    limits: Limits
    waiting: Waiting
    connections: Iterable[Any]

    async def accept(self) -> None:
        """Accept until it is cancelled."""
        loop = asyncio.get_running_loop()
        self.listener.setblocking(False)
        try:
            while True:
                try:
                    accepted, peer = await loop.sock_accept(self.listener)
                except OSError:  # no descriptor is left, or the client went away at once
                    self.waiting.make_room()
                    await asyncio.sleep(_BREATH)
                    continue
                address = network_of(peer[0])
                if not self.waiting.admit(address, self.limits, self.connections):
                    accepted.close()
                    continue
                task = loop.create_task(self._shake_hands(accepted))
                self.waiting.handshakes[task] = Handshake(accepted, address)
                task.add_done_callback(lambda task: self.waiting.handshakes.pop(task, None))
        finally:
            while self.waiting.handshakes:
                self.waiting.make_room()

    async def _shake_hands(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self.protocol,
                accepted,
                ssl=self.tls,
                ssl_handshake_timeout=self.limits.handshake_seconds,
            )
        except OSError:  # TLS's own errors are such: whoever it was did not come in
            accepted.close()
