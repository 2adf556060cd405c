"""A disk that refuses: every job comes to rest, and the service says what the disk said."""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from operator import attrgetter
from pathlib import Path
from threading import Event
from typing import Any, NoReturn

import pytest
from botocore.exceptions import ClientError

from lfvpipe.lookout.client import LookoutClient
from lfvpipe.lookout.failures import LookoutError
from lfvpipe.service.jobs import contents, hosting, scheduler
from lfvpipe.service.jobs.packaging import component
from lfvpipe.service.jobs.training import job, launcher
from lfvpipe.service.state import models
from lfvpipe.service.state.database import Database
from tests.service.conftest import OUTPUT

FULL = os.strerror(errno.ENOSPC)


def refuse(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, FULL, "/var/lib/lfvpipe/some.file")


def overflow(*_: object, **__: object) -> None:
    """Raise what SQLite raises when its file cannot grow."""
    database = sqlite3.connect(":memory:")
    database.execute("PRAGMA max_page_count = 2")
    try:
        database.execute("CREATE TABLE filler AS SELECT zeroblob(100000)")
    finally:
        database.close()


@contextmanager
def full_database() -> Iterator[None]:
    """Refuse every write into the service's state, and let reads pass."""

    @contextmanager
    def write(_: Database) -> Iterator[None]:
        overflow()
        yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "write", write)
        yield


def create(client: LookoutClient, world: Any) -> None:
    client.create_project(ProjectName="p")
    source = world.put_manifest(world.put_images())
    client.create_dataset(ProjectName="p", DatasetType="train", DatasetSource=source)


@pytest.mark.parametrize("fault", [refuse, overflow])
@pytest.mark.parametrize("place", ["_fill", "_settle", "entries.delete", "entries.put"])
def test_a_dataset_comes_to_rest_wherever_the_disk_is_full(
    place: str,
    fault: Callable[..., Any],
    world: Any,
    client: LookoutClient,
    waits: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    *module, name = place.split(".")
    owner = attrgetter(*module)(contents) if module else contents
    real, calls = getattr(owner, name), []

    def once(*arguments: Any, **words: Any) -> Any:
        calls.append(1)
        return fault() if len(calls) == 1 else real(*arguments, **words)

    monkeypatch.setattr(owner, name, once)
    create(client, world)
    with pytest.raises(LookoutError, match="CREATE_FAILED") as caught:
        waits.dataset(client)
    assert FULL in caught.value.message or "full" in caught.value.message
    assert "Free some space" in caught.value.message


def test_where_not_even_the_failure_can_be_written_whoever_waits_hears_of_it(
    world: Any, client: LookoutClient, waits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[int] = []
    real = contents.make

    def make(*arguments: Any) -> None:
        began.append(1)
        real(*arguments)

    monkeypatch.setattr(contents, "make", make)
    monkeypatch.setattr(scheduler, "_PAUSE", 3600.0)
    original = scheduler.Scheduler.reconcile_dataset
    monkeypatch.setattr(scheduler.Scheduler, "reconcile_dataset", lambda *_: None)
    create(client, world)
    monkeypatch.setattr(scheduler.Scheduler, "reconcile_dataset", original)
    with full_database():
        with pytest.raises(LookoutError, match="InternalServerException") as caught:
            waits.dataset(client)
        assert "disk is full" in caught.value.message
        assert "Free some space" in caught.value.message
        assert len(began) == 1
    monkeypatch.setattr(scheduler, "_PAUSE", 0.0)
    assert waits.dataset(client)["Status"] == "CREATE_COMPLETE"


def test_a_model_comes_to_rest_when_it_cannot_be_brought_up(
    trained: Any, client: LookoutClient, waits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting, "_open", refuse)
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    with pytest.raises(LookoutError, match=f"HOSTING_FAILED.*{FULL}"):
        waits.hosting(client)


def test_a_packaging_job_comes_to_rest(
    trained: Any, world: Any, client: LookoutClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(component, "assemble", refuse)
    output = {"S3OutputLocation": {"Bucket": "bucket"}, "ComponentName": "c"}
    client.start_model_packaging_job(
        ProjectName="p",
        ModelVersion="1",
        JobName="job",
        Configuration={"Greengrass": {**output, "TargetDevice": "jetson_xavier"}},
    )
    for thread in list(world.services[0]._scheduler._threads.values()):
        thread.join(60)
    answer = client.describe_model_packaging_job(ProjectName="p", JobName="job")
    described = answer["ModelPackagingDescription"]
    assert described["Status"] == "FAILED"
    assert FULL in described["StatusMessage"]
    assert "some.file" in described["StatusMessage"]


def attempts(world: Any) -> int:
    with closing(sqlite3.connect(world.state_dir / "service.db")) as database:
        return int(database.execute("SELECT attempts FROM models").fetchone()[0])


@pytest.mark.parametrize("full", ["scratch", "state"])
def test_a_training_waits_for_room_on_the_disk_and_goes_on(
    full: str, dataset: Any, world: Any, waits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = world.client()
    world.detector.hold = Event()
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    assert world.detector.started.wait(60)
    with pytest.MonkeyPatch.context() as patch:
        if full == "scratch":
            patch.setattr(job, "_test", refuse)
        else:
            patch.setattr(models, "finish_training", overflow)
        world.detector.hold.set()
        with pytest.raises(LookoutError, match=r"Free some space") as caught:
            waits.model(client)
        assert "TRAINING_FAILED" not in caught.value.message
        monkeypatch.setattr(launcher, "_PAUSE", 0.0)
        while attempts(world) < 10:  # far more than the deaths that end a training
            found = client.describe_model(ProjectName="p", ModelVersion="1")["ModelDescription"]
            assert found["Status"] == "TRAINING"
    assert waits.model(client)["Status"] == "TRAINED"
    assert len(world.detector.calls) == 1
    assert [each["ModelVersion"] for each in client.list_models(ProjectName="p")["Models"]] == ["1"]


def test_a_request_says_what_the_disk_said(
    world: Any, client: LookoutClient, capfd: pytest.CaptureFixture[str]
) -> None:
    with full_database(), pytest.raises(ClientError, match="Free some space") as caught:
        client.create_project(ProjectName="p")
    assert caught.value.response["Error"]["Code"] == "InternalServerException"
    assert "Traceback" not in capfd.readouterr().err
    client.create_project(ProjectName="p")


def test_a_state_on_a_disk_that_fails_is_told(tmp_path: Path, world: Any) -> None:
    with full_database(), pytest.raises(ClientError, match="database or disk is full"):
        world.client().create_project(ProjectName="p")
