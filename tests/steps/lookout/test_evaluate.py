"""Verdicts: who is asked, what is remembered, and that nothing stays hosted by mistake."""

import json
from dataclasses import replace
from typing import Any

import pytest

from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.planning import plan
from lfvpipe.engine.removal import destroy
from lfvpipe.report import run_file
from lfvpipe.steps import tell_decision
from lfvpipe.steps.context import Context
from lfvpipe.steps.evaluate.outcome import VerdictFile
from lfvpipe.steps.evaluate.step import EvaluateStep
from lfvpipe.steps.hosting import stop_models
from tests.outcomes import evaluate_outcome

pytestmark = pytest.mark.slow


def _called(world: Any, operation: str, since: int = 0) -> int:
    return int(world.service.calls[since:].count(operation))


def test_every_evaluation_image_gets_a_verdict_and_the_model_is_stopped(world: Any) -> None:
    world.run()
    lines = (world.ledger_path.parent / world.facts("evaluate")["verdicts"]["path"]).read_text()
    verdicts = [json.loads(line) for line in lines.splitlines()]
    assert [verdict["id"] for verdict in verdicts] == sorted(verdict["id"] for verdict in verdicts)
    assert len(verdicts) == 8
    assert all(verdict["correct"] in (True, False) for verdict in verdicts)
    assert world.service.statuses() == {"1": "TRAINED"}
    assert not world.ledger.held


def test_the_services_own_test_images_are_read_from_the_bucket(world: Any) -> None:
    world.run()
    run = run_file.load(world.ledger_path.parent / world.facts("report")["run_file"])
    assert [verdict.id for verdict in run.verdicts["test"]] == [
        "anomaly/test-0.png",
        "anomaly/test-1.png",
        "normal/test-0.png",
        "normal/test-1.png",
    ]
    assert run.scores["test"].confusion.total == 4
    assert run.verdicts["test"][0].path == "images/anomaly/test-0.png"


def test_an_evaluation_that_is_not_written_yet_is_waited_for_and_costs_no_model(world: Any) -> None:
    world.service.refuses_evaluations = True
    assert not world.run().ok
    (failed,) = [each for each in world.run().rows if each.error is not None]
    assert "version 1 is not written yet. about to be TRAINED" in str(failed.error)
    assert "is trained, and stays" in getattr(failed.error, "hint", "")
    world.service.refuses_evaluations = False
    assert world.run().ok
    run = run_file.load(world.ledger_path.parent / world.facts("report")["run_file"])
    assert len(run.verdicts["test"]) == 4
    assert _called(world, "CreateModel") == 1
    assert _called(world, "StartModel") == 1


def test_without_evaluation_images_nothing_is_hosted(world: Any) -> None:
    world.evaluate = 0
    assert world.run().ok
    assert not _called(world, "StartModel")


def test_another_review_bound_asks_nobody_again(world: Any) -> None:
    world.run()
    calls = len(world.service.calls)
    world.overrides = ["evaluate.review_below=1"]
    assert world.words(world.run())["evaluate"] == "updated"
    assert world.service.calls[calls:] == []
    assert world.facts("evaluate")["review"] == 8


def _confidences(world: Any) -> dict[str, float]:
    lines = (world.ledger_path.parent / world.facts("evaluate")["verdicts"]["path"]).read_text()
    return {line["id"]: line["confidence"] for line in map(json.loads, lines.splitlines())}


def test_a_model_that_was_trained_again_judges_every_image_anew(world: Any) -> None:
    world.run()
    first = _confidences(world)
    calls = len(world.service.calls)
    world.train = 5
    world.run()
    assert world.facts("evaluate")["model"].endswith("/2")
    assert _called(world, "DetectAnomalies", calls) == 8
    second = _confidences(world)
    assert second.keys() == first.keys()
    assert not [name for name, confidence in second.items() if confidence == first[name]]


def test_one_more_image_asks_the_same_model_about_that_image_alone(world: Any) -> None:
    world.run()
    first = _confidences(world)
    calls = len(world.service.calls)
    world.evaluate = 5
    world.run()
    assert _called(world, "DetectAnomalies", calls) == 2  # one of each label
    assert first.items() <= _confidences(world).items()


def test_forcing_it_asks_about_every_image_again(world: Any) -> None:
    world.run()
    calls = len(world.service.calls)
    world.run(force=frozenset({"evaluate"}))
    assert _called(world, "DetectAnomalies", calls) == 8


