"""What a network does to calls of the service: each fault of `tests.network`."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event
from typing import Any

import pytest

from lfvpipe.lookout import connect, describe_project, wait_for_model
from lfvpipe.lookout.failures import LookoutError, NotTheService, ServiceUnreachable
from lfvpipe.patience import OF_A_PERSON, OF_A_RUN, Patience, patient
from tests.network import Fault, Proxy, faulty, nameless, shorten_time_outs

Web = Any
PROJECT = {"ProjectName": "p", "Datasets": []}


@pytest.fixture
def proxy(web: Web, aws: Any) -> Iterator[Proxy]:
    """Yield a proxy before a service with a project and a trained model."""
    web.files["/2020-11-20/projects/p"] = json.dumps({"ProjectDescription": PROJECT}).encode()
    model = {"ModelDescription": {"ModelVersion": "1", "Status": "TRAINED"}}
    web.files["/2020-11-20/projects/p/models/1"] = json.dumps(model).encode()
    with faulty(web.url) as made:
        yield made


@pytest.fixture(autouse=True)
def waits() -> Iterator[list[float]]:
    waited: list[float] = []
    with patient(OF_A_RUN, tell=lambda _: None, wait=waited.append):
        yield waited


@pytest.mark.parametrize("fault", list(Fault))
def test_what_passes_changes_nothing(
    proxy: Proxy, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_time_outs(monkeypatch, fault)
    proxy.faults = [fault] * 4
    assert describe_project(connect(proxy.url, region="us-east-1"), "p") == PROJECT


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (Fault.RESET, ServiceUnreachable, "Connection"),
        (Fault.HANG, ServiceUnreachable, "Read timeout"),
        (Fault.CUT, NotTheService, r"ends after \d+ of \d+ bytes"),
        (Fault.SHORT, NotTheService, "does not come from it"),
        (Fault.FOREIGN, NotTheService, "a web page that does not come from it"),
        (Fault.BUSY, LookoutError, "503"),
        (Fault.BROKEN, LookoutError, "500"),
    ],
)
def test_what_stays_is_told_as_what_it_is(
    proxy: Proxy,
    fault: Fault,
    kind: type[LookoutError],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy.always = fault
    shorten_time_outs(monkeypatch, fault)
    client = connect(proxy.url, region="us-east-1")
    with patient(Patience(busy=9, broken=2, away=2)), pytest.raises(kind, match=said) as raised:
        describe_project(client, "p")
    assert "project p" in raised.value.message


def test_a_name_that_is_not_resolved_for_a_while_changes_nothing(proxy: Proxy) -> None:
    name = "vision.lfvpipe.invalid"
    client = connect(proxy.url.replace("127.0.0.1", name), region="us-east-1")
    with nameless(name, 3) as looked_up:
        assert describe_project(client, "p") == PROJECT
    assert len(looked_up) >= 4
    with (
        nameless(name, 1000),
        patient(Patience(busy=9, broken=9, away=1)),
        pytest.raises(ServiceUnreachable, match=f"no host is called {name}"),
    ):
        describe_project(connect(f"http://{name}:9", region="us-east-1"), "p")


@pytest.mark.parametrize(
    "body", [b"[]", b"3", b"null", b"{}", b'{"a": 1}', b"\xff\xfe", b"<html/>", b"{", b""]
)
def test_success_with_a_foreign_body_is_a_clear_error(
    web: Web, aws: pytest.MonkeyPatch, body: bytes
) -> None:
    web.files["/2020-11-20/projects/p"] = body
    with pytest.raises(NotTheService, match="does not come from it"):
        describe_project(connect(web.url, region="us-east-1"), "p")


def test_a_service_that_is_busy_has_minutes_in_a_run_and_seconds_before_a_person(
    proxy: Proxy, waits: list[float]
) -> None:
    proxy.always, proxy.retry_after = Fault.THROTTLED, "0"
    client = connect(proxy.url, region="us-east-1")
    for patience, least, most in ((OF_A_RUN, 240, 300), (OF_A_PERSON, 0, 20)):
        waits.clear()
        with patient(patience), pytest.raises(LookoutError, match="429"):
            describe_project(client, "p")
        assert least <= sum(waits) <= most


def test_attempts_are_told(proxy: Proxy) -> None:
    told: list[str] = []
    proxy.faults = [Fault.BUSY] * 3
    with patient(tell=told.append):
        describe_project(connect(proxy.url, region="us-east-1"), "p")
    (message,) = told  # the others follow within ten seconds
    assert message.startswith(f"{proxy.url} (DescribeProject): it answers 503")
    assert "attempt 2 follows in" in message


def test_what_is_waited_for_outlives_a_service_that_is_restarted(web: Web, proxy: Proxy) -> None:
    """Nobody listens for a while, which ends any other call within seconds."""
    attempts: list[float] = []
    with socket.socket() as taken, ExitStack() as stack:
        taken.bind(("127.0.0.1", 0))  # held until then, so that nobody else gets the port
        port = taken.getsockname()[1]

        class Waiting(Event):
            """The service comes back while the twentieth attempt is waited for."""

            def wait(self, timeout: float | None = None) -> bool:
                attempts.append(timeout or 0.0)
                if len(attempts) == 20:
                    taken.close()
                    stack.enter_context(faulty(web.url, port))
                return False

        client = connect(f"http://127.0.0.1:{port}", region="us-east-1")
        options: Any = {"on_status": lambda *_: None, "cancelled": Waiting()}
        found = wait_for_model(client, project="p", version="1", **options)
    assert found["Status"] == "TRAINED"
    assert sum(attempts) > OF_A_RUN.away
