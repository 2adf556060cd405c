"""Serves a botocore client's requests in this process, on the client's own event system."""

from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import IO, Any, Protocol

from botocore.awsrequest import AWSResponse, HeadersDict

Answer = tuple[int, Mapping[str, str], bytes]
Handler = Callable[[str, str, Mapping[str, str], bytes], Answer]


class _Request(Protocol):
    """What is used of botocore's `AWSPreparedRequest`."""

    method: str
    url: str
    headers: Mapping[str, str | bytes]
    body: str | bytes | bytearray | IO[bytes] | None


class _Raw(BytesIO):
    """A response body as `AWSResponse` reads it from urllib3."""

    def stream(self, **_: object) -> Iterator[bytes]:
        """Yield the whole body."""
        yield self.read()


def serve_in_process(client: Any, handler: Handler) -> None:
    """Let `handler` answer the signed requests of `client` instead of the network.

    Serialisation, signing, retries, parsing and typed errors stay botocore's.
    """

    def answer(request: _Request, **_: object) -> AWSResponse:
        headers = {name: _text(value) for name, value in request.headers.items()}
        status, replied, body = handler(request.method, request.url, headers, _bytes(request.body))
        lowered: Any = HeadersDict(replied)  # botocore's stubs want urllib3's own classes here
        raw: Any = _Raw(body)
        return AWSResponse(request.url, status, lowered, raw)

    client.meta.events.register("before-send.lookoutvision", answer)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _bytes(body: str | bytes | bytearray | IO[bytes] | None) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, (bytes, bytearray)) else body.read()
