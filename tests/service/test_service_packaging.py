import json
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest

from lfvpipe.lookout.api import LookoutClient

LOCATION = {"Bucket": "bucket", "Prefix": "components/"}
TARGET = {"Os": "LINUX", "Arch": "X86_64"}


def start(client: LookoutClient, name: str = "Comp", job: str = "job-1", **more: Any) -> str:
    greengrass = {"S3OutputLocation": LOCATION, "ComponentName": name, "TargetPlatform": TARGET}
    greengrass = {k: v for k, v in (greengrass | more).items() if v is not None}
    return str(
        client.start_model_packaging_job(
            ProjectName="p",
            ModelVersion="1",
            JobName=job,
            Configuration={"Greengrass": greengrass},
        )["JobName"]
    )


def finished(client: LookoutClient, job: str = "job-1") -> Any:
    while True:
        found = client.describe_model_packaging_job(ProjectName="p", JobName=job)
        described = found["ModelPackagingDescription"]
        if described["Status"] not in {"CREATED", "RUNNING"}:
            return described


def test_a_trained_model_becomes_a_component(
    trained: Any, world: Any, client: LookoutClient
) -> None:
    assert start(client) == "job-1"
    described = finished(client)
    assert described["Status"] == "SUCCEEDED"
    made = described["ModelPackagingOutputDetails"]["Greengrass"]
    assert (made["ComponentName"], made["ComponentVersion"]) == ("Comp", "1.0.0")
    with ZipFile(BytesIO(world.bucket.get("components/Comp-1.0.0.zip"))) as archive:
        assert set(archive.namelist()) == {"model.lfv", "recipe.json", "run.py", "requirements.txt"}
        assert json.loads(archive.read("recipe.json"))["ModelArn"] == trained["ModelArn"]
        compile(archive.read("run.py"), "run.py", "exec")
    listed = client.list_model_packaging_jobs(ProjectName="p")["ModelPackagingJobs"]
    assert [each["JobName"] for each in listed] == ["job-1"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"TargetPlatform": None},
        {"TargetDevice": "jetson_xavier"},
        {"CompilerOptions": "no json"},
        {
            "TargetPlatform": {**TARGET, "Accelerator": "NVIDIA"},
            "CompilerOptions": '{"trt-ver": "7"}',
        },
        {"TargetPlatform": None, "TargetDevice": "jetson_xavier", "CompilerOptions": '{"a": 1}'},
    ],
)
def test_a_wrong_target_is_refused(wrong: Any, trained: Any, client: LookoutClient) -> None:
    with pytest.raises(client.exceptions.ValidationException):
        start(client, **wrong)


def test_a_component_or_a_job_that_exists_is_a_conflict(
    trained: Any, client: LookoutClient
) -> None:
    start(client)
    for name, job in (("Comp", "job-2"), ("Other", "job-1")):
        with pytest.raises(client.exceptions.ConflictException) as caught:
            start(client, name, job)
        assert caught.value.response["ResourceType"] == "MODEL_PACKAGE_JOB"
    finished(client)
    start(client, job="job-3", ComponentVersion="1.0.1")


def test_a_missing_output_bucket_fails_the_job(trained: Any, client: LookoutClient) -> None:
    start(client, S3OutputLocation={"Bucket": "nowhere"})
    described = finished(client)
    assert described["Status"] == "FAILED"
    assert "nowhere" in described["StatusMessage"]
