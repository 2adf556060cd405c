"""The run file that a run leaves."""

import base64
import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import PIL.Image
import pytest

from lfvpipe.dataset.index import Image, Mask, image_line
from lfvpipe.engine.removal import destroy
from lfvpipe.lookout.training_verdicts import TrainingVerdict, write_lines
from lfvpipe.report import run_file

SCHEMA = Path(__file__).parents[3] / "schemas" / "run.schema.json"


def test_the_run_file_keeps_to_its_schema_and_tells_the_run(world: Any) -> None:
    world.run()
    path = world.ledger_path.parent / world.facts("report")["run_file"]
    data = json.loads(path.read_text())
    jsonschema.validate(data, json.loads(SCHEMA.read_text()))
    assert data["data"]["train"] == {"anomaly": 3, "normal": 3}
    assert data["config"]["sources.normal.archive"].endswith("n.zip")
    assert data["model"]["version"] == "1"
    assert data["verdict_files"]["evaluation"]["count"] == 8


def test_a_run_that_changed_something_leaves_another_run_file(world: Any) -> None:
    world.run()
    world.train = 5
    world.run()
    assert len(run_file.run_ids(world.ledger_path.parent)) == 2


def test_a_run_file_that_is_gone_is_made_again_without_contacting_anyone(world: Any) -> None:
    world.run()
    (world.ledger_path.parent / world.facts("report")["run_file"]).unlink()
    calls = len(world.service.calls)
    assert world.words(world.run())["report"] == "created"
    assert len(world.service.calls) == calls


KEY = "out/TrainingVerdicts-demo-1.json"


def tell(world: Any, *, swapped: str) -> None:
    """Train on twelve images a label, and say out of fold that one of them has the other one."""
    world.train = 12
    assert world.run(until="model").ok
    names = [f"{label}/train-{n}.png" for label in ("normal", "anomaly") for n in range(12)]
    lines = []
    for name in names:
        label = name.partition("/")[0]
        anomalous = (label == "anomaly") != (name == swapped)
        source = f"s3://demo-bucket/{name}"
        lines.append(TrainingVerdict(source, label, 0.95 if anomalous else 0.05))
    put(world, write_lines(tuple(lines)).encode())


def put(world: Any, data: bytes) -> None:
    world.service.buckets.bucket("demo-bucket").put(KEY, data)


def told(world: Any) -> Any:
    return json.loads((world.ledger_path.parent / world.facts("report")["run_file"]).read_text())


def test_labels_that_training_contradicts_are_told(world: Any) -> None:
    tell(world, swapped="normal/train-7.png")
    assert world.run().ok
    run = told(world)
    assert [(each["id"], each["probability"]) for each in run["suspects"]] == [
        ("normal/train-7.png", 0.95)
    ]
    (found,) = run["findings"]
    assert found["message"].startswith("1 of 24 training labels is contradicted by models")
    assert "train-7.png" in found["message"]
    assert "`lfvpipe review --of training`" in found["message"]


def test_a_decision_that_labels_stand_against_says_which_to_correct_first(world: Any) -> None:
    first = (
        "first correct the 1 training label that is contradicted: `lfvpipe review --of training`"
    )
    tell(world, swapped="anomaly/train-7.png")
    world.overrides = ["evaluate.decide.max_escape_rate=0.005"]
    assert world.run().ok
    note = told(world)["decision"]["note"]
    assert "12 defective training images can promise 22 % at best" in note
    assert "0.5 % takes 598 of them, 586 more; until then promise `max_escape_rate: 0.221`" in note
    assert "all that is called normal: `to_person: {above: 0, below: " in note
    assert note.endswith(f"; {first}")
    assert note in told(world)["findings"][0]["message"]
    page = (world.ledger_path.parent / "report.html").read_text()
    said = "contradicted: <code>lfvpipe review --of training</code>"
    assert page.count(said) == 3  # beside the headline, a finding, signed
    world.overrides = ["evaluate.decide.threshold=0.4"]  # goes by no label
    assert world.run().ok
    assert told(world)["decision"]["note"] == ""


