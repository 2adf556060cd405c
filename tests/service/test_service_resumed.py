"""A training whose worker dies goes on from its last stage; and when it is given up."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.detector import Verdict
from lfvpipe.errors import UserError
from lfvpipe.lookout.api import LookoutClient
from lfvpipe.service import locks
from lfvpipe.service.jobs import scheduler
from lfvpipe.service.jobs.training import job
from lfvpipe.service.jobs.training.checkpoints import FileCheckpoints
from lfvpipe.service.runtime import Runtime, open_runtime
from lfvpipe.storage.local import LocalBucket
from tests.service.conftest import FEW, OUTPUT, ColourDetector, ColourModel


class Killed(BaseException):
    """Stands for SIGKILL: nothing that comes after it takes effect."""


class SlowDetector(ColourDetector):
    """Learns in seven stages, and keeps what each came to; `deadly` ones kill it."""

    deadly: frozenset[str] = frozenset()
    learnt: list[str]

    def train(self, *given: Any, checkpoints: Any = None, **options: Any) -> ColourModel:
        options["progress"]("colours", 1, 7)
        checkpoints.begin("these images")
        for stage in "abcdefg":
            if checkpoints.load(stage) is None:
                if stage in self.deadly:
                    raise Killed
                self.learnt.append(stage)
                checkpoints.save(stage, stage.encode)
        return super().train(*given, **options)


@pytest.fixture
def detector(world: Any) -> SlowDetector:
    world.detector = SlowDetector()
    world.detector.learnt = []
    return world.detector  # type: ignore[no-any-return]


@pytest.fixture
def idle(detector: SlowDetector, world: Any, dataset: Any) -> LookoutClient:
    """A client whose model 1 is to be trained, and that starts no worker."""
    client: LookoutClient = world.client(launch=lambda _runtime: lambda: True)
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    return client


@pytest.fixture
def runtime(world: Any, detector: SlowDetector) -> Iterator[Runtime]:
    runtime = open_runtime(world.state_dir, FEW, stand_in=detector)
    yield runtime
    runtime.database.close()


def die(runtime: Runtime) -> None:
    with pytest.raises(Killed):
        job.train(runtime, 1)


def described(client: LookoutClient) -> Any:
    return client.describe_model(ProjectName="p", ModelVersion="1")["ModelDescription"]


def deaths(world: Any) -> int:
    with closing(sqlite3.connect(world.state_dir / "service.db")) as database:
        return int(database.execute("SELECT deaths FROM models").fetchone()[0])


def scratch(world: Any) -> list[Path]:
    return [each for each in (world.state_dir / "scratch").rglob("*") if each.is_file()]


def test_a_worker_that_dies_in_each_stage_is_not_one_that_gets_nowhere(
    idle: LookoutClient, runtime: Runtime, detector: SlowDetector, world: Any
) -> None:
    for stage in "abcdefg":
        for _ in range(3):
            detector.deadly = frozenset(stage)
            die(runtime)
    detector.deadly = frozenset()
    job.train(runtime, 1)
    assert described(idle)["Status"] == "TRAINED"
    assert detector.learnt == list("abcdefg")  # none of them twice
    assert scratch(world) == []


def test_one_that_dies_at_the_same_stage_again_and_again_is_given_up(
    idle: LookoutClient, runtime: Runtime, detector: SlowDetector, world: Any
) -> None:
    detector.deadly = frozenset("c")
    for _ in range(5):
        die(runtime)
    job.train(runtime, 1)
    found = described(idle)
    assert found["Status"] == "TRAINING_FAILED"
    assert "died 5 times (colours) without getting on" in found["StatusMessage"]
    assert scratch(world) == []

    # What it had come to is kept: perhaps it was killed from outside.
    detector.deadly = frozenset()
    idle.create_model(ProjectName="p", OutputConfig=OUTPUT)
    job.train(runtime, 2)
    assert idle.describe_model(ProjectName="p", ModelVersion="2")["ModelDescription"]["Status"] == (
        "TRAINED"
    )
    assert detector.learnt == list("abcdefg")  # none of them twice


@pytest.mark.parametrize("stage", ["_save", "_test", "publish", "models.finish_training"])
def test_what_was_done_before_a_kill_is_not_done_again(
    stage: str,
    idle: LookoutClient,
    runtime: Runtime,
    detector: SlowDetector,
    world: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged: list[Any] = []
    real = ColourModel.detect

    def detect(model: ColourModel, image: Any) -> Verdict:
        judged.append(image)
        return real(model, image)

    monkeypatch.setattr(ColourModel, "detect", detect)

    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(f"lfvpipe.service.jobs.training.job.{stage}", kill)
        die(runtime)
    job.train(runtime, 1)
    assert described(idle)["Status"] == "TRAINED"
    assert detector.learnt == list("abcdefg")
    assert len(detector.calls) == (2 if stage == "_save" else 1)
    assert len(judged) == len(world.bucket.get("out_EvaluationManifest-p-1.json").splitlines())
    assert deaths(world) <= 1


def test_a_model_file_that_was_damaged_meanwhile_is_made_again(
    idle: LookoutClient, runtime: Runtime, detector: SlowDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(job, "_test", kill)
        die(runtime)
    whole = runtime.model_file(1).read_bytes()
    runtime.model_file(1).write_bytes(b"")
    job.train(runtime, 1)
    assert described(idle)["Status"] == "TRAINED"
    assert runtime.model_file(1).read_bytes() == whole
    assert detector.learnt == list("abcdefg")


def test_what_a_training_keeps_goes_with_the_version(
    idle: LookoutClient, runtime: Runtime, detector: SlowDetector, world: Any
) -> None:
    detector.deadly = frozenset("c")
    die(runtime)
    assert scratch(world) != []
    idle.delete_model(ProjectName="p", ModelVersion="1")
    assert idle.list_models(ProjectName="p")["Models"] == []
    assert scratch(world) == []


def test_what_was_downloaded_before_a_kill_is_not_downloaded_again(
    idle: LookoutClient,
    runtime: Runtime,
    detector: SlowDetector,
    monkeypatch: pytest.MonkeyPatch,
    world: Any,
) -> None:
    got: list[str] = []
    real = LocalBucket.get_to

    def get_to(bucket: LocalBucket, key: str, path: Path, **options: Any) -> None:
        got.append(key)
        real(bucket, key, path, **options)

    # As a bucket elsewhere, whose tags are MD5s.
    monkeypatch.setattr(LocalBucket, "get_to", get_to)
    monkeypatch.setattr(LocalBucket, "local_path", lambda _bucket, _key: None)
    tagged(monkeypatch)
    detector.deadly = frozenset("a")
    die(runtime)
    first = list(got)
    kept = sorted((runtime.scratch(locks.model(1)) / "images").iterdir())
    assert len(first) == len(kept)
    kept[0].write_bytes(kept[0].read_bytes()[:-1] + b"?")
    kept[1].unlink()
    got.clear()
    detector.deadly = frozenset()
    job.train(runtime, 1)
    again = [key for key in got if key in first]
    assert len(again) == 2


def tagged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give objects the tags that S3 gives to those of a single part."""
    from dataclasses import replace
    from hashlib import md5

    real = LocalBucket.head

    def head(bucket: LocalBucket, key: str, **options: Any) -> Any:
        found = real(bucket, key, **options)
        return found and replace(found, etag=md5(bucket.get(key)).hexdigest())

    monkeypatch.setattr(LocalBucket, "head", head)


