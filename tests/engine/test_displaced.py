"""A slot of the world that holds one configuration at a time."""

from typing import Any

import pytest

from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Work
from lfvpipe.errors import UserError


@pytest.fixture
def slotted(steps: Any, bench: Any, world: Any) -> Any:
    """Return a pipeline that ran with a = 1, then with a = 2, and stands before a = 1 again."""
    world.config.update({"a": 1, "model": 1, "report": 1})
    pipeline = bench(
        steps.Writes("source", keys=["a"]),
        steps.Fills("datasets", ["source"]),
        steps.Writes("model", ["datasets"], ["model"]),
        steps.Writes("report", ["model"], ["report"]),
    )
    pipeline.run()
    world.config["a"] = 2
    pipeline.run()
    world.config["a"] = 1
    return pipeline


def test_it_is_left_alone_when_all_after_it_is_fresh(slotted: Any) -> None:
    slot = slotted.ledger.slots["datasets"]
    assert set(slotted.actions().values()) == {"reuse"}
    slotted.run()
    assert slotted.started == []
    assert slotted.ledger.slots["datasets"] == slot
    assert set(slotted.actions().values()) == {"unchanged"}


def test_it_is_filled_again_when_a_step_that_reads_it_is_stale(slotted: Any, world: Any) -> None:
    world.config["model"] = 2
    assert slotted.actions() == {
        "source": "reuse",
        "datasets": "run",
        "model": "run",
        "report": "run",
    }
    before = slotted.ledger.slots["datasets"]
    today = slotted.reasons("datasets")[0].after
    assert slotted.reasons("datasets") == (Reason("displaced", "datasets", before, today),)
    slotted.run()
    assert slotted.started == ["datasets", "model", "report"]
    assert slotted.ledger.slots["datasets"] == today


@pytest.mark.parametrize("selected", [{}, {"only": "report"}])
def test_it_is_left_alone_when_what_builds_on_it_from_afar_is_lost(
    selected: dict[str, str], slotted: Any, world: Any
) -> None:
    slotted.run()
    slot = slotted.ledger.slots["datasets"]
    report = slotted.ledger.standing_record("default", "report").outcome.facts["path"]
    world.file(report).unlink()
    assert [name for name, action in slotted.actions(**selected).items() if action == "run"] == [
        "report"
    ]
    slotted.run(**selected)
    assert slotted.started == ["report"]
    assert slotted.ledger.slots["datasets"] == slot


def test_it_is_filled_again_for_one_that_reads_it_and_fills_a_slot_itself(
    steps: Any, bench: Any, world: Any
) -> None:
    world.config.update({"a": 1, "report": 1})
    pipeline = bench(
        steps.Fills("datasets", keys=["a"]),
        steps.Fills("endpoint", ["datasets"]),
        steps.Writes("report", ["endpoint"], ["report"]),
    )
    pipeline.run()
    world.config["a"] = 2
    pipeline.run()
    world.config.update({"a": 1, "report": 2})
    assert set(pipeline.actions().values()) == {"run"}
    pipeline.run()
    assert pipeline.started == ["datasets", "endpoint", "report"]


def test_it_is_filled_again_when_a_step_after_it_is_not_yet_knowable(
    steps: Any, bench: Any, world: Any
) -> None:
    world.config.update({"a": 1, "other": 1})
    pipeline = bench(
        steps.Fills("datasets", keys=["a"]),
        steps.Writes("other", keys=["other"]),
        steps.Writes("model", ["datasets", "other"]),
    )
    pipeline.run()
    world.config["a"] = 2
    pipeline.run()
    world.config.update({"a": 1, "other": 2})
    assert pipeline.actions() == {"datasets": "run", "other": "run", "model": "run"}
    pipeline.run()
    assert sorted(pipeline.started) == ["datasets", "model", "other"]


def test_the_slot_is_unknown_from_before_the_body_until_it_is_done(
    slotted: Any, world: Any
) -> None:
    seen: list[object] = []

    def fails(work: Work) -> None:
        seen.append(slotted.ledger.slots["datasets"])
        raise UserError("half filled")

    world.config["a"], world.bodies["datasets"] = 3, fails
    slotted.run()
    assert seen == [None]
    world.config["a"] = 2
    assert slotted.actions()["datasets"] == "unchanged"
    world.config["model"] = 2
    assert [reason.code for reason in slotted.reasons("datasets")] == ["displaced"]


def test_steps_that_a_failure_dooms_do_not_count(steps: Any, bench: Any, world: Any) -> None:
    world.config.update({"a": 1, "other": 1})
    pipeline = bench(
        steps.Writes("other", keys=["other"]),
        steps.Writes("check", ["other"]),
        steps.Writes("source", ["other"], identity=lambda facts: {}),
        steps.Fills("datasets", ["source"], keys=["a"]),
        steps.Writes("model", ["datasets", "check"]),
    )
    pipeline.run()
    world.config["a"] = 2
    pipeline.run()
    world.config.update({"a": 1, "other": 2})

    def fails(work: Work) -> None:
        raise UserError("no")

    world.bodies["check"] = fails
    assert not pipeline.run(jobs=1).ok
    assert pipeline.started == ["other", "check", "source"]


@pytest.fixture
def standing(slotted: Any, world: Any) -> Any:
    """Return the pipeline standing before a = 2, of which the slot holds the outcome."""
    world.config["a"] = 2
    world.observed.clear()
    return slotted


def test_a_slot_is_looked_at_before_a_step_that_reads_it_runs_and_not_otherwise(
    standing: Any, world: Any
) -> None:
    world.drifted.add("datasets")
    standing.run()
    world.config["report"] = 2  # which reads no slot
    standing.run()
    assert standing.started == ["report"]
    assert world.observed == []
    world.config["model"] = 2
    standing.run()
    assert world.observed == ["datasets"]
    assert standing.started == ["datasets", "model", "report"]


def test_a_slot_that_is_as_it_was_left_is_not_filled_again(standing: Any, world: Any) -> None:
    world.config["model"] = 2
    standing.run()
    assert world.observed == ["datasets"]
    assert standing.started == ["model", "report"]


def test_a_slot_that_the_user_vouches_for_is_not_looked_at(standing: Any, world: Any) -> None:
    world.drifted.add("datasets")
    world.config.update({"a": 3, "model": 2})
    standing.run(accept=frozenset({"datasets"}))
    assert "datasets" not in standing.started
    assert world.observed == []


def test_a_slot_that_others_filled_is_told_where_it_is_not_selected(
    standing: Any, world: Any
) -> None:
    world.drifted.add("datasets")
    world.config["model"] = 2
    result = standing.run(only="model")
    (error,) = [row.error for row in result.rows if row.error]
    assert "model builds on datasets, which is out of date (drift: the world)" in str(error)
