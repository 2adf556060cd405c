from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from lfvpipe.lookout.api import LookoutClient
from lfvpipe.lookout.failures import LookoutError

OUTPUT = {"S3Location": {"Bucket": "bucket", "Prefix": "out_"}}


@dataclass
class Clock:
    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def create(client: LookoutClient, **more: Any) -> str:
    made = client.create_model(ProjectName="p", OutputConfig=OUTPUT, **more)
    return str(made["ModelMetadata"]["ModelVersion"])


def versions(client: LookoutClient) -> list[str]:
    return [each["ModelVersion"] for each in client.list_models(ProjectName="p")["Models"]]


def test_a_token_creates_one_model(dataset: Any, world: Any, client: LookoutClient) -> None:
    assert {create(client, ClientToken="t-1") for _ in range(3)} == {"1"}
    assert create(world.client(), ClientToken="t-1") == "1"
    assert create(client, ClientToken="t-2") == "2"
    assert versions(client) == ["1", "2"]


def test_a_token_creates_one_model_however_many_ask_at_once(
    dataset: Any, world: Any, client: LookoutClient
) -> None:
    clients = [client, world.client(), world.client()]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda each: create(each, ClientToken="t"), clients * 4))
    assert set(found) == {"1"}
    assert versions(client) == ["1"]


def test_a_token_with_other_parameters_is_a_conflict(dataset: Any, client: LookoutClient) -> None:
    create(client, ClientToken="t")
    with pytest.raises(client.exceptions.ConflictException):
        create(client, ClientToken="t", Description="another")
    assert versions(client) == ["1"]


def test_a_token_expires_after_eight_hours(dataset: Any, world: Any) -> None:
    clock = Clock()
    client = world.client(clock=clock)
    create(client, ClientToken="t")
    clock.now += 8 * 3600 - 1
    assert create(client, ClientToken="t") == "1"
    clock.now += 1
    assert create(client, ClientToken="t") == "2"


def test_a_failed_call_leaves_no_token(client: LookoutClient) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.create_dataset(ProjectName="p", DatasetType="train", ClientToken="t")
    client.create_project(ProjectName="p")
    client.create_dataset(ProjectName="p", DatasetType="train", ClientToken="t")


def test_a_fixed_token_never_blocks_a_later_start(
    trained: Any, client: LookoutClient, waits: Any
) -> None:
    for _ in range(2):
        for _repeated in range(2):
            client.start_model(
                ProjectName="p", ModelVersion="1", MinInferenceUnits=1, ClientToken="fixed"
            )
        waits.hosting(client)
        for _repeated in range(2):
            client.stop_model(ProjectName="p", ModelVersion="1", ClientToken="fixed")
        waits.hosting(client, "TRAINED")


def test_a_fixed_token_starts_a_model_again_whose_hosting_failed(
    trained: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    start: Any = {"ProjectName": "p", "ModelVersion": "1", "MinInferenceUnits": 1}
    file = next((world.state_dir / "models").glob("*/*"))
    hidden = file.rename(file.with_name("hidden"))
    client.start_model(**start, ClientToken="fixed")
    with pytest.raises(LookoutError, match="HOSTING_FAILED"):
        waits.hosting(client)
    hidden.rename(file)
    client.start_model(**start, ClientToken="fixed")
    assert waits.hosting(client)["Status"] == "HOSTED"


def test_a_fixed_token_updates_again_what_was_rolled_back(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    changes = b'{"source-ref": "s3://bucket/late.png"}'
    update: Any = {"ProjectName": "p", "DatasetType": "train", "Changes": changes}
    client.update_dataset_entries(**update, ClientToken="fixed")
    with pytest.raises(LookoutError, match="ROLLBACK_COMPLETE"):
        waits.dataset(client)
    world.bucket.put("late.png", b"image")
    client.update_dataset_entries(**update, ClientToken="fixed")
    assert waits.dataset(client)["ImageStats"]["Total"] == 11


def test_a_start_does_not_forget_the_creation(
    dataset: Any, client: LookoutClient, waits: Any
) -> None:
    create(client, ClientToken="t")
    waits.model(client)
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    assert create(client, ClientToken="t") == "1"


def test_a_deleted_resource_is_created_again_with_its_token(client: LookoutClient) -> None:
    for _ in range(2):
        client.create_project(ProjectName="p", ClientToken="t")
        client.create_dataset(ProjectName="p", DatasetType="train", ClientToken="t")
        client.delete_dataset(ProjectName="p", DatasetType="train")
        client.delete_project(ProjectName="p")


def test_a_repeated_deletion_answers_as_the_first(client: LookoutClient) -> None:
    client.create_project(ProjectName="p")
    answers = [client.delete_project(ProjectName="p", ClientToken="t")["ProjectArn"] for _ in "ab"]
    assert answers[0] == answers[1]


def test_fixed_tokens_replace_a_dataset_again_and_again(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    where: Any = {"ProjectName": "p", "DatasetType": "train"}
    for count in (1, 2, 3):
        client.delete_dataset(**where, ClientToken="fixed")
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.describe_dataset(**where)
        source = world.put_manifest(world.put_images(count, 0))
        client.create_dataset(**where, DatasetSource=source, ClientToken="fixed")
        assert waits.dataset(client)["ImageStats"]["Total"] == count


def test_fixed_tokens_replace_a_project_and_its_model_again_and_again(
    world: Any, client: LookoutClient, waits: Any
) -> None:
    fixed: Any = {"ProjectName": "p", "ClientToken": "fixed"}
    for _ in range(2):
        client.create_project(**fixed)
        source = world.put_manifest(world.put_images())
        client.create_dataset(**fixed, DatasetType="train", DatasetSource=source)
        waits.dataset(client)
        client.create_model(**fixed, OutputConfig=OUTPUT)
        waits.model(client)
        client.delete_model(**fixed, ModelVersion="1")
        assert versions(client) == []
        client.delete_dataset(**fixed, DatasetType="train")
        client.delete_project(**fixed)
        assert client.list_projects()["Projects"] == []
