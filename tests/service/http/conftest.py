"""A service behind HTTP in a thread of this process, and `lfvpipe serve` as a process."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.lookout.client import LookoutClient, connect
from lfvpipe.service.http.app import Application
from lfvpipe.service.http.auth import Authenticator, SigV4
from lfvpipe.service.http.credentials import AccessKey
from lfvpipe.service.http.server import Server, listen

KEY, SECRET = "LFVPTESTTESTTESTTEST", "not/so+secret"
ROOT = Path(__file__).parents[3]


@dataclass
class Reply:
    """What came back for a hand-made request."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def error(self) -> str:
        return self.headers.get("x-amzn-ErrorType", "")


@dataclass
class Served:
    """A server in a thread."""

    application: Application
    port: int
    clients: list[Any] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> LookoutClient:
        client = connect(self.url, region="us-east-1")
        self.clients.append(client)
        return client

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Reply:
        """Send a request as it is given, and nothing else."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, target, body, dict(headers or {}))
            response = connection.getresponse()
            data = response.read()
            kind = response.headers.get("Content-Type", "")
            shown = json.loads(data) if kind.startswith("application/json") else data.decode()
            return Reply(response.status, response.headers, shown)  # type: ignore[arg-type]  # case-blind
        finally:
            connection.close()


Serve = Callable[..., Served]


@pytest.fixture
def serve(world: Any, aws: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Yield a function that serves the world's state; clients find the right key."""
    aws.setenv("AWS_ACCESS_KEY_ID", KEY)
    aws.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    running: list[tuple[Served, Server, threading.Thread]] = []

    def start(
        authenticator: Authenticator | None = None,
        handle: Any = None,
        limits: Any = None,
        tls: Any = None,
        **options: Any,
    ) -> Served:
        service = world.open()
        application = Application(
            handle or service.handle,
            authenticator or SigV4({KEY: AccessKey(SECRET)}),
            service.model_counts,
            **options,
        )
        server = Server(application.asgi(), listen("127.0.0.1", 0), limits=limits, tls=tls)
        served = Served(application, server.port)
        thread = threading.Thread(target=server.serve_until_stopped)
        thread.start()
        running.append((served, server, thread))
        return served

    yield start
    for served, server, thread in running:
        for client in served.clients:
            client.close()
        server.stop()
        thread.join()
        served.application.close()


@dataclass
class Process:
    """`lfvpipe serve` as a process of its own, logging JSON."""

    popen: subprocess.Popen[str]
    lines: "queue.Queue[dict[str, Any] | None]"
    log: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    credentials: str | None = None

    def next_line(self, event: str) -> dict[str, Any]:
        """Return the next line of the log with this event."""
        while (line := self.lines.get(timeout=60)) is not None:
            self.log.append(line)
            if line.get("event") == event:
                return line
        raise AssertionError(f"the server ended: {self.log}")

    def end(self, seconds: float = 60) -> int:
        """Ask it to end; return its exit code."""
        self.popen.terminate()
        return self.popen.wait(seconds)


StartProcess = Callable[..., Process]


@pytest.fixture
def start_process(tmp_path: Path, aws: pytest.MonkeyPatch) -> Iterator[StartProcess]:
    """Yield a function that starts `lfvpipe serve` with a state folder and a free port."""
    started: list[Process] = []

    def start(*options: str, environment: Mapping[str, str] | None = None) -> Process:
        process = launch("--state-dir", str(tmp_path / "state"), *options, env=environment)
        started.append(process)
        serving = process.next_line("serving")
        process.url, process.credentials = serving["url"], serving["credentials"]
        return process

    yield start
    for process in started:
        process.popen.kill()
        process.popen.wait()


def launch(*options: str, env: Mapping[str, str] | None = None) -> Process:
    command = [sys.executable, "-m", "lfvpipe", "serve", "--port", "0", "--log-format", "json"]
    popen = subprocess.Popen(
        [*command, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
    )
    return Process(popen, _follow(popen))


def _follow(popen: subprocess.Popen[str]) -> "queue.Queue[dict[str, Any] | None]":
    lines: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def follow() -> None:
        assert popen.stderr is not None
        with popen.stderr:
            for line in popen.stderr:
                with suppress(ValueError):
                    lines.put(json.loads(line))
        lines.put(None)

    threading.Thread(target=follow, daemon=True).start()
    return lines
