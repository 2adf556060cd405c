"""What a run would do, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from lfvpipe.engine.order import in_order
from lfvpipe.engine.selection import ResolvedSelection, Selection, resolve
from lfvpipe.engine.staleness import Observe, Today, reasons, today
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.outcome import Outcome
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
class Question(Generic[C]):
    """What is asked about the steps: with which context and ledger, and how closely.

    Attributes:
        context: Handed to the steps.
        ledger: What is known of earlier runs.
        variant: Whose standing counts.
        chosen: What the user selected.
        observe: Whether the world is asked about known outcomes.
        explain: Collect all reasons, not the first alone.
        advise: Says what the user can do about the error of a step.
    """

    context: C
    ledger: Ledger
    variant: str
    chosen: ResolvedSelection
    observe: Observe
    explain: bool
    advise: Callable[[UserError], str] = attrgetter("hint")


@dataclass(frozen=True)
class Answer(Generic[C]):
    """What is found about a step.

    Attributes:
        today: What it would be made of.
        reasons: Why it is stale.
        outcome: What stands for it if it does not run; None when it has to run.
        displaced: It has an outcome, but the world's slot holds another one.
        accepted: It is stale, and the user takes its outcome as good.
    """

    today: Today[C]
    reasons: tuple[Reason, ...]
    outcome: Outcome | None
    displaced: bool = False
    accepted: bool = False


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
        UserError: The selection is wrong or leaves out a stale step that others need, or a step
            cannot read its inputs.
    """
    ordered = in_order(steps)
    chosen = resolve(ordered, selection or Selection())
    observe: Observe = "always" if refresh else "never"
    question = Question(context, ledger, variant, chosen, observe, explain=True)
    answers = survey(ordered, question, chosen.selected | chosen.relied_on)
    insist_on_trusted(ordered, question, answers)
    return Plan(tuple(_row(step.name, question, answers) for step in ordered))


def consider(step: Step[C], question: Question[C], outcomes: Mapping[str, Outcome]) -> Answer[C]:
    """Find out whether `step` is stale; `outcomes` holds those of its needs that are known.

    Raises:
        UserError: The step cannot read its inputs or the world, or has nothing to accept.
    """
    name, ledger = step.name, question.ledger
    now = today(step, question.context, outcomes)
    found = reasons(
        now,
        question.context,
        ledger,
        variant=question.variant,
        observe=question.observe if name in question.chosen.selected else "never",
        forced=name in question.chosen.forced,
    )
    first = next(found, None)
    if first is None or first.code == "displaced":
        record = ledger.record(name, now.fingerprint or "")
        outcome = None if record is None else record.outcome
        displaced = () if first is None else (first,)
        return Answer(now, displaced, outcome, displaced=first is not None)
    why = (first, *found) if question.explain else (first,)
    if name in question.chosen.accepted:
        return Answer(now, why, _standing_outcome(question, name), accepted=True)
    return Answer(now, why, None)


def survey(
    ordered: Sequence[Step[C]],
    question: Question[C],
    names: Collection[str],
    known: Mapping[str, Outcome] | None = None,
) -> dict[str, Answer[C]]:
    """Find out about steps, as far as can be known now.

    A displaced step has to run, so loses its outcome here, when a step that reads its slot has to.

    Args:
        ordered: All steps, in order.
        question: What is asked.
        names: Which steps it is asked about.
        known: Outcomes that are settled.
    """
    outcomes = dict(known or {})
    answers: dict[str, Answer[C]] = {}
    for step in ordered:
        if step.name in names:
            answer = answers[step.name] = consider(step, question, outcomes)
            if answer.outcome is not None:
                outcomes[step.name] = answer.outcome
    return _filling_slots(ordered, answers)


def _filling_slots(
    ordered: Sequence[Step[C]], answers: Mapping[str, Answer[C]]
) -> dict[str, Answer[C]]:
    """Take from each displaced step its outcome if a step that reads its slot has to run.

    Only what names the step among its own needs reads the slot. What comes later builds on
    outcomes that were made of it, as a lost report does on the model's.
    """
    settled = dict(answers)
    read: set[str] = set()
    for step in reversed(ordered):
        answer = settled.get(step.name)
        if answer is not None and answer.displaced and step.name in read:
            answer = settled[step.name] = replace(answer, outcome=None)
        if answer is not None and answer.outcome is None:
            read.update(step.needs)
    return settled


def insist_on_trusted(
    ordered: Sequence[Step[C]], question: Question[C], answers: Mapping[str, Answer[C]]
) -> None:
    """Refuse to build on a stale step that the selection leaves out.

    Raises:
        UserError: There is one; the message names it.
    """
    chosen = question.chosen
    for step in ordered:
        answer = answers.get(step.name)
        if step.name in chosen.relied_on and answer is not None and answer.outcome is None:
            first = answer.reasons[0]
            why = first.code.replace("-", " ") + (f": {first.subject}" if first.subject else "")
            raise UserError(
                f"{chosen.selection} builds on {step.name}, which is out of date ({why}).",
                hint=f"Run without it, or take {step.name} as it is with --accept {step.name}.",
            )


def action_of(answer: Answer[C], question: Question[C]) -> Action:
    """Return what to do about a step that may run."""
    name = answer.today.step.name
    if answer.outcome is None:
        return "run"
    standing = question.ledger.standing_at(question.variant, name)
    return "unchanged" if answer.today.fingerprint == standing else "reuse"


def _row(name: str, question: Question[C], answers: Mapping[str, Answer[C]]) -> PlanRow:
    if name not in question.chosen.selected:
        return PlanRow(name, "skip")
    answer = answers[name]
    action = action_of(answer, question)
    return PlanRow(name, action, answer.reasons if action == "run" else ())


def _standing_outcome(question: Question[C], name: str) -> Outcome:
    record = question.ledger.standing_record(question.variant, name)
    if record is None or record.outcome is None:
        raise UserError(f"{name} has never finished, so there is nothing to accept.")
    return record.outcome
