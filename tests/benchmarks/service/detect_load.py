"""DetectAnomalies under load: throughput, p50 and p99 with 1, 4 and 16 clients, and what is spent
outside the detector.

    python tests/benchmarks/service/detect_load.py [--side 512] [--seconds 5] 2>access.log

The service runs in a process of its own behind its real HTTP server, signatures checked, once with
the detector and once with one that answers at once, which leaves the service's own time alone. The
clients send one signed request again and again, so that they take little of the machine.
"""

import argparse
import io
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from PIL import Image

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

import lfvpipe.detector as real  # noqa: E402  (after the path is set)
from lfvpipe.lookout.client import connect  # noqa: E402
from lfvpipe.lookout.waiters import wait_for_hosting, wait_for_model  # noqa: E402
from lfvpipe.service.embedded import Service  # noqa: E402
from lfvpipe.service.http import access_log  # noqa: E402
from lfvpipe.service.http.app import Application  # noqa: E402
from lfvpipe.service.http.auth import SigV4  # noqa: E402
from lfvpipe.service.http.credentials import AccessKey  # noqa: E402
from lfvpipe.service.http.server import Server, listen  # noqa: E402
from lfvpipe.storage import connect as connect_storage  # noqa: E402

KEY, SECRET = "BENCHMARKBENCHMARKBE", "secret"
PATH = "/2020-11-20/projects/p/models/1/detect"


def picture(seed: int, side: int, *, defect: bool = False) -> bytes:
    pixels = np.random.default_rng(seed).normal(140, 18, (side, side))
    if defect:
        pixels[side // 4 : side // 2, side // 4 : side // 2] -= 90
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert("RGB").save(file, "JPEG")
    return file.getvalue()


@dataclass
class Clocked:
    """The detector, and how long it was asked; or, if `null`, no detector at all."""

    null: bool
    seconds: float = 0.0
    lock: Any = field(default_factory=threading.Lock)

    def train(self, *arguments: Any, **options: Any) -> Any:
        return Judge(self, None if self.null else real.train(*arguments, **options))

    def load(self, path: Path) -> Any:
        return Judge(self, None if self.null else real.load(path))


@dataclass
class Judge:
    clocked: Clocked
    model: Any

    def detect(self, image: Any) -> Any:
        if self.model is None:
            return real.Verdict(False, 0.9, 0.1, None, (), None)
        started = time.perf_counter()
        verdict = self.model.detect(image)
        with self.clocked.lock:
            self.clocked.seconds += time.perf_counter() - started
        return verdict

    def save(self, path: Path) -> None:
        path.touch() if self.model is None else self.model.save(path)


def serve(pipe: Connection, folder: Path, workers: int | None, side: int, *, null: bool) -> None:
    """Host a model, serve until told to stop, and tell what was spent since the last question."""
    buckets = connect_storage("local", region="us-east-1", root=folder / "buckets")
    clocked = Clocked(null)
    service = Service(folder / "service", buckets, region="us-east-1", stand_in=clocked)
    access_log.configure("json")
    host(service, buckets, side)
    application = Application(service.handle, SigV4({KEY: AccessKey(SECRET)}), dict, workers)
    server = Server(application.asgi(), listen("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve_until_stopped)
    thread.start()
    pipe.send(server.port)
    while pipe.recv() == "tell":
        pipe.send((clocked.seconds, time.process_time()))
    server.stop()
    thread.join()
    application.close()
    service.close()


def host(service: Service, buckets: Any, side: int) -> None:
    bucket = buckets.bucket("bucket")
    bucket.create()
    client: Any = connect("embedded", region="us-east-1", handler=service.handle_for_owner)
    client.create_project(ProjectName="p")
    for kind, first in (("train", 0), ("test", 100)):
        lines = []
        for number in range(first, first + 20):
            label = "anomaly" if number % 2 else "normal"
            bucket.put(f"{number}.jpg", picture(number, side, defect=bool(number % 2)))
            metadata = {
                "class-name": label,
                "human-annotated": "yes",
                "type": "groundtruth/image-classification",
            }
            line = {"source-ref": f"s3://bucket/{number}.jpg", "anomaly-label": 0}
            lines.append(json.dumps(line | {"anomaly-label-metadata": metadata}))
        bucket.put(f"{kind}.manifest", "\n".join(lines).encode())
        source = {"S3Object": {"Bucket": "bucket", "Key": f"{kind}.manifest"}}
        client.create_dataset(
            ProjectName="p", DatasetType=kind, DatasetSource={"GroundTruthManifest": source}
        )
    output = {"S3Location": {"Bucket": "bucket", "Prefix": ""}}
    client.create_model(ProjectName="p", OutputConfig=output)
    waits: Any = {"on_status": lambda _status, _message: None, "cancelled": threading.Event()}
    wait_for_model(client, project="p", version="1", **waits)
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    wait_for_hosting(client, project="p", version="1", **waits)


def signed(port: int, body: bytes) -> dict[str, str]:
    headers = {"Host": f"127.0.0.1:{port}", "Content-Type": "image/jpeg"}
    request = AWSRequest("POST", f"http://127.0.0.1:{port}{PATH}", headers, body)
    SigV4Auth(Credentials(KEY, SECRET), "lookoutvision", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def load(port: int, body: bytes, clients: int, seconds: float) -> list[float]:
    """Return the seconds that each request took."""
    headers, end = signed(port, body), time.perf_counter() + seconds

    def ask(_number: int) -> list[float]:
        connection, taken = HTTPConnection("127.0.0.1", port), []
        while (started := time.perf_counter()) < end:
            connection.request("POST", PATH, body, headers)
            response = connection.getresponse()
            said = response.read()
            assert response.status == 200, said
            taken.append(time.perf_counter() - started)
        connection.close()
        return taken

    with ThreadPoolExecutor(clients) as pool:
        return [each for taken in pool.map(ask, range(clients)) for each in taken]


def measure(options: argparse.Namespace, *, null: bool) -> None:
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = multiprocessing.get_context("spawn").Process(
            target=serve,
            args=(theirs, Path(folder), options.workers, options.side),
            kwargs={"null": null},
        )
        process.start()
        port = ours.recv()
        body = picture(7, options.side)
        load(port, body, 4, 1.0)
        print("without the detector" if null else "with the detector", f"({len(body)} bytes)")
        for clients in options.clients:
            report(ours, port, body, clients, options.seconds)
        ours.send("stop")
        process.join()


def report(ours: Connection, port: int, body: bytes, clients: int, seconds: float) -> None:
    ours.send("tell")
    detecting, cpu = ours.recv()
    taken = load(port, body, clients, seconds)
    ours.send("tell")
    detected, spent = ours.recv()
    cuts = statistics.quantiles(taken, n=100)
    mean, inside = statistics.fmean(taken), (detected - detecting) / len(taken)
    print(
        f"{clients:>3} clients: {len(taken) / seconds:8.1f}/s  p50 {cuts[49] * 1e3:7.2f} ms"
        f"  p99 {cuts[98] * 1e3:7.2f} ms  in the detector {inside * 1e3:6.2f} ms,"
        f" outside {(mean - inside) * 1e3:6.2f} ms"
        f"  server's CPU {(spent - cpu) / len(taken) * 1e3:6.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--null-only", action="store_true", help="leave the detector out")
    options = parser.parse_args()
    for null in (True,) if options.null_only else (True, False):
        measure(options, null=null)


if __name__ == "__main__":
    main()
