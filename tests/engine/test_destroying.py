"""Removing what a pipeline created."""

from typing import Any

import pytest

from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.removal import destroy, kept_outcomes
from lfvpipe.engine.step import Leftover
from lfvpipe.errors import UserError


@pytest.fixture
def built(steps: Any, bench: Any, world: Any) -> Any:
    world.config["a"] = 1
    pipeline = bench(steps.Writes("one"), steps.Writes("two", ["one"], ["a"]))
    pipeline.run()
    world.config["a"] = 2
    pipeline.run()
    return pipeline


def test_it_goes_through_all_kept_outcomes_latest_first(built: Any, world: Any) -> None:
    listed = kept_outcomes(built.steps, built.ledger)
    assert [kept.step for kept in listed] == ["two", "two", "one"]
    facts = [kept.outcome.facts for kept in listed if kept.outcome is not None]
    assert facts[0]["inputs"] == {"a": 2}
    told: list[tuple[str, str]] = []
    removed = destroy(
        built.steps,
        world,
        built.ledger,
        on_removed=lambda step, thing: told.append((step, thing)),
    )
    assert removed == tuple(each["path"] for each in facts)
    assert told[0] == ("two", removed[0])
    assert not list(world.root.glob("*-*"))
    assert built.ledger.known_steps == ()
    assert set(built.actions().values()) == {"run"}
    assert destroy(built.steps, world, built.ledger) == ()


def test_what_stays_is_told_once(steps: Any, bench: Any, world: Any) -> None:
    class Leaves(steps.Writes):  # type: ignore[misc]  # a class from a fixture
        def destroy(self, context: Any, outcome: Any) -> Any:
            return [Leftover("bucket b", "it is not empty")]

    pipeline = bench(Leaves("one", [], ["a"]))
    for world.config["a"] in (1, 2):
        pipeline.run()
    told: list[Leftover] = []

    def on_leftover(_step: str, left: Leftover) -> None:
        told.append(left)

    assert destroy(pipeline.steps, world, pipeline.ledger, on_leftover=on_leftover) == ()
    assert told == [Leftover("bucket b", "it is not empty")]


def test_it_goes_on_where_it_failed(built: Any, world: Any) -> None:
    def refuses(work: Any) -> None:
        raise UserError("access denied")

    world.bodies["destroy one"] = refuses
    with pytest.raises(UserError, match="access denied"):
        destroy(built.steps, world, built.ledger)
    assert built.ledger.known_steps == ("one",)
    del world.bodies["destroy one"]
    assert len(destroy(built.steps, world, built.ledger)) == 1


def test_what_an_unfinished_attempt_left_is_removed_too(steps: Any, bench: Any, world: Any) -> None:
    class Leaves(steps.Writes):  # type: ignore[misc]  # a class from a fixture
        def abandon(self, context: Any, saved: Any) -> Any:
            return [f"job {saved['job']}"]

    def fails(work: Any) -> None:
        work.save(job="7")
        raise UserError("no")

    world.bodies["one"] = fails
    pipeline = bench(Leaves("one"))
    pipeline.run()
    assert destroy(pipeline.steps, world, pipeline.ledger) == ("job 7",)


def test_what_a_failed_attempt_left_is_handed_to_the_next_one(
    steps: Any, bench: Any, world: Any
) -> None:
    seen: list[Any] = []

    def fails_once(work: Any) -> None:
        seen.append(dict(work.saved))
        work.save(job="7")
        if len(seen) == 1:
            raise UserError("no")

    world.bodies["one"] = fails_once
    pipeline = bench(steps.Writes("one"))
    pipeline.run()
    pipeline.run()
    pipeline.run(force=frozenset({"one"}))
    assert seen == [{}, {"job": "7"}, {}]


def test_what_forced_runs_created_is_all_removed(steps: Any, bench: Any, world: Any) -> None:
    class Numbered(steps.Writes):  # type: ignore[misc]  # a class from a fixture
        def path(self, context: Any, fingerprint: str) -> Any:
            return context.file(f"{self.name}-{len(list(context.root.glob('one-*')))}")

        def act(self, context: Any, work: Any) -> Any:
            path = self.path(context, work.fingerprint)
            path.write_text("x")
            return Outcome("created", {"path": path.name})

    pipeline = bench(Numbered("one"))
    pipeline.run()
    pipeline.run(force=frozenset({"one"}))
    kept = kept_outcomes(pipeline.steps, pipeline.ledger)
    assert [each.outcome.facts["path"] for each in kept if each.outcome] == ["one-1", "one-0"]
    assert destroy(pipeline.steps, world, pipeline.ledger) == ("one-1", "one-0")
