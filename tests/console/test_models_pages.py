"""The pages of models as requests: who may what, what is refused, and what the state then is."""

from __future__ import annotations

import html
import json
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.console.evaluations import Evaluation
from lfvpipe.console.version_comparison import put_side_by_side
from lfvpipe.decision import Decision
from lfvpipe.report.records import Verdict
from tests.service.conftest import GREEN, RED, Waits, line, picture

from .conftest import Offered, Person, pages

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = pages("projects", "p", "models")
STATES = pages("projects", "p", "model-states")


@pytest.fixture
def filled(offered: Offered, waits: Waits) -> Iterator[Offered]:
    """Serve a project p whose training data set has six normal images and four anomalous ones."""
    client, bucket = offered.client(), offered.buckets.bucket("bucket")
    client.create_project(ProjectName="p")
    bucket.create()
    lines = []
    for label, count, colour in (("normal", 6, GREEN), ("anomaly", 4, RED)):
        for number in range(count):
            bucket.put(f"{label}/{number}.png", picture(colour))
            lines.append(line(f"{label}/{number}.png", label))
    bucket.put("train.manifest", "\n".join(map(json.dumps, lines)).encode())
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": "bucket", "Key": "train.manifest"}}}
    client.create_dataset(ProjectName="p", DatasetType="train", DatasetSource=source)
    waits.dataset(client)
    yield offered
    if offered.detector.hold is not None:
        offered.detector.hold.set()


@pytest.fixture
def trained(filled: Offered, waits: Waits) -> Offered:
    """Have version 1 trained, asked for on the page."""
    filled.person("ADA").post(HERE, {"tag_key": "line", "tag_value": "4", "description": "first"})
    waits.model(filled.client())
    return filled


def send(person: Person, path: str, fields: Any = None) -> str:
    """Send a form as a script does; return what is refused, "" for nothing."""
    answer = person.post(path, fields, accept="application/json")
    return str(answer.json()["error"]) if answer.status_code >= 400 else ""


def status(offered: Offered, version: str = "1") -> str:
    described = offered.client().describe_model(ProjectName="p", ModelVersion=version)
    return str(described["ModelDescription"]["Status"])


def test_what_the_page_trains_is_there_for_the_api(trained: Offered) -> None:
    client = trained.client()
    described = client.describe_model(ProjectName="p", ModelVersion="1")["ModelDescription"]
    assert (described["Status"], described["Description"]) == ("TRAINED", "first")
    place = described["EvaluationManifest"]
    assert place["Bucket"].startswith("lfvpipe-console-us-east-1-")
    assert trained.buckets.bucket(place["Bucket"]).get(place["Key"])
    tags = client.list_tags_for_resource(ResourceArn=described["ModelArn"])["Tags"]
    assert tags == [{"Key": "line", "Value": "4"}]


def test_a_training_is_cancelled_though_the_api_would_not(filled: Offered, waits: Waits) -> None:
    filled.detector.hold = threading.Event()
    person = filled.person("ADA")
    person.post(HERE, {"bucket": "bucket", "prefix": "out_"})
    assert filled.detector.started.wait(60)
    for path in (pages("projects"), pages("projects", "p"), HERE, f"{HERE}/1", pages("dashboard")):
        assert person.get(path).status_code == 200, path
    followed = person.get(STATES).json()["versions"]["1"]
    assert (followed["status"], followed["moving"]) == ("TRAINING", True)
    assert send(person, f"{HERE}/1/start").startswith("Model 1 of project p is TRAINING")
    assert send(person, f"{HERE}/1/cancel") == ""
    waits_for_no_model(filled)
    assert "no model version 1" in send(person, f"{HERE}/1/cancel")
    assert "CancelTraining" in person.get(pages("changes")).text
    filled.detector.hold.set()


def waits_for_no_model(offered: Offered) -> None:
    client, ended = offered.client(), threading.Event()
    for _ in range(3000):
        if not client.list_models(ProjectName="p")["Models"]:
            return
        ended.wait(0.02)
    raise AssertionError("the model is still there")


