"""Which outcomes are needed: the standing ones, what they were made of, and what goes on."""

from pathlib import Path

import pytest

from lfvpipe.engine import Facts, Ledger, Outcome, needed_outcomes


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.load(tmp_path / "ledger.json")


def made(
    ledger: Ledger, step: str, says: str, *needs: tuple[str, Outcome], stand: str = "default"
) -> Outcome:
    """Let a step come to an outcome from others, under a fingerprint of its own."""
    inputs: Facts = {
        "version": 1,
        "says": says,
        **{f"step:{name}": each.digest for name, each in needs},
    }
    outcome = Outcome("created", {"says": says})
    fingerprint = f"{step}-{says}-{len(ledger.records(step))}"
    ledger.begin(stand, step, fingerprint, inputs, exclusive=False)
    ledger.finish(stand, step, fingerprint, outcome, exclusive=False)
    return outcome


def known(ledger: Ledger) -> set[str]:
    """Return the needed outcomes, as ``step says``."""
    needed = needed_outcomes(ledger)
    return {
        f"{step} {outcome.facts['says']}"
        for step in ledger.known_steps
        for record in ledger.records(step)
        for outcome in record.outcomes
        if (step, outcome.digest) in needed
    }


def test_the_last_good_run_needs_what_it_was_made_of_though_steps_before_stand_elsewhere(
    ledger: Ledger,
) -> None:
    old = made(ledger, "select", "old")
    made(ledger, "model", "of old", ("select", old))
    made(ledger, "select", "between")
    made(ledger, "select", "new")
    assert known(ledger) == {"select old", "model of old", "select new"}


def test_each_variant_needs_its_own(ledger: Ledger) -> None:
    for variant in ("a", "b"):
        made(ledger, "select", variant, stand=variant)
    assert known(ledger) == {"select a", "select b"}


def test_a_common_outcome_of_several_attempts_needs_what_the_standing_one_was_made_of(
    ledger: Ledger,
) -> None:
    for says in ("old", "new"):
        select = made(ledger, "select", says)
        bucket = made(ledger, "bucket", "the same", ("select", select))
        made(ledger, "model", f"of {says}", ("bucket", bucket))
    assert known(ledger) == {"select new", "bucket the same", "model of new"}


def test_an_attempt_that_was_killed_or_failed_last_needs_what_it_is_made_of(ledger: Ledger) -> None:
    for says in ("killed", "failed", "given up"):
        select = made(ledger, "select", says)
        inputs: Facts = {"version": 1, "step:select": select.digest}
        ledger.begin("default", "model", says, inputs, exclusive=False)
        if says != "killed":
            ledger.fail("model", says, "no")
        if says == "failed":
            ledger.begin("other", "model", says, inputs, exclusive=False)
            ledger.fail("model", says, "no")
    made(ledger, "select", "new")
    made(ledger, "model", "new")
    assert known(ledger) == {"select killed", "select failed", "select new", "model new"}


def test_an_outcome_that_was_replaced_is_needed_while_something_good_was_made_of_it(
    ledger: Ledger,
) -> None:
    first = made(ledger, "model", "first")
    made(ledger, "report", "of first", ("model", first))
    [record] = ledger.records("model")
    for says in ("second", "third"):
        ledger.begin("default", "model", record.fingerprint, record.inputs, exclusive=False)
        outcome = Outcome("created", {"says": says})
        ledger.finish("default", "model", record.fingerprint, outcome, exclusive=False)
    assert known(ledger) == {"model first", "model third", "report of first"}

    second = next(o for o in ledger.records("model")[0].outcomes if o.facts["says"] == "second")
    ledger.forget_outcomes("model", {second.digest})
    assert [o.facts["says"] for o in ledger.records("model")[0].outcomes] == ["third", "first"]
    ledger.forget_outcomes("model", {ledger.records("model")[0].outcomes[0].digest})
    assert ledger.records("model") == ()
