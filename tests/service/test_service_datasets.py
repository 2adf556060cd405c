import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import boto3
import pytest

from lfvpipe.lookout.api import LookoutClient
from lfvpipe.lookout.failures import LookoutError
from lfvpipe.service.quotas import Quotas
from lfvpipe.storage import connect
from tests.service.conftest import GREEN, World, picture


def line(key: str, label: str = "normal", **more: Any) -> dict[str, Any]:
    metadata = {"class-name": label, "type": "groundtruth/image-classification"}
    return {"source-ref": f"s3://bucket/{key}", "x": 1, "x-metadata": metadata | more}


def masked(plain: dict[str, Any], mask: str) -> dict[str, Any]:
    colours = {"1": {"class-name": "crack", "hex-color": "#23A436"}}
    return plain | {"m-ref": mask, "m-ref-metadata": {"internal-color-map": colours}}


@pytest.fixture
def project(client: LookoutClient) -> LookoutClient:
    client.create_project(ProjectName="p")
    return client


def create(client: LookoutClient, source: Any, kind: Any = "train") -> Any:
    options = {"ProjectName": "p", "DatasetType": kind, "DatasetSource": source}
    return client.create_dataset(**options)["DatasetMetadata"]


def test_a_dataset_comes_from_a_manifest(world: Any, project: LookoutClient, waits: Any) -> None:
    made = create(project, world.put_manifest(world.put_images(3, 2)))
    assert (made["Status"], made["StatusMessage"]) == (
        "CREATE_IN_PROGRESS",
        "The dataset is creating.",
    )
    described = waits.dataset(project)
    assert described["StatusMessage"] == "The dataset was created successfully."
    assert described["ImageStats"] == {"Total": 5, "Labeled": 5, "Normal": 3, "Anomaly": 2}
    listed = project.describe_project(ProjectName="p")["ProjectDescription"]["Datasets"]
    assert [each["Status"] for each in listed] == ["CREATE_COMPLETE"]


def test_an_empty_dataset_is_there_at_once(project: LookoutClient) -> None:
    made = project.create_dataset(ProjectName="p", DatasetType="test")
    assert made["DatasetMetadata"]["Status"] == "CREATE_COMPLETE"
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202


def test_the_class_name_decides_and_the_rest_stays_unlabelled(
    world: Any, project: LookoutClient, waits: Any
) -> None:
    world.put_images(4, 1)
    lines = [
        line("normal/0.png", "normal"),
        line("normal/1.png", "Anomaly"),
        line("normal/2.png", "scratched"),
        {"source-ref": "s3://bucket/normal/3.png"},
        {
            **line("anomaly/0.png", "anomaly", **{"creation-date": "Mon Aug 22 2022 13:52:52"}),
            "m-ref": "s3://bucket/normal/0.png",
            "m-ref-metadata": {
                "internal-color-map": {"0": {"class-name": "c", "hex-color": "#23A436"}}
            },
        },
    ]
    create(project, world.put_manifest(["\ufeff" + json.dumps(lines[0]), *lines[1:], "", "  "]))
    described = waits.dataset(project)
    assert described["ImageStats"] == {"Total": 5, "Labeled": 3, "Normal": 1, "Anomaly": 2}
    assert described["StatusMessage"] == (
        "The dataset was created successfully. 1 line has a class-name other than normal and"
        " anomaly, hence no label: scratched (1)."
    )


