"""Each region has its own resources; a state of 0.1.0, which had one for all, is taken apart."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.lookout.client import LookoutClient, connect
from lfvpipe.service.embedded import model_file, model_status
from lfvpipe.service.regions import RegionalService, folder_of, known_regions, signed_region
from tests.service.conftest import FEW, World

SEVEN = [
    *("us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1", "ap-northeast-1"),
    "ap-northeast-2",
]
Open = Callable[..., RegionalService]


@pytest.fixture
def regional(world: World, aws: pytest.MonkeyPatch) -> Iterator[Open]:
    opened: list[RegionalService] = []

    def begin(region: str = "us-east-1", **options: Any) -> RegionalService:
        given: Any = {"stand_in": world.detector, "quotas": FEW} | options
        service = RegionalService(
            world.state_dir, lambda _region: world.buckets, region=region, **given
        )
        opened.append(service)
        return service

    yield begin
    for each in opened:
        each.close()


def client_of(service: RegionalService, region: str) -> LookoutClient:
    return connect("embedded", region=region, handler=service.handle)


def names(service: RegionalService, region: str) -> list[str]:
    found = client_of(service, region).list_projects()["Projects"]
    return [each["ProjectName"] for each in found]


def test_each_region_has_its_own_resources(regional: Open) -> None:
    service = regional()
    arns = [
        client_of(service, region).create_project(ProjectName="p")["ProjectMetadata"]["ProjectArn"]
        for region in SEVEN
    ]
    assert [arn.split(":")[3] for arn in arns] == SEVEN
    client_of(service, "eu-west-1").create_project(ProjectName="q")
    assert {region: names(service, region) for region in SEVEN} == {
        region: ["p", "q"] if region == "eu-west-1" else ["p"] for region in SEVEN
    }
    service.close()
    assert names(regional("eu-central-1"), "eu-west-1") == ["p", "q"]


def test_who_lists_all_regions_counts_a_hosted_model_once(
    regional: Open, world: World, waits: Any
) -> None:
    service = regional()
    client = client_of(service, "eu-west-1")
    client.create_project(ProjectName="p")
    source: Any = world.put_manifest(world.put_images())
    client.create_dataset(ProjectName="p", DatasetType="train", DatasetSource=source)
    client.create_model(ProjectName="p", OutputConfig={"S3Location": {"Bucket": "bucket"}})
    waits.model(client)
    found = [
        model
        for region in SEVEN
        for project in client_of(service, region).list_projects()["Projects"]
        for model in client_of(service, region).list_models(ProjectName=project["ProjectName"])[
            "Models"
        ]
    ]
    assert len(found) == 1
    assert service.model_counts() == {"TRAINED": 1}
    assert model_file(world.state_dir, "us-east-1", "p", "1") is None
    assert model_file(world.state_dir, "eu-west-1", "p", "1") is not None
    assert model_status(world.state_dir, "eu-west-1", "p", "1") == "TRAINED"


def test_one_region_serves_whatever_a_request_is_signed_for(regional: Open) -> None:
    service = regional(alone=True)
    client_of(service, "eu-west-1").create_project(ProjectName="p")
    assert names(service, "us-east-1") == ["p"]


@pytest.mark.parametrize("region", ["Mars", "..", "%2e%2e", "eu-west-1/..", "x" * 300])
def test_what_is_no_region_is_refused_and_makes_no_folder(
    regional: Open, world: World, region: str
) -> None:
    service = regional()
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential=K/20200101/{region}/s/aws4_request"}
    status, said, _ = service.handle("GET", "/2020-11-20/projects", headers, b"")
    assert (status, said["x-amzn-ErrorType"]) == (403, "InvalidSignatureException")
    assert not (world.state_dir / "regions").exists()
    assert names(service, "plant-7") == []  # a name of one's own is as good as AWS's


def test_a_request_says_its_region_in_the_header_or_in_the_query() -> None:
    scope = "K/20200101/eu-west-1/lookoutvision/aws4_request"
    said = {"authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host"}
    assert signed_region("/x", said) == "eu-west-1"
    assert signed_region(f"/x?X-Amz-Credential={scope.replace('/', '%2F')}", {}) == "eu-west-1"
    assert signed_region("/x", {}) == signed_region("/x", {"Authorization": "Basic x"}) == ""


@pytest.fixture
def mixed(world: World) -> Path:
    """Make a state of 0.1.0 with project `p` in us-east-1 and `q`, with a model, in eu-west-1."""
    folder = world.state_dir
    (folder / "models" / "7").mkdir(parents=True)
    (folder / "models" / "7" / "model.lfv").write_text("false", "utf-8")
    dump = Path(__file__).parent / "fixtures" / "service-0.1.0.sql"
    with closing(sqlite3.connect(folder / "service.db")) as database:
        database.executescript(dump.read_text("utf-8"))
        arn = "arn:aws:lookoutvision:eu-west-1:000000000000"
        row = database.execute("SELECT * FROM contents LIMIT 1").fetchone()
        columns = [each[1] for each in database.execute("PRAGMA table_info(contents)")]
        storage = row[columns.index("storage")]
        database.executescript(
            f"""
            INSERT INTO projects VALUES ('q', '{arn}:project/q', 1.8e9, 1);
            INSERT INTO contents (id, state, storage, total) VALUES (77, 'ready', '{storage}', 1);
            INSERT INTO entries VALUES (77, 1, 's3://bucket/x.png', NULL, NULL, '{{}}');
            INSERT INTO datasets VALUES
             ('q', 'train', 1, 1, 'CREATE_COMPLETE', 'done', 77, NULL);
            INSERT INTO models (id, project, version, arn, created, status, message, output_bucket,
             storage, train_content) VALUES
             (7, 'q', 1, '{arn}:model/q/1', 1, 'TRAINED', 'done', 'bucket', '{storage}', 77);
            INSERT INTO tags VALUES ('{arn}:model/q/1', 'k', 'v');
            """
        )
    return folder


def test_a_state_of_0_1_0_is_taken_apart_by_the_regions_of_its_arns(
    mixed: Path, regional: Open
) -> None:
    service = regional("eu-west-1")  # not the oldest project's
    assert known_regions(mixed) == ["us-east-1", "eu-west-1"]
    assert (names(service, "us-east-1"), names(service, "eu-west-1")) == (["empty", "p"], ["q"])
    client = client_of(service, "eu-west-1")
    described = client.describe_model(ProjectName="q", ModelVersion="1")["ModelDescription"]
    assert described["Status"] == "TRAINED"
    assert len(client.list_dataset_entries(ProjectName="q", DatasetType="train")["DatasetEntries"])
    tags = client.list_tags_for_resource(ResourceArn=described["ModelArn"])["Tags"]
    assert tags == [{"Key": "k", "Value": "v"}]
    assert model_file(mixed, "eu-west-1", "q", "1") is not None
    assert not (mixed / "models" / "7").exists()
    with closing(sqlite3.connect(mixed / "regions" / "eu-west-1" / "service.db")) as database:
        (left,) = database.execute("SELECT COUNT(*) FROM contents").fetchone()
        assert left == 1


def test_taking_apart_goes_on_after_a_kill(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("lfvpipe.service.regions._models_in", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            folder_of(mixed, "us-east-1")
    shutil.copy(mixed / "service.db", mixed / "before.db")
    folder_of(mixed, "us-east-1")
    (mixed / "region").unlink()
    shutil.copy(mixed / "before.db", mixed / "service.db")  # as if killed before it was taken out
    assert folder_of(mixed, "us-east-1") == mixed
    with closing(sqlite3.connect(mixed / "service.db")) as database:
        rows = database.execute("SELECT name FROM projects ORDER BY name").fetchall()
        assert rows == [("empty",), ("p",)]
