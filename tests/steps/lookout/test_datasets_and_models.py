"""What is adopted, what is replaced, and that a model is trained once."""

import re
import shutil
from typing import Any

import pytest

from lfvpipe.engine.planning import plan
from lfvpipe.engine.removal import destroy
from lfvpipe.errors import UserError
from lfvpipe.steps.trainings import Ending, Training, cancel_training

FIRST = {
    "project": "created",
    "datasets": "created",
    "model": "created",
    "evaluate": "created",
    "report": "created",
}


def _errors(result: Any) -> dict[str, str]:
    return {row.step: str(row.error) for row in result.rows if row.error}


def stopping_at(world: Any, call: str) -> Any:
    """Return a service during whose answer to `call` the user asks to stop."""

    def answer(*request: Any) -> Any:
        answered = world.service(*request)
        if world.service.calls[-1] == call:
            world.cancelled.set()
        return answered

    return answer


def test_the_first_run_creates_and_the_second_calls_nothing(world: Any) -> None:
    assert world.words(world.run()) == FIRST
    calls = len(world.service.calls)
    assert set(world.words(world.run()).values()) == {"unchanged"}
    assert len(world.service.calls) == calls


def test_a_training_that_has_ended_is_not_cancelled(world: Any) -> None:
    world.run()
    assert cancel_training(world.context(), Training("demo", "1")) is Ending.TRAINED
    assert cancel_training(world.context(), Training("demo", "7")) is Ending.GONE
    assert "DeleteModel" not in world.service.calls
    assert world.service.statuses() == {"1": "TRAINED"}


def test_refreshing_an_untouched_world_finds_no_drift(world: Any) -> None:
    world.run()
    assert set(world.words(world.run(refresh=True)).values()) == {"unchanged"}


def test_more_data_are_added_to_the_dataset_and_train_one_more_model(world: Any) -> None:
    world.run()
    created = world.facts("datasets")["train"]["created"]
    world.train = 5
    words = world.words(world.run())
    assert (words["datasets"], words["model"]) == ("updated", "created")
    assert world.service.statuses() == {"1": "TRAINED", "2": "TRAINED"}
    assert world.facts("datasets")["train"]["created"] == created
    assert "DeleteDataset" not in world.service.calls


def test_an_updated_dataset_is_still_this_pipelines_to_destroy(world: Any) -> None:
    world.run()
    world.train = 5
    world.run()
    assert world.facts("datasets")["train"]["created_by_us"]


def test_fewer_data_replace_the_dataset_as_no_update_takes_entries_away(world: Any) -> None:
    world.run()
    world.train = 2
    assert world.words(world.run())["datasets"] == "replaced"


def test_back_to_earlier_data_neither_trains_nor_replaces(world: Any) -> None:
    world.run()
    world.train = 5
    world.run()
    calls = len(world.service.calls)
    world.train = 3
    assert world.run().ok
    assert world.facts("model")["version"] == "1"
    assert not {"CreateModel", "CreateDataset", "StartModel"} & set(world.service.calls[calls:])


def test_a_test_dataset_that_is_not_wanted_any_more_is_deleted(world: Any) -> None:
    world.run()
    world.test = 0
    assert world.run().ok
    assert list(world.service.projects["demo"]["datasets"]) == ["train"]
    assert world.facts("datasets")["test"] is None


def test_a_dataset_from_elsewhere_is_replaced_where_that_is_said_with_a_warning(world: Any) -> None:
    world.run(until="project")
    lines = ['{"source-ref": "s3://elsewhere/1.png"}']
    world.service.projects["demo"]["datasets"]["train"] = {
        "lines": lines,
        "left": 0,
        "gone": None,
        "created": 1,
    }
    assert "did not make (images in s3://elsewhere/, " in _errors(world.run())["datasets"]
    assert world.service.projects["demo"]["datasets"]["train"]["lines"] == lines
    result = world.take_over()
    assert world.words(result)["datasets"] == "replaced"
    warnings = [warning for row in result.rows for warning in row.warnings]
    (told,) = [warning for warning in warnings if "images outside s3://" in warning]
    assert re.search(r"\(created 19(70-01-01|69-12-31) \d\d:\d\d\)", told)


