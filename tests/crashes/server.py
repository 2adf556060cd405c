"""A service and its client in one process: `main` takes the state's folder and the notes' file.

The client goes through all that it has in mind, and notes what it heard the answer to; should the
process die, the next one begins with what it did not hear of, as clients do. Trainings and
inference units are processes of their own.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfvpipe.lookout.api import LookoutClient

DETECTOR = "mean-colour"
CHANGED = 3  # images that an update calls anomalous
_PROJECT: Any = {"ProjectName": "p"}
_FIRST: Any = {"ProjectName": "p", "ModelVersion": "1"}
_SECOND: Any = {"ProjectName": "p", "ModelVersion": "2"}
_OUTPUT: Any = {"S3Location": {"Bucket": "bucket", "Prefix": "out/"}}
_WAITS: Any = {"project": "p", "on_status": lambda _status, _message: None, "cancelled": Event()}


def main(words: list[str]) -> int:
    """Do what was not heard of yet."""
    from lfvpipe.lookout.client import connect
    from lfvpipe.service.embedded import Service
    from lfvpipe.storage import connect as connect_storage
    from tests.service.conftest import FEW

    state, notes = map(Path, words)
    buckets = connect_storage("local", region="us-east-1", root=state / "buckets")
    folder, region = state / "service", "us-east-1"
    service = Service(folder, buckets, region=region, quotas=FEW, detector=DETECTOR)
    client = connect("embedded", region=region, handler=service.handle_for_owner)
    heard = notes.read_text().splitlines() if notes.exists() else []
    for name, act in intentions(client, state / "buckets" / "bucket").items():
        if name not in heard:
            act()
            with notes.open("a") as opened:
                opened.write(f"{name}\n")
    service.close()
    return 0


def intentions(client: LookoutClient, bucket: Path) -> dict[str, Callable[[], object]]:
    """Return what the client does, in its order; done twice, each is as done once."""
    from lfvpipe.lookout.statuses import ModelStatus
    from lfvpipe.lookout.waiters import wait_for_hosting, wait_for_model, wait_for_model_deletion
    from tests.crashes.laboratory import entry

    changes = "".join(entry(f"{each}.png", "anomaly") for each in range(CHANGED)).encode()
    image = (bucket / "0.png").read_bytes()
    asked: Any = {**_FIRST, "Body": image, "ContentType": "image/png"}

    def create(kind: Any) -> None:
        source: Any = {"S3Object": {"Bucket": "bucket", "Key": f"{kind}.manifest"}}
        given: Any = {"DatasetType": kind, "DatasetSource": {"GroundTruthManifest": source}}
        client.create_dataset(**_PROJECT, **given, ClientToken=f"create-{kind}")
        _dataset(client, kind)

    def update() -> None:
        client.update_dataset_entries(
            **_PROJECT, DatasetType="train", Changes=changes, ClientToken="update"
        )
        _dataset(client, "train")

    def train(version: str) -> None:
        client.create_model(**_PROJECT, OutputConfig=_OUTPUT, ClientToken=f"train-{version}")
        wait_for_model(client, version=version, **_WAITS)

    def start() -> None:
        client.start_model(**_FIRST, MinInferenceUnits=1, ClientToken="start")
        wait_for_hosting(client, version="1", **_WAITS)

    def detect() -> None:
        answer = client.detect_anomalies(**asked)["DetectAnomalyResult"]
        assert answer["IsAnomalous"] is False

    def stop() -> None:
        client.stop_model(**_FIRST, ClientToken="stop")
        wait_for_hosting(client, version="1", target=ModelStatus.TRAINED, **_WAITS)

    def delete_model() -> None:
        with suppress(client.exceptions.ResourceNotFoundException):
            client.delete_model(**_SECOND, ClientToken="delete-2")
        wait_for_model_deletion(client, project="p", version="2")

    def delete_dataset() -> None:
        with suppress(client.exceptions.ResourceNotFoundException):
            client.delete_dataset(**_PROJECT, DatasetType="test", ClientToken="delete-test")

    return {
        "project": lambda: client.create_project(**_PROJECT, ClientToken="project"),
        "training dataset": lambda: create("train"),
        "test dataset": lambda: create("test"),
        "update": update,
        "model": lambda: train("1"),
        "start": start,
        "detect": detect,
        "stop": stop,
        "second model": lambda: train("2"),
        "delete second model": delete_model,
        "delete test dataset": delete_dataset,
    }


def _dataset(client: LookoutClient, kind: Any) -> None:
    from lfvpipe.lookout.waiters import wait_for_dataset

    wait_for_dataset(client, dataset_type=kind, **_WAITS)
