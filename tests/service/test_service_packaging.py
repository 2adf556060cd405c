import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from lfvpipe.lookout.api import LookoutClient
from lfvpipe.service.jobs.packaging.job import package

pytestmark = pytest.mark.slow

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
        names = set(archive.namelist())
        assert {"model.lfv", "recipe.json", "run.py", "requirements.txt"} <= names
        assert "code/lfvpipe/detector/model.py" in names
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


@pytest.mark.parametrize("prefix", ["a//", "x/../y/", "./o/"])
def test_an_impossible_output_prefix_is_refused(
    prefix: str, trained: Any, client: LookoutClient
) -> None:
    with pytest.raises(client.exceptions.ValidationException, match="impossible key"):
        start(client, S3OutputLocation={"Bucket": "bucket", "Prefix": prefix})
    assert client.list_model_packaging_jobs(ProjectName="p")["ModelPackagingJobs"] == []


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


def test_a_job_that_is_over_is_not_done_again(
    trained: Any, world: Any, client: LookoutClient
) -> None:
    start(client)
    before = finished(client)
    world.bucket.delete(["components/Comp-1.0.0.zip"])
    package(world.services[0]._runtime, 1)  # as by a thread that saw the row a moment too early
    assert finished(client) == before
    assert world.bucket.head("components/Comp-1.0.0.zip") is None


_RUN_BARE = """
import runpy, sys
for absent in ("onnx", "boto3", "botocore", "obstore", "structlog", "efficientnet_lite_pytorch"):
    sys.modules[absent] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_component_runs_by_itself_and_judges_as_the_service_does(
    dataset: Any, world: Any, waits: Any, tmp_path: Path, photographed: list[str]
) -> None:
    client = world.client(stand_in=None)  # the real one
    client.create_model(ProjectName="p", OutputConfig={"S3Location": {"Bucket": "bucket"}})
    waits.model(client)
    start(client)
    described = finished(client)
    assert described["Status"] == "SUCCEEDED", described["StatusMessage"]
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    waits.hosting(client)
    folder = tmp_path / "device"
    with ZipFile(BytesIO(world.bucket.get("components/Comp-1.0.0.zip"))) as archive:
        archive.extractall(folder)
    answers = []
    for number, key in enumerate(photographed):
        (folder / f"{number}.png").write_bytes(world.bucket.get(key))
        found = client.detect_anomalies(
            ProjectName="p",
            ModelVersion="1",
            Body=world.bucket.get(key),
            ContentType="image/png",
        )
        answers.append(found["DetectAnomalyResult"])
    (folder / "text.png").write_bytes(b"no image")
    Image.new("RGB", (65, 64)).save(folder / "wide.png")
    Image.new("RGB", (64, 64), "white").save(folder / "blank.png")
    command = [sys.executable, "-I", "-B", "-c", _RUN_BARE, str(folder / "run.py")]
    names = [str(folder / f"{number}.png") for number in range(len(photographed))]
    ran = subprocess.run(
        [*command, *names, *(str(folder / f"{name}.png") for name in ("blank", "wide", "text"))],
        capture_output=True,
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "HOME"}},
        check=False,
    )
    lines = [json.loads(each) for each in ran.stdout.splitlines()]
    assert [line["DetectAnomalyResult"] for line in lines[:-3]] == [
        {**answer, "Confidence": pytest.approx(answer["Confidence"])} for answer in answers
    ], ran.stderr
    assert not any("Unlike" in line for line in lines[:-3])
    assert lines[-3]["Unlike"] >= 1
    assert "has 65x64 pixels; it must have the size of the training images" in lines[-2]["Error"]
    assert "cannot be read as an image" in lines[-1]["Error"]
    assert ran.returncode == 1


@pytest.fixture
def photographed(dataset: Any, world: Any) -> list[str]:
    """Make the dataset's images differ, as photographs do; return the keys of a good and a bad."""
    random = np.random.default_rng(0)
    for info in list(world.bucket.list()):
        if info.key.endswith(".png"):
            pixels = random.normal(128, 10, (64, 64, 3))
            if info.key.startswith("anomaly/"):
                pixels[20:40, 20:40] += 80
            file = BytesIO()
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "PNG")
            world.bucket.put(info.key, file.getvalue())
    return ["normal/0.png", "anomaly/0.png"]


def test_a_component_that_does_not_work_is_not_published(
    trained: Any, world: Any, client: LookoutClient
) -> None:
    real = world.client(stand_in=None)  # cannot read what the stand-in saved
    start(real)
    described = finished(real)
    assert described["Status"] == "FAILED"
    assert "The component does not work" in described["StatusMessage"]
    assert not list(world.bucket.list("components/"))
