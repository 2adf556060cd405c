"""A service over a temporary folder, with a detector that only looks at an image's colour."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from PIL import Image

from lfvpipe.detector import (
    Anomaly,
    DetectorError,
    Example,
    OutOfFold,
    Settings,
    TrainingCancelled,
    Verdict,
)
from lfvpipe.lookout.client import LookoutClient, _isolated_session, connect
from lfvpipe.lookout.waiters import wait_for_dataset, wait_for_hosting, wait_for_model
from lfvpipe.service.embedded import Service
from lfvpipe.service.quotas import Quotas
from lfvpipe.service.roles import OWNER, acting
from lfvpipe.storage import Bucket, Buckets
from lfvpipe.storage import connect as connect_storage

GREEN, RED = (0, 200, 0), (200, 0, 0)
FEW = Quotas(
    min_train_normal=2,
    min_test_normal=1,
    min_test_anomaly=1,
    min_single_normal=4,
    min_single_anomaly=3,
    min_images_per_label=1,
    min_images_per_label_single=1,
    cancel_trainings=True,
)


def picture(
    colour: tuple[int, int, int], size: tuple[int, int] = (64, 64), form: str = "PNG"
) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, form)
    return file.getvalue()


@dataclass
class ColourModel:
    """Calls red images anomalous, and blue ones unlike those that it was trained on."""

    segmentation: bool = False
    out_of_fold: tuple[OutOfFold, ...] = ()

    def detect(self, image: Any) -> Verdict:
        source = io.BytesIO(image) if isinstance(image, bytes) else image
        with Image.open(source) as opened:
            pixel: Any = opened.convert("RGB").getpixel((1, 1))
        red, green, blue = pixel
        bad, unlikeness = red > green, 2.345 if blue > 100 else 0.5
        found: tuple[Anomaly, ...] = ()
        if self.segmentation:
            found = (Anomaly("background", "#FFFFFF", 0.75), Anomaly("crack", "#23A436", 0.25))
        mask = picture((0x23, 0xA4, 0x36)) if self.segmentation else None
        probability, found = (0.9, found) if bad else (0.1, found[:1])
        return Verdict(bad, 0.9, probability, None, found, mask, unlikeness)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self.segmentation), "utf-8")


@dataclass
class ColourDetector:
    """Trains a ColourModel; `hold` keeps a training going until it is set.

    It tells what it said of training images where `doubts` has the probability of an anomaly, by
    label.
    """

    hold: Event | None = None
    doubts: dict[str, float] = field(default_factory=dict)
    error: str = ""
    calls: list[tuple[Sequence[Example], Settings | None]] = field(default_factory=list)
    started: Event = field(default_factory=Event)

    def train(
        self,
        examples: Sequence[Example],
        settings: Settings | None = None,
        *,
        progress: Callable[[str, int, int], None] = lambda _s, _d, _t: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> ColourModel:
        self.calls.append((examples, settings))
        self.started.set()
        if self.error:
            raise DetectorError(self.error, hint="do better")
        while self.hold is not None and not self.hold.wait(0.01):
            progress("features", 1, len(examples))
            if cancelled():
                raise TrainingCancelled
        told = [(e.path, e.label, self.doubts[e.label]) for e in examples if e.label in self.doubts]
        out_of_fold = tuple(OutOfFold(*each) for each in told)
        return ColourModel(any(example.mask for example in examples), out_of_fold)

    def load(self, path: Path) -> ColourModel:
        return ColourModel(json.loads(path.read_text("utf-8")))


@dataclass
class World:
    """One state folder, one local object store, and services over them."""

    root: Path
    buckets: Buckets
    detector: ColourDetector = field(default_factory=ColourDetector)
    services: list[Service] = field(default_factory=list)

    @property
    def state_dir(self) -> Path:
        return self.root / "service"

    @property
    def bucket(self) -> Bucket:
        return self.buckets.bucket("bucket")

    def open(self, **options: Any) -> Service:
        given: Any = {"stand_in": self.detector, "quotas": FEW} | options
        service = Service(self.state_dir, self.buckets, region="us-east-1", **given)
        self.services.append(service)
        return service

    def client(self, **options: Any) -> LookoutClient:
        return connect(
            "embedded", region="us-east-1", handler=self.open(**options).handle_for_owner
        )

    def put_images(self, normal: int = 6, anomaly: int = 4) -> list[dict[str, Any]]:
        """Store images; return their lines."""
        lines = []
        for label, count, colour in (("normal", normal, GREEN), ("anomaly", anomaly, RED)):
            for number in range(count):
                key = f"{label}/{number}.png"
                self.bucket.put(key, picture(colour))
                lines.append(line(key, label))
        return lines

    @staticmethod
    def picture(
        size: tuple[int, int], colour: tuple[int, int, int] = GREEN, form: str = "PNG"
    ) -> bytes:
        return picture(colour, size, form)

    def put_manifest(self, lines: Sequence[Any], key: str = "train.manifest") -> dict[str, Any]:
        """Store a manifest; return its DatasetSource."""
        text = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines)
        self.bucket.put(key, text.encode())
        return {"GroundTruthManifest": {"S3Object": {"Bucket": "bucket", "Key": key}}}


def line(key: str, label: str, **metadata: Any) -> dict[str, Any]:
    return {
        "source-ref": f"s3://bucket/{key}",
        "anomaly-label": 0,
        "anomaly-label-metadata": {
            "class-name": label,
            "human-annotated": "yes",
            "type": "groundtruth/image-classification",
            "creation-date": "2021-04-06T19:18:44.208156",
            **metadata,
        },
    }


@pytest.fixture(scope="session", autouse=True)
def one_session() -> Iterator[None]:
    """Let botocore read its data files once for all clients of the tests."""
    made = cache(_isolated_session)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lfvpipe.lookout.client._isolated_session", made)
        yield


@pytest.fixture(autouse=True)
def by_the_owner() -> Iterator[None]:
    """Ask in the owner's name in the test's own thread, where it names nobody else."""
    with acting(OWNER):
        yield


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, connect_storage("local", region="us-east-1", root=tmp_path / "buckets"))
    world.bucket.create()
    yield world
    if world.detector.hold is not None:
        world.detector.hold.set()
    for service in world.services:
        service.close()


@pytest.fixture
def client(world: World) -> LookoutClient:
    return world.client()


@dataclass
class Waits:
    """The waiters, with what they saw."""

    seen: list[tuple[str, str]] = field(default_factory=list)

    def _see(self, status: str, message: str) -> None:
        self.seen.append((status, message))

    def dataset(self, client: LookoutClient, kind: Any = "train", project: str = "p") -> Any:
        options: Any = {"on_status": self._see, "cancelled": Event()}
        return wait_for_dataset(client, project=project, dataset_type=kind, **options)

    def model(self, client: LookoutClient, version: str = "1", project: str = "p") -> Any:
        options: Any = {"on_status": self._see, "cancelled": Event()}
        return wait_for_model(client, project=project, version=version, **options)

    def hosting(self, client: LookoutClient, target: Any = "HOSTED", version: str = "1") -> Any:
        options = {"on_status": self._see, "cancelled": Event(), "target": target}
        return wait_for_hosting(client, project="p", version=version, **options)


@pytest.fixture
def waits() -> Waits:
    return Waits()


OUTPUT = {"S3Location": {"Bucket": "bucket", "Prefix": "out_"}}


@pytest.fixture
def dataset(world: World, client: LookoutClient, waits: Waits) -> Any:
    """Project `p` with a training dataset of 6 normal and 4 anomalous images."""
    client.create_project(ProjectName="p")
    source = world.put_manifest(world.put_images())
    client.create_dataset(ProjectName="p", DatasetType="train", DatasetSource=source)
    return waits.dataset(client)


@pytest.fixture
def trained(dataset: Any, client: LookoutClient, waits: Waits) -> Any:
    """Model version 1 of project `p`, trained."""
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    return waits.model(client)
