"""What a run would do, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from lfvpipe.engine.errors import EngineError
from lfvpipe.engine.order import in_order, transitive_needs
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.selection import ResolvedSelection, Selection, resolve
from lfvpipe.engine.staleness import CurrentInputs, Observe, current_inputs, reasons
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.reasons import Reason
    from lfvpipe.engine.step import Step

C = TypeVar("C")
Action = Literal["run", "reuse", "unchanged", "skip"]


@dataclass(frozen=True)
class PlanRow:
    """What a run would do with a step, and why.

    Attributes:
        step: The step's name.
        action: ``run``; ``reuse`` an outcome of an earlier configuration, or one that the user
            accepts; ``unchanged``; ``skip`` what the selection leaves out.
        reasons: Why it would run; empty for the other actions.
    """

    step: str
    action: Action
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a run would do, a row for each step, in order."""

    rows: tuple[PlanRow, ...]

    @property
    def stale(self) -> tuple[PlanRow, ...]:
        """The rows of the steps that would run."""
        return tuple(row for row in self.rows if row.action == "run")


@dataclass(frozen=True)
class StalenessQuery(Generic[C]):
    """What is asked about steps: with which context and ledger, and how closely.

    Attributes:
        context: Handed to the steps.
        ledger: What is known of earlier runs.
        variant: Whose standing counts.
        selection: Which steps may run, must be fresh, are forced or accepted.
        observe: Whether the world is asked about known outcomes.
        explain: Collect all reasons, not the first alone.
    """

    context: C
    ledger: Ledger
    variant: str
    selection: ResolvedSelection
    observe: Observe
    explain: bool


@dataclass(frozen=True)
class Decision(Generic[C]):
    """What is to become of a step.

    Attributes:
        current: What it would be made of.
        reasons: Why it is stale.
        outcome: What stands for it if it does not run; None when it has to run.
        displaced: It has an outcome, but the world's slot holds another one.
        accepted: It is stale, and the user takes the outcome at which it stands as good.
    """

    current: CurrentInputs[C]
    reasons: tuple[Reason, ...]
    outcome: Outcome | None
    displaced: bool = False
    accepted: bool = False


class StaleNeed(EngineError):
    """A step that the selection leaves out is stale, and one that it takes needs it.

    Attributes:
        step: The stale step.
        needed_by: The first selected step that needs it.
        reason: The first reason why it is stale.
    """

    def __init__(self, step: str, needed_by: str, reason: Reason) -> None:
        why = reason.code.replace("-", " ") + (f": {reason.subject}" if reason.subject else "")
        super().__init__(
            f"{needed_by} builds on {step}, which is out of date ({why}) and not selected.",
            hint=f"Select {step} as well, or accept it as it is.",
        )
        self.step = step
        self.needed_by = needed_by
        self.reason = reason


def plan(
    steps: Sequence[Step[C]],
    context: C,
    ledger: Ledger,
    *,
    variant: str = "default",
    selection: Selection | None = None,
    refresh: bool = False,
) -> Plan:
    """Say what `run` would do, without doing it.

    Contacts nothing beyond the local disk unless `refresh`, which observes the world.

    Raises:
        UserError: The selection is wrong, or a step cannot read its inputs.
        StaleNeed: The selection leaves out a stale step that others need.
    """
    ordered = in_order(steps)
    resolved = resolve(ordered, selection or Selection())
    observe: Observe = "always" if refresh else "never"
    query = StalenessQuery(context, ledger, variant, resolved, observe, explain=True)
    decisions = decide_all(ordered, query, resolved.selected | resolved.relied_on)
    refuse_stale_needs(ordered, resolved, decisions)
    rows = []
    for step in ordered:
        if step.name not in resolved.selected:
            rows.append(PlanRow(step.name, "skip"))
            continue
        decision = decisions[step.name]
        action = action_of(decision, query)
        rows.append(PlanRow(step.name, action, decision.reasons if action == "run" else ()))
    return Plan(tuple(rows))


def decide(step: Step[C], query: StalenessQuery[C], outcomes: Mapping[str, Outcome]) -> Decision[C]:
    """Decide whether `step` has to run; `outcomes` holds those of its needs that are known.

    Raises:
        UserError: The step cannot read its inputs or the world, or has nothing to accept.
    """
    name, ledger, selection = step.name, query.ledger, query.selection
    current = current_inputs(step, query.context, outcomes)
    found = reasons(
        current,
        query.context,
        ledger,
        variant=query.variant,
        observe=query.observe if name in selection.selected else "never",
        forced=name in selection.forced,
    )
    first = next(found, None)
    if first is None or first.code == "displaced":
        record = ledger.record(name, current.fingerprint or "")
        outcome = None if record is None else record.outcome
        displaced = () if first is None else (first,)
        return Decision(current, displaced, outcome, displaced=first is not None)
    why = (first, *found) if query.explain else (first,)
    if name not in selection.accepted:
        return Decision(current, why, None)
    # Not verified: what the step would make of today's inputs is said to be what it made of the
    # earlier ones, and later steps build on that.
    standing = ledger.standing_record(query.variant, name)
    if standing is None or standing.outcome is None:
        raise UserError(f"{name} has never finished, so there is nothing to accept.")
    return Decision(current, why, standing.outcome, accepted=True)


def decide_all(
    ordered: Sequence[Step[C]],
    query: StalenessQuery[C],
    names: Collection[str],
    known: Mapping[str, Outcome] | None = None,
) -> dict[str, Decision[C]]:
    """Decide about steps, as far as can be known before any of them runs.

    Args:
        ordered: All steps, in order.
        query: How to find out.
        names: Which steps to decide about.
        known: Outcomes that are settled.

    Raises:
        UserError: See `decide`.
    """
    outcomes = dict(known or {})
    decisions: dict[str, Decision[C]] = {}
    for step in ordered:
        if step.name in names:
            decision = decisions[step.name] = decide(step, query, outcomes)
            if decision.outcome is not None:
                outcomes[step.name] = decision.outcome
            elif (foretold := step.foretell(query.context)) is not None:
                outcomes[step.name] = Outcome("unchanged", {}, foretold)
    # A displaced step is fresh until a step has to run that names it among its own needs: only
    # that one reads the slot. What comes later builds on outcomes that were made of it, as a lost
    # report does on the model's. Backwards, as a displaced step that runs reads slots in turn.
    read: set[str] = set()
    for step in reversed(ordered):
        found = decisions.get(step.name)
        if found is not None and found.displaced and step.name in read:
            found = decisions[step.name] = replace(found, outcome=None)
        if found is not None and found.outcome is None:
            read.update(step.needs)
    return decisions


def refuse_stale_needs(
    ordered: Sequence[Step[C]], selection: ResolvedSelection, decisions: Mapping[str, Decision[C]]
) -> None:
    """Refuse to build on a stale step that the selection leaves out.

    Raises:
        StaleNeed: There is one.
    """
    for name, decision in decisions.items():
        if name in selection.relied_on and decision.outcome is None:
            needs = transitive_needs(ordered)
            users = (s.name for s in ordered if name in needs[s.name])
            needed_by = next(user for user in users if user in selection.selected)
            raise StaleNeed(name, needed_by, decision.reasons[0])


def action_of(decision: Decision[C], query: StalenessQuery[C]) -> Action:
    """Return what to do about a step that may run."""
    if decision.outcome is None:
        return "run"
    standing = query.ledger.standing_at(query.variant, decision.current.step.name)
    return "unchanged" if decision.current.fingerprint == standing else "reuse"
