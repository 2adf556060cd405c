"""Current boto3 and the JavaScript SDK against `lfvpipe serve`, with images in SeaweedFS."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .conftest import Images, Server

GIVEN = ("ProjectName", "ModelVersion")


def test_boto3_sees_what_the_tutorial_shows(hosted: Any, images: Images) -> None:
    client, model = hosted.client, dict(zip(GIVEN, (hosted.project, "1"), strict=True))
    description = client.describe_model(**model)["ModelDescription"]
    assert description["Status"] == "HOSTED"
    assert description["StatusMessage"] == "The model is running."
    for label in ("normal", "anomaly"):
        image = (images.folder / label / "020.png").read_bytes()
        said = client.detect_anomalies(**model, Body=image, ContentType="image/png")
        assert said["DetectAnomalyResult"]["IsAnomalous"] is (label == "anomaly")
    pages = client.get_paginator("list_dataset_entries").paginate(
        ProjectName=hosted.project, DatasetType="train", PaginationConfig={"PageSize": 3}
    )
    assert sum(len(page["DatasetEntries"]) for page in pages) == 10
    with pytest.raises(client.exceptions.ConflictException) as refused:
        client.start_model(**model, MinInferenceUnits=1)
    assert refused.value.response["ResourceType"] == "MODEL"
    result = description["EvaluationResult"]
    body = hosted.s3.get_object(Bucket=result["Bucket"], Key=result["Key"])["Body"].read()
    assert json.loads(body)["EvaluationDetails"]["NumberOfTestingImages"] == 20


def test_javascript_is_served_like_any_client(
    hosted: Any, server: Server, javascript: Path, images: Images
) -> None:
    script = Path(__file__).with_name("client.cjs")
    image = images.folder / "anomaly" / "020.png"
    done = subprocess.run(
        ["node", str(script), hosted.project, hosted.bucket, str(image)],
        env=server.environment | {"NODE_PATH": str(javascript / "node_modules")},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["made"]["ProjectName"] == "made-by-javascript"
    conflict = {"name": "ConflictException", "status": 409, "resource": "PROJECT"}
    missing = {"name": "ResourceNotFoundException", "status": 404, "resource": "PROJECT"}
    invalid = {"name": "ValidationException", "status": 400, "resource": None}
    known = {"typed": True, "requestId": True}
    assert said["again"] == conflict | known
    assert said["missing"] == missing | known
    assert said["invalid"] == said["gif"] == invalid | known
    assert said["creating"] == "CREATE_IN_PROGRESS"
    assert said["stats"] == {"Anomaly": 10, "Labeled": 20, "Normal": 10, "Total": 20}
    assert said["entries"] == 20
    assert said["updating"] == "UPDATE_IN_PROGRESS"
    assert said["updated"] == {"Anomaly": 11, "Labeled": 20, "Normal": 9, "Total": 20}
    assert said["created"] is True
    assert said["status"] == "HOSTED"
    assert said["detected"]["IsAnomalous"] is True
    assert said["tags"] == [{"Key": "line/ü", "Value": "a b"}]
    assert said["deleted"].endswith(":project/made-by-javascript")
