"""Whether a step is stale, and why: the one function behind plan, status and run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Literal, TypeVar

from lfvpipe.engine.inputs import flatten, written_keys
from lfvpipe.engine.ledger import Ledger, Record
from lfvpipe.engine.outcome import Facts, Outcome, digest
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step

C = TypeVar("C")
Observe = Literal["never", "reused", "always"]


@dataclass(frozen=True)
class CurrentInputs(Generic[C]):
    """What a step would be made of if it ran now.

    Attributes:
        step: The step.
        inputs: Its inputs, its version, and ``step:<need>``: the digest of each known need.
        unknown: The needs that will run first, so that their digests are not known.
        keys: The keys of its settings as the user writes them, where a ledger has another.
    """

    step: Step[C]
    inputs: Facts
    unknown: tuple[str, ...]
    keys: Mapping[str, str]

    @cached_property
    def fingerprint(self) -> str | None:
        """The digest of the inputs; None while a need is unknown."""
        return None if self.unknown else digest(self.inputs)


def current_inputs(step: Step[C], context: C, upstream: Mapping[str, Outcome]) -> CurrentInputs[C]:
    """Gather what `step` would be made of; `upstream` holds the outcomes known so far."""
    declared = step.inputs(context)
    needs = {f"step:{need}": upstream[need].digest for need in step.needs if need in upstream}
    unknown = tuple(need for need in step.needs if need not in upstream)
    inputs = {**flatten(declared), **needs, "version": step.version}
    return CurrentInputs(step, inputs, unknown, written_keys(declared))


def reasons(
    current: CurrentInputs[C],
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
        current: What the step would be made of.
        context: Handed to the step.
        ledger: What is known of earlier runs.
        variant: Whose standing counts.
        observe: Whether the world is asked about a known outcome: never, when the step stands
            at another one, or always.
        forced: The user wants it to run.
    """
    step, fingerprint = current.step, current.fingerprint
    record = ledger.record(step.name, fingerprint) if fingerprint else None
    if forced:
        yield Reason("forced")
    if record is not None and record.state == "done":
        reused = ledger.standing_at(variant, step.name) != fingerprint
        look = observe == "always" or (observe == "reused" and reused)
        if not forced:
            yield from _losses(step, context, ledger, record, look=look)
        return
    if record is not None:
        ongoing = step.ongoing(context, record.saved) if record.saved else ""
        # Written before the step acts, `running` outlives only a process that was killed.
        if record.state == "running":
            yield Reason("interrupted", ongoing)
        else:
            yield Reason("failed", ongoing, after=record.error)
    # What changed is told against where the step stands, or else against its last attempt.
    baseline = ledger.baseline(variant, step.name)
    if baseline is not None:
        yield from _changes(baseline.inputs, current)
    elif record is None:
        yield Reason("never-run")
    for need in current.unknown:
        yield Reason("upstream", need)


def _changes(before: Facts, current: CurrentInputs[C]) -> Iterator[Reason]:
    """Yield a reason for each input that came, went or changed; unknown needs are told apart."""
    after = current.inputs
    unknown = {f"step:{need}" for need in current.unknown}
    for key in sorted((before.keys() | after.keys()) - unknown):
        old, new = before.get(key), after.get(key)
        if old == new and (key in before) == (key in after):
            continue
        kind, _, subject = key.partition(":")
        if key == "version":
            yield Reason("step-changed", "", old, new)
        elif kind == "code":
            yield Reason("step-changed", subject, old, new)
        elif kind in {"step", "file"} and subject:
            yield Reason("input-changed", subject, old, new)
        else:
            yield Reason("config-changed", current.keys.get(key, key), old, new)


def _losses(
    step: Step[C], context: C, ledger: Ledger, record: Record, *, look: bool
) -> Iterator[Reason]:
    """Yield what of a known outcome is lost; the local disk first, the network only at last."""
    if record.outcome is None:
        raise ValueError(f"{step.name} is done without an outcome")
    gone = step.missing(context, record.outcome)
    yield from gone
    if gone:
        return
    # An exclusive step's slot of the world holds one configuration. That another one's outcome
    # is there now is no loss by itself: nothing is to be done until a step has to read the slot.
    slot = ledger.slots.get(step.name)
    if step.exclusive and slot != record.fingerprint:
        yield Reason("displaced", step.name, slot, record.fingerprint)
    elif look:
        yield from step.observe(context, record.outcome)
