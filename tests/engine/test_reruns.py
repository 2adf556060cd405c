"""What runs again, what does not, and the reasons given for it."""

from collections.abc import Callable
from typing import Any

import pytest

from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step, Work
from lfvpipe.errors import UserError

# Through fixtures: pytest loads conftest.py under a name of its own.
Build = Callable[..., Any]


@pytest.fixture
def three(steps: Any, bench: Build, world: Any) -> Any:
    world.config.update({"a": 1, "b": 1, "c": 1})
    return bench(
        steps.Writes("first", keys=["a", "extra"]),
        steps.Writes("second", ["first"], ["b"]),
        steps.Writes("third", ["second"], ["c"]),
    )


def test_everything_runs_once_and_then_nothing(three: Any) -> None:
    assert {row.reasons for row in three.plan().rows[:1]} == {(Reason("never-run"),)}
    assert three.run().ok
    assert three.started == ["first", "second", "third"]
    before = three.path.read_bytes()
    assert three.run().ok
    assert three.started == []
    assert three.path.read_bytes() == before
    assert set(three.actions().values()) == {"unchanged"}


def test_a_changed_key_is_named_with_before_and_after(three: Any, world: Any) -> None:
    three.run()
    world.config["b"] = 2
    assert three.actions() == {"first": "unchanged", "second": "run", "third": "run"}
    assert three.reasons("second") == (Reason("config-changed", "b", 1, 2),)
    assert three.reasons("third") == (Reason("upstream", "second"),)
    three.run()
    assert three.started == ["second", "third"]


def test_an_added_and_a_removed_key_count(three: Any, world: Any) -> None:
    three.run()
    world.config["extra"] = True
    assert three.reasons("first") == (Reason("config-changed", "extra", None, True),)
    three.run()
    del world.config["extra"]
    world.config["a"] = 5
    assert three.reasons("first") == (
        Reason("config-changed", "a", 1, 5),
        Reason("config-changed", "extra", True, None),
    )


def test_a_key_that_appears_as_null_counts(three: Any, world: Any) -> None:
    three.run()
    world.config["extra"] = None
    assert three.reasons("first") == (Reason("config-changed", "extra", None, None),)


def test_a_changed_file_and_a_new_version_are_named(steps: Any, bench: Build, world: Any) -> None:
    world.file("data").write_text("old")
    one = steps.Writes("one", files=["data"])
    pipeline = bench(one)
    pipeline.run()
    world.file("data").write_text("new")
    assert pipeline.reasons("one") == (Reason("input-changed", "data", "old", "new"),)
    world.file("data").write_text("old")
    one.version = 2
    assert pipeline.reasons("one") == (Reason("step-changed", "", 1, 2),)


def test_a_need_that_is_dropped_or_added_counts(steps: Any, bench: Build) -> None:
    first, other = steps.Writes("first"), steps.Writes("other")
    bench(first, other, steps.Writes("last", ["first"])).run()
    changed = bench(first, other, steps.Writes("last", ["other"])).reasons("last")
    assert [(reason.code, reason.subject) for reason in changed] == [
        ("input-changed", "first"),
        ("input-changed", "other"),
    ]


def test_early_cut_off_spares_what_depends_on_an_equal_outcome(
    steps: Any, bench: Build, world: Any
) -> None:
    world.config["a"] = 1
    pipeline = bench(
        steps.Writes("first", keys=["a"], identity=lambda facts: {"same": True}),
        steps.Writes("second", ["first"]),
        steps.Writes("third", ["second"]),
    )
    pipeline.run()
    world.config["a"] = 2
    assert pipeline.actions() == {"first": "run", "second": "run", "third": "run"}
    result = pipeline.run()
    assert pipeline.started == ["first"]
    assert [row.action for row in result.rows] == ["run", "unchanged", "unchanged"]


def test_going_back_reuses_the_earlier_outcomes(three: Any, world: Any) -> None:
    three.run()
    first = dict(three.ledger.standing["default"])
    world.config["a"] = 2
    three.run()
    world.config["a"] = 1
    assert set(three.actions().values()) == {"reuse"}
    assert world.observed == []
    result = three.run()
    assert three.started == []
    assert world.observed == ["first", "second", "third"]
    assert {row.action for row in result.rows} == {"reuse"}
    assert three.ledger.standing["default"] == first
    assert set(three.actions().values()) == {"unchanged"}


