"""Removes what a pipeline's steps created, latest first, and resumes after a kill."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lfvpipe.engine.ledger import Ledger
from lfvpipe.engine.order import in_order
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.step import Leftover, Step

C = TypeVar("C")


@dataclass(frozen=True)
class KeptOutcome:
    """An outcome that the ledger keeps; `outcome` is None for an attempt that never finished."""

    step: str
    fingerprint: str
    outcome: Outcome | None


def kept_outcomes(steps: Sequence[Step[C]], ledger: Ledger) -> tuple[KeptOutcome, ...]:
    """Return what `destroy` goes through, in its order: the last step's latest outcome first."""
    return tuple(
        KeptOutcome(step.name, record.fingerprint, outcome)
        for step in reversed(in_order(steps))
        for record in ledger.records(step.name)
        for outcome in (record.outcome, *reversed(record.superseded))
        if outcome is not None or record.saved  # one that saved nothing has created nothing
    )


def destroy(
    steps: Sequence[Step[C]],
    context: C,
    ledger: Ledger,
    *,
    on_removed: Callable[[str, str], None] = lambda _step, _thing: None,
    on_leftover: Callable[[str, Leftover], None] = lambda _step, _leftover: None,
) -> tuple[str, ...]:
    """Let every step remove what its kept outcomes created, of whatever configuration.

    The ledger forgets an outcome as soon as it is removed, so another call goes on where one
    was killed or failed. Records of steps that the pipeline no longer has stay.

    Args:
        steps: The pipeline.
        context: Handed to the steps.
        ledger: What was created; the caller holds its lock.
        on_removed: Called with step and thing for each thing that was removed.
        on_leftover: Called with step and thing for each thing that stays, once.

    Returns:
        What was removed.

    Raises:
        UserError: A step could not remove something.
        LedgerError: The ledger cannot be written.
    """
    removed: list[str] = []
    left: list[Leftover] = []
    for step in reversed(in_order(steps)):
        for record in ledger.records(step.name):
            things = list(step.abandon(context, record.saved)) if record.saved else []
            for outcome in record.outcomes:
                things += step.destroy(context, outcome)
            for thing in things:
                if not isinstance(thing, Leftover):
                    removed.append(thing)
                    on_removed(step.name, thing)
                elif thing not in left:
                    left.append(thing)
                    on_leftover(step.name, thing)
            # Only now: if this call is killed before, the next one finds the things gone already.
            ledger.forget(step.name, record.fingerprint)
    return tuple(removed)
