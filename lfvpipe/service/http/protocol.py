"""HTTP/1.1 on httptools, with a bound to what is not a body.

httptools takes half the time of h11, but keeps a request's head in memory however long it is.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST = 64 * 1024
"""Bytes of a request's address, headers and trailers, and of anything between two bodies' parts."""


class Protocol(HttpToolsProtocol):
    """One connection; a request whose head has more than `MOST` bytes is refused with 400."""

    _head = 0  # bytes of the address, headers and trailers so far
    _unparsed = 0  # bytes since the parser last made something of them

    def data_received(self, data: bytes) -> None:
        """Take what has come; as uvicorn does, and no more than `MOST` bytes for one header."""
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > MOST and not self.transport.is_closing():
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

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, whose length the application bounds."""
        self._unparsed = 0
        super().on_body(body)

    def _count(self, size: int) -> None:
        self._unparsed = 0
        self._head += size
        if self._head > MOST:
            raise ValueError("the request's head is too long")  # httptools makes a 400 of it
