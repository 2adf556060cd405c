"""`lfvpipe serve` under load while its inference units are killed, and under connections that hang.

    python tests/soak/load.py --minutes 10

A model is trained and hosted with two units. 32 clients ask for verdicts, each over a connection
of its own, while every few seconds a unit is killed: each answer has to be the one that the same
image had before, or a documented throttling. Then 1,200 connections that never finish their
handshake, or their request's head, are opened while signed clients go on asking over new
connections: with TLS and without, from the clients' own address and from another one.
"""

from __future__ import annotations

import argparse
import configparser
import io
import itertools
import json
import os
import random
import resource
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PATH = "/2020-11-20/projects/p/models/1/detect"
THROTTLED = (429, "ThrottlingException")
CLIENTS, ATTACKERS = 32, 1200
SIDE = 64
_SIGNED_FOR = 60.0  # seconds; a signature is good for minutes


def picture(seed: int, *, defect: bool) -> bytes:
    """Return a small textured image as PNG, with a dark square where there is a defect."""
    pixels = np.random.default_rng(seed).normal(140, 18, (SIDE, SIDE))
    if defect:
        pixels[20:36, 20:36] -= 90
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert("RGB").save(file, "PNG")
    return file.getvalue()


@dataclass
class Serving:
    """`lfvpipe serve` as a process."""

    process: subprocess.Popen[bytes]
    port: int
    credentials: Credentials
    tls: bool

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def units(self) -> list[psutil.Process]:
        """Return the processes that judge images."""
        with suppress(psutil.Error):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def connect(self, timeout: float = 60.0) -> HTTPConnection:
        if not self.tls:
            return HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        return HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=trusting)

    def sign(self, body: bytes) -> dict[str, str]:
        headers = {"Host": f"127.0.0.1:{self.port}", "Content-Type": "image/png"}
        request = AWSRequest("POST", self.url + PATH, headers, body)
        SigV4Auth(self.credentials, "lookoutvision", "us-east-1").add_auth(request)
        return dict(request.headers.items())


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Serving]:
    """Start a server over the folder's state, on a free port, and end it."""
    command = [sys.executable, "-m", "lfvpipe", "serve", "--port", "0", "--limits", "open"]
    with (folder / "serve.log").open("ab") as log:
        start = log.tell()
        process = subprocess.Popen(
            [*command, "--state-dir", str(folder), "--log-format", "json", *options],
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    try:
        said = _said(folder / "serve.log", start, process)
        keys = configparser.ConfigParser()
        keys.read(said["credentials"])
        pair = keys[keys.sections()[0]]
        credentials = Credentials(pair["aws_access_key_id"], pair["aws_secret_access_key"])
        port = int(said["url"].rpartition(":")[2])
        yield Serving(process, port, credentials, said["url"].startswith("https"))
    finally:
        process.terminate()
        process.wait(60)


def _said(log: Path, start: int, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    while process.poll() is None:
        for line in log.read_bytes()[start:].splitlines():
            if b'"serving"' in line:
                return dict(json.loads(line))
        time.sleep(0.1)
    raise SystemExit(f"the server ended: {log.read_text()[-2000:]}")


def host_a_model(server: Serving, buckets: Path) -> None:
    """Train a model on forty small images, and have it hosted by two units."""
    from lfvpipe.lookout.client import connect
    from lfvpipe.lookout.waiters import wait_for_dataset, wait_for_hosting, wait_for_model
    from lfvpipe.storage import connect as connect_storage

    os.environ["AWS_ACCESS_KEY_ID"] = server.credentials.access_key
    os.environ["AWS_SECRET_ACCESS_KEY"] = server.credentials.secret_key
    os.environ["NO_PROXY"] = "127.0.0.1"
    bucket = connect_storage("local", region="us-east-1", root=buckets).bucket("bucket")
    bucket.create()
    client: Any = connect(server.url, region="us-east-1")
    waits: Any = {"on_status": lambda *_: None, "cancelled": threading.Event()}
    client.create_project(ProjectName="p")
    splits: tuple[tuple[Any, int], ...] = (("train", 0), ("test", 100))
    for kind, first in splits:
        lines = []
        for number in range(first, first + 20):
            is_bad = bool(number % 2)
            bucket.put(f"{number}.png", picture(number, defect=is_bad))
            line = {"source-ref": f"s3://bucket/{number}.png", "anomaly-label": int(is_bad)}
            metadata = {
                "class-name": "anomaly" if is_bad else "normal",
                "human-annotated": "yes",
                "type": "groundtruth/image-classification",
            }
            lines.append(json.dumps(line | {"anomaly-label-metadata": metadata}))
        bucket.put(f"{kind}.manifest", "\n".join(lines).encode())
        source = {"S3Object": {"Bucket": "bucket", "Key": f"{kind}.manifest"}}
        client.create_dataset(
            ProjectName="p", DatasetType=kind, DatasetSource={"GroundTruthManifest": source}
        )
        wait_for_dataset(client, project="p", dataset_type=kind, **waits)
    output = {"S3Location": {"Bucket": "bucket", "Prefix": ""}}
    client.create_model(ProjectName="p", OutputConfig=output)
    wait_for_model(client, project="p", version="1", **waits)
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=2)
    wait_for_hosting(client, project="p", version="1", **waits)


@dataclass
class Tally:
    """What clients have seen: seconds of good answers, and what else came, by kind."""

    seconds: list[float] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    lock: Any = field(default_factory=threading.Lock)

    def note(self, taken: float, other: str = "") -> None:
        with self.lock:
            if other:
                self.others[other] += 1
            else:
                self.seconds.append(taken)

    def __str__(self) -> str:
        cuts = statistics.quantiles(self.seconds, n=100) if len(self.seconds) > 1 else [0.0] * 99
        others = ", ".join(f"{number} {kind}" for kind, number in self.others.items())
        return (
            f"{len(self.seconds)} answers right, p50 {cuts[49] * 1e3:.0f} ms,"
            f" p99 {cuts[98] * 1e3:.0f} ms, longest {max(self.seconds, default=0) * 1e3:.0f} ms;"
            f" others: {others or 'none'}"
        )

    @property
    def errors(self) -> int:
        """How many answers were neither right nor a documented throttling."""
        return sum(number for kind, number in self.others.items() if kind != str(THROTTLED))


class Asker:
    """Asks for verdicts on a few images, and compares them with the first ones."""

    def __init__(self, server: Serving) -> None:
        self._server = server
        self._bodies = [picture(1000 + n, defect=bool(n % 2)) for n in range(8)]
        self._expected = [self._once(body) for body in self._bodies]

    def run(self, tally: Tally, is_over: Callable[[], bool], *, keep: bool) -> None:
        """Ask until it is over, over one connection or, without `keep`, a new one each time."""
        connection, signed_at, headers = self._server.connect(), 0.0, []
        for number in itertools.count(random.randrange(8)):
            if is_over():
                break
            if time.monotonic() - signed_at > _SIGNED_FOR:
                headers, signed_at = [self._server.sign(b) for b in self._bodies], time.monotonic()
            started, which = time.monotonic(), number % 8
            try:
                status, kind, said = self._ask(connection, self._bodies[which], headers[which])
            except (OSError, HTTPException) as error:
                tally.note(0.0, type(error).__name__)
                connection.close()
                connection = self._server.connect()
                continue
            taken = time.monotonic() - started
            if status == 200:
                is_right = said == self._expected[which]
                tally.note(taken, "" if is_right else "wrong verdicts")
            else:
                tally.note(taken, str((status, kind)))
                time.sleep(0.2)
            if not keep:
                connection.close()
                connection = self._server.connect()
        connection.close()

    def _once(self, body: bytes) -> Any:
        connection = self._server.connect()
        status, _, said = self._ask(connection, body, self._server.sign(body))
        connection.close()
        if status != 200:
            raise SystemExit(f"the first answer is {status}: {said}")
        return said

    @staticmethod
    def _ask(
        connection: HTTPConnection, body: bytes, headers: dict[str, str]
    ) -> tuple[int, str, Any]:
        connection.request("POST", PATH, body, headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        return answer.status, answer.headers.get("x-amzn-ErrorType", ""), said


@dataclass
class Watched:
    """What the server's own process takes, looked at now and then."""

    megabytes: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def look(self, process: psutil.Process) -> None:
        self.megabytes.append(process.memory_info().rss / 2**20)
        self.descriptors.append(process.num_fds())

    def thirds(self) -> tuple[float, float, int, int]:
        """Return the medians of the second and the last third, of both."""
        third = len(self.megabytes) // 3
        middle, last = slice(third, 2 * third), slice(2 * third, None)
        memory, files = self.megabytes, self.descriptors
        return (
            statistics.median(memory[middle]),
            statistics.median(memory[last]),
            int(statistics.median(files[middle])),
            int(statistics.median(files[last])),
        )


def under_load(server: Serving, minutes: float, chance: random.Random) -> bool:
    """Let 32 clients ask while units are killed; print what came, return whether it is right."""
    asker, tally, watched, kills = Asker(server), Tally(), Watched(), 0
    process, end = psutil.Process(server.process.pid), time.monotonic() + minutes * 60
    with ThreadPoolExecutor(CLIENTS) as pool:

        def is_over() -> bool:
            return time.monotonic() > end

        asked = [pool.submit(asker.run, tally, is_over, keep=True) for _ in range(CLIENTS)]
        while not is_over():
            time.sleep(min(1.0 + chance.random() * 8.0, max(0.0, end - time.monotonic())))
            watched.look(process)
            if units := server.units():
                with suppress(psutil.Error):
                    chance.choice(units).kill()
                    kills += 1
        for each in asked:
            each.result()
    before, after, files, files_after = watched.thirds()
    print(f"{CLIENTS} clients, {minutes:g} min, {kills} units killed: {tally}")
    print(
        f"memory of the server {before:.0f} MB, then {after:.0f} MB;"
        f" descriptors {files}, then {files_after}",
        flush=True,
    )
    is_flat = after <= before * 1.05 + 5 and files_after <= files + 5
    return tally.errors == 0 and is_flat and bool(tally.seconds)


def under_attack(server: Serving, seconds: float, source: str, start: bytes) -> bool:
    """Open 1,200 connections that never get to a request, while signed clients ask."""
    asker, tally, opened, tried = Asker(server), Tally(), [], 0
    over = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(asker.run, tally, over.is_set, keep=False) for _ in range(8)]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with suppress(OSError):
                opened.append(_hanging(server.port, source, start))
                tried += 1
            if len(opened) >= ATTACKERS:  # each that made room is replaced
                opened.pop(0).close()
        over.set()
        for each in asked:
            each.result()
    for connection in opened:
        connection.close()
    name = "TLS" if server.tls else "plain"
    print(f"{name}, {tried} connections from {source} that hang: {tally}", flush=True)
    return tally.errors == 0 and bool(tally.seconds) and tried >= ATTACKERS


def _hanging(port: int, source: str, start: bytes) -> socket.socket:
    made = socket.socket()
    made.settimeout(1.0)
    try:
        made.bind((source, 0))
        made.connect(("127.0.0.1", port))
        made.sendall(start)
    except OSError:
        made.close()
        raise
    return made


def _certificate(folder: Path) -> Path:
    file = folder / "tls.pem"
    openssl = shutil.which("openssl")
    if openssl is None:
        raise SystemExit("openssl makes the certificate, and is not here")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-keyout", str(folder / "key.pem"), "-out", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    return file


def main() -> int:
    """Run the soak from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--attack-seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    served_with = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        folder, right = Path(made), True
        with serving(folder) as server:
            host_a_model(server, folder / "buckets")
            right &= under_load(server, options.minutes, random.Random(options.seed))
        certificate = _certificate(folder)
        secure = ("--tls-cert", str(certificate), "--tls-key", str(folder / "key.pem"))
        for more, start in (((), b"POST / HTTP/1.1\r\nHost: x\r\n"), (secure, b"")):
            resource.setrlimit(resource.RLIMIT_NOFILE, (served_with, most))  # the server inherits
            with serving(folder, *more) as server:
                resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
                for source in ("127.0.0.1", "127.0.0.2"):
                    right &= under_attack(server, options.attack_seconds, source, start)
        if not right:
            print((folder / "serve.log").read_text()[-3000:], file=sys.stderr)
    print("right" if right else "not right")
    return 0 if right else 1


if __name__ == "__main__":
    raise SystemExit(main())
