"""The console over a temporary folder, with a detector that only looks at an image's colour."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
import pytest

from lfvpipe import storage
from lfvpipe.console import Console
from lfvpipe.console.sessions import Sessions
from lfvpipe.lookout.client import LookoutClient, connect
from lfvpipe.service import RegionalService, VerdictKeeper
from lfvpipe.service.http.app import Application
from lfvpipe.service.http.auth import SigV4
from lfvpipe.service.http.credentials import AccessKey
from lfvpipe.service.http.server import Server, listen
from lfvpipe.service.roles import Role
from tests.service.conftest import FEW, ColourDetector, by_the_owner, one_session, waits, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

REGION = "us-east-1"
KEYS = {
    "ADA": AccessKey("ada's secret", role=Role.ADMIN),
    "RITA": AccessKey("rita's secret", role=Role.REVIEWER),
    "VIC": AccessKey("vic's secret", role=Role.VIEWER),
    "TEMP": AccessKey("temp's secret", token="a token"),
}


@dataclass
class Clock:
    """A clock that a test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Person:
    """Somebody with a browser: keeps cookies, says where requests come from, as browsers do."""

    base: str
    http: httpx.Client

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.http.get(f"{self.base}{path}", headers=headers)

    def post(
        self, path: str, fields: Mapping[str, Any] | None = None, **headers: str
    ) -> httpx.Response:
        """Send a form from a page of the console, with the page's token where there is one."""
        sent = {"csrf": self.form_token(), **(fields or {})}
        said = {
            "origin": self.base,
            "referer": f"{self.base}/console/{REGION}/projects",
            "content-type": "application/x-www-form-urlencoded",
            **headers,
        }
        body = urlencode(sent, doseq=True)
        return self.http.post(f"{self.base}{path}", content=body, headers=said)

    def form_token(self) -> str:
        """Return what the forms of the pages bring along; "" while nobody is signed in."""
        found = re.search('name="csrf" value="([0-9a-f]+)"', self.get(pages("projects")).text)
        return found[1] if found else ""

    def sign_in(self, key: str) -> Person:
        """Sign in with one of `KEYS`."""
        answer = self.post("/console/sign-in", {"key": key, "secret": KEYS[key].secret})
        assert answer.status_code == 303, answer.text
        return self


@dataclass
class Offered:
    """A server with its console."""

    url: str
    console: Console
    lookout: RegionalService
    detector: ColourDetector
    clock: Clock
    root: Path
    clients: list[httpx.Client] = field(default_factory=list)

    def person(self, key: str = "") -> Person:
        """Return somebody with a browser of their own, signed in where a key is named."""
        self.clients.append(httpx.Client(timeout=30))
        person = Person(self.url, self.clients[-1])
        return person.sign_in(key) if key else person

    def client(self) -> LookoutClient:
        """Return a client of the same service's API."""
        return connect("embedded", region=REGION, handler=self.lookout.handle)

    @property
    def buckets(self) -> storage.Buckets:
        """The object store."""
        return storage.connect("local", region=REGION, root=self.root / "buckets")


def pages(*parts: str) -> str:
    """Return the path of a page of the console."""
    return "/".join(["/console", REGION, *parts])


@pytest.fixture
def offer(tmp_path: Path) -> Iterator[Callable[..., Offered]]:
    """Yield a function that serves the console; options are its own."""
    running: list[tuple[Offered, Server, threading.Thread, Application]] = []

    def start(*, keep: int = 0, **options: Any) -> Offered:
        detector, clock = ColourDetector(), Clock()
        buckets = tmp_path / "buckets"
        lookout = RegionalService(
            tmp_path / "service",
            lambda region: storage.connect("local", region=region, root=buckets),
            region=REGION,
            quotas=FEW,
            stand_in=detector,
            keeper=VerdictKeeper(tmp_path, keep) if keep else None,
        )
        console = Console(lookout, KEYS, REGION, sessions=Sessions(clock), **options)
        application = Application(lookout.handle, SigV4(KEYS), lookout.model_counts)
        server = Server(console.beside(application.asgi()), listen("127.0.0.1", 0))
        thread = threading.Thread(target=server.serve_until_stopped)
        thread.start()
        url = f"http://127.0.0.1:{server.port}"
        offered = Offered(url, console, lookout, detector, clock, tmp_path)
        running.append((offered, server, thread, application))
        return offered

    yield start
    for offered, server, thread, application in running:
        for client in offered.clients:
            client.close()
        server.stop()
        thread.join()
        application.close()
        offered.lookout.close()


@pytest.fixture
def offered(offer: Callable[..., Offered]) -> Offered:
    """Serve the console at a loopback address."""
    return offer()


__all__ = ["KEYS", "Offered", "Person", "by_the_owner", "one_session", "pages", "waits", "world"]
