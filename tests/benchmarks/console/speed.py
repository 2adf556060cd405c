"""How long pages of the console take with much in them, without a browser.

    python -m tests.benchmarks.console.speed [trial] [version] [projects]

Trained by a stand-in that only looks at colours: what is timed is the console. A trial of 2,000
images is added to a data set; a version is looked at that was tested on 4,000; the dashboard
has 100 projects; 500 images are labelled in one action. Prints seconds by the
clock and of the CPU, each the middle of three where it can be asked again.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from lfvpipe import storage
from lfvpipe.console import Console
from lfvpipe.service import RegionalService
from lfvpipe.service.http.app import Application
from lfvpipe.service.http.auth import SigV4
from lfvpipe.service.http.server import Server, listen
from lfvpipe.service.roles import OWNER, acting
from lfvpipe.service.state import judged
from lfvpipe.service.state.database import Transaction
from lfvpipe.service.state.judged import HOUR, Count, Hour
from lfvpipe.service.trials import Verified
from tests.console.conftest import KEYS, REGION, Clock, Offered, Person, pages
from tests.console.models import add_model, train
from tests.service.conftest import FEW, ColourDetector, Waits, line, picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TRIAL, TESTED, PROJECTS, LABELLED = 2000, 4000, 100, 500


@contextmanager
def serve(folder: Path) -> Iterator[Offered]:
    """Yield a server with a console over a passing folder."""
    detector = ColourDetector()
    lookout = RegionalService(
        folder / "service",
        lambda region: storage.connect("local", region=region, root=folder / "buckets"),
        region=REGION,
        quotas=FEW,
        stand_in=detector,
    )
    console = Console(lookout, KEYS, REGION)
    application = Application(lookout.handle, SigV4(KEYS), lookout.model_counts)
    server = Server(console.beside(application.asgi()), listen("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve_until_stopped)
    thread.start()
    url = f"http://127.0.0.1:{server.port}"
    try:
        yield Offered(url, console, lookout, detector, Clock(), folder)
    finally:
        server.stop()
        thread.join()
        application.close()
        lookout.close()


@dataclass(frozen=True)
class Took:
    """Seconds by the clock, and those that this process computed."""

    seconds: float
    computed: float

    @classmethod
    def by(cls, work: Callable[[], object]) -> Took:
        """Return what a piece of work takes."""
        began, computed = time.perf_counter(), time.process_time()
        work()
        return cls(time.perf_counter() - began, time.process_time() - computed)


def tell(what: str, took: Took, of: str = "") -> None:
    """Print one line."""
    print(f"{what:40} {took.seconds:7.2f} s, of the CPU {took.computed:6.2f} s  {of}", flush=True)


def middle(work: Callable[[], object]) -> Took:
    """Return the middle of three times."""
    return sorted((Took.by(work) for _ in range(3)), key=lambda took: took.seconds)[1]


def script(person: Person, path: str, body: bytes, token: str = "") -> dict[str, object]:
    """Send what a script of a page sends; return the answer."""
    headers = {
        "origin": person.base,
        "accept": "application/json",
        "x-lfvpipe-csrf": token or person.form_token(),
    }
    answer = person.http.post(f"{person.base}{path}", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    told: dict[str, object] = answer.json()
    return told


def add_trial(offered: Offered, ada: Person) -> None:
    """Add a trial of images, each a file of its own, to a data set."""
    service = offered.lookout.of(REGION)
    assert service is not None
    bucket = offered.buckets.bucket("bucket")
    files = [
        (f"new/{number}.png", picture((number % 50, 150 + number // 50, 0)))
        for number in range(TRIAL)
    ]
    bucket.put_many(files, on_done=lambda _: None)
    with acting(OWNER):
        trial = service.trials.create("p", "many", "1", [f"s3://bucket/{key}" for key, _ in files])
    path = pages("projects", "p", "trials", str(trial))
    token = ada.form_token()
    judge = Took.by(lambda: [script(ada, f"{path}/next", b"", token) for _ in files])
    tell("a trial: judged one after the other", judge, f"{TRIAL:,} images")
    with acting(OWNER):
        service.trials.verify("p", trial, range(1, TRIAL + 1), Verified.CORRECT)
    tell("a trial's page", middle(lambda: ada.get(path)), f"{TRIAL:,} images")
    told: dict[str, object] = {"after": 0, "remaining": 1}
    parts = []
    sight = ada.get(path).text.partition('name="sight" value="')[2].partition('"')[0]

    def add_part() -> None:
        asked = f"all=yes&sight={sight}&to=train&after={told['after']}"
        told.update(script(ada, f"{path}/add", asked.encode()))

    while told["remaining"]:
        parts.append(Took.by(add_part))
    whole = Took(sum(each.seconds for each in parts), sum(each.computed for each in parts))
    tell("a trial: added to a data set", whole, f"{TRIAL:,} images in {len(parts)} requests")
    tell("  of these the longest", max(parts, key=lambda each: each.seconds))


def test_many(offered: Offered, ada: Person) -> None:
    """Look at a version that was tested on many images, and label many."""
    bucket = offered.buckets.bucket("bucket")
    lines = []
    files = []
    for number in range(TESTED):
        label, colour = ("normal", (0, 200)) if number % 4 else ("anomaly", (200, 0))
        key = f"{label}/many-{number}.png"
        files.append((key, picture((*colour, number % 100))))
        lines.append(line(key, label))
    bucket.put_many(files, on_done=lambda _: None)
    bucket.put("many.manifest", "\n".join(json.dumps(each) for each in lines).encode())
    client = offered.client()
    client.create_project(ProjectName="q")
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": "bucket", "Key": "many.manifest"}}}
    for kind in ("train", "test"):
        client.create_dataset(ProjectName="q", DatasetType=kind, DatasetSource=source)
        Waits().dataset(client, kind, "q")

    tell("(a version is tested)", Took.by(lambda: add_model(offered, "q")), f"{TESTED:,} images")
    version = pages("projects", "q", "models", "1")
    size = f"{TESTED:,} test images"
    tell("a version's page for the first time", Took.by(lambda: ada.get(version)), size)
    tell("a version's page", middle(lambda: ada.get(version)), size)
    data = pages("projects", "q", "datasets", "train")
    tell("a data set's page", middle(lambda: ada.get(data)), f"{TESTED:,} images")
    chosen = json.loads(ada.get(f"{data}/choice?show=normal").text)["images"][:LABELLED]
    calls = ["normal", "anomaly", "normal", "anomaly"]  # each from the one before

    def label_many() -> None:
        before, call = calls.pop(0), calls[0]
        seen = [[each[0], before] for each in chosen]
        script(ada, f"{data}/label", json.dumps({"images": seen, "call": call}).encode())

    tell("labels in one action", middle(label_many), f"{LABELLED} of {TESTED:,} images")


def many_projects(offered: Offered, ada: Person) -> None:
    """Look at the dashboard and the list of many projects, each with a model that was asked."""
    client = offered.client()
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": "bucket", "Key": "train.manifest"}}}
    for number in range(PROJECTS):
        name = f"line-{number}"
        client.create_project(ProjectName=name)
        client.create_dataset(ProjectName=name, DatasetType="train", DatasetSource=source)
        Waits().dataset(client, "train", name)
        add_model(offered, name)
    hours = range(int(time.time() // HOUR) - 30 * 24, int(time.time() // HOUR))
    counted = {
        Hour(f"line-{number}", 1, hour): Count(100, 7)
        for number in range(PROJECTS)
        for hour in hours
    }
    with sqlite3.connect(offered.root / "service" / "service.db") as database:
        judged.add(Transaction(database), counted)
    for page in ("dashboard", "dashboard?over=month", "dashboard-states", "projects"):
        tell(page, middle(lambda: ada.get(pages(page))), f"{PROJECTS} projects")  # noqa: B023


def main() -> None:
    """Measure, in a passing folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    measures = {"trial": add_trial, "version": test_many, "projects": many_projects}
    parser.add_argument(
        "of", nargs="*", metavar="OF", choices=[*measures, []], help=", ".join(measures)
    )
    chosen = parser.parse_args().of or list(measures)
    with tempfile.TemporaryDirectory() as at, serve(Path(at)) as offered, acting(OWNER):
        ada = Person(offered.url, httpx.Client(timeout=600)).sign_in("ADA")
        train(offered)
        for name in chosen:
            measures[name](offered, ada)
        ada.http.close()


if __name__ == "__main__":
    main()
