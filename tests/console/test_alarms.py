"""Limits that versions in use pass are told to an address, each once, or it is said why not."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from subprocess import PIPE
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.console import Watch, Webhook
from tests.conftest import QuietServer

from .conftest import Offered, pages
from .drifting import judge
from .test_drift import used
from .test_models_pages import waits_for_no_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import TlsWeb, Web

__all__ = ["used"]
DASHBOARD = pages("dashboard")


@dataclass
class Receiver:
    """What takes alarms, or answers what a test wants."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def receiver(web: Web) -> Iterator[Receiver]:
    """Yield a server that takes what is posted."""
    del web  # it has put proxies out of the way
    taken = Receiver()

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.got.append((self.path, dict(self.headers), json.loads(body)))
            while not taken.held.is_set():
                self.wfile.write(b"x")  # of a status line that has no end
                taken.held.wait(0.02)
            self.send_response(taken.statuses.pop(0) if taken.statuses else 204)
            self.send_header("Location", f"{taken.url}&redirected=yes")
            self.end_headers()
            taken.arrived.set()

        def log_message(self, *args: object) -> None:
            pass

    server = QuietServer(("127.0.0.1", 0), Page)
    taken.url = f"http://127.0.0.1:{server.server_address[1]}/a-secret-path?token=hidden"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    taken.held.set()
    yield taken
    taken.held.set()
    server.shutdown()
    thread.join()
    server.server_close()


def hurry(offered: Offered) -> None:
    """Let what waits for its next attempt have waited."""
    with closing(sqlite3.connect(offered.root / "service" / "service.db")) as state, state:
        state.execute("UPDATE alarms SET next_try = 0")


def test_a_limit_that_is_passed_is_told_once_with_the_numbers(
    used: Offered, receiver: Receiver
) -> None:
    watch = Watch(used.lookout, Webhook(receiver.url))
    judge(used, 60, 0, days_ago=3, score=0.13)
    watch.look()
    assert receiver.got == []
    judge(used, 60, 40, days_ago=1, score=0.13)
    watch.look()
    ((path, headers, told),) = receiver.got
    assert (path, headers["Content-Type"]) == ("/a-secret-path?token=hidden", "application/json")
    assert "Authorization" not in headers
    assert set(told) == {
        *("id", "format", "made", "region", "project", "version", "chart", "side", "since"),
        *("newest", "said"),
    }
    assert (told["format"], told["region"]) == ("lfvpipe-alarm/1", "us-east-1")
    assert (told["project"], told["version"]) == ("p", "1")
    assert (told["chart"], told["side"]) == ("rate", "above")
    assert (told["newest"]["images"], told["newest"]["figure"]) == (60, 40)
    assert told["newest"]["high"] < 40
    assert told["since"] == told["newest"]["first"] == told["newest"]["last"]
    assert told["said"].startswith("Since ")
    watch.look()
    Watch(used.lookout, Webhook(receiver.url)).look()  # a server that was started again
    assert len(receiver.got) == 1
    text = used.person("VIC").get(DASHBOARD).text
    assert told["said"] in text
    assert "a-secret-path" not in text


def test_another_crossing_is_told_anew_and_the_present_hour_waits(
    used: Offered, receiver: Receiver
) -> None:
    watch = Watch(used.lookout, Webhook(receiver.url))
    judge(used, 60, 40, days_ago=4, score=0.13)
    judge(used, 60, 40, days_ago=3, score=0.13)
    judge(used, 1, 0, days_ago=1, score=0.13)  # too few to end it
    watch.look()
    assert len(receiver.got) == 1
    judge(used, 60, 0, days_ago=2, score=0.13)
    watch.look()
    assert len(receiver.got) == 1
    judge(used, 300, 290, days_ago=1, score=0.13)
    watch.look()
    assert [told["since"] for _, _, told in receiver.got][1] > receiver.got[0][2]["since"]
    judge(used, 60, 0, days_ago=-2, score=0.9)  # in an hour that has not ended
    watch.look()
    assert len(receiver.got) == 2


