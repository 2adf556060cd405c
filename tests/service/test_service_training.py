"""What a training does beside the training: clean up, make room, measure."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from lfvpipe.lookout.api import LookoutClient
from lfvpipe.lookout.failures import LookoutError
from lfvpipe.lookout.training_verdicts import read_lines
from lfvpipe.service import locks
from lfvpipe.service.jobs.training import job, progress
from lfvpipe.service.jobs.training.metrics import Metrics, measure
from lfvpipe.service.jobs.training.pixel_metrics import PixelCounts
from lfvpipe.service.jobs.training.worker import work
from lfvpipe.service.quotas import Quotas
from lfvpipe.service.runtime import open_runtime
from tests.service.conftest import FEW

CRACK = (0x23, 0xA4, 0x36)
OUTPUT: Any = {"S3Location": {"Bucket": "bucket"}}


def until(condition: Callable[[], Any]) -> None:
    pause = Event()  # never set
    while not condition():
        pause.wait(0.01)


def test_a_model_deleted_in_training_goes_without_anybody_looking(
    dataset: Any, world: Any, client: LookoutClient
) -> None:
    world.detector.hold = Event()
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    assert world.detector.started.wait(60)
    client.delete_model(ProjectName="p", ModelVersion="1")
    with closing(sqlite3.connect(world.state_dir / "service.db")) as database:
        until(lambda: database.execute("SELECT COUNT(*) FROM models").fetchone() == (0,))


def test_a_training_leaves_no_passing_files(trained: Any, world: Any) -> None:
    until(lambda: not list((world.state_dir / "scratch").iterdir()))


def test_a_worker_ends_where_as_many_as_are_allowed_train_already(dataset: Any, world: Any) -> None:
    idle = world.client(launch=lambda _runtime: lambda: True)
    idle.create_model(ProjectName="p", OutputConfig=OUTPUT)
    runtime = open_runtime(world.state_dir, Quotas(concurrent_trainings=1))
    with runtime.locks.held(locks.training_slot(0)) as ours:
        assert ours
        worker = Thread(target=work, args=(runtime,), daemon=True)
        worker.start()
        worker.join(30)
        assert not worker.is_alive()
    assert world.detector.calls == []
    runtime.database.close()


def test_a_training_that_waits_for_its_dataset_looks_ever_less_often(
    dataset: Any, world: Any, waits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = world.client(launch=lambda _runtime: lambda: True)
    runtime = open_runtime(world.state_dir, FEW, stand_in=world.detector)
    looks: list[float] = []
    with runtime.locks.held(locks.content(2)) as ours:  # as who creates it in another process
        assert ours
        more = json.dumps(world.put_images(7)[6])
        idle.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=more.encode())
        idle.create_model(ProjectName="p", OutputConfig=OUTPUT)

        def sleep(seconds: float) -> None:
            looks.append(seconds)
            if sum(looks) > 600:  # long enough: the other one was killed
                raise SystemExit

        clock = SimpleNamespace(monotonic=lambda: sum(looks), sleep=sleep)
        with monkeypatch.context() as patch:
            patch.setattr(f"{progress.__name__}.time", clock)
            with pytest.raises(SystemExit):
                job.train(runtime, 1)
    assert len(looks) < 600 / 0.2
    job.train(runtime, 1)
    waits.model(idle)
    assert len(world.detector.calls[0][0]) == 9
    runtime.database.close()


@pytest.fixture
def told(world: Any, dataset: Any, client: LookoutClient, waits: Any) -> Any:
    """Return the model of a detector that tells what it said of training images out of fold."""
    world.detector.doubts = {"normal": 0.25, "anomaly": 0.125}
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    return waits.model(client)


def test_what_was_said_of_training_images_lies_beside_the_evaluation(told: Any, world: Any) -> None:
    lines = read_lines(world.bucket.get("TrainingVerdicts-p-1.json"))
    known = [(each.label, each.probability) for each in lines]
    assert sorted(known) == [("anomaly", 0.125)] * 3 + [("normal", 0.25)] * 5
    assert all(each.source.startswith(f"s3://bucket/{each.label}/") for each in lines)
    assert lines == tuple(sorted(lines, key=lambda each: each.source))
    # Clients of the API see nothing of it.
    assert {"EvaluationManifest", "EvaluationResult"} == {n for n in told if "Evaluation" in n} - {
        "EvaluationEndTimestamp"
    }
    assert "Training" not in world.bucket.get("EvaluationResult-p-1.json").decode().replace(
        "NumberOfTrainingImages", ""
    )


def test_a_detector_that_tells_nothing_of_training_images_leaves_no_file(
    trained: Any, world: Any
) -> None:
    assert world.bucket.head("out_TrainingVerdicts-p-1.json") is None


def test_a_training_that_was_killed_after_learning_tells_the_same_of_its_images(
    dataset: Any, world: Any, client: LookoutClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.detector.doubts = {"normal": 0.25, "anomaly": 0.125}
    idle = world.client(launch=lambda _runtime: lambda: True)
    idle.create_model(ProjectName="p", OutputConfig=OUTPUT)
    runtime = open_runtime(world.state_dir, FEW, stand_in=world.detector)

    def die(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(f"{job.__name__}.evaluate", die)
        with pytest.raises(SystemExit):
            job.train(runtime, 1)
    job.train(runtime, 1)
    assert len(world.detector.calls) == 1
    lines = read_lines(world.bucket.get("TrainingVerdicts-p-1.json"))
    assert {(each.label, each.probability) for each in lines} == {
        ("normal", 0.25),
        ("anomaly", 0.125),
    }
    runtime.database.close()


@pytest.mark.parametrize("spare", [0, -1])
def test_an_image_may_have_as_many_bytes_as_the_quota_says(
    spare: int, dataset: Any, world: Any, waits: Any
) -> None:
    size = len(world.bucket.get("normal/0.png"))
    quotas = Quotas(max_image_bytes=size + spare, min_single_normal=4, min_single_anomaly=3)
    client = world.client(quotas=quotas)
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    if spare < 0:
        with pytest.raises(LookoutError, match=f"{size} bytes; {size - 1} are allowed"):
            waits.model(client)
    else:
        assert waits.model(client)["Status"] == "TRAINED"


def test_images_that_score_alike_count_half_in_the_roc_curve() -> None:
    assert measure([True, False], [0.5, 0.5], [True, True]).roc_auc == 0.5
    assert measure([True, False, False], [0.5, 0.5, 0.1], [True] * 3).roc_auc == 0.75
    assert measure([True, False], [0.9, 0.1], [True, False]).roc_auc == 1.0


def png(pixels: list[tuple[int, int, int, int]]) -> bytes:
    image = Image.new("RGBA", (len(pixels), 1))
    image.putdata(pixels)
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_what_is_more_transparent_than_not_is_background(tmp_path: Path) -> None:
    counts = PixelCounts()
    (tmp_path / "truth.png").write_bytes(png([(*CRACK, 255), (*CRACK, 255), (*CRACK, 0)]))
    predicted = png([(*CRACK, 128), (*CRACK, 127), (*CRACK, 255)])
    counts.add(predicted, tmp_path / "truth.png", {"crack": "#23A436"})
    (found,) = counts.results()
    assert (found["Precision"], found["Recall"], found["AIOU"]) == (0.5, 0.5, 1 / 3)


def create(world: Any, waits: Any, limits: str, **sets: tuple[int, int]) -> tuple[Any, Any]:
    """Train on so many normal and anomalous images a set; return the model, and its result."""
    client = world.client(quotas=None, limits=limits)
    client.create_project(ProjectName="p")
    for kind, (normal, anomaly) in sets.items():
        source = world.put_manifest(world.put_images(normal, anomaly), f"{kind}.manifest")
        client.create_dataset(ProjectName="p", DatasetType=kind, DatasetSource=source)
        waits.dataset(client, kind)
    client.create_model(ProjectName="p", OutputConfig=OUTPUT)
    model = waits.model(client)
    return model, json.loads(world.bucket.get("EvaluationResult-p-1.json"))


@pytest.mark.parametrize("anomalies", range(10))
def test_open_limits_train_on_few_anomalies_or_none_and_test_on_what_there_is(
    anomalies: int, world: Any, waits: Any
) -> None:
    model, result = create(world, waits, "open", train=(12, 0), test=(3, anomalies))
    assert model["Status"] == "TRAINED"
    details, metrics = result["EvaluationDetails"], result["AggregatedEvaluationResults"]["Metrics"]
    assert details["NumberOfTestingImages"] == 3 + anomalies
    if anomalies:
        assert model["Performance"] == {"F1Score": 1.0, "Recall": 1.0, "Precision": 1.0}
        assert metrics["ROCAUC"] == 1.0
        assert "not known" not in model["StatusMessage"]
    else:
        assert "Performance" not in model
        assert metrics == {}
        assert "No anomaly was tested, so precision, recall and F1" in model["StatusMessage"]
    listed = world.client(limits="open").list_models(ProjectName="p")["Models"]
    assert ("Performance" in listed[0]) is bool(anomalies)


@pytest.mark.parametrize(("normal", "tested"), [(30, 6), (5, 1), (2, 0)])
def test_open_limits_take_a_single_dataset_of_good_images_alone(
    normal: int, tested: int, world: Any, waits: Any
) -> None:
    model, result = create(world, waits, "open", train=(normal, 0))
    assert model["Status"] == "TRAINED"
    assert result["EvaluationDetails"]["NumberOfTestingImages"] == tested
    assert result["AggregatedEvaluationResults"]["Metrics"] == {}
    lines = world.bucket.get("EvaluationManifest-p-1.json").splitlines()
    assert len(lines) == tested


def test_the_documented_limits_are_the_default(world: Any, waits: Any) -> None:
    with pytest.raises(LookoutError, match="the test dataset has 9 labelled anomaly"):
        create(world, waits, "documented", train=(12, 0), test=(10, 9))


def test_what_is_not_known_has_no_figure() -> None:
    assert measure([], [], []) == Metrics(None, None, None, None, None)
    assert measure([False], [0.9], [True]) == Metrics(None, None, None, None, None)
    assert measure([True], [0.9], [True]) == Metrics(None, None, 1.0, 1.0, 1.0)
    missed = measure([True, False], [0.1, 0.2], [False, False])
    assert (missed.precision, missed.recall, missed.f1) == (0, 0, 0)
