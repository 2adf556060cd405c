"""Whose a project is: two pipelines that name one, and datasets that somebody else changed."""

import json
import shutil
from typing import Any

import pytest

from lfvpipe.engine.removal import destroy
from lfvpipe.engine.step import Leftover
from lfvpipe.steps import ownership

EFFORT = "model.effort=thorough"


def _errors(result: Any) -> dict[str, str]:
    return {row.step: str(row.error) for row in result.rows if row.error}


def _lines(world: Any, split: str = "train") -> list[str]:
    found: list[str] = world.service.projects["demo"]["datasets"][split]["lines"]
    return found


def _destroyed(world: Any) -> tuple[list[str], list[Leftover]]:
    left: list[Leftover] = []
    removed = destroy(
        world.steps(), world.context(), world.ledger, on_leftover=lambda _, what: left.append(what)
    )
    return list(removed), left


@pytest.fixture
def other(world: Any) -> Any:
    """Return the same world as a second pipeline sees it, with fewer images; the first one ran."""
    assert world.run().ok
    second = type(world)(world.root, train=2)
    second.service = world.service
    second.overrides = ["name=second"]
    return second


@pytest.mark.parametrize("bucket", ["the same bucket", "a bucket of its own"])
def test_a_second_pipeline_is_refused_before_anything_is_replaced(
    world: Any, other: Any, bucket: str
) -> None:
    if bucket != "the same bucket":
        other.overrides.append("bucket.name=a-bucket-of-its-own")
    before = list(_lines(world))
    errors = _errors(other.run())
    if bucket == "the same bucket":
        assert "Project demo belongs to pipeline pipeline (of " in errors["project"]
    else:
        assert "that this pipeline did not make (images in s3://demo-bucket/" in errors["datasets"]
    assert _lines(world) == before
    assert "DeleteDataset" not in world.service.calls
    assert world.service.statuses() == {"1": "TRAINED"}


def test_in_one_word_a_pipeline_takes_over_and_the_first_one_is_told(
    world: Any, other: Any
) -> None:
    assert other.take_over().ok
    assert len(_lines(world)) == 2 * 2
    world.overrides = [EFFORT]  # which alone needs nothing but another model
    result = world.run()
    assert "Project demo belongs to pipeline second" in _errors(result)["datasets"]
    assert len(_lines(world)) == 2 * 2
    assert world.service.statuses() == {"1": "TRAINED", "2": "TRAINED"}
    assert world.take_over().ok
    assert len(_lines(world)) == 2 * 3
    assert world.service.statuses()["3"] == "TRAINED"


def test_a_pipeline_takes_over_what_it_need_not_change_and_back(world: Any, other: Any) -> None:
    other.train = 3
    assert other.take_over().ok
    assert world.service.statuses() == {"1": "TRAINED"}
    world.overrides = [EFFORT]
    assert "belongs to pipeline second" in _errors(world.run())["datasets"]
    assert world.take_over().ok
    assert "belongs to pipeline pipeline" in _errors(other.run(refresh=True))["datasets"]


def test_destroy_leaves_what_another_pipeline_took_over_and_says_whose_it_is(
    world: Any, other: Any
) -> None:
    other.train = 4  # an update, which leaves the datasets the ones that the first one created
    assert other.take_over().ok
    removed, left = _destroyed(world)
    assert "model 1 of project demo" in removed
    said = {each.thing: each.why for each in left}
    assert set(said) == {
        "train dataset of project demo",
        "test dataset of project demo",
        "project demo",
    }
    assert all(why.startswith("it belongs to pipeline second (of ") for why in said.values())
    assert len(_lines(world)) == 2 * 4
    assert world.service.statuses() == {"2": "TRAINED"}
    other.train = 2
    assert other.run().ok  # which goes on as if nothing had been


def test_destroy_takes_the_mark_along_and_the_project_is_free(world: Any, other: Any) -> None:
    _destroyed(world)
    assert world.service.projects == {}
    assert [info.key for info in world.context().bucket.list("lfvpipe/projects/")] == []
    assert other.run().ok


def test_a_pipeline_that_was_moved_and_renamed_stays_the_owner(world: Any) -> None:
    world.run()
    state = world.fresh_context().state_dir
    world.overrides = ["name=renamed", EFFORT]
    shutil.move(state, world.fresh_context().state_dir)
    assert world.run().ok
    assert world.service.statuses() == {"1": "TRAINED", "2": "TRAINED"}


def test_a_namesake_of_a_project_that_went_is_not_taken_for_it(world: Any, other: Any) -> None:
    world.service.projects.clear()
    assert other.run().ok


