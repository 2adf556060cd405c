"""What HTTP adds to the service: raw paths, bounds, several requests at once, what is observed."""

import contextlib
import http.client
import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from structlog.testing import capture_logs

from lfvpipe.lookout.likeness import unlikeness
from lfvpipe.lookout.rules import MAX_IMAGE_BYTES as IMAGE
from lfvpipe.service.http.auth import NoAuth
from lfvpipe.service.http.body import Memory
from lfvpipe.service.http.protocol import Limits, network_of
from lfvpipe.service.http.server import Tls, listen

from .conftest import KEY, SECRET, Serve, Served

PROJECTS = "/2020-11-20/projects"
DETECT = "/2020-11-20/projects/p/models/1/detect"
JSON = {"Content-Type": "application/json"}


def echo(method: str, url: str, headers: Any, body: bytes) -> Any:
    said = {"method": method, "url": url, "length": len(body)}
    return 200, {"Content-Type": "application/json"}, json.dumps(said).encode()


@pytest.fixture
def served(serve: Serve) -> Served:
    return serve(NoAuth(), echo)


def test_the_path_stays_percent_encoded(served: Served) -> None:
    target = "/2020-11-20/tags/arn%3Aaws%3a%2Fx%25y?tagKeys=a%20b&tagKeys=c%26d"
    assert served.ask("DELETE", target).body["url"] == target


@pytest.mark.parametrize(
    "target",
    [
        *("/", "/nowhere", "/2020-11-20/projects/p/models/1/detect/x", "//[/x", "///", "/?//["),
        *("//host/2020-11-20/projects", "//2020-11-20/projects", "/2020-11-20//projects"),
        *("/2020-11-20/projects/", "/x/..//[", "//[::1/2020-11-20/projects"),
    ],
)
def test_an_unknown_path_is_answered_as_aws_does(serve: Serve, target: str) -> None:
    reply = serve(NoAuth()).ask("POST", target)
    assert (reply.status, reply.error) == (404, "UnknownOperationException")


