from typing import Any

import pytest

from lfvpipe.lookout.api import LookoutClient
from lfvpipe.service.quotas import Quotas


def tags(client: LookoutClient, arn: str) -> dict[str, str]:
    found = client.list_tags_for_resource(ResourceArn=arn)["Tags"]
    return {tag["Key"]: tag["Value"] for tag in found}


def test_a_models_tags_are_added_replaced_and_removed(trained: Any, client: LookoutClient) -> None:
    arn = trained["ModelArn"]
    client.tag_resource(
        ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    )
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}])
    assert tags(client, arn) == {"a": "2", "b": ""}
    client.untag_resource(ResourceArn=arn, TagKeys=["a", "c"])
    assert tags(client, arn) == {"b": ""}
    client.delete_model(ProjectName="p", ModelVersion="1")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        tags(client, arn)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("aws:a", "1", "begins with aws:"),
        ("AWS:a", "1", "begins with aws:"),
        ("lfvpipe:expected", "x", "cannot be x: it is a share"),
        ("lfvpipe:expected", "1e400", "it is a share"),
        ("lfvpipe:expected", "1e-300", "it is a share"),
        ("lfvpipe:decision", "x", "cannot be x"),
    ],
)
def test_a_tag_that_would_say_nothing_is_refused(
    trained: Any, client: LookoutClient, key: str, value: str, told: str
) -> None:
    arn = trained["ModelArn"]
    with pytest.raises(client.exceptions.ValidationException, match=told):
        client.tag_resource(ResourceArn=arn, Tags=[{"Key": key, "Value": value}])
    assert tags(client, arn) == {}


def test_only_models_have_tags(client: LookoutClient) -> None:
    arn = client.create_project(ProjectName="p")["ProjectMetadata"]["ProjectArn"]
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.tag_resource(ResourceArn=arn, Tags=[])


def test_a_key_twice_or_too_many_tags_are_refused_as_a_whole(
    trained: Any, world: Any, client: LookoutClient
) -> None:
    arn = trained["ModelArn"]
    with pytest.raises(client.exceptions.ValidationException):
        client.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}] * 2)
    few = world.client(quotas=Quotas(max_tags=1))
    with pytest.raises(few.exceptions.ServiceQuotaExceededException):
        few.tag_resource(
            ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "1"}]
        )
    assert tags(client, arn) == {}