def test_where_no_label_is_contradicted_nothing_is_found(world: Any) -> None:
    tell(world, swapped="")
    assert world.run().ok
    assert told(world)["suspects"] == []
    assert not told(world)["findings"]


def test_a_service_that_tells_nothing_of_training_images_is_no_fault(world: Any) -> None:
    assert world.run().ok
    assert "training" not in world.facts("evaluate")
    assert "suspects" not in told(world)


LINE = b'{"source-ref": "s3://demo-bucket/a", "label": "normal", "anomaly-probability": %s}'


@pytest.mark.parametrize(
    "data",
    [b"{", b"[]", b'{"label": "normal"}', *(LINE % n for n in (b"NaN", b"2", b"1" * 400, b"[]"))],
)
def test_a_file_of_training_images_that_is_damaged_is_named(world: Any, data: bytes) -> None:
    tell(world, swapped="")
    put(world, data)
    result = world.run()
    assert not result.ok
    (error,) = [str(row.error) for row in result.rows if row.error]
    assert KEY in error
    assert "is damaged" in error


def test_destroy_removes_what_was_told_of_training_images(world: Any) -> None:
    tell(world, swapped="")
    assert world.run().ok
    destroy(world.steps(), world.context(), world.ledger)
    assert world.service.buckets.bucket("demo-bucket").head(KEY) is None


def test_how_well_masks_are_predicted_is_in_the_run_file(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world.run(until="model").ok
    row = {"Precision": 0.5, "Recall": 0.25, "F1Score": None, "AIOU": 0.2, "ClassName": "crack"}
    result = {"AggregatedEvaluationResults": {"Metrics": {"PixelAnomalyClassMetrics": [row]}}}
    monkeypatch.setattr("lfvpipe.steps.evaluate.service_results._result", lambda *_: result)
    assert world.run().ok
    jsonschema.validate(told(world), json.loads(SCHEMA.read_text()))
    assert told(world)["model"]["pixels"] == [
        {"type": "crack", "f1": None, "precision": 0.5, "recall": 0.25, "iou": 0.2}
    ]


@pytest.fixture
def boxed(world: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the true mask of all anomalies: an upright rectangle."""

    def picture(name: str) -> bytes:
        made = io.BytesIO()
        shade = hashlib.sha256(name.encode()).digest()[0]
        PIL.Image.new("L", (64, 64), shade).save(made, "PNG")
        return made.getvalue()

    def line(image: Image) -> dict[str, object]:
        mask = Mask("mask.png", "m", 1, "0" * 64, {"crack": "#23A436"})
        return image_line(replace(image, mask=mask if image.label == "anomaly" else None))

    monkeypatch.setattr(world, "picture", picture)
    monkeypatch.setattr("tests.steps.lookout.conftest.image_line", line)
    marked = PIL.Image.new("RGB", (64, 64), "#FFFFFF")
    marked.paste("#23A436", (0, 0, 32, 16))
    world.ledger_path.parent.mkdir(parents=True, exist_ok=True)
    file: Path = world.ledger_path.parent / "mask.png"
    marked.save(file)
    return file


@pytest.mark.usefixtures("boxed")
def test_true_masks_are_laid_over_the_images_of_the_page(world: Any) -> None:
    assert world.run().ok
    assert not told(world)["findings"]  # no predicted mask is there to hold them against
    html = (world.ledger_path.parent / "report.html").read_text()
    anomalies = world.evaluate + world.test
    assert html.count('<path class="truth" d="M0 0H240V120H0z"') == anomalies


def test_masks_that_are_drawn_as_boxes_are_a_finding(world: Any, boxed: Path) -> None:
    crack = {"Name": "crack", "PixelAnomaly": {"TotalPercentageArea": 0.1, "Color": "#23A436"}}
    mask = base64.b64encode(boxed.read_bytes()).decode()
    world.service.seen = {"AnomalyMask": mask, "Anomalies": [crack]}
    assert world.run().ok
    (found,) = told(world)["findings"]
    count = world.evaluate
    assert found["severity"] == "warning"
    assert found["message"].startswith(
        f"Masks of evaluation images: {count} of {count} true masks are upright rectangles."
    )