def test_the_newest_of_several_labels_counts_and_the_others_are_told(
    world: Any, project: LookoutClient, waits: Any
) -> None:
    world.put_images(2, 0)
    verified = {"class-name": "good", "type": "groundtruth/label-verification"}
    lines = [
        line(f"normal/{number}.png", **{"creation-date": "2020-01-01"})
        | {"y-metadata": line("", "anomaly", **{"creation-date": date})["x-metadata"]}
        | {"v-metadata": verified}
        for number, date in enumerate(("2021-01-01", "2019-01-01"))
    ]
    create(project, world.put_manifest(lines))
    described = waits.dataset(project)
    assert described["ImageStats"] == {"Total": 2, "Labeled": 2, "Normal": 1, "Anomaly": 1}
    assert "2 lines have labels that differ: the newest" in described["StatusMessage"]
    assert "not that of x (1), y (1)" in described["StatusMessage"]
    changes = json.dumps(line("normal/0.png", "odd") | {"v-metadata": verified}).encode()
    project.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=changes)
    told = waits.dataset(project)["StatusMessage"]
    assert told.startswith("The dataset was updated successfully. 1 line has a class-name other")
    assert "odd (1)" in told


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["{"], "Line 1 is no JSON"),
        ([line("normal/0.png"), "[]"], "Line 2 is no JSON object"),
        ([{"x": 1}], "Line 1 has no source-ref"),
        ([{"source-ref": "normal/0.png"}], "no object's address"),
        ([{"source-ref": "s3://bucket/../../etc/passwd"}], "1 object that does not exist"),
        ([{"source-ref": "s3://bucket//normal/0.png"}], "1 object that does not exist"),
        ([{"source-ref": "s3://bucket/a\ud800.png"}], r"no object's address: s3://bucket/a\ud800"),
        ([{"source-ref": "s3://buck\ud800et/a.png"}], "no object's address: s3://buck"),
        (
            [masked(line("normal/0.png"), "s3://buck\ud800et/m.png")],
            "Line 1 has a m-ref that is no",
        ),
        ([masked(line("normal/0.png"), "s3://bucket/\ud800.png")], "Line 1 has a m-ref that is no"),
        ([line("normal/0.png"), line("gone.png"), line("g.png")], "2 objects that do not exist"),
        ([line("normal/0.png"), line("gone.png")], "on line 2, is s3://bucket/gone.png"),
        ([line("normal/0.png"), line("normal/0.png", "anomaly")], "Lines 1 and 2 give"),
        ([line("normal/0.png", note="x" * 9000)], "8192 are allowed"),
        (
            [line("normal/0.png"), "x" * 2**21],
            "Line 2 of the manifest train.manifest has no end within 1048576 bytes",
        ),
        (
            [line("normal/0.png"), {"source-ref": "s3://other/1.png"}],
            "all images of a dataset must lie in one bucket",
        ),
    ],
)
def test_a_bad_manifest_fails_and_says_where(
    lines: Any, told: str, world: Any, project: LookoutClient, waits: Any
) -> None:
    world.put_images(1, 0)
    create(project, world.put_manifest(lines))
    with pytest.raises(LookoutError, match="CREATE_FAILED") as caught:
        waits.dataset(project)
    assert told in caught.value.message
    project.delete_dataset(ProjectName="p", DatasetType="train")


def test_a_local_bucket_has_no_versions(world: Any, project: LookoutClient, waits: Any) -> None:
    source = world.put_manifest(world.put_images(1, 0))
    source["GroundTruthManifest"]["S3Object"]["VersionId"] = "v1"
    create(project, source)
    with pytest.raises(LookoutError, match="CREATE_FAILED") as caught:
        waits.dataset(project)
    assert "a local bucket keeps none; leave VersionId out" in caught.value.message


def test_a_missing_manifest_or_one_too_large_fails(world: Any, waits: Any) -> None:
    client = world.client(quotas=Quotas(max_manifest_bytes=10))
    client.create_project(ProjectName="p")
    source = world.put_manifest(world.put_images(1, 0))
    world.bucket.put("empty", b"")
    for bad, told in ((source, "10 are allowed"), (missing(), "does not exist; upload it first")):
        create(client, bad)
        with pytest.raises(LookoutError, match=told):
            waits.dataset(client)
        client.delete_dataset(ProjectName="p", DatasetType="train")


def missing() -> dict[str, Any]:
    return {"GroundTruthManifest": {"S3Object": {"Bucket": "bucket", "Key": "gone.manifest"}}}


