"""One attempt of a step: recorded before, carried out, verified and recorded after."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

from lfvpipe import disk, patience
from lfvpipe.engine.events import (
    Reporter,
    StepFailed,
    StepFinished,
    StepInterrupted,
    StepProgress,
    StepStarted,
    StepWarning,
)
from lfvpipe.engine.ledger import Ledger, LedgerError
from lfvpipe.engine.result import StepResult
from lfvpipe.engine.staleness import CurrentInputs, current_inputs
from lfvpipe.engine.step import Cancelled, Detached
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Event

    from lfvpipe.engine.outcome import Facts, Json, Outcome
    from lfvpipe.engine.planning import Decision, StalenessQuery

C = TypeVar("C")

# Seconds between two progress events of a step.
INTERVAL = 0.1


@dataclass
class Attempt:
    """One attempt of a step; the `Work` that the step sees."""

    step: str
    lineage: str
    fingerprint: str
    attempt: int
    previous: Outcome | None
    saved: Facts
    upstream: Mapping[str, Outcome]
    cancelled: Event
    ledger: Ledger
    report: Reporter
    warnings: list[str] = field(default_factory=list)
    _due: float = 0.0
    _held_back: StepProgress | None = None

    def token(self, *parts: str) -> str:
        """Return 64 hexadecimal digits, the same for the same attempt and parts.

        Of the ledger's lineage too: another pipeline of the same name and content is not us.
        """
        said = [self.lineage, self.step, self.fingerprint, self.attempt, *parts]
        return sha256(json.dumps(said).encode()).hexdigest()

    def progress(self, done: int, total: int | None, unit: str, detail: str = "") -> None:
        """Report how far the work is, at most every `INTERVAL` seconds, and its end always.

        Raises:
            Cancelled: The user asked to stop.
        """
        if self.cancelled.is_set():
            raise Cancelled(f"{self.step} stopped; the next run resumes it.")
        self._held_back = StepProgress(self.step, done, total, unit, detail)
        now = time.monotonic()
        if now >= self._due or done == total:
            self._due = now + INTERVAL
            self.flush()

    def pause(self, seconds: float) -> None:
        """Wait between two attempts of something over a network.

        Raises:
            Cancelled: The user asked to stop.
        """
        if self.cancelled.wait(seconds):
            raise Cancelled(f"{self.step} stopped; the next run resumes it.")

    def flush(self) -> None:
        """Report the progress that was held back, if any."""
        if self._held_back is not None:
            self.report(self._held_back)
            self._held_back = None

    def warn(self, message: str) -> None:
        """Tell the user something that does not stop the run."""
        self.warnings.append(message)
        self.report(StepWarning(self.step, message))

    def save(self, **facts: Json) -> None:
        """Write facts to the ledger now, for the next attempt should this one not get done."""
        self.ledger.remember(self.step, self.fingerprint, facts)
        self.saved = {**self.saved, **facts}

    def hold(self, key: str, facts: Facts) -> None:
        """Record, durably and before it is taken, something that has to be released again."""
        self.ledger.hold(key, facts)

    def holds(self, key: str) -> bool:
        """Tell whether something is held under `key` and not yet released."""
        return key in self.ledger.held

    def release(self, key: str) -> None:
        """Record that what was held under `key` is released."""
        self.ledger.release(key)


def execute(
    decision: Decision[C],
    query: StalenessQuery[C],
    upstream: Mapping[str, Outcome],
    cancelled: Event,
    report: Reporter,
    advise: Callable[[UserError], str],
) -> StepResult:
    """Let a step act, with the ledger saying so before, and what came of it after.

    Args:
        decision: The step, what it is made of, and why it runs.
        query: Context, ledger and variant.
        upstream: The outcomes of all steps that it needs, directly or not.
        cancelled: Set when the user asks to stop.
        report: Told of events; safe to call from any thread.
        advise: Says what the user can do about an error; the ledger keeps it.

    Returns:
        The result; a failure, and also a bug, is in its `error`.

    Raises:
        LedgerError: The ledger cannot be written, so the attempt counts as killed.
    """
    began = time.monotonic()
    current, step = decision.current, decision.current.step
    if current.fingerprint is None:
        raise ValueError(f"{step.name} starts before what it needs")
    ledger, variant = query.ledger, query.variant
    standing = ledger.standing_record(variant, step.name)
    # Before the step touches anything: who finds `running` later knows that the process was
    # killed, that the world may hold something of this attempt, and what was saved of it.
    record = ledger.begin(
        variant, step.name, current.fingerprint, current.inputs, exclusive=step.exclusive
    )
    work = Attempt(
        step=step.name,
        lineage=ledger.lineage,
        fingerprint=record.fingerprint,
        attempt=record.attempts,
        previous=None if standing is None else standing.outcome,
        saved=record.saved,
        upstream=upstream,
        cancelled=cancelled,
        ledger=ledger,
        report=report,
    )
    report(StepStarted(step.name, decision.reasons))
    outcome: Outcome | None = None
    error: Exception | None = None
    try:
        with patience.patient(patience.OF_A_RUN, tell=work.warn, wait=work.pause):
            outcome = step.act(query.context, work)
        _record(current, query, work, outcome)
    except LedgerError:
        raise
    except Cancelled as stop:  # the ledger goes on saying that it runs: the next run resumes it
        error = stop
    except UserError as failure:
        error = failure
        ledger.fail(step.name, work.fingerprint, failure.message, advise(failure))
    except Exception as raised:
        refused = disk.refusal(raised, "A file of the state folder")
        if refused is None:  # a bug: recorded here, raised by `run` in the end
            error = raised
            message = f"{type(raised).__name__}: {raised}"
            ledger.fail(step.name, work.fingerprint, message, "This is a bug in lfvpipe.")
        else:
            error = refused
            error.__cause__ = raised
            ledger.fail(step.name, work.fingerprint, refused.message, advise(refused))
    work.flush()
    seconds = time.monotonic() - began
    report(_end_event(step.name, outcome, error, seconds))
    why, warnings = decision.reasons, tuple(work.warnings)
    return StepResult(step.name, "run", outcome, seconds, error, reasons=why, warnings=warnings)


def _record(
    current: CurrentInputs[C], query: StalenessQuery[C], work: Attempt, outcome: Outcome
) -> None:
    """Record the outcome; one whose inputs changed meanwhile is kept, but nothing stands at it.

    It may be made of the old bytes, the new ones or both, so its fingerprint would lie. It is
    real all the same: `destroy` has to know of it.
    """
    ledger, step, before = query.ledger, current.step, current.inputs
    try:
        after = current_inputs(step, query.context, work.upstream).inputs
        keys = sorted(before.keys() | after.keys())
        changed = ", ".join(key for key in keys if before.get(key) != after.get(key))
        message = changed and f"{changed} changed while it ran"
    except UserError as error:  # an input is gone
        message = f"{error.message} changed while it ran"
    if message:
        work.warn(f"{message}; the next run repeats it.")
        ledger.fail(step.name, work.fingerprint, message, outcome=outcome)
        return
    ledger.finish(query.variant, step.name, work.fingerprint, outcome, exclusive=step.exclusive)


def _end_event(
    step: str, outcome: Outcome | None, error: Exception | None, seconds: float
) -> StepFinished | StepFailed | StepInterrupted:
    if error is None and outcome is not None:
        return StepFinished(step, outcome, outcome.word, seconds)
    if isinstance(error, Cancelled):
        return StepInterrupted(step, str(error), seconds, isinstance(error, Detached))
    return StepFailed(step, error or RuntimeError("no outcome"), seconds)