def test_what_cannot_be_told_is_tried_again_a_few_times_and_said(
    used: Offered, receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    watch = Watch(used.lookout, Webhook(receiver.url))
    judge(used, 60, 40, days_ago=1, score=0.13)
    receiver.statuses = [500, 302]
    watch.look()
    watch.look()  # too early for a second attempt
    assert len(receiver.got) == 1
    person = used.person("VIC")
    assert "Not told yet: the answer is 500 (1 attempt)" in person.get(DASHBOARD).text
    hurry(used)
    watch.look()
    said = "the answer is 302, and redirects are not followed (2 attempts)"
    assert said in person.get(DASHBOARD).text
    hurry(used)
    watch.look()
    assert len({told["id"] for _, _, told in receiver.got}) == 1
    assert (len(receiver.got), "Not told yet" in person.get(DASHBOARD).text) == (3, False)
    logged = capfd.readouterr().err
    assert "alarm not told yet" in logged
    assert "alarm told" in logged
    assert "hidden" not in logged
    assert "a-secret-path" not in logged


def test_attempts_have_an_end(used: Offered, receiver: Receiver) -> None:
    watch = Watch(used.lookout, Webhook(receiver.url))
    judge(used, 60, 40, days_ago=1, score=0.13)
    receiver.statuses = [503] * 9
    for _ in range(9):
        watch.look()
        hurry(used)
    assert len(receiver.got) == 5
    assert (
        "Not told, given up: the answer is 503 (5 attempts)"
        in used.person("VIC").get(DASHBOARD).text
    )


def test_a_certificate_is_checked_and_nobody_there_is_said(
    used: Offered, tls_web: TlsWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(used, 60, 40, days_ago=1, score=0.13)
    person = used.person("VIC")
    Watch(used.lookout, Webhook(tls_web.web.url)).look()
    assert "its certificate is not trusted" in person.get(DASHBOARD).text
    assert tls_web.web.requests == []
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_web.certificate))
    hurry(used)
    Watch(used.lookout, Webhook(tls_web.web.url)).look()
    assert "the answer is 501" in person.get(DASHBOARD).text  # of a server that takes no POST
    hurry(used)
    Watch(used.lookout, Webhook("http://127.0.0.1:9")).look()
    assert "connection refused" in person.get(DASHBOARD).text


def test_an_answer_that_drips_is_none(
    used: Offered, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lfvpipe.console.drift.webhook._WHOLE", 0.2)
    judge(used, 60, 40, days_ago=1, score=0.13)
    receiver.held.clear()
    Watch(used.lookout, Webhook(receiver.url)).look()
    assert "no answer within 0.2 seconds (1 attempt)" in used.person("VIC").get(DASHBOARD).text
    for thread in threading.enumerate():
        if thread.name == "lfvpipe-webhook":
            thread.join(30)
            assert not thread.is_alive()


def test_a_server_tells_the_address_of_a_file_and_says_it_nowhere(
    used: Offered, receiver: Receiver, tmp_path: Path
) -> None:
    judge(used, 60, 40, days_ago=1, score=0.13)
    secret = tmp_path / "address"
    secret.write_text(f"{receiver.url}\n")
    secret.chmod(0o644)
    options = ("--state-dir", str(used.root), "--port", "0", "--webhook", f"@{secret}")
    words = [sys.executable, "-m", "lfvpipe", "serve", *options]
    with subprocess.Popen(words, cwd=tmp_path, stdout=PIPE, stderr=PIPE, text=True) as process:
        assert receiver.arrived.wait(60)
        assert process.stdout is not None
        process.stdout.readline()  # it serves: what comes before would be cut off
        process.send_signal(signal.SIGTERM)
        said = "".join(process.communicate(timeout=60))
        assert process.returncode == 0
    assert "other users of this machine can read" in said
    assert "limit passed" in said
    assert "a-secret-path" not in said


def test_without_an_address_nothing_is_noted_or_sent(used: Offered) -> None:
    judge(used, 60, 40, days_ago=1)
    service = used.lookout.of("us-east-1")
    assert service is not None
    assert service.alarms.latest(10) == []
    assert "Alarms" not in used.person("ADA").get(DASHBOARD).text


def test_a_version_that_is_gone_is_told_of_no_more(used: Offered, receiver: Receiver) -> None:
    judge(used, 60, 40, days_ago=1)
    used.client().delete_model(ProjectName="p", ModelVersion="1")
    waits_for_no_model(used)
    Watch(used.lookout, Webhook(receiver.url)).look()
    assert receiver.got == []


@pytest.mark.parametrize(
    "wrong",
    ["", "example.org/x", "ftp://example.org", "https://", "https://[::1", "https://a:99999/"],
)
def test_what_is_no_address_is_refused_without_repeating_it(wrong: str) -> None:
    with pytest.raises(ValueError, match="no address that begins with https") as caught:
        Webhook(wrong)
    assert str(caught.value) == "no address that begins with https:// or http://"


def test_its_address_is_in_no_text_of_it() -> None:
    webhook = Webhook("https://user:password@example.org:8443/secret?token=hidden")
    assert (webhook.host, webhook.is_secure) == ("example.org", True)
    assert "secret" not in repr(webhook)
    assert "password" not in repr(webhook)
