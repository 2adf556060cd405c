"""What is decided by: shown by `decide`, set in the pipeline file, followed by all that judges."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.workshop import Folder

pytestmark = pytest.mark.slow


def _decision(said: Any, line: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        each for each in said.json["choices"] if (each["decide"] or "") == line
    )
    return found


def test_each_choice_is_shown_with_what_it_does_and_the_line_that_sets_it(
    file: Path, lfvpipe: Any
) -> None:
    said = lfvpipe("decide", file)
    assert said.code == 0
    assert said.out.startswith("best-f1 (in force: the default)\n")
    assert "{max_escape_rate: 0.01}" in said.out
    assert "test: escapes" in said.out
    best = _decision(lfvpipe("decide", file, "--json"), "best-f1")
    assert (best["threshold"], best["is_set"]) == (0.5, True)
    assert best["sets"]["evaluation"]["anomalies"] == 1
    dear = _decision(
        lfvpipe("decide", file, "--json"), "{costs: {false_accept: 20, false_reject: 1}}"
    )
    assert dear["threshold"] < 0.5
    assert dear["sets"]["test"]["escapes"] <= best["sets"]["test"]["escapes"]


def test_another_decision_trains_nothing_and_all_that_judges_follows(
    file: Path, lfvpipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "anna")
    image = tmp_path / "spot.png"
    with zipfile.ZipFile(file.parent / "Texture.zip") as archive:
        image.write_bytes(archive.read("Texture/7.png"))
    before = lfvpipe("detect", file, image, "--json").json["images"][0]
    assert before["verdict"] == "normal"
    threshold = (1 - before["confidence"]) / 2  # below its score
    text = file.read_text().replace("Texture_def/7.png]}", "Texture_def/7.png], decide: ")
    file.write_text(f"{text.rstrip()} {{threshold: {threshold}}}}}\n")
    at_once = lfvpipe("detect", file, image, "--json")
    assert at_once.json["images"][0]["verdict"] == "anomaly"
    assert "No run has judged by this decision yet" in at_once.json["notes"][1]
    assert at_once.json["images"][0]["threshold"] == threshold
    refused = lfvpipe("export", file, "-o", tmp_path / "line")
    assert refused.code == 3
    assert "is not what the last run judged by" in refused.err
    assert f"Run it first: `lfvpipe run {file}`" in refused.err
    assert not (tmp_path / "line").exists()
    planned = lfvpipe("plan", file)
    assert planned.code == 2
    assert "train" not in planned.out.partition("model")[2].partition("\n")[0]
    ran = lfvpipe("run", file)
    assert ran.code == 0, ran.err
    after = lfvpipe("detect", file, image, "--json")
    (judged,) = after.json["images"]
    assert judged["verdict"] == "anomaly"
    assert judged["confidence"] == pytest.approx(1 - before["confidence"])
    assert "Decided at a score of" in after.json["notes"][0]
    assert not [each for each in after.json["notes"] if "No run" in each]
    set_aside = ("--set", "evaluate.decide.threshold=0.99999")
    (by_set,) = lfvpipe("detect", file, image, "--json", *set_aside).json["images"]
    assert by_set["verdict"] == "normal"
    shown = lfvpipe("decide", file, "--json").json["choices"][0]
    assert (shown["threshold"], shown["is_set"]) == (threshold, True)
    assert shown["set_by"] == file.name
    assert shown["decide"].startswith("{threshold: ")
    # A run has judged by it, but not the last one.
    back = lfvpipe("detect", file, image, "--json", "--set", "evaluate.decide=best-f1")
    assert "an earlier one by this" in back.json["notes"][1]
    assert back.json["notes"][0].startswith("Decided at a score of 0.5, the model's own, by")
    page = (file.parent / ".lfvpipe" / "small" / "report.html").read_text()
    assert "by a threshold that was set" in page
    assert "Chosen by anna" in page
    arn = Folder(file.parent).client().describe_model(ProjectName="small", ModelVersion="1")
    tags = (
        Folder(file.parent)
        .client()
        .list_tags_for_resource(ResourceArn=arn["ModelDescription"]["ModelArn"])["Tags"]
    )
    assert {"Key": "lfvpipe:decision", "Value": repr(threshold)} in tags
    assert lfvpipe("run", file).out.startswith("nothing changed")
    # Who runs it later by the same choice has not made it.
    monkeypatch.setenv("LOGNAME", "bert")
    assert lfvpipe("run", file, "--set", "evaluate.review_below=0.8").code == 0
    made = [_run_decision(path) for path in file.parent.rglob("runs/*.json")]
    first, second = filter(None, made)
    assert first["taken_by"] == "anna"
    assert first == second
    assert lfvpipe("run", file, "--set", "evaluate.decide.threshold=0.4").code == 0
    to = tmp_path / "line"
    assert lfvpipe("export", file, "--set", "evaluate.decide.threshold=0.4", "-o", to).code == 0
    assert "Chosen by bert, whose run of 2" in (to / "card.md").read_text()


def _run_decision(path: Path) -> dict[str, Any] | None:
    found: dict[str, Any] | None = json.loads(path.read_text()).get("decision")
    return found


def test_what_is_in_force_has_a_row_of_its_own_that_says_who_put_it_there(
    file: Path, lfvpipe: Any
) -> None:
    said = lfvpipe("decide", file, "--set", "evaluate.decide.threshold=0.37")
    first, second, *_ = said.out.splitlines()
    assert first == "{threshold: 0.37} (in force: --set)"
    assert "score of 0.37: a threshold that was set" in second
    assert said.out.count("(in force") == 1
    # What is written into the file is not to be overridden again.
    assert f"and `lfvpipe run {file}`" in " ".join(said.out.split())
    offered = ("--set", "evaluate.decide={costs: {false_accept: 20, false_reject: 1}}")
    shown = lfvpipe("decide", file, *offered, "--json").json["choices"]
    assert [each["set_by"] for each in shown if each["is_set"]] == ["--set"]
    assert [each["decide"] for each in shown].count(shown[0]["decide"]) == 1
    band = lfvpipe("decide", file, "--set", "evaluate.to_person={above: 0.2, below: 0.8}")
    assert band.out.startswith("to_person: {above: 0.2, below: 0.8} (in force: --set) holds for")


def test_what_was_asked_for_and_cannot_be_promised_is_told(file: Path, lfvpipe: Any) -> None:
    ran = lfvpipe("run", file, "--set", "evaluate.decide.max_escape_rate=0.01")
    assert ran.code == 0
    # Too few defective images to learn from, so that nothing is said of them out of fold.
    assert "is not known, so the model's own threshold stands" in " ".join(ran.out.split())


def test_what_a_person_is_to_decide_on_is_told_as_such(
    file: Path, lfvpipe: Any, tmp_path: Path
) -> None:
    with zipfile.ZipFile(file.parent / "Texture_def.zip") as archive:
        (tmp_path / "spot.png").write_bytes(archive.read("Texture_def/7.png"))
    band = ("--set", "evaluate.to_person={above: 0, below: 1}")
    ran = lfvpipe("run", file, *band)
    assert ran.code == 0
    said = lfvpipe("detect", file, tmp_path / "spot.png", *band)
    assert said.out.startswith("person")
    assert "1 for a person to decide on" in said.err
    told = lfvpipe("detect", file, tmp_path / "spot.png", "--json", *band).json["images"][0]
    assert (told["verdict"], told["needs_review"]) == ("person", True)
    shown = lfvpipe("decide", file, *band).out
    assert "escapes unknown, as all such images with a label go to a person" in shown
    assert "images for a person" in shown
    assert "labelled images, for a person to decide on" in ran.out
    assert "labelled images that were judged are for a person to decide on" in ran.out
    # A band beside the threshold: images on both of its sides are called the same.
    beside = ("--set", "evaluate.to_person={above: 0.6, below: 0.7}")
    told = "which do not hold the threshold of 0.5: images on both sides of them are called"
    assert told in " ".join(lfvpipe("validate", file, *beside).out.split())
    assert told in " ".join(lfvpipe("decide", file, *beside).out.split())
    assert lfvpipe("validate", file, *band).out.count("hold the threshold") == 0


def test_before_there_are_verdicts_there_is_nothing_to_decide_on(
    project: Path, lfvpipe: Any
) -> None:
    said = lfvpipe("decide", project)
    assert said.code == 3
    assert "has no verdicts yet" in said.err