class Unreachable:
    """A bucket that takes nothing until it is `open`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = False
        self.tried = 0
        real = LocalBucket.put

        def put(bucket: LocalBucket, key: str, data: Any) -> None:
            self.tried += 1
            if not self.open:
                raise UserError("Access Denied.")
            real(bucket, key, data)

        monkeypatch.setattr(LocalBucket, "put", put)


def test_evaluation_files_that_cannot_be_written_do_not_cost_the_model(
    dataset: Any, world: Any, waits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.detector.doubts = {"normal": 0.75}
    client, bucket = world.client(), Unreachable(monkeypatch)
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    found = waits.model(client)
    assert found["Status"] == "TRAINED"
    assert "not written yet" in found["StatusMessage"]
    assert "Access Denied" in found["StatusMessage"]
    assert found["Performance"]["F1Score"] == 1.0
    assert "EvaluationManifest" not in found  # it names what is there
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    waits.hosting(client)
    client.stop_model(ProjectName="p", ModelVersion="1")
    waits.hosting(client, "TRAINED")
    bucket.open = True
    monkeypatch.setattr(scheduler, "_PAUSE", 0.0)
    other = world.client()  # one that is opened later tries by itself
    poll(lambda: world.bucket.head("out_EvaluationResult-p-1.json"))
    poll(lambda: "EvaluationManifest" in described(other))
    assert "not written" not in described(other)["StatusMessage"]
    lines = world.bucket.get("out_EvaluationManifest-p-1.json").splitlines()
    tested = json.loads(world.bucket.get("out_EvaluationResult-p-1.json"))["EvaluationDetails"]
    assert len(lines) == tested["NumberOfTestingImages"]
    assert world.bucket.get("out_TrainingVerdicts-p-1.json").count(b"0.75") > 0
    spare = world.state_dir / "models" / "1" / "EvaluationManifest.json"  # for damage later
    assert spare.read_bytes().splitlines() == lines
    assert len(world.detector.calls) == 1


def test_a_store_is_not_asked_at_every_look(
    dataset: Any, world: Any, waits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "_PAUSE", 3600.0)
    client, bucket = world.client(), Unreachable(monkeypatch)
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    waits.model(client)
    for _ in range(20):
        described(client)
    assert bucket.tried <= 2


def poll(condition: Callable[[], Any]) -> None:
    from threading import Event

    pause = Event()  # never set
    while not condition():
        pause.wait(0.01)


@pytest.mark.parametrize("damage", [b"", b"\0" * 40, None])
def test_a_checkpoint_that_is_damaged_is_as_if_it_was_not_there(
    damage: bytes | None, tmp_path: Path
) -> None:
    kept = FileCheckpoints(tmp_path, 1000, lambda: None)
    kept.save("a/b: c", lambda: b"what it came to")
    assert FileCheckpoints(tmp_path, 1000, lambda: None).load("a/b: c") == b"what it came to"
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-1] if damage is None else damage)
    assert kept.load("a/b: c") is None
    assert list(tmp_path.iterdir()) == []


def test_bulky_checkpoints_are_bounded_and_others_are_not(tmp_path: Path) -> None:
    told: list[int] = []
    kept = FileCheckpoints(tmp_path, 1000, lambda: told.append(1))
    for number in range(5):
        kept.save(f"features: {number}", lambda: b"x" * 300, bulky=True)
    kept.save("network", lambda: b"x" * 300)
    assert [kept.load(f"features: {each}") is not None for each in range(5)] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert kept.load("network") is not None
    assert len(told) == 4  # what was left out is no progress
    kept.discard("features: ")
    assert kept.load("features: 0") is None
    kept.save("features: 0", lambda: b"x" * 300, bulky=True)
    assert kept.load("features: 0") is not None


def test_checkpoints_of_anything_else_are_forgotten(tmp_path: Path) -> None:
    kept = FileCheckpoints(tmp_path, 1000, lambda: None)
    kept.begin("these images")
    kept.save("a", lambda: b"1")
    again = FileCheckpoints(tmp_path, 1000, lambda: None)
    again.begin("these images")
    assert again.load("a") == b"1"
    again.begin("others")
    assert again.load("a") is None


def test_a_disk_that_takes_no_checkpoint_does_not_end_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stages").write_text("no folder")
    kept = FileCheckpoints(tmp_path / "stages", 1000, lambda: None)
    kept.begin("these images")
    kept.save("a", lambda: b"1", bulky=True)
    kept.save("b", lambda: b"1")
    assert kept.load("a") is None


def test_a_version_deleted_before_its_files_are_written_leaves_none(
    dataset: Any, world: Any, waits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, real = world.client(), LocalBucket.put

    def put(bucket: LocalBucket, key: str, data: Any) -> None:
        if "EvaluationResult" in key:
            raise UserError("Access Denied.")
        real(bucket, key, data)

    monkeypatch.setattr(LocalBucket, "put", put)
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    waits.model(client)
    assert world.bucket.head("out_EvaluationManifest-p-1.json")
    client.delete_model(ProjectName="p", ModelVersion="1")
    # Who tries to write the files meanwhile has the model's lock: then the next look deletes it.
    poll(lambda: not client.list_models(ProjectName="p")["Models"])
    assert [info.key for info in world.bucket.list("out_")] == []