@pytest.mark.parametrize("change", ["fewer", "others", "labels", "gone"])
def test_no_model_is_trained_on_datasets_that_somebody_changed(world: Any, change: str) -> None:
    """As the datasets step has run, so that it stands unchanged."""
    world.run(until="datasets")
    wanted = sorted(_lines(world))

    def changed(method: str, url: str, *rest: Any) -> Any:
        if world.service.calls[-1] == "ListModels":
            _spoil(world, change)
        return world.service(method, url, *rest)

    world.handler = changed
    result = world.run()
    assert "The train dataset of project demo is not the one" in _errors(result)["model"]
    assert world.service.statuses() == {}
    world.handler = None
    assert world.run().ok
    assert sorted(_lines(world)) == wanted
    assert world.service.statuses() == {"1": "TRAINED"}


def _spoil(world: Any, change: str) -> None:
    datasets = world.service.projects["demo"]["datasets"]
    if change == "gone":
        datasets.pop("train", None)
        return
    lines = datasets["train"]["lines"]
    changes = {
        "fewer": lines[:-1],
        "others": [*lines[:-1], lines[-1].replace(".png", ".jpg")],
        "labels": [
            line.replace('"class-name":"anomaly"', '"class-name":"normal"') for line in lines
        ],
    }
    if datasets["train"]["lines"] != changes[change]:
        datasets["train"] |= {"lines": changes[change], "updated": next(world.service.clock)}


def test_a_change_that_the_service_does_not_tell_is_found_before_training(world: Any) -> None:
    world.run(until="datasets")
    world.service.projects["demo"]["datasets"]["train"]["lines"].pop()
    assert "has 5 images instead of 6" in _errors(world.run())["model"]
    assert world.run(force=frozenset({"datasets"})).ok
    assert len(_lines(world)) == 6


def test_a_damaged_manifest_trains_no_model(world: Any) -> None:
    world.run(until="datasets")
    key = world.facts("datasets")["train"]["manifest"]
    world.context().bucket.put(key, world.context().bucket.get(key)[:-30])
    assert "is not what was written there" in _errors(world.run())["model"]
    assert world.service.statuses() == {}


def test_datasets_of_an_earlier_version_are_claimed_at_the_next_occasion(
    world: Any, other: Any
) -> None:
    text = json.loads(world.ledger_path.read_text())
    for record in text["outcomes"]["datasets"].values():
        del record["outcome"]["facts"]["mark"]
    world.ledger_path.write_text(json.dumps(text))
    bucket = world.context().bucket
    bucket.delete([info.key for info in bucket.list("lfvpipe/")])
    assert "that this pipeline did not make" in _errors(other.run())["datasets"]
    world.overrides = [EFFORT]
    assert world.run().ok
    assert "Project demo belongs to pipeline pipeline" in _errors(other.run())["datasets"]


def test_a_kill_and_then_another_configuration_is_still_the_same_pipeline(world: Any) -> None:
    world.lose_the_connection("CreateDataset", "DescribeDataset")
    assert "datasets" in _errors(world.run())
    world.handler = None
    world.train = 2
    assert world.run().ok


def test_destroy_leaves_another_pipelines_model_of_the_same_fingerprint(world: Any) -> None:
    world.service.failing_trainings = 1
    world.run()
    model = world.service.projects["demo"]["models"]["1"]
    for tag in model["tags"]:
        if tag["Key"] in ("lfvpipe:lineage", "lfvpipe:pipeline"):
            tag["Value"] = "anothers"
    model |= {"status": "TRAINED", "next": []}
    _, left = _destroyed(world)
    said = {each.thing: each.why for each in left}
    assert said["model 1 of project demo"] == "it belongs to pipeline anothers"
    assert said["project demo"] == "it holds models of pipeline anothers"
    assert world.service.statuses() == {"1": "TRAINED"}


def test_a_call_without_an_answer_takes_no_other_pipelines_model_for_its_own(world: Any) -> None:
    world.lose_the_connection("CreateModel", "CreateModel")
    assert "model" in _errors(world.run())
    world.handler = None
    model = world.service.projects["demo"]["models"]["1"]
    for tag in model["tags"]:
        if tag["Key"] == "lfvpipe:lineage":
            tag["Value"] = "anothers"
    world.service.tokens.clear()
    assert world.run().ok
    assert world.facts("model")["version"] == "2"


def test_a_model_says_which_pipeline_made_it(world: Any) -> None:
    world.run()
    tags = {
        tag["Key"]: tag["Value"] for tag in world.service.projects["demo"]["models"]["1"]["tags"]
    }
    assert tags["lfvpipe:lineage"] == world.ledger.lineage


def test_a_mark_that_a_kill_followed_at_once_is_ours_to_take_away(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = ownership._write

    def die(bucket: Any, key: str, owner: Any) -> None:
        write(bucket, key, owner)
        if "/projects/" in key:
            raise world.death

    monkeypatch.setattr(ownership, "_write", die)
    with pytest.raises(world.death):
        world.run()
    monkeypatch.undo()
    _, left = _destroyed(world)
    assert left == []
    assert [found.key for found in world.context().bucket.list("lfvpipe/projects/")] == []