def test_a_second_dataset_of_a_type_is_a_conflict_until_the_first_is_deleted(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    source = world.put_manifest(world.put_images(1, 1))
    with pytest.raises(client.exceptions.ConflictException):
        create(client, source)
    client.delete_dataset(ProjectName="p", DatasetType="train")
    create(client, source)
    assert waits.dataset(client)["ImageStats"]["Total"] == 2


def test_what_is_not_there_is_not_found(project: LookoutClient) -> None:
    for call in (project.describe_dataset, project.delete_dataset, project.list_dataset_entries):
        with pytest.raises(project.exceptions.ResourceNotFoundException) as caught:
            call(ProjectName="p", DatasetType="train")
        assert caught.value.response["ResourceType"] == "DATASET"


def entries(client: LookoutClient, **filters: Any) -> list[str]:
    pages = client.get_paginator("list_dataset_entries").paginate(
        ProjectName="p", DatasetType="train", PaginationConfig={"PageSize": 3}, **filters
    )
    lines = [json.loads(each) for page in pages for each in page["DatasetEntries"]]
    return [each["source-ref"].removeprefix("s3://bucket/") for each in lines]


def test_entries_are_filtered_and_paged(world: Any, project: LookoutClient, waits: Any) -> None:
    world.put_images(4, 2)
    lines = [
        line("normal/0.png", **{"creation-date": "2021-01-01T00:00:00.000"}),
        line("normal/1.png", **{"creation-date": "2021-06-01T00:00:00Z"}),
        line("normal/2.png", "other"),
        line("anomaly/0.png", "anomaly", **{"creation-date": "2021-06-01T00:00:00.000"}),
        line("anomaly/1.png", "anomaly"),
    ]
    create(project, world.put_manifest(lines))
    waits.dataset(project)
    assert len(entries(project)) == 5
    assert entries(project, Labeled=False) == ["normal/2.png"]
    assert len(entries(project, Labeled=True)) == 4
    assert entries(project, AnomalyClass="anomaly") == ["anomaly/0.png", "anomaly/1.png"]
    assert entries(project, SourceRefContains="y/1") == ["anomaly/1.png"]
    march = datetime(2021, 3, 1, tzinfo=UTC)
    assert entries(project, BeforeCreationDate=march) == ["normal/0.png"]
    later = entries(project, AfterCreationDate=march, AnomalyClass="normal")
    assert later == ["normal/1.png"]
    june = datetime(2021, 6, 1, tzinfo=UTC)  # when anomaly/0.png was labelled, to the second
    assert "anomaly/0.png" not in entries(project, BeforeCreationDate=june)
    assert entries(project, AfterCreationDate=june) == []


def test_a_line_that_is_replaced_is_found_by_its_new_date(
    dataset: Any, client: LookoutClient, waits: Any
) -> None:
    update: Any = {"ProjectName": "p", "DatasetType": "train"}
    newer = line("normal/3.png", "normal", **{"creation-date": "2023-01-01T00:00:00.000"})
    client.update_dataset_entries(**update, Changes=json.dumps(newer))
    waits.dataset(client)
    year = datetime(2022, 1, 1, tzinfo=UTC)
    assert entries(client, AfterCreationDate=year) == ["normal/3.png"]


def test_an_update_survives_what_else_happens_to_the_project_meanwhile(
    dataset: Any, world: Any, client: LookoutClient, waits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lfvpipe.service.jobs import contents

    go, real = Event(), contents._check_exist

    def held(runtime: Any, content: Any, wanted: Any) -> None:
        if content.changes is not None:
            go.wait(60)
        real(runtime, content, wanted)

    monkeypatch.setattr(contents, "_check_exist", held)
    relabelled = json.dumps(line("normal/0.png", "anomaly"))
    client.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=relabelled)
    # Each of these removes the contents that nothing needs any more.
    create(client, world.put_manifest(world.put_images(2, 2), "test.manifest"), "test")
    waits.dataset(client, "test")
    client.delete_dataset(ProjectName="p", DatasetType="test")
    go.set()
    assert waits.dataset(client)["ImageStats"]["Anomaly"] == 5


def test_an_update_that_failed_leaves_nothing_behind(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    where: Any = {"ProjectName": "p", "DatasetType": "train"}
    client.update_dataset_entries(**where, Changes=b'{"source-ref": "s3://bucket/gone.png"}')
    with pytest.raises(LookoutError, match="ROLLBACK_COMPLETE"):
        waits.dataset(client)
    with closing(sqlite3.connect(world.state_dir / "service.db")) as database:
        assert database.execute("SELECT COUNT(*) FROM contents").fetchone() == (1,)
        assert database.execute("SELECT COUNT(*) FROM entries").fetchone() == (10,)


def test_what_went_wrong_is_told_in_the_services_words_not_a_pipelines(
    project: LookoutClient, waits: Any
) -> None:
    where = {"Bucket": "nobodys-bucket", "Key": "train.manifest"}
    create(project, {"GroundTruthManifest": {"S3Object": where}})
    with pytest.raises(LookoutError) as caught:
        waits.dataset(project)
    message = str(caught.value)
    assert "The bucket nobodys-bucket does not exist." in message
    for pipelines in ("lfvpipe", "`", "run again", "endpoint"):
        assert pipelines not in message


def test_an_update_replaces_and_adds_lines(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    world.put_images(7, 4)
    changes = [line("normal/0.png", "anomaly"), line("normal/6.png")]
    body = "\n".join(map(json.dumps, changes))
    made = client.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=body)
    assert (made["Status"], made["ResponseMetadata"]["HTTPStatusCode"]) == (
        "UPDATE_IN_PROGRESS",
        202,
    )
    described = waits.dataset(client)
    assert described["Status"] == "UPDATE_COMPLETE"
    assert described["ImageStats"] == {"Total": 11, "Labeled": 11, "Normal": 6, "Anomaly": 5}
    found = client.list_dataset_entries(
        ProjectName="p", DatasetType="train", SourceRefContains="normal/0.png"
    )["DatasetEntries"]
    assert [json.loads(each) for each in found] == changes[:1]
    assert entries(client)[-1] == "normal/6.png"


@pytest.mark.parametrize("bad", ["{", json.dumps(line("gone.png")), '{"source-ref": "s3://o/k"}'])
def test_a_bad_update_is_rolled_back(
    bad: str, dataset: Any, client: LookoutClient, waits: Any
) -> None:
    before = entries(client)
    body = f"{json.dumps(line('normal/0.png', 'anomaly'))}\n{bad}"
    client.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=body)
    with pytest.raises(LookoutError, match=r"UPDATE_FAILED_ROLLBACK_COMPLETE.*[Ll]ine 2"):
        waits.dataset(client)
    described = client.describe_dataset(ProjectName="p", DatasetType="train")
    assert described["DatasetDescription"]["ImageStats"] == dataset["ImageStats"]
    assert entries(client) == before
    good = json.dumps(line("normal/0.png", "anomaly"))
    client.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=good)
    assert waits.dataset(client)["ImageStats"]["Anomaly"] == 5


