"""Reads request bodies within bounds of size, time and memory."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect, Request

from lfvpipe.service.http.head import Head
from lfvpipe.service.protocol.faults import Fault

MIB = 2**20
UPDATE_BYTES = 14 * MIB  # `rules.MAX_CHANGES_BYTES` in base64, and the JSON around them
OTHER_BYTES = MIB
_DISCARD_BYTES = 64 * MIB  # of a body that is refused, so that the client hears why


@dataclass
class Memory:
    """How many bytes of request bodies may be in memory at once.

    Attributes:
        left: Bytes.
    """

    left: int = 256 * MIB
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Set `size` bytes aside for the block; raises Fault if there are not so many."""
        with self._lock:
            if size > self.left:
                message = "too many requests are under way; try again"
                raise Fault("ThrottlingException", message, members={"RetryAfterSeconds": 1})
            self.left -= size
        try:
            yield
        finally:
            with self._lock:
                self.left += size


@dataclass(frozen=True)
class Limit:
    """How many bytes a body may have, and what it is called."""

    bytes: int
    what: str = "request's body"

    def fault(self) -> Fault:
        """Return the fault of a body that is larger."""
        return Fault("ValidationException", f"the {self.what} may have {self.bytes} bytes at most")


def limit_of(operation: str, *, image_bytes: int) -> Limit:
    """Return the limit of an operation's bodies, where an image may have `image_bytes`."""
    if operation == "DetectAnomalies":
        return Limit(image_bytes, "image")
    return Limit(UPDATE_BYTES if operation == "UpdateDatasetEntries" else OTHER_BYTES)


def expected_size(head: Head, limit: Limit) -> int:
    """Return how many bytes the body may turn out to have: its announced length, or the most.

    Raises:
        Fault: It announces more than the limit.
    """
    said = head.header("content-length")
    size = int(said) if said and said.isdecimal() else limit.bytes
    if said is None and head.header("transfer-encoding") is None:
        return 0
    if size > limit.bytes:
        raise limit.fault()
    return size


async def read(request: Request, limit: Limit, *, seconds: float) -> bytes:
    """Return the whole body.

    Raises:
        Fault: It exceeds the limit, takes longer than `seconds`, or breaks off.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit.bytes:
                    raise limit.fault()
                chunks.append(chunk)
    except TimeoutError:
        message = f"the request's body did not arrive within {seconds:g} s"
        raise Fault("RequestTimeoutException", message, status=408) from None
    except ClientDisconnect:
        message = "the client went away before the body was complete"
        raise Fault("RequestAbortedException", message, status=400) from None
    return b"".join(chunks)


async def discard(request: Request, *, seconds: float) -> None:
    """Read what is left of a body that nobody wants: a client listens once it has spoken."""
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > _DISCARD_BYTES:
                    return
    except (TimeoutError, ClientDisconnect, RuntimeError):  # Starlette's for a stream consumed
        return
