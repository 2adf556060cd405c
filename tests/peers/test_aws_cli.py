"""The tutorial's command sequence, by the unmodified AWS CLI, from `create-project` on."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.lookout.client import connect
from lfvpipe.lookout.waiters import wait_for_model

from .conftest import BUCKET, TEST, TRAIN, Images, Server, manifest

PROJECT = "dagm-product-images-anomalies"
NAMED = ("--project-name", PROJECT)


class Cli:
    """Runs `aws`."""

    def __init__(self, site: Path, server: Server) -> None:
        self._url = server.url
        self._environment = server.environment | {"PYTHONPATH": str(site)}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "awscli", *arguments],
            env=self._environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def s3(self, *arguments: str) -> None:
        done = self.run("s3", *arguments)
        assert done.returncode == 0, done.stderr

    def __call__(self, *arguments: str) -> Any:
        """Run a `lookoutvision` command; return its output."""
        done = self.run("lookoutvision", *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def wait_for_training(self) -> None:
        """Wait by boto3: a start of the CLI a look would take the time from the training."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self._environment.items():
                patch.setenv(name, value)
            client: Any = connect(self._url, region="us-east-1")
        waits: Any = {"on_status": lambda _status, _message: None, "cancelled": threading.Event()}
        wait_for_model(client, project=PROJECT, version="1", **waits)
        client.close()

    def until(self, status: str, member: str, *arguments: str) -> Any:
        """Describe until the status is reached."""
        while True:
            found = self(*arguments)[member]
            if found["Status"] == status:
                return found
            assert not found["Status"].endswith("FAILED"), found
            assert found["StatusMessage"]


@pytest.fixture
def cli(awscli: Path, server: Server) -> Cli:
    return Cli(awscli, server)


def test_the_tutorial(cli: Cli, images: Images, tmp_path: Path) -> None:
    upload(cli, images, tmp_path)
    made = cli("create-project", *NAMED)["ProjectMetadata"]
    assert made["ProjectName"] == PROJECT
    assert made["ProjectArn"].endswith(f":project/{PROJECT}")
    create_datasets(cli)
    train(cli)
    detect(cli, images)
    remove(cli)


def upload(cli: Cli, images: Images, tmp_path: Path) -> None:
    folder = tmp_path / "bucket"
    folder.mkdir()
    (folder / "train.manifest").write_text(manifest(images, BUCKET, TRAIN, slice(2)))
    (folder / "test.manifest").write_text(manifest(images, BUCKET, TEST, TEST))
    for label in ("normal", "anomaly"):
        (folder / label).symlink_to(images.folder / label)
    cli.s3("mb", f"s3://{BUCKET}")
    cli.s3("cp", str(folder), f"s3://{BUCKET}", "--recursive")


def create_datasets(cli: Cli) -> None:
    for kind in ("train", "test"):
        source = {"Bucket": BUCKET, "Key": f"{kind}.manifest"}
        made = cli(
            "create-dataset",
            *NAMED,
            *("--dataset-type", kind),
            *("--dataset-source", json.dumps({"GroundTruthManifest": {"S3Object": source}})),
        )["DatasetMetadata"]
        assert made["DatasetType"] == kind
        assert made["Status"] == "CREATE_IN_PROGRESS"
        assert made["StatusMessage"] == "The dataset is creating."
    for kind in ("train", "test"):
        described = ("describe-dataset", *NAMED, "--dataset-type", kind)
        found = cli.until("CREATE_COMPLETE", "DatasetDescription", *described)
        assert found["StatusMessage"] == "The dataset was created successfully."
        anomaly = {"train": 2, "test": 10}[kind]
        total = 10 + anomaly
        stats = {"Total": total, "Labeled": total, "Normal": 10, "Anomaly": anomaly}
        assert found["ImageStats"] == stats
    kinds = cli("describe-project", *NAMED)["ProjectDescription"]["Datasets"]
    assert {each["DatasetType"] for each in kinds} == {"train", "test"}


def train(cli: Cli) -> None:
    location = {"S3Location": {"Bucket": BUCKET, "Prefix": "DAGM_Model/"}}
    made = cli("create-model", *NAMED, "--output-config", json.dumps(location))["ModelMetadata"]
    assert made["ModelVersion"] == "1"
    assert made["Status"] == "TRAINING"
    assert made["StatusMessage"] == "The model is being trained."
    cli.wait_for_training()
    version = ("--model-version", "1")
    found = cli.until("TRAINED", "ModelDescription", "describe-model", *NAMED, *version)
    assert found["StatusMessage"] == "Training completed successfully."
    assert found["Performance"].keys() == {"F1Score", "Recall", "Precision"}
    result = found["EvaluationResult"]
    cli.s3("cp", f"s3://{result['Bucket']}/{result['Key']}", "-")
    (listed,) = cli("list-models", *NAMED)["Models"]
    assert listed["Performance"] == found["Performance"]


def detect(cli: Cli, images: Images) -> None:
    version = ("--model-version", "1")
    started = cli("start-model", *NAMED, *version, "--min-inference-units", "1")
    assert started == {"Status": "STARTING_HOSTING"}
    found = cli.until("HOSTED", "ModelDescription", "describe-model", *NAMED, *version)
    assert found["StatusMessage"] == "The model is running."
    assert found["MinInferenceUnits"] == 1
    for label in ("normal", "anomaly"):
        body = ("--content-type", "image/png", "--body", str(images.folder / label / "020.png"))
        result = cli("detect-anomalies", *NAMED, *version, *body)["DetectAnomalyResult"]
        assert result["Source"] == {"Type": "direct"}
        assert result["IsAnomalous"] in ({True} if label == "anomaly" else {True, False})
        assert 0.5 <= result["Confidence"] <= 1
        assert result.keys() == {"Source", "IsAnomalous", "Confidence"}
    assert cli("stop-model", *NAMED, *version) == {"Status": "STOPPING_HOSTING"}
    cli.until("TRAINED", "ModelDescription", "describe-model", *NAMED, *version)


def remove(cli: Cli) -> None:
    entries = (
        "list-dataset-entries",
        *NAMED,
        "--dataset-type",
        "test",
        "--anomaly-class",
        "anomaly",
    )
    assert len(cli(*entries, "--page-size", "4")["DatasetEntries"]) == 10
    refused = cli.run("lookoutvision", "delete-project", *NAMED)
    assert refused.returncode != 0
    assert "(ConflictException)" in refused.stderr
    cli("delete-model", *NAMED, "--model-version", "1")
    for kind in ("train", "test"):
        cli("delete-dataset", *NAMED, "--dataset-type", kind)
    assert cli("delete-project", *NAMED)["ProjectArn"].endswith(PROJECT)
    names = [each["ProjectName"] for each in cli("list-projects")["Projects"]]
    assert PROJECT not in names
