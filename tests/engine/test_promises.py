"""What steps are handed, what a plan leaves alone, and what is told: promises of small print."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from lfvpipe.engine import events
from lfvpipe.engine.ancestry import ancestors
from lfvpipe.engine.inputs import CodeVersion, Input, Setting
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.planning import StaleNeed, plan
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.removal import destroy, kept_outcomes
from lfvpipe.engine.selection import NoStepLeft, UnknownStep
from lfvpipe.engine.step import Leftover, Step, Work
from lfvpipe.errors import UserError


class Handed(Step[Any]):
    """Notes what it is handed, and depends on a version of code and a key with an old name."""

    def __init__(self, name: str = "one", *needs: str) -> None:
        self.name = name
        self.needs = needs
        self.code = 1
        self.value = 1
        self.handed: list[tuple[Any, ...]] = []

    def inputs(self, context: Any) -> Sequence[Input]:
        code = CodeVersion("preparation", self.code)
        return [Setting("images[0].label", self.value, "archives.0.label"), code]

    def act(self, context: Any, work: Work) -> Outcome:
        work.save(job="7")
        return Outcome("created", {"value": self.value})

    def observe(self, context: Any, outcome: Outcome) -> Sequence[Reason]:
        self.handed.append(("observe", context, outcome))
        return ()

    def destroy(self, context: Any, outcome: Outcome) -> Sequence[str | Leftover]:
        self.handed.append(("destroy", context, outcome))
        return [Leftover("bucket", "it is not empty")]

    def abandon(self, context: Any, saved: Any) -> Sequence[str | Leftover]:
        self.handed.append(("abandon", context, dict(saved)))
        return []


def test_a_plan_asks_the_world_nothing_unless_it_is_told_to(make: Any, world: Any) -> None:
    step = Handed()
    pipeline = make(world, [step])
    pipeline.run()
    plan([step], world, pipeline.ledger)
    assert step.handed == []
    plan([step], world, pipeline.ledger, refresh=True)
    assert step.handed == [("observe", world, Outcome("created", {"value": 1}))]


def test_shared_code_of_another_version_is_named(make: Any, world: Any) -> None:
    step = Handed()
    pipeline = make(world, [step])
    pipeline.run()
    step.code = 2
    assert pipeline.reasons("one") == (Reason("step-changed", "preparation", 1, 2),)


def test_a_key_is_told_as_the_user_writes_it_whatever_ledgers_call_it(
    make: Any, world: Any
) -> None:
    step = Handed()
    pipeline = make(world, [step])
    pipeline.run()
    (record,) = pipeline.ledger.records("one")
    assert record.inputs == {"archives.0.label": 1, "code:preparation": 1, "version": 1}
    step.value = 2
    assert pipeline.reasons("one") == (Reason("config-changed", "images[0].label", 1, 2),)


def test_a_member_of_a_family_is_named_in_full_where_its_outcome_changed(
    steps: Any, bench: Any, world: Any
) -> None:
    world.config["a"] = 1
    line = bench(steps.Writes("fetch:normal", keys=["a"]), steps.Writes("s", ["fetch:normal"]))
    line.run()
    world.config["a"] = 2
    line.run(only="fetch:normal")
    (reason,) = line.reasons("s")
    assert (reason.code, reason.subject) == ("input-changed", "fetch:normal")


def test_what_is_accepted_or_reused_has_no_reasons_and_is_told_as_reused(
    steps: Any, bench: Any, world: Any
) -> None:
    world.config["a"] = 1
    line = bench(steps.Writes("one", keys=["a"]))
    line.run()
    world.config["a"] = 2
    accept = frozenset({"one"})
    assert [(row.action, row.reasons) for row in line.plan(accept=accept).rows] == [("reuse", ())]
    line.run()
    world.config["a"] = 1
    result = line.run()
    outcome = result.rows[0].outcome
    assert line.events[1] == events.StepFinished("one", outcome, "reused", 0.0)
    assert (result.rows[0].action, result.rows[0].seconds) == ("reuse", 0.0)


def test_a_step_that_is_only_relied_on_is_skipped_and_hands_on_its_outcome(
    steps: Any, bench: Any, world: Any
) -> None:
    line = bench(steps.Writes("one"), steps.Writes("two", ["one"]))
    line.run()
    result = line.run(only="two", force=frozenset({"two"}))
    assert [row.action for row in result.rows] == ["skip", "run"]
    assert result.outcomes.keys() == {"one", "two"}
    assert [(row.step, row.action) for row in line.plan(only="two").rows] == [
        ("one", "skip"),
        ("two", "unchanged"),
    ]


def test_errors_of_a_selection_carry_what_they_are_about(
    steps: Any, bench: Any, world: Any
) -> None:
    line = bench(steps.Writes("one"), steps.Writes("fetch:a", ["one"]))
    with pytest.raises(UnknownStep) as unknown:
        line.plan(only="xyz")
    assert (unknown.value.name, unknown.value.known) == ("xyz", ("one", "fetch", "fetch:a"))
    assert unknown.value.hint == "There are: one, fetch, fetch:a."
    with pytest.raises(NoStepLeft) as empty:
        line.plan(from_="fetch", until="one")
    assert (empty.value.first, empty.value.last) == ("fetch", "one")
    with pytest.raises(StaleNeed, match=r"out of date \(never run\)") as stale:
        line.plan(only="fetch")
    found = stale.value
    assert (found.step, found.needed_by, found.reason) == ("one", "fetch:a", Reason("never-run"))


def test_an_outcome_whose_inputs_changed_meanwhile_is_kept_for_destroy(
    steps: Any, bench: Any, world: Any
) -> None:
    data = world.file("data")
    data.write_text("before")
    line = bench(steps.Writes("one", files=["data"]))
    line.run()
    world.bodies["one"] = lambda _work: data.write_text("after")
    (first,) = [record.outcome for record in line.ledger.records("one")]
    result = line.run(force=frozenset({"one"}))
    data.write_text("before")
    (record,) = line.ledger.records("one")
    assert (record.state, record.outcome) == ("failed", result.rows[0].outcome)
    assert record.superseded == (first,)
    assert record.outcomes == (record.outcome, first)


def test_destroy_hands_on_context_and_facts_and_tells_whose_things_stay(
    make: Any, world: Any
) -> None:
    step = Handed()
    pipeline = make(world, [step])
    pipeline.run()
    outcome = Outcome("created", {"value": 1})
    (kept,) = kept_outcomes([step], pipeline.ledger)
    (record,) = pipeline.ledger.records("one")
    assert (kept.step, kept.fingerprint, kept.outcome) == ("one", record.fingerprint, outcome)
    told: list[tuple[str, Leftover]] = []
    destroy(
        [step], world, pipeline.ledger, on_leftover=lambda name, what: told.append((name, what))
    )
    assert told == [("one", Leftover("bucket", "it is not empty"))]
    assert step.handed == [("destroy", world, outcome)]  # what was saved ended with its attempt


def test_destroy_abandons_what_an_unfinished_attempt_saved(make: Any, world: Any) -> None:
    class Fails(Handed):
        def act(self, context: Any, work: Work) -> Outcome:
            work.save(job="7")
            raise UserError("No.")

    step = Fails()
    pipeline = make(world, [step])
    pipeline.run()
    destroy([step], world, pipeline.ledger)
    assert step.handed == [("abandon", world, {"job": "7"})]


def test_a_stop_says_which_step_stopped_and_that_it_is_resumed(
    steps: Any, bench: Any, world: Any
) -> None:
    def stops(work: Work) -> None:
        work.cancelled.set()
        work.progress(1, 2, "images")

    world.bodies["one"] = stops
    line = bench(steps.Writes("one"))
    line.run()
    (told,) = [each for each in line.events if isinstance(each, events.StepInterrupted)]
    assert (told.step, told.message) == ("one", "one stopped; the next run resumes it.")


def test_a_displaced_step_is_filled_again_where_a_reader_cannot_say_whether_it_runs(
    steps: Any, bench: Any, world: Any
) -> None:
    world.config["a"] = 1
    data = world.file("data")
    data.write_text("x")
    line = bench(
        steps.Fills("datasets", keys=["a"]), steps.Writes("model", ["datasets"], files=["data"])
    )
    for world.config["a"] in (1, 2):
        line.run()
    world.config["a"] = 1

    class Unreadable(steps.Writes):  # type: ignore[misc]  # a class from a fixture
        def inputs(self, context: Any) -> Any:
            raise UserError("The file cannot be read.")

    line.steps = (line.steps[0], Unreadable("model", ["datasets"]))
    result = line.run()
    assert line.started == ["datasets"]
    assert str(result.rows[1].error) == "The file cannot be read."


def test_no_more_steps_run_at_once_than_there_are_jobs(steps: Any, bench: Any, world: Any) -> None:
    names = ("a", "b", "c", "d")
    running: set[str] = set()
    most: list[int] = []
    two = threading.Barrier(2)

    def notes(name: str) -> Any:
        def body(_work: Work) -> None:
            running.add(name)
            two.wait(60)
            most.append(len(running))
            threading.Event().wait(0.05)  # in which a third one would come
            running.remove(name)

        return body

    world.bodies.update({name: notes(name) for name in names})
    line = bench(*(steps.Writes(name) for name in names))
    assert line.run(jobs=2).ok
    assert max(most) == 2


def test_an_input_that_appears_or_goes_while_a_step_runs_makes_it_stale(
    steps: Any, bench: Any, world: Any
) -> None:
    def appears(_work: Work) -> None:
        world.config["extra"] = 1

    world.bodies["one"] = appears
    line = bench(steps.Writes("one", keys=["extra"]))
    result = line.run()
    assert result.rows[0].warnings == ("extra changed while it ran; the next run repeats it.",)

    class Needs(steps.Writes):  # type: ignore[misc]  # a class from a fixture
        def inputs(self, context: Any) -> Any:
            if not world.file("data").exists():
                raise UserError("data is gone")
            return ()

        def act(self, context: Any, work: Work) -> Outcome:
            world.file("data").unlink()
            return Outcome("created", {})

    world.file("data").touch()
    line.steps = (Needs("two"),)
    result = line.run()
    expected = "data is gone changed while it ran; the next run repeats it."
    assert result.rows[0].warnings == (expected,)
    (record,) = line.ledger.records("two")
    assert (record.state, record.outcome) == ("failed", Outcome("created", {}))


def test_how_a_step_ended_is_told_with_its_name_reasons_and_time(
    steps: Any, bench: Any, world: Any
) -> None:
    world.bodies["one"] = lambda _work: threading.Event().wait(0.02)
    line = bench(steps.Writes("one"))
    row = line.run().rows[0]
    finished = line.events[-2]
    assert finished == events.StepFinished("one", row.outcome, "created", row.seconds)
    assert 0.02 <= row.seconds < 30
    assert row.reasons == (Reason("never-run"),)

    def breaks(_work: Work) -> None:
        raise RuntimeError("oops")

    world.bodies["one"] = breaks
    with pytest.raises(RuntimeError, match="oops"):
        line.run(force=frozenset({"one"}))
    failed = line.events[-2]
    assert (failed.step, str(failed.error)) == ("one", "oops")
    (record,) = line.ledger.records("one")
    assert (record.error, record.hint) == ("RuntimeError: oops", "This is a bug in lfvpipe.")


def test_ancestors_of_an_outcome_are_what_it_was_made_of_and_not_todays(
    steps: Any, bench: Any, world: Any
) -> None:
    world.config["a"] = 1
    line = bench(
        steps.Writes("one", keys=["a"]),
        steps.Writes("two", ["one"], identity=lambda facts: {"same": True}),
        steps.Writes("three", ["two"]),
    )
    line.run()
    (three,) = line.ledger.records("three")
    (first,) = line.ledger.records("one")
    world.config["a"] = 2
    line.run()
    (two_now, two_before) = line.ledger.records("two")
    assert ancestors(line.ledger, two_before, ["one"]) == [first]
    # Both of the second step's outcomes are equal, so either may have led to the third's.
    assert ancestors(line.ledger, three, ["two"]) == [two_now, two_before]
    assert ancestors(line.ledger, three, ["two", "one"]) == list(line.ledger.records("one"))
    assert ancestors(line.ledger, three, []) == [three]
    assert ancestors(line.ledger, first, ["two"]) == []
    line.ledger.forget("one", first.fingerprint)
    assert ancestors(line.ledger, two_before, ["one"]) == []


def test_an_unchanged_run_asks_the_world_nothing_and_a_reused_outcome_is_asked_about(
    steps: Any, bench: Any, world: Any
) -> None:
    world.config["a"] = 1
    line = bench(steps.Writes("one", keys=["a"]), steps.Writes("two"))
    for world.config["a"] in (1, 2, 2):
        line.run()
    line.run(only="two")
    assert world.observed == []
    world.config["a"] = 1
    line.run()
    assert world.observed == ["one"]
    line.run(refresh=True)
    assert world.observed == ["one", "one", "two"]


def test_what_is_only_relied_on_is_not_asked_about(steps: Any, bench: Any, world: Any) -> None:
    world.config["a"] = 1
    line = bench(steps.Writes("one", keys=["a"]), steps.Writes("two", ["one"]))
    for world.config["a"] in (1, 2):
        line.run()
    world.config["a"] = 1
    line.run(only="two", refresh=True)
    assert world.observed == ["two"]


def test_what_goes_on_of_an_attempt_that_failed_is_asked_of_the_step_and_told(
    make: Any, world: Any
) -> None:
    class Trains(Handed):
        def act(self, context: Any, work: Work) -> Outcome:
            if work.attempt == 1:
                work.save(job="7")
            raise UserError("No.")

        def ongoing(self, context: Any, saved: Any) -> str:
            self.handed.append(("ongoing", context, dict(saved)))
            return f"job {saved['job']} goes on"

    step = Trains()
    pipeline = make(world, [step])
    pipeline.run()
    assert pipeline.reasons("one") == (Reason("failed", "job 7 goes on", after="No."),)
    assert step.handed == [("ongoing", world, {"job": "7"})]


def test_a_stopped_run_names_each_step_and_is_not_done(steps: Any, bench: Any, world: Any) -> None:
    def stops(work: Work) -> None:
        work.cancelled.set()
        work.progress(1, 2, "images")

    world.bodies["one"] = stops
    line = bench(steps.Writes("one"))
    result = line.run()
    assert (result.ok, result.cancelled) == (False, True)  # though no step was left to start
    line = bench(steps.Writes("one"), steps.Writes("two", ["one"]))
    result = line.run()
    assert [row.step for row in result.rows] == ["one", "two"]
    assert result.rows[1].action == "skip"
    assert 0 <= result.seconds < 30
