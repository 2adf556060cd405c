"""SIGKILL of the server, and of its training, at bad moments; with the real detector."""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from lfvpipe.lookout.client import LookoutClient, connect
from lfvpipe.lookout.waiters import wait_for_dataset, wait_for_hosting, wait_for_model
from lfvpipe.storage import connect as connect_storage
from tests.soak.kills import end

from .conftest import Process, StartProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's"),
]
NAMED: Any = {"ProjectName": "p"}
VERSION: Any = {"ProjectName": "p", "ModelVersion": "1"}
TRAIN: Any = {"ProjectName": "p", "DatasetType": "train"}
WAITS: Any = {"project": "p", "on_status": lambda _status, _message: None, "cancelled": Event()}
TOKEN = "the-same-token-every-time"


def picture(seed: int, *, defect: bool) -> bytes:
    pixels = np.random.default_rng(seed).normal(140, 18, (64, 64))
    if defect:
        pixels[20:44, 20:44] -= 90
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert("RGB").save(file, "PNG")
    return file.getvalue()


def entry(key: str, label: str) -> str:
    metadata = {
        "class-name": label,
        "human-annotated": "yes",
        "type": "groundtruth/image-classification",
    }
    line = {"source-ref": f"s3://bucket/{key}", "anomaly-label": 0}
    return json.dumps(line | {"anomaly-label-metadata": metadata}) + "\n"


@pytest.fixture
def manifests(tmp_path: Path) -> dict[str, Any]:
    """Store as few images as can be trained on; return the sources of the datasets."""
    buckets = connect_storage("local", region="us-east-1", root=tmp_path / "state" / "buckets")
    bucket = buckets.bucket("bucket")
    bucket.create()
    lines: dict[str, list[str]] = {"train": [], "test": []}
    for number in range(30):
        label = "anomaly" if number >= 20 else "normal"
        bucket.put(f"{number}.png", picture(number, defect=number >= 20))
        lines["train" if number < 10 else "test"].append(entry(f"{number}.png", label))
    for kind, entries in lines.items():
        bucket.put(f"{kind}.manifest", "".join(entries).encode())
    return {
        kind: {"GroundTruthManifest": {"S3Object": {"Bucket": "bucket", "Key": f"{kind}.manifest"}}}
        for kind in lines
    }


@pytest.fixture
def clients() -> Iterator[list[Any]]:
    made: list[Any] = []
    yield made
    for client in made:
        client.close()


def client_of(process: Process, clients: list[Any]) -> LookoutClient:
    client = connect(process.url, region="us-east-1")
    clients.append(client)
    return client


def kill(process: Process) -> None:
    """Kill the server and the workers that it started."""
    workers = psutil.Process(process.popen.pid).children(recursive=True)
    process.popen.kill()
    end(workers)
    process.popen.wait()


def create(client: LookoutClient, manifests: dict[str, Any]) -> None:
    client.create_project(**NAMED, ClientToken=TOKEN)
    for kind, source in manifests.items():
        kinds: Any = {"DatasetType": kind, "DatasetSource": source}
        client.create_dataset(**NAMED, **kinds, ClientToken=f"{TOKEN}-{kind}")


def model(client: LookoutClient) -> str:
    output: Any = {"S3Location": {"Bucket": "bucket", "Prefix": "out/"}}
    made = client.create_model(**NAMED, OutputConfig=output, ClientToken=TOKEN)
    return str(made["ModelMetadata"]["ModelVersion"])


def await_progress(client: LookoutClient) -> None:
    """Return once the training has begun with the images."""
    while True:
        found = client.describe_model(**VERSION)["ModelDescription"]
        assert found["Status"] == "TRAINING"
        if found["StatusMessage"] != "The model is being trained.":
            return


def test_nothing_is_lost_when_the_server_is_killed_while_it_trains_and_while_it_hosts(
    start_process: StartProcess, manifests: dict[str, Any], clients: list[Any]
) -> None:
    first = start_process("--no-auth")
    client = client_of(first, clients)
    create(client, manifests)
    model(client)
    await_progress(client)
    kill(first)

    second = start_process("--no-auth")
    client = client_of(second, clients)
    create(client, manifests)  # a client that never heard the answers asks again
    assert model(client) == "1"
    wait_for_model(client, version="1", **WAITS)
    assert len(client.list_models(**NAMED)["Models"]) == 1
    client.start_model(**VERSION, MinInferenceUnits=1, ClientToken=TOKEN)
    wait_for_hosting(client, version="1", **WAITS)
    image = picture(100, defect=True)
    asked: Any = {**VERSION, "Body": image, "ContentType": "image/png"}
    verdict = client.detect_anomalies(**asked)["DetectAnomalyResult"]
    kill(second)

    third = start_process("--no-auth")
    client = client_of(third, clients)
    started = client.start_model(**VERSION, MinInferenceUnits=1, ClientToken=TOKEN)
    assert started["Status"] == "STARTING_HOSTING"  # the first answer, again
    assert client.describe_model(**VERSION)["ModelDescription"]["Status"] == "HOSTED"
    assert client.detect_anomalies(**asked)["DetectAnomalyResult"] == verdict
    assert client.stop_model(**VERSION)["Status"] == "STOPPING_HOSTING"


def test_an_update_that_is_killed_is_done_whole(
    start_process: StartProcess, manifests: dict[str, Any], clients: list[Any]
) -> None:
    first = start_process("--no-auth")
    client = client_of(first, clients)
    create(client, manifests)
    wait_for_dataset(client, dataset_type="train", **WAITS)
    changes = "".join(entry(f"{number}.png", "anomaly") for number in range(5, 15)).encode()
    update: Any = {**TRAIN, "Changes": changes, "ClientToken": TOKEN}
    client.update_dataset_entries(**update)
    kill(first)

    client = client_of(start_process("--no-auth"), clients)
    assert client.update_dataset_entries(**update)["Status"] == "UPDATE_IN_PROGRESS"
    found = wait_for_dataset(client, dataset_type="train", **WAITS)
    assert found["Status"] == "UPDATE_COMPLETE"
    assert found["ImageStats"] == {"Total": 15, "Labeled": 15, "Normal": 5, "Anomaly": 10}