def test_without_a_ledger_what_is_right_is_adopted_in_one_word_and_destroy_leaves_it(
    world: Any,
) -> None:
    world.run()
    world.lose_ledger()
    assert "Project demo belongs to pipeline pipeline" in _errors(world.run())["project"]
    words = world.words(world.take_over())
    assert words["project"] == words["datasets"] == words["model"] == "adopted"
    destroy(world.steps(), world.context(), world.ledger)
    assert world.service.statuses() == {"1": "TRAINED"}
    assert set(world.service.projects["demo"]["datasets"]) == {"train", "test"}


def test_somebody_elses_newer_model_is_not_taken_for_this_fingerprints(world: Any) -> None:
    world.run()
    models = world.service.projects["demo"]["models"]
    for version, tags in (("8", []), ("9", [{"Key": "lfvpipe:fingerprint", "Value": "0" * 64}])):
        models[version] = dict(models["1"], tags=tags)
    world.lose_ledger()
    world.take_over()
    assert world.facts("model")["version"] == "1"


def test_a_model_of_ours_that_was_away_for_a_moment_stays_ours(world: Any) -> None:
    world.run()
    model = world.service.projects["demo"]["models"]["1"]
    model |= {"status": "SYSTEM_UPDATING", "next": ["TRAINED", "SYSTEM_UPDATING"]}
    assert world.words(world.run(refresh=True))["model"] == "adopted"
    assert world.facts("model")["created_by_us"] is True


def test_a_model_of_another_ledger_is_not_ours_because_the_last_one_was(
    world: Any,
) -> None:
    world.run()
    mine = world.ledger_path.read_bytes()
    world.lose_ledger()
    world.train = 5
    world.take_over()  # somebody else's: another lineage
    world.ledger_path.write_bytes(mine)
    assert world.words(world.take_over())["model"] == "adopted"
    assert world.facts("model")["version"] == "2"
    assert world.facts("model")["created_by_us"] is False
    destroy(world.steps(), world.context(), world.ledger)
    assert world.service.statuses() == {"2": "TRAINED"}


def test_an_earlier_version_of_this_fingerprint_is_found_behind_a_newer_one(world: Any) -> None:
    world.run()
    world.lose_ledger()
    world.train = 5
    world.take_over()
    world.train = 3
    assert world.words(world.run())["model"] == "adopted"
    assert world.facts("model")["version"] == "1"


def test_destroy_leaves_a_namesake_of_the_project_that_was_created(world: Any) -> None:
    world.run(until="project")
    world.service.projects["demo"]["created"] = next(world.service.clock)
    destroy(world.steps(), world.context(), world.ledger)
    assert list(world.service.projects) == ["demo"]


def test_destroy_leaves_a_namesake_of_the_model_that_was_trained(world: Any) -> None:
    world.run()
    world.service.projects["demo"]["models"]["1"]["created"] = next(world.service.clock)
    destroy(world.steps(), world.context(), world.ledger)
    assert world.service.statuses() == {"1": "TRAINED"}


def _replace_by_hand(world: Any, split: str = "train") -> None:
    """Delete a dataset and create it again with the same lines, as somebody else might."""
    world.service.projects["demo"]["datasets"][split]["created"] = next(world.service.clock)


def test_a_dataset_that_somebody_created_anew_is_adopted_and_not_ours(world: Any) -> None:
    world.run()
    _replace_by_hand(world)
    assert world.words(world.run(refresh=True))["datasets"] == "adopted"
    assert world.facts("datasets")["train"]["created_by_us"] is False
    destroy(world.steps(), world.context(), world.ledger)
    assert list(world.service.projects["demo"]["datasets"]) == ["train"]


def test_destroy_leaves_a_dataset_that_is_not_the_one_that_was_left(world: Any) -> None:
    world.run()
    _replace_by_hand(world)
    destroy(world.steps(), world.context(), world.ledger)
    assert list(world.service.projects["demo"]["datasets"]) == ["train"]


def test_a_dataset_of_ours_that_was_changed_and_changed_back_stays_ours(world: Any) -> None:
    world.run()
    world.service.projects["demo"]["datasets"]["train"]["updated"] = next(world.service.clock)
    assert world.words(world.run(refresh=True))["datasets"] == "adopted"
    assert world.facts("datasets")["train"]["created_by_us"] is True


