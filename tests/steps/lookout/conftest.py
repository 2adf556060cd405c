"""A small Lookout for Vision that can fail and be killed, and stand-ins for the other steps."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from botocore.exceptions import BotoCoreError

from lfvpipe import config
from lfvpipe.dataset.index import Image, image_line
from lfvpipe.dataset.lines import write_lines
from lfvpipe.engine import ledger_file
from lfvpipe.engine.inputs import Input, Setting
from lfvpipe.engine.ledger import Ledger
from lfvpipe.engine.outcome import Facts, Outcome
from lfvpipe.engine.result import RunResult
from lfvpipe.engine.runner import run
from lfvpipe.engine.selection import Selection
from lfvpipe.engine.step import Step, Work
from lfvpipe.lookout.client import LookoutClient, connect
from lfvpipe.manifest import write_line
from lfvpipe.service import looks
from lfvpipe.steps.context import Context
from lfvpipe.steps.datasets.step import DatasetsStep
from lfvpipe.steps.evaluate.step import EvaluateStep
from lfvpipe.steps.manifests import Manifest, line_of
from lfvpipe.steps.model.step import ModelStep
from lfvpipe.steps.project import ProjectStep
from lfvpipe.steps.report import ReportStep
from tests.outcomes import check_outcome, extract_outcome, manifests_outcome

Answer = tuple[int, dict[str, str], bytes]
ROUTES = [
    ("POST", r"/projects", "CreateProject"),
    ("GET", r"/projects/([^/]+)", "DescribeProject"),
    ("DELETE", r"/projects/([^/]+)", "DeleteProject"),
    ("POST", r"/projects/([^/]+)/datasets", "CreateDataset"),
    ("GET", r"/projects/([^/]+)/datasets/([^/]+)", "DescribeDataset"),
    ("DELETE", r"/projects/([^/]+)/datasets/([^/]+)", "DeleteDataset"),
    ("GET", r"/projects/([^/]+)/datasets/([^/]+)/entries", "ListDatasetEntries"),
    ("PATCH", r"/projects/([^/]+)/datasets/([^/]+)/entries", "UpdateDatasetEntries"),
    ("POST", r"/projects/([^/]+)/models", "CreateModel"),
    ("GET", r"/projects/([^/]+)/models", "ListModels"),
    ("GET", r"/projects/([^/]+)/models/([^/]+)", "DescribeModel"),
    ("DELETE", r"/projects/([^/]+)/models/([^/]+)", "DeleteModel"),
    ("POST", r"/projects/([^/]+)/models/([^/]+)/start", "StartModel"),
    ("POST", r"/projects/([^/]+)/models/([^/]+)/stop", "StopModel"),
    ("POST", r"/projects/([^/]+)/models/([^/]+)/detect", "DetectAnomalies"),
    ("GET", r"/tags/(.+)", "ListTagsForResource"),
    ("POST", r"/tags/(.+)", "TagResource"),
    ("DELETE", r"/tags/(.+)", "UntagResource"),
]


STAND_IN = looks.KnownModel("TRAINED", "a stand-in", Path("nowhere"))


class Killed(BaseException):
    """The process died here."""


class Lost(BotoCoreError):
    """A lost connection, as it is once all retries are spent."""

    fmt = "connection lost"


class Refusal(Exception):
    """A modelled error."""

    def __init__(self, status: int, name: str) -> None:
        super().__init__(name)
        self.status, self.name = status, name


def _method(operation: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in operation)


def verdict_share(image: bytes, version: str) -> float:
    """Return how anomalous a model version finds an image: no two versions agree."""
    return int(hashlib.sha256(version.encode() + image).hexdigest()[:4], 16) / 0xFFFF


def _missing() -> Refusal:
    return Refusal(404, "ResourceNotFoundException")


def _conflict() -> Refusal:
    return Refusal(409, "ConflictException")


@dataclass
class FakeLookout:
    """State by project; `steps_left` is how many looks a busy thing takes to settle.

    Attributes:
        calls: The operations called so far, in order.
        die_at: The call (from 0) after which the process dies, before it hears the answer.
    """

    buckets: Any
    projects: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    failing_trainings: int = 0
    refuses_evaluations: bool = False
    refused: set[str] = field(default_factory=set)
    seen: dict[str, Any] = field(default_factory=dict)  # beside each verdict
    die_at: int | None = None
    dead: bool = False
    clock: Any = field(default_factory=lambda: count(1_600_000_000))
    guard: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        with self.guard:
            return self._answer(method, url, headers, body)

    def _answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        split = urlsplit(url)
        path = split.path.removeprefix("/2020-11-20")
        operation, names = next(
            (name, [unquote(group) for group in match.groups()])
            for verb, pattern, name in ROUTES
            if verb == method and (match := re.fullmatch(pattern, path))
        )
        number = len(self.calls)
        if self.dead:
            raise Killed
        self.calls.append(operation)
        lowered = {name.lower(): value for name, value in headers.items()}
        try:
            answer = self._once(operation, names, lowered, body, parse_qs(split.query))
        except Refusal as refusal:
            self._die_if(number)
            error = {"Message": refusal.name, "ResourceId": "x", "ResourceType": "x"}
            text = json.dumps(error).encode()
            return refusal.status, {"x-amzn-ErrorType": refusal.name}, text
        self._die_if(number)
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    def _die_if(self, number: int) -> None:
        if number == self.die_at:
            self.dead = True
            raise Killed

    def _once(
        self,
        operation: str,
        names: list[str],
        headers: dict[str, str],
        body: bytes,
        query: dict[str, list[str]],
    ) -> Any:
        token = headers.get("x-amzn-client-token")
        if token in self.tokens:
            return self.tokens[token]
        data = json.loads(body) if body and operation != "DetectAnomalies" else {}
        data |= {"body": body, "query": query}
        answer = getattr(self, _method(operation))(data, *names)
        if token:
            self.tokens[token] = answer
        return answer

    def _project(self, name: str) -> dict[str, Any]:
        if name not in self.projects:
            raise _missing()
        return self.projects[name]

    def _create_project(self, data: Any) -> Any:
        name = data["ProjectName"]
        if name in self.projects:
            raise _conflict()
        self.projects[name] = {"created": next(self.clock), "datasets": {}, "models": {}, "last": 0}
        return {"ProjectMetadata": {"ProjectArn": f"arn:p/{name}", "ProjectName": name}}

    def _describe_project(self, data: Any, name: str) -> Any:
        project = self._project(name)
        about = {"ProjectArn": f"arn:p/{name}", "ProjectName": name}
        sets = [{"DatasetType": split} for split in project["datasets"]]
        created = {"CreationTimestamp": project["created"], "Datasets": sets}
        return {"ProjectDescription": about | created}

    def _delete_project(self, data: Any, name: str) -> Any:
        if self._project(name)["datasets"] or self._project(name)["models"]:
            raise _conflict()
        del self.projects[name]
        return {"ProjectArn": f"arn:p/{name}"}

    def _create_dataset(self, data: Any, name: str) -> Any:
        datasets, split = self._project(name)["datasets"], data["DatasetType"]
        if split in datasets:
            raise _conflict()
        where = data["DatasetSource"]["GroundTruthManifest"]["S3Object"]
        lines = self.buckets.bucket(where["Bucket"]).get(where["Key"]).decode().splitlines()
        now = next(self.clock)
        datasets[split] = {"lines": lines, "left": 1, "gone": None, "created": now}
        return {"DatasetMetadata": {"DatasetType": split, "Status": "CREATE_IN_PROGRESS"}}

    def _describe_dataset(self, data: Any, name: str, split: str) -> Any:
        datasets = self._project(name)["datasets"]
        if split not in datasets:
            raise _missing()
        found = datasets[split]
        status = "CREATE_IN_PROGRESS" if found["left"] else "CREATE_COMPLETE"
        found["left"] = max(0, found["left"] - 1)
        if found["gone"] is not None:
            status = "DELETE_IN_PROGRESS"
            found["gone"] -= 1
            if found["gone"] < 0:
                del datasets[split]
                raise _missing()
        stats = {"Total": len(found["lines"]), "Labeled": len(found["lines"])}
        about = {"ProjectName": name, "DatasetType": split, "Status": status, "ImageStats": stats}
        updated = found.get("updated", found["created"])
        times = {"CreationTimestamp": found["created"], "LastUpdatedTimestamp": updated}
        return {"DatasetDescription": about | times | {"StatusMessage": status.lower()}}

    def _delete_dataset(self, data: Any, name: str, split: str) -> Any:
        if split not in self._project(name)["datasets"]:
            raise _missing()
        self._project(name)["datasets"][split]["gone"] = 1
        return {}

    def _list_dataset_entries(self, data: Any, name: str, split: str) -> Any:
        return {"DatasetEntries": self._project(name)["datasets"][split]["lines"]}

    def _update_dataset_entries(self, data: Any, name: str, split: str) -> Any:
        found = self._project(name)["datasets"][split]
        lines = {json.loads(line)["source-ref"]: line for line in found["lines"]}
        changes = base64.b64decode(data["Changes"]).decode().splitlines()
        lines |= {json.loads(line)["source-ref"]: line for line in changes}
        found |= {"lines": list(lines.values()), "left": 1, "updated": next(self.clock)}
        return {"Status": "UPDATE_IN_PROGRESS"}

    def _create_model(self, data: Any, name: str) -> Any:
        project = self._project(name)
        project["last"] += 1
        version = str(project["last"])
        failing = self.failing_trainings > 0
        self.failing_trainings -= failing
        project["models"][version] = {
            "status": "TRAINING",
            "next": ["TRAINING_FAILED" if failing else "TRAINED"],
            "tags": data.get("Tags", []),
            "output": data["OutputConfig"]["S3Location"],
            "created": next(self.clock),
        }
        return {"ModelMetadata": {"ModelVersion": version, "ModelArn": self._arn(name, version)}}

    @staticmethod
    def _arn(name: str, version: str) -> str:
        return f"arn:m/{name}/{version}"

    def _model(self, name: str, version: str) -> dict[str, Any]:
        models: dict[str, dict[str, Any]] = self._project(name)["models"]
        if version not in models:
            raise _missing()
        return models[version]

    def _list_models(self, data: Any, name: str) -> Any:
        models = self._project(name)["models"]
        return {"Models": [self._about(name, version, models[version]) for version in models]}

    def _about(self, name: str, version: str, model: dict[str, Any]) -> dict[str, Any]:
        arn = self._arn(name, version)
        return {"ModelVersion": version, "ModelArn": arn, "Status": model["status"]}

    def _describe_model(self, data: Any, name: str, version: str) -> Any:
        model = self._model(name, version)
        about = self._about(name, version, model) | {"CreationTimestamp": model["created"]}
        if model["next"]:
            model["status"] = model["next"].pop()
        if about["Status"] == "TRAINED":
            output = model["output"]
            prefix, bucket = output.get("Prefix", ""), output["Bucket"]
            key = f"{prefix}EvaluationManifest-{name}-{version}.json"
            if not model.get("evaluated"):
                self.buckets.bucket(bucket).put(key, self._evaluation(name))
            model["evaluated"] = True
            if not self.refuses_evaluations:
                about["EvaluationManifest"] = {"Bucket": bucket, "Key": key}
            about["Performance"] = {"F1Score": 0.9, "Precision": 0.8, "Recall": 1.0}
            about["EvaluationEndTimestamp"] = model["created"] + 12.5
        return {"ModelDescription": about | {"StatusMessage": f"about to be {about['Status']}"}}

    def _evaluation(self, name: str) -> bytes:
        lines = []
        for text in self._project(name)["datasets"].get("test", {"lines": []})["lines"]:
            line = json.loads(text)
            found = {"class-name": line["anomaly-label-metadata"]["class-name"], "confidence": 0.8}
            line |= {"anomaly-label-detected": 1, "anomaly-label-detected-metadata": found}
            lines.append(json.dumps(line))
        return "\n".join(lines).encode()

    def _delete_model(self, data: Any, name: str, version: str) -> Any:
        if self._model(name, version)["status"] in {"HOSTED", "TRAINING"}:
            raise _conflict()
        del self._project(name)["models"][version]
        return {"ModelArn": self._arn(name, version)}

    def _start_model(self, data: Any, name: str, version: str) -> Any:
        model = self._model(name, version)
        if model["status"] != "TRAINED":
            raise _conflict()
        model |= {"status": "STARTING_HOSTING", "next": ["HOSTED"]}
        return {"Status": "STARTING_HOSTING"}

    def _stop_model(self, data: Any, name: str, version: str) -> Any:
        model = self._model(name, version)
        if model["status"] != "HOSTED":
            raise _conflict()
        model |= {"status": "STOPPING_HOSTING", "next": ["TRAINED"]}
        return {"Status": "STOPPING_HOSTING"}

    def _detect_anomalies(self, data: Any, name: str, version: str) -> Any:
        if self._model(name, version)["status"] != "HOSTED":
            raise _conflict()
        digest = hashlib.sha256(data["body"]).hexdigest()
        if digest in self.refused:
            raise Refusal(400, "ValidationException")
        share = verdict_share(data["body"], version)
        result = {"IsAnomalous": share > 0.5, "Confidence": max(share, 1 - share)}
        more = {"Source": {"Type": "direct"}, **self.seen}
        return {"DetectAnomalyResult": result | more}

    def _list_tags_for_resource(self, data: Any, arn: str) -> Any:
        _, name, version = arn.split("/")
        return {"Tags": self._model(name, version)["tags"]}

    def _tag_resource(self, data: Any, arn: str) -> Any:
        _, name, version = arn.split("/")
        model = self._model(name, version)
        new = {each["Key"] for each in data["Tags"]}
        model["tags"] = [each for each in model["tags"] if each["Key"] not in new] + data["Tags"]
        return {}

    def _untag_resource(self, data: Any, arn: str) -> Any:
        _, name, version = arn.split("/")
        model = self._model(name, version)
        gone = data["query"]["tagKeys"]
        model["tags"] = [each for each in model["tags"] if each["Key"] not in gone]
        return {}

    def statuses(self) -> dict[str, str]:
        """Return the status of every model, by version, of the only project."""
        (project,) = self.projects.values()
        return {version: model["status"] for version, model in project["models"].items()}


_serving: list[Any] = [None]


@cache
def _client() -> LookoutClient:
    """Return a client whose calls go to what is being served; making one takes its time."""

    def serve(*request: Any) -> Answer:
        answer: Answer = _serving[0](*request)
        return answer

    return connect("embedded", region="us-east-1", handler=serve)


class Stub(Step[Context]):
    """A step of another module: its inputs are what the world says, its outcome is made of them."""

    def __init__(
        self, name: str, needs: tuple[str, ...], make: Callable[[Context], Facts], tag: str
    ) -> None:
        self.name, self.needs, self.make, self.tag = name, needs, make, tag

    def inputs(self, context: Context) -> Sequence[Input]:
        return [Setting("tag", self.tag)]

    def act(self, context: Context, work: Work) -> Outcome:
        return Outcome("created", self.make(context))


@dataclass
class World:
    """A pipeline whose images are made up, a service, and a process that can die.

    Attributes:
        train: How many training images there are of each label.
        evaluate: How many evaluation images.
        adopt: The user said to take over what is another pipeline's.
    """

    root: Path
    service: FakeLookout = field(init=False)
    train: int = 3
    test: int = 2
    evaluate: int = 4
    picture: Callable[[str], bytes] = lambda name: b"\x89PNG " + name.encode()
    overrides: list[str] = field(default_factory=list)
    handler: Any = None
    adopt: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event)
    told: list[Any] = field(default_factory=list)
    death: type[BaseException] = Killed

    def __post_init__(self) -> None:
        self.service = FakeLookout(self.fresh_context().buckets)

    def fresh_context(self) -> Context:
        file = self.root / "pipeline.yaml"
        if not file.exists():
            file.write_text(
                "project: demo\nsources: {normal: {archive: n.zip}, anomaly: {archive: a.zip}}\n"
                "bucket: {name: demo-bucket}\nmodel: {output_prefix: out/}\n"
            )
        pipeline = config.load(file, overrides=self.overrides).pipeline
        return Context(pipeline, self.root / ".lfvpipe", adopt=self.adopt)

    def context(self) -> Context:
        context = self.fresh_context()
        _serving[0] = self.handler or self.service
        context.__dict__["lookout"] = _client()
        return context

    def lose_the_connection(self, after: str, at: str) -> None:
        """Leave all calls unanswered, from the first one of `at` since one of `after`."""
        lost: list[str] = []

        def answer(*request: Any) -> Answer:
            if lost:
                raise Lost
            answered = self.service(*request)
            if after in self.service.calls and self.service.calls[-1] == at:
                lost.append(at)
                raise Lost
            return answered

        self.handler = answer

    @property
    def ledger_path(self) -> Path:
        return self.fresh_context().state_dir / "ledger.json"

    def lose_ledger(self) -> None:
        for file in (self.ledger_path, self.ledger_path.with_name("ledger.json.bak")):
            file.unlink()

    @property
    def ledger(self) -> Ledger:
        return Ledger.load(self.ledger_path)

    def steps(self) -> tuple[Step[Context], ...]:
        tag = f"{self.train} {self.test} {self.evaluate}"
        return (
            Stub("extract", (), self._extract, tag),
            Stub("check", ("extract",), lambda _: check_outcome().facts, tag),
            Stub("manifests", ("extract",), self._manifests, tag),
            ProjectStep(),
            DatasetsStep(),
            ModelStep(),
            EvaluateStep(),
            ReportStep(),
        )

    def take_over(self) -> RunResult:
        """Run as `lfvpipe run --adopt` does."""
        self.adopt = True
        try:
            return self.run(refresh=True)
        finally:
            self.adopt = False

    def run(self, *, refresh: bool = False, **selection: Any) -> RunResult:
        self.told.clear()
        return run(
            self.steps(),
            self.context(),
            self.ledger,
            selection=Selection(**selection),
            cancelled=self.cancelled,
            reporter=self.told.append,
            refresh=refresh,
        )

    def words(self, result: RunResult) -> dict[str, str]:
        mine = ("project", "datasets", "model", "evaluate", "report")
        return {
            row.step: row.outcome.word if row.action == "run" and row.outcome else row.action
            for row in result.rows
            if row.step in mine
        }

    def facts(self, step: str) -> Any:
        record = self.ledger.standing_record("default", step)
        assert record is not None
        assert record.outcome is not None
        return record.outcome.facts

    def _images(self, context: Context) -> list[Image]:
        counts = {"train": self.train, "test": self.test, "evaluate": self.evaluate}
        return [
            self._image(context, split, label, number)
            for split, total in counts.items()
            for label in ("anomaly", "normal")
            for number in range(total)
        ]

    def _image(self, context: Context, split: Any, label: Any, number: int) -> Image:
        name = f"{split}-{number}.png"
        data = self.picture(f"{label}/{name}")
        path = f"images/{label}/{name}"
        (context.state_dir / path).parent.mkdir(parents=True, exist_ok=True)
        (context.state_dir / path).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        key = f"{label}/{name}"
        of = (f"{label}/{name}", label, split, name, label)
        return Image(*of, path, key, len(data), digest, 64, 64)

    def _extract(self, context: Context) -> Facts:
        images = sorted(self._images(context), key=lambda image: image.id)
        name, digest = write_lines(context.state_dir / "index", map(image_line, images))
        return extract_outcome(f"index/{name}", digest).facts

    def _manifests(self, context: Context) -> Facts:
        bucket = context.bucket
        bucket.create()
        for image in self._images(context):
            bucket.put(image.key, context.state_dir / image.path)
        made: dict[str, Manifest | None] = {}
        for split in ("train", "test"):
            rows = [i for i in self._images(context) if i.split == split]
            lines = [line_of(i, f"s3://{bucket.name}/", segmentation=False) for i in rows]
            text = "\n".join(map(write_line, lines)).encode()
            digest = hashlib.sha256(text).hexdigest()
            bucket.put(f"manifests/{split}-{digest[:12]}", text)
            key = f"manifests/{split}-{digest[:12]}"
            made[split] = Manifest(key, digest, len(rows)) if rows else None
        return manifests_outcome(made["train"], made["test"], bucket.name).as_json()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world in which nothing has been run yet."""
    # The small service keeps no file that could be looked at.
    monkeypatch.setattr("lfvpipe.steps.project.lost_project", lambda *_: [])
    monkeypatch.setattr("lfvpipe.steps.datasets.step.lost_project", lambda *_: [])
    monkeypatch.setattr("lfvpipe.steps.model.step.lost_project", lambda *_: [])
    monkeypatch.setattr(looks, "find_model", lambda *_: STAND_IN)
    return World(tmp_path)


@pytest.fixture
def mortal_ledger(monkeypatch: pytest.MonkeyPatch) -> Callable[[World, int], None]:
    """Return a function that lets a world's process die at its n-th write of the ledger."""
    limits: dict[Path, int] = {}
    worlds: dict[Path, World] = {}
    write = ledger_file.write

    def dying(path: Path, data: dict[str, Any]) -> None:
        if path in limits:
            worlds[path].service.dead |= limits[path] == 0
            limits[path] -= 1
            if worlds[path].service.dead:
                raise Killed
        write(path, data)

    def at(world: World, number: int) -> None:
        limits[world.ledger_path], worlds[world.ledger_path] = number, world

    monkeypatch.setattr(ledger_file, "write", dying)
    return at