def test_a_reused_outcome_is_verified_in_the_world(three: Any, world: Any) -> None:
    three.run()
    world.config["c"] = 2
    three.run()
    world.config["c"] = 1
    world.drifted = {"third"}
    three.run()
    assert three.started == ["third"]
    assert three.events[-3].reasons == (Reason("drift", "the world"),)


def test_a_missing_output_is_made_again(three: Any, world: Any) -> None:
    three.run()
    gone = next(world.root.glob("second-*"))
    gone.unlink()
    assert three.reasons("second") == (Reason("output-missing", gone.name),)
    three.run()
    assert three.started == ["second"]
    assert gone.exists()


def test_drift_is_seen_only_on_refresh(three: Any, world: Any) -> None:
    three.run()
    world.drifted = {"third"}
    assert three.actions()["third"] == "unchanged"
    assert world.observed == []
    assert three.reasons("third", refresh=True) == (Reason("drift", "the world"),)
    three.run(refresh=True)
    assert three.started == ["third"]


def test_variants_share_what_they_have_in_common(three: Any, world: Any) -> None:
    three.run(variant="small")
    world.config["c"] = 2
    three.run(variant="large")
    assert three.started == ["third"]
    world.config["c"] = 1
    three.run(variant="small")
    assert three.started == []


def test_inputs_that_change_while_a_step_runs_make_it_stale(
    steps: Any, bench: Build, world: Any
) -> None:
    data = world.file("data")
    data.write_text("before")
    pipeline = bench(steps.Writes("one", files=["data"]))

    def changes_its_input(work: Work) -> None:
        data.write_text("after")

    world.bodies["one"] = changes_its_input
    result = pipeline.run()
    assert result.ok
    assert result.rows[0].warnings == ("file:data changed while it ran; the next run repeats it.",)
    assert pipeline.reasons("one") == (Reason("input-changed", "data", "before", "after"),)
    data.write_text("before")
    assert pipeline.reasons("one") == (Reason("failed", after="file:data changed while it ran"),)
    del world.bodies["one"]
    pipeline.run()
    assert pipeline.actions() == {"one": "unchanged"}


def test_a_failed_step_says_so_and_is_tried_again(three: Any, world: Any) -> None:
    attempts: list[int] = []

    def fails(work: Work) -> None:
        attempts.append(work.attempt)
        raise UserError("the disk is on fire", hint="put it out")

    world.bodies["second"] = fails
    three.run()
    assert three.reasons("second") == (Reason("failed", after="the disk is on fire"),)
    three.run()
    world.bodies["second"] = lambda work: attempts.append(work.attempt)
    assert three.run().ok
    assert attempts == [1, 2, 3]


def test_after_a_failed_change_going_back_needs_nothing(three: Any, world: Any) -> None:
    three.run()

    def fails(work: Work) -> None:
        raise UserError("no")

    world.config["c"], world.bodies["third"] = 2, fails
    assert not three.run().ok
    codes = [reason.code for reason in three.reasons("third")]
    assert codes == ["failed", "config-changed"]
    world.config["c"] = 1
    assert set(three.actions().values()) == {"unchanged"}


def test_the_engines_own_keys_are_no_inputs(steps: Any, bench: Build, world: Any) -> None:
    world.config["version"] = 7
    with pytest.raises(ValueError, match="'version' is no key"):
        bench(steps.Writes("one", keys=["version"])).plan()


def test_needs_are_checked(steps: Any, bench: Build) -> None:
    def writes(name: str, *needs: str) -> Step[Any]:
        step: Step[Any] = steps.Writes(name, needs)
        return step

    with pytest.raises(ValueError, match="a → b → a"):
        bench(writes("a", "b"), writes("b", "a")).plan()
    with pytest.raises(ValueError, match="needs c, which is no step"):
        bench(writes("a", "c")).plan()
    with pytest.raises(ValueError, match="share a name"):
        bench(writes("a"), writes("a")).plan()
