"""Requests of all kinds of damage: answered or cut off, with no error of the service's own.

More with ``LFVPIPE_MUTATIONS=20000``.
"""

import contextlib
import json
import logging
import re
import socket
from http.client import HTTPConnection
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from lfvpipe.service.http.auth import NoAuth
from lfvpipe.service.http.protocol import Limits
from lfvpipe.service.protocol.model import service_model
from tests.mutations import MUTATIONS, corpus, mutate, mutate_json

from .conftest import Serve, Served

MODEL = service_model()
BODY = json.dumps({"ProjectName": "p", "ClientToken": "t"}).encode()
HOST = b"Host: 127.0.0.1\r\n"
WHOLE = [
    b"POST /2020-11-20/projects HTTP/1.1\r\n%bContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (HOST, len(BODY), BODY),
    b"GET /2020-11-20/projects?maxResults=1&nextToken=x HTTP/1.1\r\n" + HOST + b"\r\n",
    b"POST /2020-11-20/projects/p/models/1/detect HTTP/1.1\r\n"
    + HOST
    + b"Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\x89PNG\r\r\n0\r\n\r\n",
    b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /metrics HTTP/1.1\r\n"
    + HOST
    + b"Authorization: AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/lookoutvision/aws4_request,"
    b" SignedHeaders=host;x-amz-date, Signature=00\r\nX-Amz-Date: 20260101T000000Z\r\n\r\n",
    b"OPTIONS /2020-11-20/tags/arn%3Aaws%3A HTTP/1.1\r\n" + HOST + b"Origin: http://h\r\n\r\n",
    b"GET /2020-11-20/projects?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20260101"
    b"&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=0"
    b" HTTP/1.1\r\n" + HOST + b"\r\n",
]


def exchange(served: Served, data: bytes) -> bytes:
    """Send bytes and nothing more; return what comes back."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
        said = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                said += piece
        return said


@pytest.mark.parametrize("signed", [False, True])
def test_bytes_of_any_kind_are_answered_or_cut_off(
    signed: bool, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    served = serve(None if signed else NoAuth(), limits=Limits(head_seconds=0.2), body_seconds=0.2)
    with capture_logs() as logged, caplog.at_level(logging.ERROR):
        for data in (*corpus("requests"), *mutate(WHOLE, MUTATIONS // 2, texts=True)):
            said = exchange(served, data)
            assert said == b"" or said.startswith(b"HTTP/1."), data
            assert b"500 Internal" not in said, data
        connection = HTTPConnection("127.0.0.1", served.port, timeout=60)
        connection.connect()
        connection.request("GET", "/health")
        # A machine with other work may take longer than a head's time for these two lines.
        assert connection.getresponse().status in (200, 408)
        connection.close()
    assert [each for each in logged if each.get("log_level") == "error"] == []
    assert [each for each in caplog.records if each.exc_info] == []


LABEL = re.compile(r"\{\w+\}")
TEXTS = tuple(
    quote(text.encode("utf-8", "surrogatepass"), safe="")
    for text in (
        *("p", "1", "train", "", ".", "..", "%2e%2e", "a" * 300, "\0", "ü", "\ud800", "arn:aws:x"),
        *("/", "//[", "%", "?"),
    )
)


def operations() -> list[tuple[Any, dict[str, Any]]]:
    """Return each operation with a body as large as its shape allows."""
    return [
        (operation, _sample(operation.input_shape))
        for operation in map(MODEL.operation_model, MODEL.operation_names)
    ]


def _sample(shape: Any) -> Any:
    match shape.type_name:
        case "structure":
            return {name: _sample(member) for name, member in shape.members.items()}
        case "list":
            return [_sample(shape.member)]
        case "map":
            return {"k": _sample(shape.value)}
        case "integer" | "long" | "float" | "double":
            return 1
        case "boolean":
            return True
        case "blob":
            return "AAAA"
        case "timestamp":
            return 1_700_000_000
    return "p"


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_who_asks_for_another_protocol_is_answered_in_this_one_and_logged_nowhere(
    protocol: str, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": protocol}
    assert serve(NoAuth()).ask("GET", "/health", headers).status == 200
    assert caplog.records == []


def test_operations_are_asked_for_anything(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    served = serve(NoAuth(), body_seconds=5.0)
    random = Random(3)
    connection = HTTPConnection("127.0.0.1", served.port, timeout=60)
    with capture_logs() as logged, caplog.at_level(logging.ERROR):
        for operation, sample in operations():
            path = operation.http["requestUri"]
            for changed in mutate_json(sample, MUTATIONS // 25):
                target = LABEL.sub(lambda _: random.choice(TEXTS), path)
                query = f"{target}?maxResults={random.choice(('1', '-1', '9' * 5000, 'x', ''))}"
                headers = {"Content-Type": "application/json", "X-Amzn-Client-Token": "t"}
                body = json.dumps(changed).encode()
                connection.request(operation.http["method"], query, body, headers)
                answer = connection.getresponse()
                said = answer.read()
                assert answer.status < 500, (operation.name, query, body, said)
    connection.close()
    assert [each for each in logged if each.get("log_level") == "error"] == []
    assert [each for each in caplog.records if each.exc_info] == []