def test_hosting_starts_with_units_stops_and_is_deleted_by_its_name(
    trained: Offered, waits: Waits
) -> None:
    person, client = trained.person("ADA"), trained.client()
    assert send(person, f"{HERE}/1/start", {"least": "many"}).startswith("Nothing was started")
    assert "a number from 1 to" in send(person, f"{HERE}/1/start", {"least": "9" * 30})
    assert "fewer units" in send(person, f"{HERE}/1/start", {"least": "3", "most": "2"})
    assert "inference units are more than" in send(person, f"{HERE}/1/start", {"least": "999"})
    assert send(person, f"{HERE}/1/start", {"least": "1", "most": "2"}) == ""
    waits.hosting(client)
    described = client.describe_model(ProjectName="p", ModelVersion="1")["ModelDescription"]
    assert (described["MinInferenceUnits"], described["MaxInferenceUnits"]) == (1, 2)
    assert "Hosting asked for" in person.get(f"{HERE}/1").text
    assert "stop it before" in send(person, f"{HERE}/1/delete", {"name": "p/1"})
    assert send(person, f"{HERE}/1/stop") == ""
    waits.hosting(client, "TRAINED")
    assert send(person, f"{HERE}/1/delete", {"name": "p"}).startswith("Nothing was deleted")
    assert send(person, f"{HERE}/1/delete", {"name": "p/1"}) == ""
    waits_for_no_model(trained)


def test_tags_are_added_and_removed(trained: Offered) -> None:
    person, client = trained.person("ADA"), trained.client()
    arn = client.describe_model(ProjectName="p", ModelVersion="1")["ModelDescription"]["ModelArn"]
    assert send(person, f"{HERE}/1/tag", {"tag_key": " ", "tag_value": "x"}) != ""
    assert "nothing else" in send(person, f"{HERE}/1/tag", {"tag_key": "<b>", "tag_value": "x"})
    assert send(person, f"{HERE}/1/tag", {"tag_key": "shift", "tag_value": "late"}) == ""
    assert send(person, f"{HERE}/1/untag", {"tag_key": "line"}) == ""
    tags = client.list_tags_for_resource(ResourceArn=arn)["Tags"]
    assert tags == [{"Key": "shift", "Value": "late"}]


@pytest.mark.parametrize("key", ["VIC", "RITA"])
def test_only_an_admin_changes_models(trained: Offered, key: str) -> None:
    person = trained.person(key)
    forms = {
        "": {},
        "/1/cancel": {},
        "/1/start": {"least": "1"},
        "/1/stop": {},
        "/1/delete": {"name": "p/1"},
        "/1/tag": {"tag_key": "a", "tag_value": "b"},
        "/1/untag": {"tag_key": "line"},
    }
    for path, fields in forms.items():
        assert "has the role" in send(person, f"{HERE}{path}", fields), path
        assert f'action="{HERE}{path}"' not in person.get(f"{HERE}/1").text
    assert status(trained) == "TRAINED"
    assert len(trained.client().list_models(ProjectName="p")["Models"]) == 1


def test_a_page_of_no_model_says_so(filled: Offered) -> None:
    person = filled.person("VIC")
    for version in ("1", "none", "%2e%2e%2fx"):
        answer = person.get(f"{HERE}/{version}")
        assert answer.status_code in (400, 404), version
    assert person.get(pages("projects", "q", "models")).status_code == 404
    assert person.get(pages("projects", "q", "model-states")).status_code == 404


def test_the_page_of_a_version_tells_figures_and_shows_its_test_images(trained: Offered) -> None:
    person = trained.person("VIC")
    page = person.get(f"{HERE}/1").text
    assert "95 %" in page
    assert "Confusion matrix" in page
    assert 'data-sight="' in page
    assert "Decide by it" not in page
    assert person.get(f"{HERE}/1/thumbnails/0").headers["content-type"] == "image/webp"
    assert person.get(f"{HERE}/1/images/0").headers["content-type"] == "image/png"
    seen = person.get(f"{HERE}/1/sights/0").json()
    assert seen["said"]
    for number in ("999", "-1", "00", "x", "%2e%2e"):
        for kind in ("thumbnails", "images", "sights"):
            assert person.get(f"{HERE}/1/{kind}/{number}").status_code == 404, number
    assert "There are no such images." in person.get(f"{HERE}/1?show=wrong&page=7").text