@pytest.mark.parametrize(
    ("method", "target", "size"),
    [
        ("POST", DETECT, IMAGE + 1),
        ("POST", PROJECTS, 2**20 + 1),
        ("PATCH", PROJECTS + "/p/datasets/train/entries", 14 * 2**20 + 1),
    ],
)
def test_a_body_that_is_too_large_is_refused_and_the_connection_lives_on(
    served: Served, method: str, target: str, size: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    statuses = []
    for length in (size, size - 1):
        connection.request(method, target, b"x" * length)
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()
    assert statuses == [400, 200]


def test_a_body_of_unknown_length_is_bounded_too(served: Served) -> None:
    pieces = (b"x" * 2**19 for _ in range(3))
    reply = served.ask("POST", PROJECTS, None, pieces)
    assert (reply.status, reply.error) == (400, "ValidationException")


def test_a_body_that_does_not_arrive_is_given_up(serve: Serve) -> None:
    served = serve(NoAuth(), echo, body_seconds=0.05)
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    connection.putrequest("POST", PROJECTS)
    connection.putheader("Content-Length", "10")
    connection.endheaders(b"half")  # at once: later, the connection may be closed already
    response = connection.getresponse()
    assert response.status == 408
    assert response.headers["x-amzn-ErrorType"] == "RequestTimeoutException"
    response.read()
    connection.close()


HEAD = b"POST /2020-11-20/projects HTTP/1.1\r\nHost: 127.0.0.1\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"GET /", b"x" * 1000),
        (HEAD + b"x: ", b"y" * 1000),
        (HEAD, b"x: " + b"y" * 1000 + b"\r\n"),
        (CHUNKED + b"0\r\n", b"x: " + b"y" * 1000 + b"\r\n"),
        (CHUNKED + b"0\r\nx: ", b"y" * 1000),
        (CHUNKED + b"1;x=", b"y" * 1000),
    ],
    ids=["address", "header", "headers", "trailers", "trailer", "extension"],
)
def test_a_request_that_never_gets_to_the_point_is_cut_off(
    served: Served, start: bytes, more: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
        sent = len(start)
        connection.sendall(start)
        with contextlib.suppress(ConnectionError):
            while sent < 2**25:
                connection.sendall(more * 50)
                sent += len(more) * 50
    assert sent < 2**24  # the system's buffers take some
    assert served.ask("GET", PROJECTS).status == 200


ASKED = b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n"


def received(connection: socket.socket) -> bytes:
    """Return all that comes until the connection is closed."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    ("before", "start"),
    [(b"", b""), (b"", HEAD), (b"", b"\r\n"), (ASKED, HEAD), (ASKED, b"\r\n")],
    ids=["nothing", "half", "a line's end", "half a second one", "a line's end behind the first"],
)
def test_a_head_that_does_not_arrive_is_given_up(serve: Serve, before: bytes, start: bytes) -> None:
    # What is sent has to be there within the time, on a machine that does other work too.
    seconds = 0.5 if before or start else 0.05
    served = serve(NoAuth(), echo, Limits(head_seconds=seconds))
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
        connection.sendall(before)
        if before:
            assert b"200 OK" in connection.recv(65536)
        with contextlib.suppress(ConnectionError):  # it was closed before
            connection.sendall(start)
        said = received(connection)
    assert b"HTTP/1.1 408 " in said
    assert f"head did not arrive within {seconds:g} s".encode() in said


def test_an_answer_may_take_longer_than_a_head(serve: Serve) -> None:
    given_up = threading.Event()

    def handle(method: str, url: str, headers: Any, body: bytes) -> Any:
        given_up.wait(60)
        return echo(method, url, headers, body)

    served = serve(NoAuth(), handle, Limits(head_seconds=1.0))
    with ThreadPoolExecutor(1) as client:
        asked = client.submit(served.ask, "POST", PROJECTS, JSON, b"{}")
        while "lfvpipe_requests_in_flight 1" not in served.ask("GET", "/metrics").body:
            pass
        with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
            received(connection)
        given_up.set()
        assert asked.result().status == 200


def test_one_connection_too_many_is_refused(serve: Serve) -> None:
    served = serve(NoAuth(), echo, Limits(connections=2))
    with contextlib.ExitStack() as open_ones:
        for _ in range(2):
            connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
            open_ones.callback(connection.close)
            connection.request("GET", PROJECTS)
            connection.getresponse().read()
        with socket.create_connection(("127.0.0.1", served.port), timeout=60) as third:
            said = received(third)
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"too many connections; try again" in said
        connection.request("GET", PROJECTS)
        assert connection.getresponse().status == 200


def test_connections_that_ask_for_nothing_make_room_for_one_that_does(serve: Serve) -> None:
    served = serve(NoAuth(), echo, Limits(connections=4))
    with contextlib.ExitStack() as open_ones:
        for number in range(40):
            idle = socket.create_connection(("127.0.0.1", served.port), timeout=60)
            open_ones.enter_context(idle)
            idle.sendall(HEAD[: number % 20])
        for _ in range(3):
            assert served.ask("GET", PROJECTS).status == 200


def test_handshakes_that_never_end_leave_others_served(serve: Serve, tls_web: Any) -> None:
    served = serve(NoAuth(), echo, Limits(connections=4), Tls(tls_web.certificate))
    trust = ssl.create_default_context(cafile=str(tls_web.certificate))
    with contextlib.ExitStack() as open_ones:
        idle = [
            open_ones.enter_context(
                socket.create_connection(("127.0.0.1", served.port), timeout=60)
            )
            for _ in range(40)
        ]
        idle[-1].sendall(b"\x16\x03\x01")  # the beginning of one
        idle[-2].sendall(b"GET / HTTP/1.1\r\n\r\n")
        for _ in range(3):
            connection = http.client.HTTPSConnection(
                "localhost", served.port, timeout=60, context=trust
            )
            open_ones.callback(connection.close)
            for _ in range(2):
                connection.request("POST", PROJECTS, b"x" * 100_000, JSON)
                assert json.loads(connection.getresponse().read())["length"] == 100_000
        with contextlib.suppress(ConnectionResetError):
            assert idle[0].recv(1) == b""  # ended for the others' sake


FROM_ELSEWHERE = ("127.0.0.2", 0)


@pytest.fixture
def connect() -> Iterator[Callable[..., socket.socket]]:
    """Return a function that connects to a server from another address of this machine."""
    with contextlib.ExitStack() as open_ones:

        def connect(served: Served) -> socket.socket:
            try:
                made = socket.create_connection(
                    ("127.0.0.1", served.port), timeout=60, source_address=FROM_ELSEWHERE
                )
            except OSError:
                pytest.skip("this machine has one loopback address")
            return open_ones.enter_context(made)

        yield connect


def test_one_address_has_its_share_of_connections(
    serve: Serve, connect: Callable[..., socket.socket]
) -> None:
    served = serve(NoAuth(), echo, Limits(connections=4, per_address=2))
    for _ in range(2):  # which stay open, and wait for nothing
        busy = connect(served)
        busy.sendall(ASKED)
        assert b"200 OK" in busy.recv(65536)
    assert received(connect(served)).startswith(b"HTTP/1.1 503 ")
    assert served.ask("GET", PROJECTS).status == 200


def test_whoever_has_most_connections_makes_room(
    serve: Serve, connect: Callable[..., socket.socket]
) -> None:
    served = serve(NoAuth(), echo, Limits(connections=4, per_address=3))
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as slow:
        slow.sendall(HEAD)
        for _ in range(20):
            connect(served).sendall(HEAD)
        for _ in range(3):
            assert served.ask("GET", PROJECTS).status == 200
        slow.sendall(b"Content-Length: 0\r\n\r\n")
        assert b"200 OK" in slow.recv(65536)  # the oldest of all, and left alone


def test_handshakes_of_one_address_leave_those_of_others(
    serve: Serve, tls_web: Any, connect: Callable[..., socket.socket]
) -> None:
    served = serve(NoAuth(), echo, Limits(connections=8, per_address=3), Tls(tls_web.certificate))
    trust = ssl.create_default_context(cafile=str(tls_web.certificate))
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as slow:
        for _ in range(20):
            connect(served).sendall(b"\x16\x03\x01")
        for _ in range(3):
            connection = http.client.HTTPSConnection(
                "localhost", served.port, timeout=60, context=trust
            )
            connection.request("GET", "/health")
            assert connection.getresponse().status == 200
            connection.close()
        with trust.wrap_socket(slow, server_hostname="localhost") as late:
            late.sendall(ASKED)
            assert b"200 OK" in late.recv(65536)


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_network_counts_as_one_client(host: object, network: str) -> None:
    assert network_of(host) == network


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:8000", 421),
        ("127.0.0.1:evil.example", 421),
        ("[", 421),
        ("", 421),
    ],
)
def test_metrics_are_not_told_to_a_foreign_name_that_points_here(
    served: Served, host: str, status: int
) -> None:
    assert served.ask("GET", "/metrics", {"Host": host}).status == status


def test_a_handshake_has_its_time(serve: Serve, tls_web: Any) -> None:
    served = serve(NoAuth(), echo, Limits(handshake_seconds=0.05), Tls(tls_web.certificate))
    with (
        socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection,
        contextlib.suppress(ConnectionResetError),
    ):
        assert received(connection) == b""


def test_garbage_behind_requests_is_no_error_of_the_application(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = threading.Event()
    # Whatever an earlier test configured.
    monkeypatch.setattr(logging.getLogger("uvicorn.error"), "handlers", [caplog.handler])

    def handle(method: str, url: str, headers: Any, body: bytes) -> Any:
        gone.wait(60)
        return echo(method, url, headers, body)

    served = serve(NoAuth(), handle)
    asked = f"GET {PROJECTS} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
        connection.sendall(asked * 3 + b"garbage\r\n\r\n")
        assert b"400 Bad Request" in received(connection)
        gone.set()
        while "lfvpipe_requests_in_flight 0" not in served.ask("GET", "/metrics").body:
            pass
    assert served.ask("GET", PROJECTS).status == 200
    assert [record.message for record in caplog.records if record.exc_info] == []


def test_a_head_of_a_usual_length_is_taken_again_and_again(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    for _ in range(5):
        connection.request("GET", PROJECTS, headers={"x-long": "y" * 30_000})
        response = connection.getresponse()
        response.read()
        assert response.status == 200
    connection.close()


def test_bodies_that_would_fill_the_memory_are_throttled(serve: Serve) -> None:
    served = serve(NoAuth(), echo, memory=Memory(100))
    reply = served.ask("POST", PROJECTS, JSON, b"x" * 101)
    assert (reply.status, reply.error) == (429, "ThrottlingException")
    assert reply.headers["Retry-After"] == "1"
    assert [served.ask("POST", PROJECTS, JSON, b"x" * 100).status for _ in range(2)] == [200, 200]


def test_every_inference_unit_of_several_models_can_be_at_work_at_once(serve: Serve) -> None:
    all_at_once = threading.Barrier(10)  # two models with the most units that one may have

    def handle(method: str, url: str, headers: Any, body: bytes) -> Any:
        all_at_once.wait(60)
        return echo(method, url, headers, body)

    served = serve(NoAuth(), handle)
    with ThreadPoolExecutor(10) as clients:
        asked = [clients.submit(served.ask, "POST", DETECT, None, b"image") for _ in range(10)]
        assert {each.result().status for each in asked} == {200}


def test_images_under_judgement_do_not_hold_up_the_rest(serve: Serve) -> None:
    arrived, release = threading.Semaphore(0), threading.Event()

    def handle(method: str, url: str, headers: Any, body: bytes) -> Any:
        if url == DETECT:
            arrived.release()
            assert release.wait(60)
        return echo(method, url, headers, body)

    served = serve(NoAuth(), handle, workers=2)
    with ThreadPoolExecutor(5) as clients:
        waiting = [clients.submit(served.ask, "POST", DETECT, None, b"image") for _ in range(5)]
        try:
            while "lfvpipe_requests_in_flight 5" not in served.ask("GET", "/metrics").body:
                pass
            assert served.ask("GET", PROJECTS).status == 200
            assert [arrived.acquire(timeout=60) for _ in range(2)] == [True, True]
            assert not arrived.acquire(blocking=False)  # two workers, so two images at once
        finally:
            release.set()
        assert {each.result().status for each in waiting} == {200}


def test_a_bug_is_an_internal_error_and_its_text_stays_here(serve: Serve) -> None:
    served = serve(NoAuth(), lambda *_: 1 / 0)
    with capture_logs() as log:
        reply = served.ask("GET", PROJECTS)
    assert (reply.status, reply.error) == (500, "InternalServerException")
    assert "zero" not in json.dumps(reply.body)
    assert [line["event"] for line in log] == ["request failed", "request"]
    assert log[0]["request_id"] == reply.headers["x-amzn-RequestId"]


def test_health_tells_whether_the_state_can_be_read(serve: Serve) -> None:
    healthy = serve(NoAuth()).ask("GET", "/health")
    assert (healthy.status, healthy.body["status"]) == (200, "ok")
    failing = serve(NoAuth(), echo, workers=1)
    object.__setattr__(failing.application, "model_counts", lambda: 1 / 0)
    assert failing.ask("GET", "/health").status == 503


def test_metrics_count_requests_and_models(serve: Serve, trained: Any) -> None:
    served = serve()
    client = served.client()
    client.list_projects()
    client.list_projects()
    served.ask("GET", "/random/paths/become/one/label")
    lines = served.ask("GET", "/metrics").body.splitlines()
    assert 'lfvpipe_requests_total{operation="ListProjects",status="200"} 2' in lines
    assert 'lfvpipe_requests_total{operation="Unknown",status="403"} 1' in lines
    name = "lfvpipe_request_duration_seconds"
    assert f'{name}_bucket{{operation="ListProjects",le="+Inf"}} 2' in lines
    assert f'{name}_count{{operation="ListProjects"}} 2' in lines
    assert 'lfvpipe_models{status="TRAINED"} 1' in lines
    assert "lfvpipe_models_hosted 0" in lines
    assert "lfvpipe_models_training 0" in lines


def test_the_access_log_says_what_happened_and_no_secret(serve: Serve) -> None:
    served = serve()
    with capture_logs() as log:
        served.client().create_project(ProjectName="p")
        forged = f"AWS4-HMAC-SHA256 Credential={KEY}/20200101/r/lookoutvision/aws4_request"
        served.ask("GET", PROJECTS, {"Authorization": forged})
    done, refused = log
    assert done["operation"] == "CreateProject"
    assert done["status"] == 200
    assert done["access_key"] == KEY
    assert done["bytes_in"] == len('{"ProjectName": "p"}')
    assert done["bytes_out"] > 0
    assert done["ms"] > 0
    assert done["request_id"]
    assert refused["error"] == "IncompleteSignatureException"
    assert "access_key" not in refused  # it is only claimed
    assert SECRET not in json.dumps(log)
    assert "Signature=" not in json.dumps(log)


def test_the_access_log_and_a_header_tell_an_image_unlike_the_training_images(
    trained: Any, serve: Serve, world: Any, waits: Any
) -> None:
    served = serve()
    client = served.client()
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    waits.hosting(client)
    with capture_logs() as log:
        answers = [
            client.detect_anomalies(
                ProjectName="p",
                ModelVersion="1",
                Body=world.picture((64, 64), colour),
                ContentType="image/png",
            )
            for colour in ((0, 200, 0), (0, 200, 200))
        ]
    assert [unlikeness(each) for each in answers] == [None, 2.35]
    lines = [line for line in log if line["event"] == "request"]
    assert [line.get("unlike") for line in lines] == [None, "2.35"]


def test_answers_are_sent_at_once() -> None:
    """asyncio sets TCP_NODELAY only where the listening socket names its protocol."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def preflight(served: Served, origin: str) -> Any:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-amz-date",
    }
    return served.ask("OPTIONS", PROJECTS, asked)


def test_pages_of_no_origin_may_ask_unless_it_is_named(serve: Serve) -> None:
    assert "access-control-allow-origin" not in preflight(serve(), "https://a.example").headers
    served = serve(origins=("https://a.example",))
    reply = preflight(served, "https://a.example")
    assert reply.status == 200
    assert reply.headers["access-control-allow-origin"] == "https://a.example"
    assert "authorization" in reply.headers["access-control-allow-headers"]
    assert preflight(served, "https://b.example").status == 400
    refused = served.ask("GET", PROJECTS, {"Origin": "https://a.example"})
    assert refused.error == "MissingAuthenticationTokenException"  # a page signs, as others do
    assert refused.headers["access-control-allow-origin"] == "https://a.example"


def test_without_authentication_only_pages_of_a_named_origin_may_ask(serve: Serve) -> None:
    served = serve(NoAuth(["https://a.example"]), origins=("https://a.example",))
    for origin, status in (("https://a.example", 200), ("https://b.example", 403)):
        assert served.ask("GET", PROJECTS, {"Origin": origin}).status == status
