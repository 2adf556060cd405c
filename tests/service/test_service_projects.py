import base64
import json
from functools import partial
from typing import Any

import pytest

from lfvpipe.lookout.api import LookoutClient
from lfvpipe.service.quotas import Quotas


def test_a_project_is_created_described_listed_and_deleted(client: LookoutClient) -> None:
    made = client.create_project(ProjectName="p")["ProjectMetadata"]
    assert made["ProjectArn"] == "arn:aws:lookoutvision:us-east-1:000000000000:project/p"
    described = client.describe_project(ProjectName="p")["ProjectDescription"]
    assert described == {**made, "Datasets": []}
    assert client.list_projects()["Projects"] == [made]
    assert client.delete_project(ProjectName="p")["ProjectArn"] == made["ProjectArn"]
    with pytest.raises(client.exceptions.ResourceNotFoundException) as caught:
        client.describe_project(ProjectName="p")
    assert caught.value.response["ResourceId"] == "p"
    assert caught.value.response["ResourceType"] == "PROJECT"


def test_an_existing_name_is_a_conflict(client: LookoutClient) -> None:
    client.create_project(ProjectName="p")
    with pytest.raises(client.exceptions.ConflictException) as caught:
        client.create_project(ProjectName="p")
    assert caught.value.response["ResourceType"] == "PROJECT"


def test_a_project_with_a_dataset_or_a_model_is_not_deleted(
    trained: Any, client: LookoutClient
) -> None:
    with pytest.raises(client.exceptions.ConflictException):
        client.delete_project(ProjectName="p")
    client.delete_dataset(ProjectName="p", DatasetType="train")
    with pytest.raises(client.exceptions.ConflictException):
        client.delete_project(ProjectName="p")
    client.delete_model(ProjectName="p", ModelVersion="1")
    client.delete_project(ProjectName="p")


def test_pages_survive_a_restart_and_a_changed_list(world: Any, client: LookoutClient) -> None:
    for name in ("a", "b", "c", "d"):
        client.create_project(ProjectName=name)
    page = client.list_projects(MaxResults=2)
    client.delete_project(ProjectName="b")
    client.create_project(ProjectName="aa")
    rest = world.client().list_projects(MaxResults=2, NextToken=page["NextToken"])
    assert [each["ProjectName"] for each in rest["Projects"]] == ["c", "d"]
    assert "NextToken" not in rest


def test_a_paginator_walks_all_pages(client: LookoutClient) -> None:
    for number in range(7):
        client.create_project(ProjectName=f"p{number}")
    pages = client.get_paginator("list_projects").paginate(PaginationConfig={"PageSize": 3})
    assert [len(page["Projects"]) for page in pages] == [3, 3, 1]


@pytest.mark.parametrize("token", ["abcd", "e30=", "eyJvZiI6Im1vZGVscyIsImFmdGVyIjoxfQ=="])
def test_a_foreign_token_is_refused(token: str, client: LookoutClient) -> None:
    with pytest.raises(client.exceptions.ValidationException):
        client.list_projects(NextToken=token)


@pytest.mark.parametrize("after", [10**30, -(10**30), "\ud800", "x", 1.5, True, None, []])
@pytest.mark.parametrize("listing", ["projects", "models", "entries", "packaging"])
def test_a_token_that_only_looks_like_one_is_refused(
    listing: str, after: Any, client: LookoutClient
) -> None:
    client.create_project(ProjectName="p")
    client.create_dataset(ProjectName="p", DatasetType="train")
    token = base64.b64encode(json.dumps({"of": listing, "after": after}).encode()).decode()
    lists: dict[str, Any] = {
        "projects": client.list_projects,
        "models": partial(client.list_models, ProjectName="p"),
        "entries": partial(client.list_dataset_entries, ProjectName="p", DatasetType="train"),
        "packaging": partial(client.list_model_packaging_jobs, ProjectName="p"),
    }
    if (listing, after) == ("projects", "x"):
        assert lists[listing](NextToken=token)["Projects"] == []
        return
    with pytest.raises(client.exceptions.ValidationException, match="begin again"):
        lists[listing](NextToken=token)


def test_more_projects_than_allowed_are_over_quota(world: Any) -> None:
    client = world.client(quotas=Quotas(projects=1))
    client.create_project(ProjectName="a")
    with pytest.raises(client.exceptions.ServiceQuotaExceededException) as caught:
        client.create_project(ProjectName="b")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 402
    assert caught.value.response["ServiceCode"] == "lookoutvision"


def test_a_projects_training_dataset_comes_first(client: LookoutClient) -> None:
    client.create_project(ProjectName="p")
    for kind in ("test", "train"):
        client.create_dataset(ProjectName="p", DatasetType=kind)
    listed = client.describe_project(ProjectName="p")["ProjectDescription"]["Datasets"]
    assert [each["DatasetType"] for each in listed] == ["train", "test"]


def test_what_is_missing_is_named_from_the_outside_in(client: LookoutClient) -> None:
    missing = client.exceptions.ResourceNotFoundException
    with pytest.raises(missing) as caught:
        client.describe_model(ProjectName="p", ModelVersion="1")
    assert caught.value.response["ResourceType"] == "PROJECT"
    client.create_project(ProjectName="p")
    with pytest.raises(missing) as caught:
        client.describe_model(ProjectName="p", ModelVersion="1")
    assert caught.value.response["ResourceType"] == "MODEL"
