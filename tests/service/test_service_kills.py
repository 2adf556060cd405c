"""What is left when a process is killed, with the real detector and real processes."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

import lfvpipe
from lfvpipe import atomic
from lfvpipe.lookout.client import LookoutClient
from tests.service.conftest import OUTPUT, World
from tests.soak.kills import end

pytestmark = pytest.mark.slow

HOST = """
import sys, time
from pathlib import Path
from lfvpipe.lookout.client import connect
from lfvpipe.service.embedded import Service
from lfvpipe.service.quotas import Quotas
from lfvpipe.storage import connect as storage
root = Path(sys.argv[1])
buckets = storage("local", region="us-east-1", root=root / "buckets")
quotas = Quotas(min_single_normal=4, min_single_anomaly=3)
service = Service(root / "service", buckets, region="us-east-1", quotas=quotas)
client = connect("embedded", region="us-east-1", handler=service.handle_for_owner)
"""
CREATE_MODEL = """
client.create_model(
    ProjectName="p", OutputConfig={"S3Location": {"Bucket": "bucket"}}, ClientToken="token"
)
print("created", flush=True)
time.sleep(600)
"""
CREATE_DATASET = """
from lfvpipe.service.jobs import contents
def hang(*_):
    print("creating", flush=True)
    time.sleep(600)
contents._check_exist = hang
client.create_project(ProjectName="p")
manifest = {"S3Object": {"Bucket": "bucket", "Key": "train.manifest"}}
client.create_dataset(
    ProjectName="p", DatasetType="train", DatasetSource={"GroundTruthManifest": manifest}
)
time.sleep(600)
"""
UPDATE = """
from lfvpipe.service.jobs import contents
def hang(*_, **__):
    print("updating", flush=True)
    time.sleep(600)
contents.%s = hang
client.update_dataset_entries(
    ProjectName="p", DatasetType="train", Changes=sys.argv[2], ClientToken="token"
)
time.sleep(600)
"""


@pytest.fixture
def host(tmp_path: Path) -> Any:
    """Start a process that runs a script with a service; it and its workers end with the test."""
    started: list[subprocess.Popen[str]] = []
    workers: list[psutil.Process] = []

    def begin(script: str, *arguments: str) -> subprocess.Popen[str]:
        env = os.environ | {"PYTHONPATH": str(Path(lfvpipe.__file__).parent.parent)}
        command = [sys.executable, "-c", HOST + script, str(tmp_path), *arguments]
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield begin, workers
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    end(workers)


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def workers_of(state_dir: Path) -> list[psutil.Process]:
    """Return the live training workers over `state_dir`."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = process.info["cmdline"] or []
        alive = process.info["status"] != psutil.STATUS_ZOMBIE
        if (
            alive
            and "lfvpipe.service.jobs.training.worker" in command
            and str(state_dir) in command
        ):
            found.append(process)
    return found


def until(condition: Callable[[], Any]) -> Any:
    pause = Event()  # never set: leaves the processor to the worker between two looks
    while not (found := condition()):
        pause.wait(0.02)
    return found


def test_a_dataset_whose_process_was_killed_is_created_by_the_next(
    world: Any, host: Any, waits: Any
) -> None:
    world.put_manifest(world.put_images())
    process = host[0](CREATE_DATASET)
    assert heard(process) == "creating"
    looking = world.client()
    found = looking.describe_dataset(ProjectName="p", DatasetType="train")["DatasetDescription"]
    assert found["Status"] == "CREATE_IN_PROGRESS"
    process.kill()
    process.wait()
    assert waits.dataset(looking)["ImageStats"]["Total"] == 10


@pytest.mark.parametrize("moment", ["_make", "entries.copy", "_check_exist", "_settle"])
def test_an_update_whose_process_was_killed_is_finished_by_the_next(
    moment: str, dataset: Any, world: Any, host: Any, waits: Any
) -> None:
    changes = "\n".join(json.dumps(each) for each in world.put_images(8, 4)[4:])
    relabelled = json.loads(json.dumps(world.put_images(1, 0)[0]).replace('normal"', 'anomaly"'))
    changes += f"\n{json.dumps(relabelled)}"
    process = host[0](UPDATE % moment, changes)
    assert heard(process) == "updating"
    process.kill()
    process.wait()
    idle = world.client()
    where: Any = {"ProjectName": "p", "DatasetType": "train"}
    repeated = idle.update_dataset_entries(**where, Changes=changes, ClientToken="token")
    assert repeated["Status"] == "UPDATE_IN_PROGRESS"  # the client's retry is the same update
    described = waits.dataset(idle)
    assert described["Status"] == "UPDATE_COMPLETE"
    assert described["ImageStats"] == {"Total": 12, "Labeled": 12, "Normal": 7, "Anomaly": 5}
    with closing(sqlite3.connect(world.state_dir / "service.db")) as database:
        query = "SELECT seq FROM sqlite_sequence WHERE name = 'contents'"
        made = database.execute(query).fetchone()  # the dataset's, and one of a single update
    assert made == (2,)
    assert len(idle.list_dataset_entries(**where)["DatasetEntries"]) == 12