def test_an_image_that_the_service_refuses_is_listed_and_does_not_stop_the_others(
    world: Any,
) -> None:
    world.run(until="model")
    name = "images/normal/evaluate-0.png"
    import hashlib

    data = (world.ledger_path.parent / name).read_bytes()
    world.service.refused = {hashlib.sha256(data).hexdigest()}
    assert world.run().ok
    facts = world.facts("evaluate")
    assert (facts["images"], facts["refused"]) == (7, 1)
    assert facts["errors"][0]["id"] == "normal/evaluate-0.png"


def test_a_model_that_somebody_else_hosts_is_used_and_left_hosted(world: Any) -> None:
    world.run(until="model")
    model = world.service.projects["demo"]["models"]["1"]
    model |= {"status": "HOSTED", "next": []}
    world.run()
    assert model["status"] == "HOSTED"
    assert not {"StartModel", "StopModel"} & set(world.service.calls)
    assert not world.ledger.held


def test_a_model_that_another_configuration_keeps_hosted_is_left_hosted_and_held(
    world: Any,
) -> None:
    world.run(until="model")
    model = world.service.projects["demo"]["models"]["1"]
    model |= {"status": "HOSTED", "next": []}
    facts = {"kind": "model", "project": "demo", "version": "1", "endpoint": "embedded"}
    world.ledger.hold("model:demo/1", facts)
    assert world.run().ok
    assert model["status"] == "HOSTED"
    assert list(world.ledger.held) == ["model:demo/1"]


def test_a_model_that_is_being_stopped_is_started_once_it_is(world: Any) -> None:
    world.run(until="model")
    model = world.service.projects["demo"]["models"]["1"]
    model |= {"status": "STOPPING_HOSTING", "next": ["TRAINED"]}
    assert world.run().ok
    assert model["status"] == "TRAINED"


def test_keep_running_keeps_it_hosted_and_held_until_it_is_turned_off(world: Any) -> None:
    world.overrides = ["hosting.keep_running=true"]
    world.run()
    assert world.service.statuses() == {"1": "HOSTED"}
    assert list(world.ledger.held) == ["model:demo/1"]
    world.overrides = []
    world.run()
    assert world.service.statuses() == {"1": "TRAINED"}
    assert not world.ledger.held


def test_a_new_model_takes_the_place_of_the_one_that_was_kept(world: Any) -> None:
    world.overrides = ["hosting.keep_running=true"]
    world.run()
    world.train = 5
    world.run()
    assert world.service.statuses() == {"1": "TRAINED", "2": "HOSTED"}
    assert list(world.ledger.held) == ["model:demo/2"]


def test_a_kept_model_that_was_stopped_elsewhere_is_drift(world: Any) -> None:
    world.overrides = ["hosting.keep_running=true"]
    world.run()
    world.service.projects["demo"]["models"]["1"]["status"] = "TRAINED"
    world.run(refresh=True)
    assert world.service.statuses() == {"1": "HOSTED"}


def test_stop_releases_what_the_ledger_holds_and_only_that(world: Any) -> None:
    world.overrides = ["hosting.keep_running=true"]
    world.run()
    held = dict(world.ledger.held)
    elsewhere = {"model:x/1": {"kind": "model", "project": "x", "version": "1", "endpoint": "e"}}
    assert stop_models(world.context(), held | elsewhere) == ["model:demo/1"]
    assert world.service.statuses() == {"1": "TRAINED"}
    assert stop_models(world.context(), held) == ["model:demo/1"]  # again: no error


def test_destroy_stops_a_kept_model_first(world: Any) -> None:
    world.overrides = ["hosting.keep_running=true"]
    world.run()
    destroy(world.steps(), world.context(), world.ledger)
    assert world.service.projects == {}


@pytest.mark.parametrize("operation", ["StartModel", "DetectAnomalies"])
def test_a_user_who_stops_it_finds_nothing_hosted(world: Any, operation: str) -> None:
    def stop_there(*request: Any) -> Any:
        answer = world.service(*request)
        if world.service.calls[-1] == operation:
            world.cancelled.set()
        return answer

    world.handler = stop_there
    assert world.run().cancelled
    assert world.service.statuses() == {"1": "TRAINED"}
    assert not world.ledger.held
    world.cancelled.clear()
    calls = len(world.service.calls)
    world.handler = None
    assert world.run().ok
    if operation == "DetectAnomalies":
        assert 0 < _called(world, operation, calls) < 8


def test_verdict_files_that_are_gone_are_made_again(world: Any) -> None:
    world.run()
    (world.ledger_path.parent / world.facts("evaluate")["verdicts"]["path"]).unlink()
    assert world.run().ok
    assert (world.ledger_path.parent / world.facts("evaluate")["verdicts"]["path"]).exists()