def test_a_threshold_that_is_decided_by_moves_figures_and_verdicts_at_once(
    trained: Offered, waits: Waits
) -> None:
    person, client = trained.person("ADA"), trained.client()
    for wrong in ("", "0", "1.5", "nan", "much"):
        assert "between 0 and 1" in send(person, f"{HERE}/1/decide", {"threshold": wrong})
    assert send(person, f"{HERE}/1/decide", {"threshold": "0.95"}) == ""
    page = person.get(f"{HERE}/1?show=missed").text
    assert "wrong: it is an anomaly" in page
    assert "the model&#39;s own threshold of 0.5" in page  # what the figures at the top go by
    assert "Those by 0.95" in page
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    waits.hosting(client)
    asked = {"ProjectName": "p", "ModelVersion": "1", "ContentType": "image/png"}
    answer = client.detect_anomalies(**asked, Body=picture(RED))["DetectAnomalyResult"]
    assert not answer["IsAnomalous"]
    assert send(person, f"{HERE}/1/untag", {"tag_key": "lfvpipe:decision"}) == ""
    page = person.get(f"{HERE}/1?show=missed").text
    assert "There are no such images." in page
    assert "own threshold of 0.5, as" not in page


def test_an_evaluation_that_is_gone_or_damaged_is_no_failure(trained: Offered) -> None:
    person = trained.person("VIC")
    for spare in trained.root.rglob("EvaluationManifest*.json"):
        spare.write_text('{"source-ref": "s3://b/<b>.png"}\nnot json\n', "utf-8")
    assert person.get(f"{HERE}/1").status_code == 200
    for spare in trained.root.rglob("EvaluationManifest*.json"):
        spare.unlink()
    assert "is gone" in person.get(f"{HERE}/1").text


def test_two_versions_are_compared_on_the_images_of_both(trained: Offered, waits: Waits) -> None:
    person, client = trained.person("ADA"), trained.client()
    there = pages("projects", "p", "model-comparison")
    assert person.get(f"{there}?first=1&second=2").status_code == 404
    assert "Compare" not in person.get(HERE).text
    person.post(HERE, {"tag_key": "lfvpipe:learn", "tag_value": "anew"})
    waits.model(client, "2")
    send(person, f"{HERE}/2/decide", {"threshold": "0.95"})
    assert 'name="second"' in person.get(HERE).text
    page = person.get(f"{there}?first=1&second=2").text
    assert "now wrong" in page
    assert "0 that were wrong are right now. 1 that was right is wrong now." in " ".join(
        page.split()
    )
    assert "now right" in person.get(f"{there}?first=2&second=1").text
    assert person.get(f"{there}?first=1&second=%3Cb%3E").status_code == 404
    assert person.get(there).status_code == 404


def test_versions_without_a_common_image_are_not_compared() -> None:
    def verdict(name: str, label: str, *, is_anomalous: bool) -> Verdict:
        return Verdict(name, name, label, is_anomalous, 0.9)

    one = Evaluation((verdict("a", "normal", is_anomalous=False),), Decision())
    other = Evaluation((verdict("a", "anomaly", is_anomalous=True),), Decision())
    assert put_side_by_side(one, other).shared == 0
    assert put_side_by_side(one, other).rows == ()
    assert put_side_by_side(one, one).shared == 1


def test_a_tag_that_decides_nothing_is_refused_and_changes_are_told_in_words(
    trained: Offered,
) -> None:
    person = trained.person("ADA")
    for wrong in ("abc", "0.5 high", "2"):
        tag = {"tag_key": "lfvpipe:decision", "tag_value": wrong}
        assert "lfvpipe:decision cannot be" in send(person, f"{HERE}/1/tag", tag)
    assert send(person, f"{HERE}/1/tag", {"tag_key": "line", "tag_value": "5"}) == ""
    change = json.dumps(line("normal/0.png", "anomaly")).encode()
    trained.client().update_dataset_entries(ProjectName="p", DatasetType="train", Changes=change)
    shown = html.unescape(person.get(pages("changes")).text)
    assert "line: 5" in shown
    assert "s3://bucket/normal/0.png: normal → anomaly" in shown
    assert "Key: train.manifest" in shown
    assert not re.search(r"\{'|\['|None", shown)


def test_a_version_is_named_in_one_way(trained: Offered) -> None:
    person = trained.person("ADA")
    for odd in ("01", "0", "\u0661"):
        asked = {"name": "Monday", "version": odd}
        assert send(person, pages("projects", "p", "trials"), asked) != ""