def test_an_update_of_ten_megabytes_is_taken_and_more_is_refused(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    note = "x" * 8000
    changes = [json.dumps(line(f"normal/{n % 6}.png", note=note)) for n in range(1200)]
    body = "\n".join(changes)
    body += "\n" * (10_485_760 - len(body))
    client.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=body)
    assert waits.dataset(client)["ImageStats"] == dataset["ImageStats"]
    with pytest.raises(client.exceptions.ValidationException):
        client.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=body + "\n")


def test_pages_of_entries_survive_a_restart_and_an_update(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    options: Any = {"ProjectName": "p", "DatasetType": "train", "AnomalyClass": "normal"}
    page = client.list_dataset_entries(**options, MaxResults=4)
    world.put_images(7, 4)
    body = "\n".join(
        json.dumps(each) for each in (line("normal/0.png", "anomaly"), line("normal/6.png"))
    )
    client.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=body)
    waits.dataset(client)
    rest = world.client().list_dataset_entries(**options, NextToken=page["NextToken"])
    names = [json.loads(each)["source-ref"][-12:] for each in rest["DatasetEntries"]]
    assert names == ["normal/4.png", "normal/5.png", "normal/6.png"]
    assert "NextToken" not in rest


def test_an_update_while_another_is_under_way_is_a_conflict(
    dataset: Any, client: LookoutClient, waits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lfvpipe.service.jobs import contents

    go = Event()
    real = contents._check_exist

    def held(*arguments: Any) -> None:
        go.wait(60)
        real(*arguments)

    monkeypatch.setattr(contents, "_check_exist", held)
    update: Any = {"ProjectName": "p", "DatasetType": "train"}
    good = json.dumps(line("normal/0.png", "anomaly"))
    client.update_dataset_entries(**update, Changes=good)
    with pytest.raises(client.exceptions.ConflictException):
        client.update_dataset_entries(**update, Changes=good)
    described = client.describe_dataset(**update)["DatasetDescription"]
    assert described["ImageStats"] == dataset["ImageStats"]  # as it was, until the update is done
    assert len(client.list_dataset_entries(**update)["DatasetEntries"]) == 10
    go.set()
    assert waits.dataset(client)["ImageStats"]["Anomaly"] == 5


def test_images_are_looked_for_with_one_listing(
    world: Any, project: LookoutClient, waits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lfvpipe.storage.local import LocalBucket

    source = world.put_manifest(world.put_images())
    called: list[str] = []

    def noted(name: str) -> Any:
        method = getattr(LocalBucket, name)

        def call(bucket: LocalBucket, key: str = "", **options: Any) -> Any:
            called.append(f"{name} {key}")
            return method(bucket, key, **options)

        return call

    monkeypatch.setattr(LocalBucket, "list", noted("list"))
    monkeypatch.setattr(LocalBucket, "head", noted("head"))
    create(project, source)
    waits.dataset(project)
    assert called == ["head train.manifest", "list "]


def test_what_s3_takes_as_a_key_is_read_and_so_is_an_older_manifest(
    s3: str, tmp_path: Path, waits: Any
) -> None:
    buckets = connect(s3, region="us-east-1", root=tmp_path)
    world = World(tmp_path, buckets)
    world.bucket.create()
    admin = boto3.client("s3", endpoint_url=s3, region_name="us-east-1")
    admin.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    keys = ["normal/0.png", "a//0.png", "/lead/0.png", "./0.png", "a/../0.png", "a\t/0.png"]
    for key in keys:
        world.bucket.put(key, picture(GREEN))
    text = "\n".join(json.dumps(line(key)) for key in keys).encode()
    manifest = "m//odd.manifest"
    first = admin.put_object(Bucket="bucket", Key=manifest, Body=text)["VersionId"]
    admin.put_object(Bucket="bucket", Key=manifest, Body=b"no manifest")
    client = world.client()
    client.create_project(ProjectName="p")
    named = {"Bucket": "bucket", "Key": manifest, "VersionId": first}
    create(client, {"GroundTruthManifest": {"S3Object": named}})
    assert waits.dataset(client)["ImageStats"]["Normal"] == len(keys)
    named = named | {"VersionId": "none-such"}
    create(client, {"GroundTruthManifest": {"S3Object": named}}, "test")
    with pytest.raises(LookoutError, match="has no version none-such"):
        waits.dataset(client, kind="test")
    for service in world.services:
        service.close()


@pytest.mark.parametrize(
    ("keys", "folder"),
    [
        (["a/b/1.png"], "a/b/"),
        (["a/b/1.png", "a/b/2.png"], "a/b/"),
        (["a/b/1.png", "a/b/c/2.png"], "a/b/"),
        (["a/b1/1.png", "a/b2/1.png", "a/b3/1.png"], "a/"),
        (["a/1.png", "b/1.png"], ""),
        (["1.png", "10.png"], ""),
    ],
)
def test_no_more_is_listed_than_the_folder_that_all_images_lie_in(
    keys: list[str], folder: str
) -> None:
    from lfvpipe.service.jobs.contents import _common_prefix

    assert _common_prefix(keys) == folder


def test_a_cancelled_wait_ends_at_once(world: Any, project: LookoutClient) -> None:
    from lfvpipe.engine.step import Cancelled
    from lfvpipe.lookout.waiters import wait_for_dataset

    cancelled = Event()
    project.create_dataset(ProjectName="p", DatasetType="train")
    handler = project.meta.events

    def busy(parsed: Any, **_: Any) -> None:
        parsed["DatasetDescription"]["Status"] = "CREATE_IN_PROGRESS"
        cancelled.set()

    handler.register("after-call.lookoutvision.DescribeDataset", busy)
    with pytest.raises(Cancelled, match="CREATE_IN_PROGRESS"):
        wait_for_dataset(
            project,
            project="p",
            dataset_type="train",
            on_status=lambda _status, _message: None,
            cancelled=cancelled,
        )