def test_an_entry_of_another_class_is_put_right(world: Any) -> None:
    world.run()
    lines = world.service.projects["demo"]["datasets"]["train"]["lines"]
    wrong = lines[0].replace('"class-name":"anomaly"', '"class-name":"normal"')
    assert wrong != lines[0]
    world.service.projects["demo"]["datasets"]["train"] |= {
        "lines": [wrong, *lines[1:]],
        "updated": next(world.service.clock),
    }
    assert world.words(world.run(refresh=True))["datasets"] == "updated"
    assert sorted(world.service.projects["demo"]["datasets"]["train"]["lines"]) == sorted(lines)


def test_a_call_without_an_answer_after_a_failed_training_leaves_nothing_behind(
    world: Any,
) -> None:
    world.service.failing_trainings = 1
    world.run()
    world.service.calls.clear()
    world.lose_the_connection("CreateModel", "CreateModel")
    assert list(_errors(world.run())) == ["model"]
    world.handler = None
    world.service.projects["demo"]["models"]["2"] |= {"status": "TRAINED", "next": []}
    destroy(world.steps(), world.context(), world.ledger)
    assert world.service.projects == {}


def test_destroy_removes_what_the_run_created_and_a_new_run_starts_over(world: Any) -> None:
    world.run()
    ledger = world.ledger
    removed = destroy(world.steps(), world.context(), ledger)
    assert "project demo" in removed
    assert world.service.projects == {}
    assert world.words(world.run())["model"] == "created"
    assert world.service.statuses() == {"1": "TRAINED"}


def test_a_project_with_somebody_elses_model_is_not_deleted(world: Any) -> None:
    world.run()
    models = world.service.projects["demo"]["models"]
    models["9"] = dict(models["1"], tags=[])
    assert "project demo" not in destroy(world.steps(), world.context(), world.ledger)
    assert list(models) == ["9"]


def test_a_deleted_model_is_drift_and_is_trained_again(world: Any) -> None:
    world.run()
    del world.service.projects["demo"]["models"]["1"]
    assert set(world.words(world.run()).values()) == {"unchanged"}
    assert world.words(world.run(refresh=True))["model"] == "created"
    assert world.service.statuses() == {"2": "TRAINED"}


def test_forcing_the_model_trains_a_second_one(world: Any) -> None:
    world.run()
    world.run(force=frozenset({"model"}))
    assert world.service.statuses() == {"1": "TRAINED", "2": "TRAINED"}
    assert world.facts("model")["version"] == "2"
    # A service that knows the weights of the first must not take them: that is what is forced.
    first, second = world.service.projects["demo"]["models"].values()
    assert {"Key": "lfvpipe:learn", "Value": "anew"} in second["tags"]
    assert "lfvpipe:learn" not in {tag["Key"] for tag in first["tags"]}


def test_a_failed_training_says_why_and_the_next_run_makes_a_new_version(world: Any) -> None:
    world.service.failing_trainings = 1
    result = world.run()
    assert "TRAINING_FAILED" in _errors(result)["model"]
    assert isinstance(next(row.error for row in result.rows if row.error), UserError)
    assert world.run().ok
    assert world.service.statuses() == {"1": "TRAINING_FAILED", "2": "TRAINED"}


@pytest.mark.parametrize(
    ("after", "at", "step"),
    [
        ("CreateProject", "DescribeProject", "project"),
        ("CreateDataset", "DescribeDataset", "datasets"),
        ("CreateModel", "CreateModel", "model"),
        ("CreateModel", "DescribeModel", "model"),
    ],
)
@pytest.mark.parametrize("again", [True, False])
def test_what_an_attempt_created_that_lost_the_connection_is_destroyed(
    world: Any, after: str, at: str, step: str, again: bool
) -> None:
    world.lose_the_connection(after, at)
    assert list(_errors(world.run())) == [step]
    world.handler = None
    if again:
        assert world.run().ok
        assert world.service.statuses() == {"1": "TRAINED"}
    else:
        for project in world.service.projects.values():
            for model in project["models"].values():
                model |= {"status": "TRAINED", "next": []}
    destroy(world.steps(), world.context(), world.ledger)
    assert world.service.projects == {}


def test_what_failed_trainings_left_is_destroyed(world: Any) -> None:
    world.service.failing_trainings = 2
    assert not world.run().ok
    assert not world.run().ok
    assert world.run().ok
    assert world.service.statuses()["3"] == "TRAINED"
    destroy(world.steps(), world.context(), world.ledger)
    assert world.service.projects == {}


