"""Who changed what and when is written down with the change, and read by admins alone."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from lfvpipe.lookout.client import LookoutClient, connect
from lfvpipe.lookout.tags import DECISION
from lfvpipe.lookout.waiters import wait_for_model_deletion
from lfvpipe.service.faults import Fault
from lfvpipe.service.protocol.serializer import Response
from lfvpipe.service.roles import Actor, Role, acting
from tests.service.conftest import FEW, World

ANN = Actor("ANN", Role.REVIEWER)


def test_a_label_changed_is_told_with_whose_request_it_was_and_both_labels(
    world: Any, waits: Any
) -> None:
    service = world.open()
    client = connect("embedded", region="us-east-1", handler=service.handle)
    client.create_project(ProjectName="p")
    lines = world.put_images(normal=2, anomaly=1)
    source = world.put_manifest(lines)
    client.create_dataset(ProjectName="p", DatasetType="train", DatasetSource=source)
    waits.dataset(client)
    image = lines[0]["source-ref"]
    relabelled = {**lines[0], "anomaly-label": 1}
    relabelled["anomaly-label-metadata"] = {
        **lines[0]["anomaly-label-metadata"],
        "class-name": "anomaly",
    }
    with acting(ANN):
        client.update_dataset_entries(
            ProjectName="p",
            DatasetType="train",
            Changes=f"{json.dumps(relabelled)}\nno line".encode(),
        )
    newest, made, first = service.changes()
    assert (newest.access_key, newest.role, newest.operation) == (
        "ANN",
        "reviewer",
        "UpdateDatasetEntries",
    )
    assert newest.asked["Changes"] == {
        "Labels": {"anomaly": 1, "unreadable": 1},
        "First": [[image, "normal", "anomaly"]],
    }
    assert newest.before["Images"] == 3
    assert (made.operation, made.before) == ("CreateDataset", {})
    assert made.after["Status"] == "CREATE_IN_PROGRESS"
    assert (first.operation, first.access_key, first.before) == ("CreateProject", "", {})
    assert first.after == {"Datasets": [], "ModelVersions": []}
    assert service.changes(before=made.id) == [first]
    assert service.changes(project="q") == []


def test_types_and_masks_are_told_as_they_were_and_are(world: Any, waits: Any) -> None:
    service = world.open()
    client = connect("embedded", region="us-east-1", handler=service.handle)
    client.create_project(ProjectName="p")
    lines = world.put_images(normal=1, anomaly=2)
    client.create_dataset(
        ProjectName="p", DatasetType="train", DatasetSource=world.put_manifest(lines)
    )
    waits.dataset(client)
    lines[1]["anomaly-label-metadata"]["defect-type"] = "cracked"
    colours = {"0": {"class-name": "crack", "hex-color": "#23A436"}}
    lines[2]["m-ref"] = "s3://bucket/normal/0.png"
    lines[2]["m-ref-metadata"] = {
        "internal-color-map": colours,
        "type": "groundtruth/semantic-segmentation",
    }
    first, second = (each["source-ref"] for each in lines[1:])

    def changed() -> Any:
        client.update_dataset_entries(
            ProjectName="p",
            DatasetType="train",
            Changes="\n".join(map(json.dumps, lines[1:])).encode(),
        )
        waits.dataset(client)
        return service.changes()[0].asked["Changes"]["First"]

    mask = "anomaly, mask s3://bucket/normal/0.png of crack"
    assert changed() == [
        [first, "anomaly", "anomaly: cracked"],
        [second, "anomaly", mask],
    ]
    lines[1]["anomaly-label-metadata"]["defect-type"] = "crack"
    del lines[2]["m-ref"], lines[2]["m-ref-metadata"]
    assert changed() == [
        [first, "anomaly: cracked", "anomaly: crack"],
        [second, mask, "anomaly"],
    ]


def test_what_changed_nothing_is_not_told(world: Any) -> None:
    service = world.open()
    client = connect("embedded", region="us-east-1", handler=service.handle)
    for _ in range(2):  # the second is a repeat, by its token
        client.create_project(ProjectName="p", ClientToken="t")
    with pytest.raises(client.exceptions.ConflictException):
        client.create_project(ProjectName="p", ClientToken="u")
    client.list_projects()
    assert [change.operation for change in service.changes()] == ["CreateProject"]


def test_tags_are_told_with_their_project_and_long_values_are_cut(
    trained: Any, client: Any, world: Any
) -> None:
    client.tag_resource(ResourceArn=trained["ModelArn"], Tags=[{"Key": "a", "Value": "1"}])
    change = world.open().changes(project="p")[0]
    assert (change.operation, change.before, change.after) == (
        "TagResource",
        {"Tags": {}},
        {"Tags": {"a": "1"}},
    )


def test_only_an_admin_reads_them(world: Any) -> None:
    service = world.open()
    with acting(ANN), pytest.raises(Fault, match="may not read who changed what"):
        service.changes()


def test_what_nobody_asks_for_is_not_carried_out(world: World) -> None:
    service = world.open()
    headers = {"Content-Type": "application/json"}
    body = b'{"ProjectName": "p"}'

    def ask(handle: Callable[..., Response]) -> tuple[int, str]:
        status, _, said = handle("POST", "/2020-11-20/projects", headers, body)
        return status, said.decode()

    with ThreadPoolExecutor(1) as pool:  # a thread that nobody told for whom it works
        status, said = pool.submit(ask, service.handle).result()
        assert (status, "nobody is said to ask" in said) == (403, True)
        with pytest.raises(Fault, match="nobody is said to ask"):
            pool.submit(service.changes).result()
        assert service.changes() == []
        # the program that has the state folder says so itself
        assert pool.submit(ask, service.handle_for_owner).result()[0] == 200
    assert [change.access_key for change in service.changes()] == [""]


def test_the_oldest_go_but_for_what_a_page_is_told_by(
    trained: Any, client: LookoutClient, world: World, waits: Any
) -> None:
    version: Any = {"ProjectName": "p", "ModelVersion": "1"}
    arn = client.describe_model(**version)["ModelDescription"]["ModelArn"]
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": DECISION, "Value": "0.5"}])
    client.start_model(**version, MinInferenceUnits=1)
    waits.hosting(client)
    service = world.open(quotas=replace(FEW, kept_changes=3))
    made = len(service.changes())

    def since() -> list[float | None]:
        hosted, decided = service.versions.hosted_since("p"), service.versions.tag_changed
        return [hosted.get("1"), decided("p", "1", DECISION)]

    before = since()
    assert None not in before
    few = connect("embedded", region="us-east-1", handler=service.handle)
    for number in range(5):
        few.create_project(ProjectName=f"p{number}")
    told = [(each.operation, each.project) for each in service.changes()]
    read = [("StartModel", "p"), ("TagResource", "p")]
    assert told == [*(("CreateProject", name) for name in ("p4", "p3", "p2")), *read]
    assert service.count_dropped_changes() == made + 5 - len(told)
    assert since() == before
    few.stop_model(**version)
    waits.hosting(few, "TRAINED")
    few.delete_model(**version)
    wait_for_model_deletion(few, project="p", version="1")
    few.create_project(ProjectName="last")
    told = [(each.operation, each.project) for each in service.changes()]
    assert told == [("CreateProject", "last"), ("DeleteModel", "p"), ("StopModel", "p")]
