"""Model versions for people: what the API has no operation for."""

import dataclasses
import threading
from typing import Any

import pytest

from lfvpipe.service.protocol.faults import Fault
from lfvpipe.service.roles import Actor, Role, acting

from .conftest import FEW, OUTPUT, World


def test_a_training_is_cancelled_by_name_and_written_down(world: World, dataset: Any) -> None:
    del dataset
    hold = world.detector.hold = threading.Event()
    service = world.open(quotas=dataclasses.replace(FEW, cancel_trainings=False))
    client = world.client()
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    assert service.versions.evaluation("p", "1") is None
    with acting(Actor("RITA", Role.REVIEWER)), pytest.raises(Fault, match="may not cancel"):
        service.versions.cancel_training("p", "1")
    with acting(Actor("ADA", Role.ADMIN)):
        service.versions.cancel_training("p", "1")
    change = service.changes()[0]
    assert (change.access_key, change.operation) == ("ADA", "CancelTraining")
    assert change.before["Status"] == "TRAINING"
    hold.set()
    with pytest.raises(Fault, match=r"DELETING; only a training|no model version"):
        service.versions.cancel_training("p", "1")


def test_the_evaluation_is_the_bucket_s_where_the_spare_is_gone(world: World, trained: Any) -> None:
    del trained
    service = world.open()
    whole = service.versions.evaluation("p", "1")
    assert whole is not None
    assert "anomaly-label-detected" in whole
    for spare in world.state_dir.rglob("EvaluationManifest.json"):
        spare.unlink()
    assert service.versions.evaluation("p", "1") == whole
    world.bucket.delete(["out_EvaluationManifest-p-1.json"])
    assert service.versions.evaluation("p", "1") is None


def test_since_when_a_version_is_hosted_is_when_it_was_last_asked_for(
    world: World, trained: Any, client: Any, waits: Any
) -> None:
    del trained
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    waits.hosting(client)
    service = world.open()
    since = service.versions.hosted_since("p")
    assert since == {"1": service.changes()[0].at}
    assert service.versions.hosted_since("q") == {}