def test_every_version_that_was_forced_is_destroyed_with_its_evaluation(world: Any) -> None:
    world.run()
    world.run(force=frozenset({"model"}))
    destroy(world.steps(), world.context(), world.ledger)
    assert world.service.projects == {}
    assert list(world.context().bucket.list("out/")) == []


def test_evaluation_files_go_from_the_bucket_that_they_were_written_to(world: Any, s3: str) -> None:
    world.run()
    first = world.context().bucket
    world.train, world.overrides = 5, ["bucket.name=other-bucket"]
    world.run()
    world.overrides = [f"bucket.endpoint={s3}", "bucket.name=a-third-bucket"]
    destroy(world.steps(), world.context(), world.ledger)
    assert world.service.projects == {}
    assert list(first.list("out/")) == []
    assert list(world.service.buckets.bucket("other-bucket").list("out/")) == []


@pytest.mark.parametrize("how", ["renamed to a bucket that never was", "deleted by hand"])
def test_where_there_is_no_bucket_the_rest_is_destroyed(world: Any, how: str) -> None:
    world.run()
    if how == "deleted by hand":
        shutil.rmtree(world.context().buckets_dir)
    else:
        world.overrides = ["bucket.name=never-created"]
    removed = destroy(world.steps(), world.context(), world.ledger)
    assert "project demo" in removed
    assert world.service.projects == {}


def test_another_ones_version_under_the_number_of_a_failed_one_stays(world: Any) -> None:
    world.service.failing_trainings = 1
    world.run()
    world.service.projects["demo"]["models"]["1"] |= {"tags": [], "status": "TRAINED"}
    destroy(world.steps(), world.context(), world.ledger)
    assert world.service.statuses() == {"1": "TRAINED"}


def test_a_project_that_was_refused_and_then_made_by_somebody_else_stays(world: Any) -> None:
    def refuses(method: str, url: str, *rest: Any) -> Any:
        if method == "POST" and url.endswith("/projects"):
            return 403, {"x-amzn-ErrorType": "AccessDeniedException"}, b'{"Message": "no"}'
        return world.service(method, url, *rest)

    world.handler = refuses
    assert "AccessDenied" in _errors(world.run())["project"]
    world.handler = None
    world.context().lookout.create_project(ProjectName="demo")
    world.run(until="project")
    assert world.facts("project")["created_by_us"] is False


def test_stopping_during_training_leaves_it_training_and_the_next_run_waits(world: Any) -> None:
    world.handler = stopping_at(world, "CreateModel")
    result = world.run()
    assert result.cancelled
    assert "Training goes on as version 1" in _errors(result)["model"]
    world.cancelled.clear()
    world.handler = None
    assert world.run().ok
    assert world.service.statuses() == {"1": "TRAINED"}


def test_a_plan_after_an_interrupt_says_that_the_training_goes_on(world: Any) -> None:
    world.overrides = ["service.endpoint=http://127.0.0.1:8977"]
    world.handler = stopping_at(world, "CreateModel")
    assert world.run().cancelled
    calls = len(world.service.calls)
    rows = {row.step: row for row in plan(world.steps(), world.context(), world.ledger).rows}
    (why,) = rows["model"].reasons
    assert why.code == "interrupted"
    assert why.subject == "training goes on as version 1, and `lfvpipe run` takes it up"
    assert len(world.service.calls) == calls


def test_the_model_is_told_what_it_is_for(world: Any) -> None:
    world.overrides = ["bucket.prefix=run1/", "model.effort=thorough"]
    world.run()
    model = world.service.projects["demo"]["models"]["1"]
    tags = {tag["Key"]: tag["Value"] for tag in model["tags"]}
    assert model["output"] == {"Bucket": "demo-bucket", "Prefix": "run1/out/"}
    assert tags["lfvpipe:effort"] == "thorough"
    assert tags["lfvpipe:fingerprint"] == world.facts("model")["fingerprint"]


@pytest.mark.parametrize("step", ["project", "datasets", "model"])
def test_facts_are_plain_json(world: Any, step: str) -> None:
    import json

    world.run()
    assert json.loads(json.dumps(world.facts(step))) == world.facts(step)
