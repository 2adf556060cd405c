"""The whole way, from archives to verdicts, with the least images that the service takes."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Trained = tuple[Path, Any]
HEAVY = {"boto3", "botocore", "numpy", "onnxruntime", "PIL", "obstore", "jsonschema", "rich"}


@pytest.fixture
def image(trained: Trained) -> Path:
    """Return an image that the model has not seen."""
    import zipfile

    file = trained[0].parent / "photos" / "spot.png"
    file.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(trained[0].parent / "Texture_def.zip") as archive:
        file.write_bytes(archive.read("Texture_def/7.png"))
    return file


def test_the_run_ends_in_a_summary_with_verdicts(trained: Trained) -> None:
    _, said = trained
    assert said.code == 0, said.err
    assert "Texture_def/7.png" in said.out
    assert "AUROC" in said.out
    assert "✓ model" in said.err


def test_the_page_shows_where_the_model_looked(trained: Trained) -> None:
    html = (trained[0].parent / ".lfvpipe" / "small" / "report.html").read_text(encoding="utf-8")
    pictures = html.count('loading="lazy"') - html.count('class="overlay')
    assert html.count('class="overlay heat"') == pictures > 0
    assert "No heat maps" not in html


def test_a_run_says_where_its_report_is(
    trained: Trained, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path(".lfvpipe") / "small" / "report.html"
    monkeypatch.chdir(trained[0].parent)
    assert trained[1].out.splitlines()[-1] == f"page      {trained[0].parent / page}"
    again = lfvpipe("run", trained[0])
    assert again.out.splitlines()[-1] == f"page      {page}"
    as_json = lfvpipe("run", trained[0], "--json").json["variants"][0]
    assert as_json["page"] == str(trained[0].parent / page)


def test_the_second_run_says_so_and_imports_nothing_heavy(
    trained: Trained, lfvpipe: Any, modules_of: Any
) -> None:
    said = lfvpipe("run", trained[0])
    assert said.code == 0
    assert said.out.startswith("nothing changed\nmodel of ")
    assert "version 1" in said.out
    assert not modules_of("run", trained[0]) & HEAVY
    assert lfvpipe("plan", trained[0]).code == 0


def test_status_shows_the_model(trained: Trained, lfvpipe: Any) -> None:
    line = next(line for line in lfvpipe("status", trained[0]).out.splitlines() if "F1" in line)
    assert line.startswith("model ")
    assert "version 1" in line


def test_the_run_as_json_holds_the_run_file(trained: Trained, lfvpipe: Any) -> None:
    run = lfvpipe("run", trained[0], "--json").json["variants"][0]["run"]
    assert run["name"] == "small"
    assert run["model"]["version"] == "1"
    assert {"model", "evaluate"} <= {timing["step"] for timing in run["timings"]}


def test_detect_leaves_nothing_hosted_and_sums_up(
    trained: Trained, image: Path, lfvpipe: Any
) -> None:
    broken = image.parent / "broken.png"
    broken.write_text("no image")
    said = lfvpipe("detect", trained[0], image.parent, "--json")
    broken.unlink()
    answers = {Path(each["image"]).name: each for each in said.json["images"]}
    assert said.code == 1  # one image got no verdict
    assert answers["spot.png"]["verdict"] in {"normal", "anomaly"}
    assert 0.5 <= answers["spot.png"]["confidence"] <= 1
    assert "text file" in answers["broken.png"]["error"]
    ledger = json.loads((trained[0].parent / ".lfvpipe/small/ledger.json").read_bytes())
    assert ledger["held"] == {}
    assert lfvpipe("stop", trained[0]).out == "nothing is in training or hosted\n"
    text = lfvpipe("detect", trained[0], image.parent)
    assert re.search(
        r"^1 image: [01] anomalous, [01] doubtful, in [\d.]+ m?s$", text.err, re.MULTILINE
    )


def test_the_model_at_hand_says_what_the_service_says(
    trained: Trained, image: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = image.parent / "another-size.png"
    Image.new("RGB", (90, 70)).save(other)
    by_file = lfvpipe("detect", trained[0], image.parent, "--json")
    monkeypatch.setattr("lfvpipe.cli.commands.detect._load_at_hand", lambda *_: None)
    by_service = lfvpipe("detect", trained[0], image.parent, "--json")
    other.unlink()
    assert by_file.json == by_service.json
    assert "must have the size of the training images" in by_file.out


def test_what_keeps_running_is_stopped_by_stop(trained: Trained, image: Path, lfvpipe: Any) -> None:
    kept = lfvpipe("run", trained[0], "--set", "hosting.keep_running=true")
    assert kept.code == 0, kept.err
    assert "hosted: model:small/1" in lfvpipe("status", trained[0]).out
    said = lfvpipe("detect", trained[0], image, "--csv", "--set", "hosting.keep_running=true")
    head = "image,verdict,confidence,needs_review,error,note,score,threshold,model"
    assert said.out.splitlines()[0] == head
    assert lfvpipe("stop", trained[0], "--json").json == {
        "stopped": ["model:small/1"],
        "left": [],
        "cancelled": [],
    }
    assert lfvpipe("stop", trained[0]).out == "nothing is in training or hosted\n"


def test_destroy_removes_what_was_created_and_keeps_the_archives(
    trained: Trained, tmp_path: Path, lfvpipe: Any
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(trained[0].parent, folder)
    said = lfvpipe("destroy", folder / trained[0].name, "--yes")
    assert said.code == 0, said.err
    assert "removed model 1 of project small" in said.out
    assert "removed project small" in said.out
    state = folder / ".lfvpipe" / "small"
    of_runs = (
        "runs/*",
        "report.html",
        "heat-maps/*",
        "verdicts/*",
        "check/*",
        "selection/*",
        "evaluations/*",
    )
    assert not [file for pattern in of_runs for file in state.glob(pattern)]
    assert (folder / "Texture.zip").is_file()
    assert lfvpipe("plan", folder / trained[0].name).code == 2


def test_destroy_says_that_a_bucket_with_others_objects_stays(
    trained: Trained, tmp_path: Path, lfvpipe: Any
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(trained[0].parent, folder)
    theirs = folder / ".lfvpipe" / "buckets" / "small" / "theirs"
    theirs.touch()
    said = lfvpipe("destroy", folder / trained[0].name, "--yes")
    assert said.code == 0, said.err
    assert "left bucket small: it is not empty: it holds theirs\n" in said.out
    assert theirs.is_file()