def test_a_training_survives_its_host_and_its_own_death(
    world: Any, dataset: Any, host: Any, waits: Any
) -> None:
    photographs(world)
    begin, to_end = host
    process = begin(CREATE_MODEL)
    assert heard(process) == "created"
    process.kill()
    process.wait()
    looking = world.client(launch=lambda _runtime: lambda: False)  # looks, and starts nothing

    def state() -> Any:
        return looking.describe_model(ProjectName="p", ModelVersion="1")["ModelDescription"]

    workers = workers_of(world.state_dir)  # goes on without its host
    to_end.extend(workers)
    assert len(workers) == 1
    workers[0].kill()
    workers[0].wait()
    assert state()["Status"] == "TRAINING"
    client = world.client(stand_in=None)  # the real detector again: starts a worker
    to_end.extend(workers_of(world.state_dir))
    repeated = client.create_model(
        ProjectName="p", OutputConfig={"S3Location": {"Bucket": "bucket"}}, ClientToken="token"
    )
    assert repeated["ModelMetadata"]["ModelVersion"] == "1"
    assert waits.model(client)["Performance"]["F1Score"] == 1.0
    assert len(client.list_models(ProjectName="p")["Models"]) == 1
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    waits.hosting(client)
    for key, expected in (("normal/0.png", False), ("anomaly/0.png", True)):
        answer = client.detect_anomalies(
            ProjectName="p",
            ModelVersion="1",
            Body=world.bucket.get(key),
            ContentType="image/png",
        )
        assert answer["DetectAnomalyResult"]["IsAnomalous"] is expected


def test_what_a_killed_worker_wrote_of_how_long_it_took_goes(
    world: World, dataset: Any, client: LookoutClient, waits: Any
) -> None:
    left = world.state_dir / atomic.temporary_name("pace.json")
    left.write_bytes(b"{")
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    assert waits.model(client)["Status"] == "TRAINED"
    assert not left.exists()


@pytest.mark.parametrize(
    ("stuck", "target"), [("STARTING_HOSTING", "HOSTED"), ("STOPPING_HOSTING", "TRAINED")]
)
def test_hosting_that_a_kill_left_half_way_is_completed(
    stuck: str, target: str, trained: Any, world: Any, client: Any, waits: Any
) -> None:
    write(world, f"UPDATE models SET status = '{stuck}'")
    assert waits.hosting(world.client(), target)["Status"] == target


def test_a_deletion_that_a_kill_left_half_way_is_completed(
    trained: Any, world: Any, client: Any
) -> None:
    write(world, "UPDATE models SET status = 'DELETING'")
    other = world.client()
    assert other.list_models(ProjectName="p")["Models"] == []
    assert list((world.state_dir / "models").iterdir()) == []


def test_a_training_that_keeps_dying_is_given_up(
    dataset: Any, world: Any, client: Any, waits: Any
) -> None:
    from lfvpipe.lookout.failures import LookoutError

    idle = world.client(launch=lambda _runtime: lambda: False)
    idle.create_model(ProjectName="p", OutputConfig={"S3Location": {"Bucket": "bucket"}})
    write(world, "UPDATE models SET deaths = 5")
    with pytest.raises(LookoutError, match="died 5 times"):
        waits.model(client)


def test_a_training_whose_process_never_gets_to_work_is_given_up(
    dataset: Any, world: Any, waits: Any
) -> None:
    from lfvpipe.lookout.failures import LookoutError

    launched = []

    def launch(runtime: Any) -> Any:
        launched.append(runtime)
        return lambda: False

    client = world.client(launch=launch)
    client.create_model(ProjectName="p", OutputConfig={"S3Location": {"Bucket": "bucket"}})
    with pytest.raises(LookoutError, match=r"ended 5 times before .* logs/training.log"):
        waits.model(client)
    assert len(launched) == 5
    client.create_model(ProjectName="p", OutputConfig={"S3Location": {"Bucket": "bucket"}})
    waits.model(world.client(), "2")  # where workers work, it is trained


def test_a_waiting_training_is_not_given_up_for_one_that_keeps_dying(
    dataset: Any, world: Any
) -> None:
    def launch(_runtime: Any) -> Any:  # its worker begins with the older model, and dies
        write(world, "UPDATE models SET attempts = attempts + 1 WHERE version = 1")
        return lambda: False

    client = world.client(launch=launch)
    for _ in range(2):
        client.create_model(ProjectName="p", OutputConfig={"S3Location": {"Bucket": "bucket"}})
    for _ in range(8):
        described = client.describe_model(ProjectName="p", ModelVersion="2")["ModelDescription"]
        assert described["Status"] == "TRAINING"


def photographs(world: Any) -> None:
    """Put images in the bucket that differ, as the detector expects of photographs."""
    random = np.random.default_rng(0)
    for info in list(world.bucket.list()):
        if not info.key.endswith(".png"):
            continue
        pixels = random.normal(128, 10, (64, 64, 3))
        if info.key.startswith("anomaly/"):
            pixels[20:40, 20:40] += 80
        file = BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "PNG")
        world.bucket.put(info.key, file.getvalue())


def write(world: Any, statement: str) -> None:
    import sqlite3

    connection = sqlite3.connect(world.state_dir / "service.db")
    with connection:
        connection.execute(statement)
    connection.close()
