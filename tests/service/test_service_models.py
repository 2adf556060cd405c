import dataclasses
import json
import sqlite3
from contextlib import closing
from threading import Event
from typing import Any

import pytest

from lfvpipe.detector import Settings
from lfvpipe.lookout.api import LookoutClient
from lfvpipe.lookout.failures import LookoutError
from lfvpipe.service.embedded import model_file
from lfvpipe.service.quotas import Quotas
from tests.service.conftest import FEW

OUTPUT = {"S3Location": {"Bucket": "bucket", "Prefix": "out_"}}


def create(client: LookoutClient, **more: Any) -> Any:
    return client.create_model(ProjectName="p", OutputConfig=OUTPUT, **more)["ModelMetadata"]


def evaluation(world: Any, name: str = "out_EvaluationResult-p-1.json") -> Any:
    return json.loads(world.bucket.get(name))


def test_a_model_is_trained_and_evaluated(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    made = create(client, Description="first", KmsKeyId="alias/key")
    assert made["ModelVersion"] == "1"
    assert made["StatusMessage"] == "The model is being trained."
    found = waits.model(client)
    assert (found["Status"], found["StatusMessage"]) == (
        "TRAINED",
        "Training completed successfully.",
    )
    assert found["Performance"] == {"F1Score": 1.0, "Recall": 1.0, "Precision": 1.0}
    assert found["OutputConfig"] == OUTPUT
    assert found["EvaluationResult"] == {"Bucket": "bucket", "Key": "out_EvaluationResult-p-1.json"}
    assert (found["Description"], found["KmsKeyId"]) == ("first", "alias/key")
    assert found["EvaluationEndTimestamp"] >= found["CreationTimestamp"]
    listed = client.list_models(ProjectName="p")["Models"]
    assert [each["Performance"] for each in listed] == [found["Performance"]]
    latest = client.describe_model(ProjectName="p", ModelVersion="latest")["ModelDescription"]
    assert latest == found


def test_the_evaluation_files_are_as_documented(trained: Any, world: Any) -> None:
    result = evaluation(world)
    assert result["Version"] == 1
    details = result["EvaluationDetails"]
    assert (details["NumberOfTrainingImages"], details["NumberOfTestingImages"]) == (8, 2)
    metrics = result["AggregatedEvaluationResults"]["Metrics"]
    assert list(metrics) == ["ROCAUC", "AveragePrecision", "Precision", "Recall", "F1Score"]
    text = world.bucket.get("out_EvaluationManifest-p-1.json").decode()
    lines = [json.loads(each) for each in text.splitlines()]
    assert len(lines) == 2
    for each in lines:
        label = each["anomaly-label-metadata"]["class-name"]
        detected = each["anomaly-label-detected-metadata"]
        assert detected["class-name"] == label
        assert each["anomaly-label-detected"] == int(label == "anomaly")
        assert detected["job-name"] == "training-job/anomaly-detection"
        assert (detected["model-arn"], detected["model-version"]) == (trained["ModelArn"], "1")


def test_a_test_dataset_is_used_as_it_is(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    source = world.put_manifest(world.put_images(2, 2), "test.manifest")
    client.create_dataset(ProjectName="p", DatasetType="test", DatasetSource=source)
    create(client)  # while the test dataset is still being created
    waits.model(client)
    details = evaluation(world)["EvaluationDetails"]
    assert (details["NumberOfTrainingImages"], details["NumberOfTestingImages"]) == (10, 4)
    assert len(world.detector.calls[0][0]) == 10


def test_without_a_training_dataset_no_model_is_created(client: LookoutClient) -> None:
    client.create_project(ProjectName="p")
    with pytest.raises(client.exceptions.ConflictException) as caught:
        create(client)
    assert caught.value.response["ResourceType"] == "DATASET"


def test_a_tag_says_how_much_time_training_may_take(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    create(client, Tags=[{"Key": "lfvpipe:effort", "Value": "thorough"}])
    waits.model(client)
    create(client, Tags=[{"Key": "lfvpipe:effort", "Value": "much"}])
    with pytest.raises(LookoutError, match="one of fast, default, thorough"):
        waits.model(client, "2")
    usual = Settings()
    assert [(each.sides > usual.sides, each.views) for _, each in world.detector.calls] == [
        (True, 4)
    ]


def test_too_few_images_fail_with_what_is_missing(world: Any, dataset: Any, waits: Any) -> None:
    client = world.client(quotas=Quotas())
    create(client)
    with pytest.raises(LookoutError, match=r"TRAINING_FAILED.*6 labelled normal.*at least 20"):
        waits.model(client)
    client.delete_model(ProjectName="p", ModelVersion="1")


@pytest.mark.parametrize(
    ("key", "data", "told"),
    [
        ("normal/1.png", (100, 64), "the same size"),
        ("normal/1.png", (32, 32), "each side must have 64"),
        ("normal/1.png", b"text", "cannot be used"),
        ("normal/1.png", None, "does not exist any more"),
    ],
)
def test_a_bad_image_fails_the_training_by_name(
    key: str, data: Any, told: str, dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    if data is None:
        world.bucket.delete([key])
    else:
        world.bucket.put(key, data if isinstance(data, bytes) else world.picture(data))
    create(client)
    with pytest.raises(LookoutError, match=told) as caught:
        waits.model(client)
    assert key in caught.value.message


def test_what_the_detector_says_is_the_status_message(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    world.detector.error = "the images are all black"
    create(client)
    with pytest.raises(LookoutError, match="all black do better"):
        waits.model(client)


def test_a_missing_output_bucket_fails_before_training(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    nowhere = {"S3Location": {"Bucket": "nowhere"}}
    client.create_model(ProjectName="p", OutputConfig=nowhere)
    with pytest.raises(LookoutError, match="nowhere does not exist"):
        waits.model(client)
    assert world.detector.calls == []


@pytest.mark.parametrize("prefix", ["a//", "x/../y/", "./o/", "x" * 1020])
def test_an_impossible_output_prefix_is_refused_before_training(
    prefix: str, dataset: Any, world: Any, client: LookoutClient
) -> None:
    output = {"S3Location": {"Bucket": "bucket", "Prefix": prefix}}
    with pytest.raises(client.exceptions.ValidationException, match="impossible key"):
        client.create_model(ProjectName="p", OutputConfig=output)
    assert client.list_models(ProjectName="p")["Models"] == []
    assert world.detector.calls == []


def test_a_deleted_model_leaves_nothing_to_one_of_the_same_name(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    def contents() -> int:
        with closing(sqlite3.connect(world.state_dir / "service.db")) as database:
            return int(database.execute("SELECT COUNT(*) FROM contents").fetchone()[0])

    def anew() -> str:
        arn = create(client, Tags=[{"Key": "k", "Value": "v"}])["ModelArn"]
        client.delete_dataset(ProjectName="p", DatasetType="train")
        return str(arn)

    world.detector.hold = Event()  # deleted while it is being trained, and has its content alone
    first = anew()
    assert contents() == 1
    client.delete_model(ProjectName="p", ModelVersion="1")
    while client.list_models(ProjectName="p")["Models"]:
        pass
    assert contents() == 0
    client.delete_project(ProjectName="p")
    client.create_project(ProjectName="p")
    source = world.put_manifest(world.put_images())
    client.create_dataset(ProjectName="p", DatasetType="train", DatasetSource=source)
    waits.dataset(client)
    second = create(client)["ModelArn"]
    assert second == first
    assert client.list_tags_for_resource(ResourceArn=second)["Tags"] == []


def test_deleting_a_model_in_training_cancels_it(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    world.detector.hold = Event()
    create(client)
    assert world.detector.started.wait(30)
    answer = client.delete_model(ProjectName="p", ModelVersion="1")
    assert answer["ModelArn"].endswith(":model/p/1")
    gone(client)
    world.detector.hold.set()
    create(client)
    assert waits.model(client, "2")["ModelVersion"] == "2"  # a version is never used again


def gone(client: LookoutClient) -> None:
    """Look until no model is listed; the worker notices within moments."""
    while client.list_models(ProjectName="p")["Models"]:
        pass


def test_a_training_uses_the_dataset_as_it_was(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    world.detector.hold = Event()
    create(client)
    create(client)  # waits for its turn, or trains beside the first
    client.delete_dataset(ProjectName="p", DatasetType="train")
    source = world.put_manifest(world.put_images(4, 3)[:7], "other.manifest")
    client.create_dataset(ProjectName="p", DatasetType="train", DatasetSource=source)
    waits.dataset(client)
    world.detector.hold.set()
    waits.model(client, "1")
    waits.model(client, "2")
    assert [len(examples) for examples, _ in world.detector.calls] == [8, 8]


def test_a_training_uses_the_dataset_as_it_was_before_an_update_that_was_rolled_back(
    dataset: Any, world: Any, client: LookoutClient, waits: Any, monkeypatch: Any
) -> None:
    from lfvpipe.service.jobs import contents

    go, real = Event(), contents._check_exist

    def held(*arguments: Any) -> None:
        go.wait(60)
        real(*arguments)

    monkeypatch.setattr(contents, "_check_exist", held)
    idle = world.client(launch=lambda _runtime: lambda: True)  # its trainings wait
    where: Any = {"ProjectName": "p", "DatasetType": "train"}
    idle.update_dataset_entries(**where, Changes=b'{"source-ref": "s3://bucket/gone.png"}')
    create(idle)
    go.set()
    with pytest.raises(LookoutError, match="ROLLBACK_COMPLETE"):
        waits.dataset(idle)
    idle.delete_dataset(**where)
    waits.model(client)
    assert [len(examples) for examples, _ in world.detector.calls] == [8]


def test_a_model_in_training_cannot_be_deleted_as_documented(
    dataset: Any, world: Any, waits: Any
) -> None:
    client = world.client(quotas=dataclasses.replace(FEW, cancel_trainings=False))
    world.detector.hold = Event()
    create(client)
    assert world.detector.started.wait(30)
    with pytest.raises(client.exceptions.ConflictException) as caught:
        client.delete_model(ProjectName="p", ModelVersion="1")
    response: Any = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert (response["ResourceType"], response["ResourceId"]) == ("MODEL", "p/1")
    assert "is TRAINING; delete it when its training is over" in response["Message"]
    world.detector.hold.set()
    assert waits.model(client)["Status"] == "TRAINED"
    client.delete_model(ProjectName="p", ModelVersion="1")
    gone(client)


@pytest.mark.parametrize("queued", [0, 1])
def test_one_training_more_than_may_wait_in_line_is_refused(
    queued: int, dataset: Any, world: Any, waits: Any
) -> None:
    quotas = dataclasses.replace(FEW, concurrent_trainings=2, queued_trainings=queued)
    client = world.client(quotas=quotas)
    world.detector.hold = Event()
    for _ in range(2 + queued):
        create(client)
    with pytest.raises(client.exceptions.ServiceQuotaExceededException) as caught:
        create(client)
    response: Any = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 402
    assert "2 trainings are under way" in response["Message"]
    assert ("1 wait in line" in response["Message"]) is bool(queued)
    world.detector.hold.set()
    for version in range(2 + queued):
        waits.model(client, str(version + 1))
    create(client)


def test_two_trainings_go_on_at_once_and_the_rest_wait(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    world.detector.hold = Event()
    for _ in range(4):
        create(client)
    while len(world.detector.calls) < 2:
        client.list_models(ProjectName="p")
    for _ in range(20):
        client.list_models(ProjectName="p")
    assert len(world.detector.calls) == 2
    world.detector.hold.set()
    for version in "1234":
        assert waits.model(client, version)["Status"] == "TRAINED"
    assert len(world.detector.calls) == 4


def test_what_waits_is_trained_oldest_first(dataset: Any, world: Any, waits: Any) -> None:
    idle = world.client(launch=lambda _runtime: lambda: True)
    for _ in range(3):
        create(idle)
    one_at_a_time = dataclasses.replace(world.services[0].quotas, concurrent_trainings=1)
    client = world.client(quotas=one_at_a_time)
    ended = [waits.model(client, version)["EvaluationEndTimestamp"] for version in "123"]
    assert ended == sorted(ended)
    assert len(set(ended)) == 3


def test_progress_shows_in_the_status_message(
    dataset: Any, world: Any, client: LookoutClient, waits: Any
) -> None:
    world.detector.hold = Event()
    create(client)
    looks = (
        client.describe_model(ProjectName="p", ModelVersion="1")["ModelDescription"][
            "StatusMessage"
        ]
        for _ in iter(int, 1)
    )
    said = next(message for message in looks if "images" in message)
    assert said.startswith("The model is being trained. It ")
    world.detector.hold.set()
    waits.model(client)


def test_a_colour_map_says_what_may_be_in_a_mask_and_the_mask_what_is(
    world: Any, waits: Any
) -> None:
    """Exports list all types of a project in each map, for normal images as well."""
    colours = {
        "0": {"class-name": "BACKGROUND", "hex-color": "#ffffff"},
        "1": {"class-name": "crack", "hex-color": "#23a436"},
        "2": {"class-name": "dent", "hex-color": "#ff0000"},
        "3": {"class-name": "never", "hex-color": "#0000ff"},
    }
    white, green, red = (255, 255, 255), (0x23, 0xA4, 0x36), (255, 0, 0)
    lines = world.put_images(6, 6)
    shown = [white] * 6 + [green] * 3 + [red] * 3
    for number, (each, colour) in enumerate(zip(lines, shown, strict=True)):
        world.bucket.put(f"{number}.png", world.picture((64, 64), colour))
        each["anomaly-mask-ref"] = f"s3://bucket/{number}.png"
        each["anomaly-mask-ref-metadata"] = {"internal-color-map": colours}
    client = world.client(quotas=dataclasses.replace(FEW, min_images_per_label_single=3))
    client.create_project(ProjectName="p")
    source = world.put_manifest(lines)
    client.create_dataset(ProjectName="p", DatasetType="train", DatasetSource=source)
    create(client)
    waits.model(client)
    learnt = {tuple(each.mask_classes) for each in world.detector.calls[0][0]}
    assert learnt == {(), ("crack",), ("dent",)}
    four = world.client(quotas=dataclasses.replace(FEW, min_images_per_label_single=4))
    create(four)
    with pytest.raises(LookoutError, match="crack: the dataset has 3 that show it and no other"):
        waits.model(four, "2")


def test_masks_that_show_nothing_make_no_segmentation_model(
    world: Any, client: LookoutClient, waits: Any
) -> None:
    client.create_project(ProjectName="p")
    lines = world.put_images()
    world.bucket.put("mask.png", world.picture((64, 64), (255, 255, 255)))
    for each in lines:
        each["anomaly-mask-ref"] = "s3://bucket/mask.png"
        colours = {"1": {"class-name": "crack", "hex-color": "#23a436"}}
        each["anomaly-mask-ref-metadata"] = {"internal-color-map": colours}
    source = world.put_manifest(lines)
    client.create_dataset(ProjectName="p", DatasetType="train", DatasetSource=source)
    create(client)
    waits.model(client)
    metrics = evaluation(world)["AggregatedEvaluationResults"]["Metrics"]
    assert "PixelAnomalyClassMetrics" not in metrics


def test_masks_make_a_segmentation_model(world: Any, client: LookoutClient, waits: Any) -> None:
    client.create_project(ProjectName="p")
    lines = world.put_images()
    world.bucket.put("mask.png", world.picture((64, 64), (0x23, 0xA4, 0x36)))
    for each in lines[6:]:
        each["anomaly-mask-ref"] = "s3://bucket/mask.png"
        colours = {"0": {"class-name": "crack", "hex-color": "#23a436"}}
        each["anomaly-mask-ref-metadata"] = {"internal-color-map": colours}
    source = world.put_manifest(lines)
    client.create_dataset(ProjectName="p", DatasetType="train", DatasetSource=source)
    create(client)
    waits.model(client)
    masked = [each for each in world.detector.calls[0][0] if each.mask]
    assert {tuple(each.mask_classes.items()) for each in masked} == {(("crack", "#23A436"),)}
    pixels = evaluation(world)["AggregatedEvaluationResults"]["Metrics"]["PixelAnomalyClassMetrics"]
    assert [(each["ClassName"], each["Recall"]) for each in pixels] == [("crack", 1.0)]
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    waits.hosting(client)
    found = client.detect_anomalies(
        ProjectName="p",
        ModelVersion="1",
        Body=world.bucket.get("anomaly/0.png"),
        ContentType="image/png",
    )["DetectAnomalyResult"]
    assert [each["Name"] for each in found["Anomalies"]] == ["background", "crack"]
    assert found["AnomalyMask"].startswith(b"\x89PNG")


def test_models_come_in_pages(dataset: Any, client: LookoutClient) -> None:
    for _ in range(3):
        create(client)
    page = client.list_models(ProjectName="p", MaxResults=2)
    rest = client.list_models(ProjectName="p", NextToken=page["NextToken"])
    assert [each["ModelVersion"] for each in rest["Models"]] == ["3"]


def test_a_trained_models_file_can_be_found_and_another_ones_not(trained: Any, world: Any) -> None:
    found = model_file(world.state_dir, "us-east-1", "p", "1")
    assert found is not None
    assert found.is_file()
    assert model_file(world.state_dir, "us-east-1", "p", "2") is None
    assert model_file(world.state_dir, "us-east-1", "q", "1") is None
    found.unlink()
    assert model_file(world.state_dir, "us-east-1", "p", "1") is None
    assert model_file(world.state_dir / "elsewhere", "us-east-1", "p", "1") is None
    assert not (world.state_dir / "elsewhere").exists()
