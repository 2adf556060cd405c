"""Whether a step is stale, and why: the one function behind plan, run, status and --why."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Literal, TypeVar

from lfvpipe.engine.inputs import flatten
from lfvpipe.engine.ledger import Ledger, Record
from lfvpipe.engine.outcome import Facts, Json, Outcome, digest
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step

C = TypeVar("C")
Observe = Literal["never", "reused", "always"]


@dataclass(frozen=True)
class Today(Generic[C]):
    """What a step would be made of if it ran now.

    Attributes:
        step: The step.
        inputs: Its inputs, its version, and ``step:<need>``: the digest of each known need.
        unknown: The needs that will run first, so that their digests are not known.
    """

    step: Step[C]
    inputs: Facts
    unknown: tuple[str, ...]

    @cached_property
    def fingerprint(self) -> str | None:
        """The digest of the inputs; None while a need is unknown."""
        return None if self.unknown else digest(self.inputs)


def today(step: Step[C], context: C, upstream: Mapping[str, Outcome]) -> Today[C]:
    """Gather what `step` would be made of; `upstream` holds the outcomes known so far."""
    inputs = flatten(step.inputs(context))
    known = {f"step:{need}": upstream[need].digest for need in step.needs if need in upstream}
    unknown = tuple(need for need in step.needs if need not in upstream)
    return Today(step, {**inputs, **known, "version": step.version}, unknown)


def reasons(
    now: Today[C],
    context: C,
    ledger: Ledger,
    *,
    variant: str,
    observe: Observe = "never",
    forced: bool = False,
) -> Iterator[Reason]:
    """Yield why a step has to run, cheapest to find first; nothing when it is fresh.

    Take the first to decide, or all of them to explain. A reason ``displaced`` comes alone, and
    means that the step's outcome is known but the world's slot holds another one.

    Args:
        now: What the step would be made of.
        context: Handed to the step.
        ledger: What is known of earlier runs.
        variant: Whose standing counts.
        observe: Whether the world is asked about a known outcome: never, when the step stands
            at another one, or always.
        forced: The user wants it to run.
    """
    name, fingerprint = now.step.name, now.fingerprint
    record = ledger.record(name, fingerprint) if fingerprint else None
    if forced:
        yield Reason("forced")
    if record is None or record.state != "done":
        yield from _unfinished(now.step, context, record)
        yield from _changes(now, ledger.base(variant, name), never=record is None)
    elif not forced:
        reused = ledger.standing_at(variant, name) != fingerprint
        look = observe == "always" or (observe == "reused" and reused)
        yield from _losses(now.step, context, ledger, record, look=look)


def _unfinished(step: Step[C], context: C, record: Record | None) -> Iterator[Reason]:
    if record is None:
        return
    ongoing = step.ongoing(context, record.saved) if record.saved else ""
    if record.state == "running":
        yield Reason("interrupted", ongoing)
    else:
        yield Reason("failed", ongoing, after=record.error)


def _changes(now: Today[C], base: Record | None, *, never: bool) -> Iterator[Reason]:
    if base is not None:
        unknown = {f"step:{need}" for need in now.unknown}
        yield from _difference(base.inputs, now.inputs, unknown)
    elif never:
        yield Reason("never-run")
    for need in now.unknown:
        yield Reason("upstream", need)


def _difference(before: Facts, after: Facts, unknown: set[str]) -> Iterator[Reason]:
    for key in sorted((before.keys() | after.keys()) - unknown):
        old, new = before.get(key), after.get(key)
        if old != new or (key in before) != (key in after):
            yield _changed(key, old, new)


def _changed(key: str, before: Json, after: Json) -> Reason:
    kind, _, subject = key.partition(":")
    if key == "version":
        return Reason("step-changed", "", before, after)
    if kind == "code":
        return Reason("step-changed", subject, before, after)
    if kind in {"step", "file"} and subject:
        return Reason("input-changed", subject, before, after)
    return Reason("config-changed", key, before, after)


def _losses(
    step: Step[C], context: C, ledger: Ledger, record: Record, *, look: bool
) -> Iterator[Reason]:
    outcome = record.outcome
    if outcome is None:
        raise ValueError(f"{step.name} is done without an outcome")
    gone = step.missing(context, outcome)
    yield from gone
    if gone:
        return
    if step.exclusive and ledger.slots.get(step.name) != record.fingerprint:
        yield Reason("displaced", step.name, ledger.slots.get(step.name), record.fingerprint)
    elif look:
        yield from step.observe(context, outcome)
