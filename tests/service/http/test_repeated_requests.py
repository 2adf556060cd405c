"""A request that arrives twice, or whose answer is lost, takes effect once and never fails."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lfvpipe.lookout.client import LookoutClient, connect
from lfvpipe.patience import OF_A_RUN, patient
from tests.network import Fault, Proxy, faulty

OUTPUT = {"S3Location": {"Bucket": "bucket", "Prefix": "out_"}}


@pytest.fixture
def proxy(serve: Any) -> Iterator[Proxy]:
    with faulty(serve().url) as made, patient(OF_A_RUN, tell=lambda _: None, wait=lambda _: None):
        yield made


@pytest.mark.parametrize("fault", [Fault.TWICE, Fault.LOST])
def test_every_change_takes_effect_once(proxy: Proxy, world: Any, waits: Any, fault: Fault) -> None:
    client = connect(proxy.url, region="us-east-1")

    def call(operation: str, **members: Any) -> Any:
        proxy.faults = [fault]
        before = len(proxy.seen)
        answer = getattr(client, operation)(**members)
        assert len(proxy.seen) == before + 2
        return answer

    lines = world.put_images()
    arn = call("create_project", ProjectName="p")["ProjectMetadata"]["ProjectArn"]
    source = world.put_manifest(lines)
    call("create_dataset", ProjectName="p", DatasetType="train", DatasetSource=source)
    stats = waits.dataset(client)["ImageStats"]
    assert stats["Total"] == 10
    changes = (json.dumps(lines[0]) + "\n").encode()
    call("update_dataset_entries", ProjectName="p", DatasetType="train", Changes=changes)
    assert waits.dataset(client)["ImageStats"] == stats
    made = call("create_model", ProjectName="p", OutputConfig=OUTPUT)["ModelMetadata"]
    assert made["ModelVersion"] == "1"
    waits.model(client)
    model: Any = {"ProjectName": "p", "ModelVersion": "1"}
    call("tag_resource", ResourceArn=made["ModelArn"], Tags=[{"Key": "a", "Value": "b"}])
    call("untag_resource", ResourceArn=made["ModelArn"], TagKeys=["a"])
    assert call("start_model", **model, MinInferenceUnits=1)["Status"] == "STARTING_HOSTING"
    waits.hosting(client)
    image = world.picture((64, 64))
    judged = call("detect_anomalies", **model, Body=image, ContentType="image/png")
    assert judged["DetectAnomalyResult"]["IsAnomalous"] is False
    assert call("stop_model", **model)["Status"] == "STOPPING_HOSTING"
    waits.hosting(client, "TRAINED")
    assert [each["ModelVersion"] for each in client.list_models(ProjectName="p")["Models"]] == ["1"]
    call("delete_model", **model)
    _wait_until_empty(client)
    call("delete_dataset", ProjectName="p", DatasetType="train")
    assert call("delete_project", ProjectName="p")["ProjectArn"] == arn
    assert client.list_projects()["Projects"] == []


def test_a_name_that_is_taken_is_a_conflict_all_the_same(proxy: Proxy) -> None:
    """Another client's project is not mistaken for the answer that was lost."""
    client = connect(proxy.url, region="us-east-1")
    client.create_project(ProjectName="p")
    proxy.faults = [Fault.TWICE]
    with pytest.raises(client.exceptions.ConflictException):
        client.create_project(ProjectName="p")


def _wait_until_empty(client: LookoutClient) -> None:
    from lfvpipe.lookout.waiters import wait_for_model_deletion

    wait_for_model_deletion(client, project="p", version="1")
