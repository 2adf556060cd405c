"""What a ledger remembers of accepted, failed and forgotten attempts, record by record."""

from pathlib import Path
from typing import Any

import pytest

from lfvpipe.engine.events import StepProgress
from lfvpipe.engine.ledger import Ledger
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.step import Work
from lfvpipe.errors import UserError

FIRST, SECOND = Outcome("created", {"made": 1}), Outcome("created", {"made": 2})


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return a ledger in which `step` stands at fingerprint a, and its slot holds that."""
    ledger = Ledger.load(tmp_path / "ledger.json")
    ledger.begin("default", "step", "a", {"key": 1, "version": 1}, exclusive=True)
    ledger.finish("default", "step", "a", FIRST, exclusive=True)
    return ledger


def again(ledger: Ledger) -> Ledger:
    return Ledger.load(ledger.path)


def test_what_is_accepted_stands_for_the_new_inputs_and_has_the_slot(ledger: Ledger) -> None:
    ledger.accept("default", "step", "b", {"key": 2, "version": 1})
    found = again(ledger)
    record = found.standing_record("default", "step")
    assert record is not None
    assert (record.fingerprint, record.state, record.outcome) == ("b", "done", FIRST)
    assert record.inputs == {"key": 2, "version": 1}
    assert found.slots == {"step": "b"}
    before = found.record("step", "a")
    assert before is not None
    assert before.inputs == {"key": 1, "version": 1}


def test_a_slot_that_holds_something_else_does_not_follow_what_is_accepted(ledger: Ledger) -> None:
    ledger.begin("other", "step", "c", {"key": 3, "version": 1}, exclusive=True)
    ledger.finish("other", "step", "c", SECOND, exclusive=True)
    ledger.accept("default", "step", "b", {"key": 2, "version": 1})
    assert again(ledger).slots == {"step": "c"}


def test_accepting_what_failed_when_it_was_forced_forgets_the_failure(ledger: Ledger) -> None:
    ledger.begin("default", "step", "a", {"key": 1, "version": 1}, exclusive=True)
    ledger.fail("step", "a", "no network", "Wait.")
    failed = again(ledger).standing_record("default", "step")
    assert failed is not None
    assert (failed.state, failed.error, failed.hint) == ("failed", "no network", "Wait.")
    ledger.accept("default", "step", "a", {"key": 1, "version": 1})
    record = again(ledger).standing_record("default", "step")
    assert record is not None
    assert (record.state, record.error, record.outcome) == ("done", None, FIRST)
    assert record.finished is not None
    assert record.finished >= record.started


def test_accepting_keeps_what_was_made_of_the_same_inputs_before(ledger: Ledger) -> None:
    ledger.begin("default", "step", "b", {"key": 2, "version": 1}, exclusive=True)
    ledger.finish("default", "step", "b", SECOND, exclusive=True)
    ledger.stand("default", "step", "a")
    ledger.accept("default", "step", "b", {"key": 2, "version": 1})
    record = again(ledger).record("step", "b")
    assert record is not None
    assert (record.outcome, record.superseded) == (FIRST, (SECOND,))
    assert record.outcomes == (FIRST, SECOND)


def test_what_is_forgotten_stands_nowhere_and_has_no_slot(ledger: Ledger) -> None:
    ledger.begin("other", "step", "b", {"key": 2, "version": 1}, exclusive=False)
    ledger.finish("other", "step", "b", SECOND, exclusive=False)
    ledger.begin("third", "step", "a", {"key": 1, "version": 1}, exclusive=False)
    ledger.forget("step", "a")
    found = again(ledger)
    assert found.record("step", "a") is None
    assert [record.fingerprint for record in found.records("step")] == ["b"]
    assert found.standing == {"default": {}, "other": {"step": "b"}}
    assert found.baseline("third", "step") is None
    assert found.slots == {}
    ledger.forget("step", "b")
    assert again(ledger).known_steps == ()
    ledger.forget("step", "b")  # a kill may have come between, so it is no error


def test_forgetting_another_record_leaves_the_slot_as_it_is(ledger: Ledger) -> None:
    ledger.begin("other", "step", "b", {"key": 2, "version": 1}, exclusive=False)
    ledger.fail("step", "b", "no")
    ledger.forget("step", "b")
    assert again(ledger).slots == {"step": "a"}
    assert again(ledger).standing_at("default", "step") == "a"


def test_an_accepted_outcome_of_a_slot_is_not_displaced(steps: Any, bench: Any, world: Any) -> None:
    world.config["a"] = 1
    line = bench(steps.Fills("datasets", keys=["a"]), steps.Writes("model", ["datasets"]))
    line.run()
    world.config["a"] = 2
    accept = frozenset({"datasets"})
    assert line.run(accept=accept).ok
    assert line.started == []
    assert line.actions(force=frozenset({"model"})) == {"datasets": "unchanged", "model": "run"}


def test_progress_tells_what_it_was_told(steps: Any, bench: Any, world: Any) -> None:
    line = bench(steps.Writes("a"))
    world.bodies["a"] = lambda work: work.progress(3, 3, "images", "b.png")
    line.run()
    told = [event for event in line.events if isinstance(event, StepProgress)]
    assert told == [StepProgress("a", 3, 3, "images", "b.png")]
    world.bodies["a"] = lambda work: work.progress(1, None, "images")
    line.run(force=frozenset({"a"}))
    told = [event for event in line.events if isinstance(event, StepProgress)]
    assert told == [StepProgress("a", 1, None, "images", "")]


def test_what_is_saved_is_seen_in_the_same_attempt_too(steps: Any, bench: Any, world: Any) -> None:
    seen: list[Any] = []

    def body(work: Work) -> None:
        work.save(first=1)
        work.save(second=2)
        seen.append(dict(work.saved))
        if len(seen) == 1:
            raise UserError("No network.")

    world.bodies["a"] = body
    line = bench(steps.Writes("a"))
    line.run()
    (record,) = line.ledger.records("a")
    assert (record.state, record.saved) == ("failed", {"first": 1, "second": 2})
    line.run()
    (record,) = line.ledger.records("a")
    assert (record.state, record.saved) == ("done", {})
    assert seen == [{"first": 1, "second": 2}] * 2