def test_a_service_that_goes_away_meanwhile_leaves_the_first_error_and_the_model_held(
    world: Any,
) -> None:
    world.lose_the_connection("DescribeModel", "DetectAnomalies")
    (row,) = [row for row in world.run().rows if row.error]
    assert row.error.message.startswith("Detecting anomalies")
    (warning,) = row.warnings
    assert "may still be hosted" in warning
    assert "`lfvpipe stop`" in warning
    assert list(world.ledger.held) == ["model:demo/1"]
    world.handler = None
    assert world.run().ok
    assert world.service.statuses() == {"1": "TRAINED"}
    assert not world.ledger.held


def test_a_model_that_was_released_after_a_failure_and_hosted_by_somebody_else_stays_hosted(
    world: Any,
) -> None:
    world.lose_the_connection("DescribeModel", "DetectAnomalies")
    world.run()
    world.handler = None
    ledger = world.ledger
    for key in stop_models(world.context(), dict(ledger.held)):
        ledger.release(key)
    world.service.projects["demo"]["models"]["1"]["status"] = "HOSTED"
    assert world.run().ok
    assert world.service.statuses() == {"1": "HOSTED"}


def _verdicts(world: Any) -> list[dict[str, Any]]:
    file = world.ledger_path.parent / world.facts("evaluate")["verdicts"]["path"]
    return [json.loads(line) for line in file.read_text().splitlines()]


def _tags(world: Any) -> dict[str, str]:
    (project,) = world.service.projects.values()
    return {each["Key"]: each["Value"] for each in project["models"]["1"]["tags"]}


def _scores(world: Any) -> dict[str, float]:
    return {
        line["id"]: line["confidence"] if line["is_anomalous"] else 1 - line["confidence"]
        for line in _verdicts(world)
    }


def test_another_decision_trains_and_asks_nobody_and_moves_the_verdicts(world: Any) -> None:
    world.run()
    scores = _scores(world)
    threshold = sorted(scores.values())[2]
    calls = len(world.service.calls)

    world.overrides = [f"evaluate.decide.threshold={threshold}"]
    rows = plan(world.steps(), world.context(), world.ledger).rows
    assert {row.step for row in rows if row.reasons} == {"evaluate", "report"}
    assert world.run().ok
    assert world.service.calls[calls:] == []
    for _ in range(2):
        tell_decision(world.context(), world.ledger)
    assert world.service.calls[calls:] == ["TagResource"]
    assert _tags(world)["lfvpipe:decision"] == repr(threshold)
    assert [line["is_anomalous"] for line in _verdicts(world)] == [
        scores[line["id"]] >= threshold for line in _verdicts(world)
    ]
    assert sum(line["is_anomalous"] for line in _verdicts(world)) == 6
    assert _scores(world) == pytest.approx(scores)
    run = run_file.load(world.ledger_path.parent / world.facts("report")["run_file"])
    assert run.decision is not None
    assert run.decision.threshold == threshold
    assert all(each.is_anomalous == (each.score >= threshold) for each in run.verdicts["test"])

    world.overrides = []
    assert world.run().ok
    assert _scores(world) == pytest.approx(scores)
    tell_decision(world.context(), world.ledger)
    assert "lfvpipe:decision" not in _tags(world)
    assert not _called(world, "StartModel", calls)


def test_what_a_person_is_to_decide_on_is_neither_right_nor_wrong(world: Any) -> None:
    world.run()
    scores = sorted(_scores(world).values())
    world.overrides = [
        f"evaluate.to_person={{above: {(scores[1] + scores[2]) / 2}, below: {scores[5]}}}"
    ]
    assert world.run().ok
    asked = [line for line in _verdicts(world) if line.get("to_person")]
    assert len(asked) == 3
    assert all(line["correct"] is None and line["needs_review"] for line in asked)
    run = run_file.load(world.ledger_path.parent / world.facts("report")["run_file"])
    assert run.scores["evaluation"].confusion.total == 5
    assert run.scores["evaluation"].to_person == 3


def test_destroy_removes_the_verdicts_of_every_set(context: Context) -> None:
    files = {
        name: VerdictFile(path=f"{name}/x.jsonl", sha256="0" * 64, count=1)
        for name in ("verdicts", "test", "training")
    }
    for each in files.values():
        (context.state_dir / each.path).parent.mkdir(parents=True)
        (context.state_dir / each.path).write_text("{}")
    facts = replace(
        evaluate_outcome(),
        verdicts=files["verdicts"],
        test=files["test"],
        training=files["training"],
    )
    EvaluateStep().destroy(context, Outcome("created", facts.as_json()))
    assert not list(context.state_dir.rglob("x.jsonl"))
