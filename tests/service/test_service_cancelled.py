"""A training that is cancelled: how soon it is gone, and what the next one finds of it."""

import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from lfvpipe.lookout.api import LookoutClient
from lfvpipe.service import locks
from lfvpipe.service.jobs import cancelled
from lfvpipe.service.quotas import quotas_to_json
from lfvpipe.service.runtime import open_runtime
from tests.service.conftest import FEW, OUTPUT, ColourDetector, ColourModel

STUBBORN = """
import sys
from pathlib import Path
from time import sleep
from types import SimpleNamespace
from lfvpipe.service.jobs.training import job, worker

def train(*given, **options):
    Path(sys.argv[3]).touch()
    sleep(600)

job._train_detector = train
worker.main(sys.argv[1:3])
"""


class StagedDetector(ColourDetector):
    """Keeps a stage, and then waits where it is held."""

    found: list[bytes | None]

    def train(self, *given: Any, checkpoints: Any = None, **options: Any) -> ColourModel:
        checkpoints.begin("these images")
        self.found.append(checkpoints.load("a"))
        checkpoints.save("a", b"done".strip)
        return super().train(*given, **options)


@pytest.fixture
def client(world: Any) -> LookoutClient:
    world.detector = StagedDetector(hold=Event())
    world.detector.found = []
    client: LookoutClient = world.client()
    return client


def kept(world: Any) -> list[Path]:
    return list((world.state_dir / "cancelled").rglob("*.kept"))


def cancel(world: Any, client: LookoutClient, version: str) -> None:
    assert world.detector.started.wait(30)
    client.delete_model(ProjectName="p", ModelVersion=version)
    end = time.monotonic() + 60
    while client.list_models(ProjectName="p")["Models"]:
        assert time.monotonic() < end
        time.sleep(0.01)
    world.detector.started.clear()


def test_the_next_training_of_the_project_goes_on_from_a_cancelled_one(
    world: Any, client: LookoutClient, dataset: Any, waits: Any
) -> None:
    for version in ("1", "2"):
        client.create_model(ProjectName="p", OutputConfig=OUTPUT)
        cancel(world, client, version)
        assert len(kept(world)) == 2  # the stage, and what it is made of
    world.detector.hold = None
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    assert waits.model(client, "3")["Status"] == "TRAINED"
    assert world.detector.found == [None, b"done", b"done"]
    assert kept(world) == []


@pytest.mark.parametrize("how", ["the project is deleted", "a week has passed"])
def test_what_a_cancelled_training_had_come_to_does_not_stay_for_ever(
    how: str, world: Any, client: LookoutClient, dataset: Any
) -> None:
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    cancel(world, client, "1")
    (folder,) = (world.state_dir / "cancelled").iterdir()
    if how == "the project is deleted":
        client.delete_dataset(ProjectName="p", DatasetType="train")
        client.delete_project(ProjectName="p")
    else:
        os.utime(folder, (0, 0))
        world.open()
    assert not folder.exists()


def test_a_worker_that_does_not_look_up_is_ended(world: Any, dataset: Any, tmp_path: Path) -> None:
    idle = world.client(launch=lambda _runtime: lambda: True)
    idle.create_model(ProjectName="p", OutputConfig=OUTPUT)
    begun = tmp_path / "begun"
    words = ["-c", STUBBORN, str(world.state_dir), quotas_to_json(FEW), str(begun)]
    with subprocess.Popen([sys.executable, *words]) as worker:
        try:
            end = time.monotonic() + 60
            while not begun.exists():
                assert time.monotonic() < end
                time.sleep(0.01)
            idle.delete_model(ProjectName="p", ModelVersion="1")
            assert worker.wait(60) == 0
        finally:
            worker.kill()
    assert idle.list_models(ProjectName="p")["Models"][0]["Status"] == "DELETING"
    end = time.monotonic() + 60  # whoever looks removes it
    while idle.list_models(ProjectName="p")["Models"]:
        assert time.monotonic() < end


def test_a_service_that_does_not_train_leaves_a_training_as_it_is(
    world: Any, client: LookoutClient, dataset: Any
) -> None:
    idle = world.client(launch=lambda _runtime: lambda: True)
    idle.create_model(ProjectName="p", OutputConfig=OUTPUT)
    launched = Event()
    looking = world.client(trains=False, launch=lambda _runtime: launched.set())
    for _ in range(3):
        found = looking.describe_model(ProjectName="p", ModelVersion="1")
        assert found["ModelDescription"]["Status"] == "TRAINING"
    assert not launched.is_set()


def test_a_disk_that_refuses_to_keep_what_was_learnt_stops_no_deletion(
    world: Any, client: LookoutClient, dataset: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    assert world.detector.started.wait(30)
    runtime = open_runtime(world.state_dir, FEW, stand_in=world.detector)
    learning = runtime.scratch(locks.model(1)) / cancelled.LEARNING
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError("full")))
    cancel(world, client, "1")
    assert not learning.exists()
    assert kept(world) == []
    runtime.database.close()


def test_what_a_training_that_is_cancelled_had_published_goes_with_it(
    world: Any, dataset: Any
) -> None:
    idle = world.client(launch=lambda _runtime: lambda: True)
    idle.create_model(ProjectName="p", OutputConfig=OUTPUT)
    foreign = "out_EvaluationResult-p-2.json"
    published = "out_EvaluationManifest-p-1.json"
    for key in (published, foreign):
        world.bucket.put(key, b"{}")
    beside = world.state_dir / "models" / "1" / "EvaluationManifest.json"
    beside.parent.mkdir(parents=True)
    beside.write_text("{}")
    idle.delete_model(ProjectName="p", ModelVersion="1")
    end = time.monotonic() + 60  # whoever looks removes it
    while idle.list_models(ProjectName="p")["Models"]:
        assert time.monotonic() < end
    assert world.bucket.head(published) is None
    assert world.bucket.head(foreign) is not None
