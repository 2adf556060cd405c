"""How a run goes: side by side, past failures, to a stop, and what it reports."""

import json
import re
import threading
from typing import Any

import pytest

from lfvpipe.engine import attempt, events
from lfvpipe.engine.step import Cancelled, Work
from lfvpipe.errors import UserError

PATIENCE = 30


@pytest.fixture
def diamond(steps: Any, bench: Any) -> Any:
    return bench(
        steps.Writes("top"),
        steps.Writes("left", ["top"]),
        steps.Writes("right", ["top"]),
        steps.Writes("bottom", ["left"]),
    )


def fails(work: Work) -> None:
    raise UserError(f"{work.fingerprint[:0]}no", hint="try again")


def test_independent_steps_run_at_once(diamond: Any, world: Any) -> None:
    barrier = threading.Barrier(2)
    for name in ("left", "right"):
        world.bodies[name] = lambda work: barrier.wait(PATIENCE) and None
    assert diamond.run().ok


def test_a_step_sees_the_outcomes_of_all_before_it(diamond: Any, world: Any) -> None:
    seen: list[set[str]] = []
    world.bodies["bottom"] = lambda work: seen.append(set(work.upstream))
    diamond.run()
    assert seen == [{"top", "left"}]


def test_a_failure_skips_what_depends_on_it_and_nothing_else(diamond: Any, world: Any) -> None:
    world.bodies["left"] = fails
    result = diamond.run()
    rows = {row.step: row for row in result.rows}
    assert not result.ok
    assert str(rows["left"].error) == "no\n  try again"
    assert rows["right"].outcome is not None
    assert (rows["bottom"].action, rows["bottom"].because) == ("skip", "left")
    assert events.StepSkipped("bottom", "left") in diamond.events
    assert diamond.ledger.records("left")[0].hint == "try again"


def test_inputs_that_cannot_be_read_fail_their_step_alone(
    steps: Any, bench: Any, world: Any
) -> None:
    class Unreadable(steps.Writes):  # type: ignore[misc]  # a class from a fixture
        def inputs(self, context: Any) -> Any:
            raise UserError("the file is gone")

    pipeline = bench(Unreadable("one"), steps.Writes("two"), steps.Writes("three", ["one"]))
    result = pipeline.run()
    assert [row.outcome is not None for row in result.rows] == [False, True, False]
    assert not result.ok
    one, _, three = result.rows
    assert (one.step, one.action, str(one.error)) == ("one", "run", "the file is gone")
    assert (three.action, three.because) == ("skip", "one")
    (failed,) = [each for each in pipeline.events if isinstance(each, events.StepFailed)]
    assert (failed.step, failed.error, failed.seconds) == ("one", one.error, 0.0)
    with pytest.raises(UserError, match="the file is gone"):
        pipeline.plan()


def test_a_bug_is_recorded_and_raised_once_the_others_have_ended(diamond: Any, world: Any) -> None:
    ended = threading.Event()

    def breaks(work: Work) -> None:
        raise KeyError("oops")

    def waits_for_the_record(work: Work) -> None:
        while not diamond.ledger.records("left") or diamond.ledger.records("left")[0].error is None:
            assert not ended.wait(0.01)

    world.bodies.update(left=breaks, right=waits_for_the_record)
    with pytest.raises(KeyError, match="oops"):
        diamond.run()
    assert diamond.ledger.records("left")[0].error == "KeyError: 'oops'"
    assert diamond.ledger.records("right")[0].state == "done"
    assert isinstance(diamond.events[-1], events.RunFinished)


def test_facts_that_are_no_json_are_a_bug_of_their_step(diamond: Any, world: Any) -> None:
    world.bodies["top"] = lambda work: work.save(score=float("nan"))
    with pytest.raises(ValueError, match="not JSON compliant"):
        diamond.run()
    assert diamond.ledger.records("top")[0].state == "failed"


