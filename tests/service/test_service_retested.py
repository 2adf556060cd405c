"""A version that would learn what another has learnt has its weights; only its test is its own."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from lfvpipe.detector import Example, Settings
from lfvpipe.lookout.api import LookoutClient
from lfvpipe.lookout.progress import Weights
from tests.service.conftest import OUTPUT, ColourDetector, line


@dataclass
class TellingDetector(ColourDetector):
    """Says what decides a training, as ours does."""

    def training_digest(self, examples: Sequence[Example], settings: Settings) -> str:
        said = [(each.path.read_bytes(), each.label) for each in examples]
        return hashlib.sha256(repr((said, settings)).encode()).hexdigest()


@pytest.fixture
def client(world: Any) -> LookoutClient:
    world.detector = TellingDetector(doubts={"normal": 0.25, "anomaly": 0.125})
    client: LookoutClient = world.client()
    return client


@pytest.fixture
def lines(world: Any) -> list[Any]:
    """Return the lines of 4 normal and 4 anomalous images."""
    return list(world.put_images(4, 4))


def put(client: LookoutClient, world: Any, waits: Any, kind: Any, lines: list[Any]) -> None:
    source = world.put_manifest(lines, f"{kind}.manifest")
    listed = client.describe_project(ProjectName="p")["ProjectDescription"]["Datasets"]
    if kind in [each["DatasetType"] for each in listed]:
        client.delete_dataset(ProjectName="p", DatasetType=kind)
    client.create_dataset(ProjectName="p", DatasetType=kind, DatasetSource=source)
    waits.dataset(client, kind)


@pytest.fixture
def trained(client: LookoutClient, world: Any, waits: Any, lines: list[Any]) -> Any:
    """Model version 1 of a project with a training and a test dataset."""
    client.create_project(ProjectName="p")
    put(client, world, waits, "train", [*lines[:3], *lines[4:6]])
    put(client, world, waits, "test", [lines[3], *lines[6:]])
    return create(client, waits, "1")


def create(client: LookoutClient, waits: Any, version: str, **tags: str) -> Any:
    given = [{"Key": key, "Value": value} for key, value in tags.items()]
    client.create_model(ProjectName="p", OutputConfig=OUTPUT, Tags=given)  # type: ignore[arg-type]
    return waits.model(client, version)


def test_a_changed_test_set_is_tested_without_a_training(
    trained: Any, client: LookoutClient, world: Any, waits: Any, lines: list[Any]
) -> None:
    put(client, world, waits, "test", [lines[3], line("anomaly/2.png", "normal"), lines[7]])
    second = create(client, waits, "2")
    assert len(world.detector.calls) == 1
    assert trained["Performance"]["Recall"] == 1.0
    assert second["Performance"]["Precision"] == 0.5  # of its own test images
    assert Weights.from_message(trained["StatusMessage"]) is None
    assert second["StatusMessage"] == (
        "Training completed successfully. It would have learnt from the same as version 1, whose"
        " weights it has; it was tested anew."
    )
    told = [world.bucket.get(f"out_TrainingVerdicts-p-{number}.json") for number in (1, 2)]
    assert told[0] == told[1] != b""
    # One that has the weights of one that has them names the one that learnt.
    third = create(client, waits, "3")
    assert Weights.from_message(third["StatusMessage"]) == Weights("1")


@pytest.mark.parametrize("changed", ["an image", "a label", "a tag", "an image that is gone"])
def test_whatever_training_depends_on_trains(
    changed: str, trained: Any, client: LookoutClient, world: Any, waits: Any, lines: list[Any]
) -> None:
    learnt, tags = [*lines[:3], *lines[4:6]], {}
    match changed:
        case "an image":
            world.bucket.put("normal/1.png", world.picture((64, 64), (0, 100, 0)))
        case "a label":
            learnt[2] = line("normal/2.png", "anomaly")
        case "a tag":
            tags = {"lfvpipe:effort": "fast"}
        case _:
            learnt = learnt[1:]
    put(client, world, waits, "train", learnt)
    found = create(client, waits, "2", **tags)
    assert len(world.detector.calls) == 2
    assert Weights.from_message(found["StatusMessage"]) is None


def test_who_insists_has_it_learn_anew(
    trained: Any, client: LookoutClient, world: Any, waits: Any
) -> None:
    create(client, waits, "2", **{"lfvpipe:learn": "anew"})
    assert len(world.detector.calls) == 2


@pytest.mark.parametrize("file", ["model.lfv", "learnt.json"])
@pytest.mark.parametrize("harm", ["damaged", "gone"])
def test_weights_that_are_damaged_or_gone_are_learnt_again(
    file: str, harm: str, trained: Any, client: LookoutClient, world: Any, waits: Any
) -> None:
    found = world.state_dir / "models" / "1" / file
    found.unlink() if harm == "gone" else found.write_bytes(b"{")
    create(client, waits, "2")
    assert len(world.detector.calls) == 2


def test_a_deleted_version_leaves_its_weights_to_nobody_and_takes_none_away(
    trained: Any, client: LookoutClient, world: Any, waits: Any
) -> None:
    create(client, waits, "2")
    client.delete_model(ProjectName="p", ModelVersion="1")
    create(client, waits, "3")  # has those of version 2, which has those of version 1
    assert len(world.detector.calls) == 1
    for version in ("2", "3"):
        client.delete_model(ProjectName="p", ModelVersion=version)
    create(client, waits, "4")
    assert len(world.detector.calls) == 2
