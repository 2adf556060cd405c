"""A service that trains with a detector of another package, and keeps to it per model."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lfvpipe.errors import UserError
from lfvpipe.service.embedded import model_file

DETECTOR = '''
"""Calls an image anomalous by its first pixel: the redder, the worse."""

import io
from pathlib import Path

from PIL import Image

from lfvpipe.detector import Verdict


class RednessModel:
    def detect(self, image):
        if not isinstance(image, Image.Image):
            image = Image.open(io.BytesIO(image) if isinstance(image, bytes) else image)
        red, green, _ = image.convert("RGB").getpixel((0, 0))
        return Verdict(red > green, 0.75, 0.75 if red > green else 0.25, None, (), None)

    def save(self, path):
        Path(path).write_text("redness", "utf-8")


def train(examples, settings=None, *, progress=None, cancelled=None):
    return RednessModel()


def load(path):
    assert Path(path).read_text("utf-8") == "redness"
    return RednessModel()
'''
RED, GREEN = (200, 0, 0), (0, 200, 0)
OUTPUT = {"S3Location": {"Bucket": "bucket"}}


@pytest.fixture
def redness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package with a detector `redness`, for this process and those that it starts."""
    folder = tmp_path / "site"
    info = folder / "redness-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "redness.py").write_text(DETECTOR, "utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: redness\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text("[lfvpipe.detectors]\nredness = redness\n", "utf-8")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


@pytest.fixture
def model(redness: Path, dataset: Any, world: Any, waits: Any) -> Any:
    """Model version 1 of project `p`, trained with `redness` by a worker process."""
    client = world.client(stand_in=None, detector="redness")
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    return waits.model(client)


def detector_of(world: Any, version: int) -> Any:
    with closing(sqlite3.connect(world.state_dir / "service.db")) as database:
        query = "SELECT detector FROM models WHERE version = ?"
        return database.execute(query, (version,)).fetchone()[0]


def test_a_worker_trains_with_the_detector_that_the_service_was_given(
    model: Any, world: Any
) -> None:
    assert model["Status"] == "TRAINED"
    assert detector_of(world, 1) == "redness"
    file = next((world.state_dir / "models").glob("*/*"))
    assert file.read_text("utf-8") == "redness"


@pytest.mark.parametrize("isolated", [True, False], ids=["a unit", "this process"])
def test_a_model_is_asked_by_its_own_detector_whatever_is_chosen_for_new_ones(
    isolated: bool, model: Any, world: Any, waits: Any
) -> None:
    client = world.client(stand_in=None, isolated=isolated)  # the usual detector
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    waits.hosting(client)
    for colour, bad in ((RED, True), (GREEN, False)):
        answer = client.detect_anomalies(
            ProjectName="p",
            ModelVersion="1",
            Body=world.picture((64, 64), colour),
            ContentType="image/png",
        )
        assert answer["DetectAnomalyResult"]["IsAnomalous"] is bad


def test_an_unknown_detector_is_refused_when_the_service_opens(world: Any) -> None:
    with pytest.raises(UserError, match="There is no detector named 'blueness'"):
        world.open(stand_in=None, detector="blueness")


def test_a_model_whose_detector_is_gone_says_so(
    model: Any, redness: Path, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (redness / "redness-1.0.dist-info" / "entry_points.txt").unlink()
    client = world.client(stand_in=None, isolated=False)
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    while True:
        described = client.describe_model(ProjectName="p", ModelVersion="1")["ModelDescription"]
        if described["Status"] != "STARTING_HOSTING":
            break
    assert described["Status"] == "HOSTING_FAILED"
    assert "There is no detector named 'redness'" in described["StatusMessage"]


def test_what_needs_our_own_detector_does_without_the_model(model: Any, world: Any) -> None:
    assert (
        model_file(world.state_dir, "us-east-1", "p", "1") is None
    )  # for heat maps, drawn by ours
    target: Any = {
        "S3OutputLocation": {"Bucket": "bucket"},
        "ComponentName": "component",
        "TargetDevice": "jetson_xavier",
    }
    with pytest.raises(ClientError) as caught:
        world.client().start_model_packaging_job(
            ProjectName="p", ModelVersion="1", Configuration={"Greengrass": target}
        )
    error = caught.value.response["Error"]
    assert error["Code"] == "ConflictException"
    assert "detector redness" in error["Message"]