def test_a_stop_leaves_the_step_to_be_resumed(diamond: Any, world: Any) -> None:
    cancelled = threading.Event()
    seen: list[tuple[int, object, str]] = []

    def stops(work: Work) -> None:
        seen.append((work.attempt, dict(work.saved), work.token("create")))
        if not work.saved:
            work.save(job="7")
            cancelled.set()
        work.progress(1, 2, "images")

    world.bodies["top"] = stops
    result = diamond.run(cancelled=cancelled)
    assert (result.cancelled, result.ok) == (True, False)
    assert isinstance(result.rows[0].error, Cancelled)
    assert any(isinstance(event, events.StepInterrupted) for event in diamond.events)
    assert [reason.code for reason in diamond.reasons("top")] == ["interrupted"]
    assert diamond.run().ok
    assert [(attempt, saved) for attempt, saved, _ in seen] == [(1, {}), (1, {"job": "7"})]
    assert seen[0][2] == seen[1][2]


def test_nothing_starts_once_the_user_stopped(diamond: Any) -> None:
    cancelled = threading.Event()
    cancelled.set()
    result = diamond.run(cancelled=cancelled)
    assert result.cancelled
    assert diamond.started == []


def test_tokens_differ_by_part_attempt_and_step_and_fit_the_service(
    diamond: Any, world: Any
) -> None:
    tokens: list[str] = []

    def asks(work: Work) -> None:
        tokens.extend([work.token(), work.token("a"), work.token("a", "b"), work.token("ab")])
        raise UserError("no")

    world.bodies["top"] = asks
    diamond.run()
    diamond.run()
    assert len(set(tokens)) == 8
    assert all(re.fullmatch(r"[a-zA-Z0-9-]{1,64}", token) for token in tokens)


def test_a_forced_rerun_is_a_new_attempt_that_knows_the_previous_outcome(
    diamond: Any, world: Any
) -> None:
    diamond.run()
    seen: list[tuple[int, bool]] = []
    world.bodies["top"] = lambda work: seen.append((work.attempt, work.previous is not None))
    diamond.run(force=frozenset({"top"}))
    assert seen == [(2, True)]


def test_a_stopped_rerun_of_a_finished_step_is_not_fresh(diamond: Any, world: Any) -> None:
    diamond.run()

    def stops(work: Work) -> None:
        raise Cancelled("training goes on")

    world.bodies["top"] = stops
    result = diamond.run(force=frozenset({"top"}))
    assert result.cancelled
    assert [row.action for row in result.rows] == ["run", "skip", "skip", "skip"]
    assert events.StepSkipped("left", "top") not in diamond.events
    assert [reason.code for reason in diamond.reasons("top")] == ["interrupted"]


def test_progress_is_throttled_but_its_end_is_told(
    diamond: Any, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "INTERVAL", 3600)

    def counts(work: Work) -> None:
        for done in range(1, 1000):
            work.progress(done, 2000, "images")

    world.bodies["top"] = counts
    diamond.run()
    told = [event.done for event in diamond.events if isinstance(event, events.StepProgress)]
    assert told == [1, 999]


def test_what_is_held_is_on_the_disk_until_it_is_released(diamond: Any, world: Any) -> None:
    held: list[object] = []

    def hosts(work: Work) -> None:
        work.hold("model", {"version": "1"})
        held.append(json.loads(diamond.path.read_text())["held"])
        work.release("model")
        work.release("model")

    world.bodies["top"] = hosts
    diamond.run()
    assert held == [{"model": {"version": "1"}}]
    assert diamond.ledger.held == {}


def test_the_events_of_a_run_tell_its_story(diamond: Any, world: Any) -> None:
    world.bodies["top"] = lambda work: work.warn("careful")
    result = diamond.run(until="left")
    assert diamond.events[0] == events.RunStarted("default", ("top", "left"))
    assert diamond.events[2] == events.StepWarning("top", "careful")
    assert result.rows[0].warnings == ("careful",)
    assert diamond.events[-1] == events.RunFinished(result)
    diamond.run()
    assert [e.word for e in diamond.events if isinstance(e, events.StepFinished)][:1] == [
        "unchanged"
    ]
