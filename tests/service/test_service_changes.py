"""Who changed what and when is written down with the change, and read by admins alone."""

import json
from typing import Any

import pytest

from lfvpipe.lookout.client import connect
from lfvpipe.service.faults import Fault
from lfvpipe.service.roles import Actor, Role, acting

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
