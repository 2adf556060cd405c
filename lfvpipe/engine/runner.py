"""Carries out what is stale, remembers it, and reports; independent steps run side by side."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Generic, TypeVar

from lfvpipe import engine
from lfvpipe.engine.events import (
    Event,
    Reporter,
    RunFinished,
    RunStarted,
    StepFailed,
    StepFinished,
    StepSkipped,
    silent,
)
from lfvpipe.engine.ledger import Ledger, LedgerError
from lfvpipe.engine.order import in_order, transitive_needs
from lfvpipe.engine.planning import (
    Decision,
    StalenessQuery,
    action_of,
    decide,
    decide_all,
    refuse_stale_needs,
)
from lfvpipe.engine.result import RunResult, StepResult
from lfvpipe.engine.selection import Selection, resolve
from lfvpipe.engine.step import Cancelled, Step
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future, ThreadPoolExecutor

    from lfvpipe.engine.outcome import Outcome

__all__ = ["RunResult", "StepResult", "run"]

C = TypeVar("C")

# Seconds between two looks at whether the user asked to stop: Windows cannot wake a waiting thread.
HEARTBEAT = 0.25


def run(
    steps: Sequence[Step[C]],
    context: C,
    ledger: Ledger,
    *,
    variant: str = "default",
    selection: Selection | None = None,
    reporter: Reporter = silent,
    cancelled: threading.Event | None = None,
    jobs: int = 4,
    refresh: bool = False,
    advise: Callable[[UserError], str] = attrgetter("hint"),
) -> RunResult:
    """Run what is stale, after what it needs.

    A step that fails leaves the ledger saying so; the steps after it are skipped and the others
    go on. The caller holds the lock.

    Args:
        steps: The pipeline.
        context: Handed to the steps.
        ledger: Read, and written after every change.
        variant: Which variant of the pipeline this is.
        selection: Which steps to take, force or accept; all by default.
        reporter: Told of every event, from several threads but never from two at once.
        cancelled: Set by the caller when the user asks to stop.
        jobs: How many steps may run at once.
        refresh: Observe also the world of steps that stand.
        advise: Says what the user can do about the error of a step; the ledger keeps it.

    Raises:
        UserError: The selection is wrong.
        StaleNeed: The selection leaves out a stale step that others need.
        LedgerError: The ledger cannot be written; what ran is resumed by the next run.
        Exception: A bug in a step, once the other steps have ended.
    """
    ordered = in_order(steps)
    resolved = resolve(ordered, selection or Selection())
    query = StalenessQuery(
        context, ledger, variant, resolved, "always" if refresh else "reused", explain=True
    )
    if resolved.relied_on:
        # What is left out is refused before anything runs, as far as the local disk can tell.
        local = replace(query, observe="never", explain=False)
        decisions = decide_all(ordered, local, resolved.selected | resolved.relied_on)
        refuse_stale_needs(ordered, resolved, decisions)
    return _Run(ordered, query, reporter, cancelled or threading.Event(), jobs, advise).process()


class _Run(Generic[C]):
    """The state of one run; only `execute` runs outside the caller's thread."""

    def __init__(
        self,
        ordered: Sequence[Step[C]],
        query: StalenessQuery[C],
        reporter: Reporter,
        cancelled: threading.Event,
        jobs: int,
        advise: Callable[[UserError], str],
    ) -> None:
        self.ordered = ordered
        self.query = query
        self.selection = query.selection
        self.needs = transitive_needs(ordered)
        self.cancelled = cancelled
        self.jobs = jobs
        self.advise = advise
        self.report = _one_at_a_time(reporter)
        considered = self.selection.selected | self.selection.relied_on
        self.pending = {step.name for step in ordered if step.name in considered}
        self.results: dict[str, StepResult] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.running: set[Future[StepResult]] = set()
        self.pool: ThreadPoolExecutor | None = None
        self.fatal: BaseException | None = None

    def process(self) -> RunResult:
        """Select, decide, execute and record, until nothing is left that can go on."""
        began = time.monotonic()
        names = (step.name for step in self.ordered if step.name in self.selection.selected)
        self.report(RunStarted(self.query.variant, tuple(names)))
        try:
            while True:
                for step in self._select():
                    try:
                        decision = self._decide(step)
                    except LedgerError:
                        raise
                    except UserError as error:  # of the step's inputs, or of what it observes
                        self._record(StepResult(step.name, "run", error=error))
                        self.report(StepFailed(step.name, error, 0.0))
                        continue
                    if decision.outcome is None:
                        self._execute(step, decision)
                    else:
                        self._stand(step, decision, decision.outcome)
                if not self.running:
                    break
                self._wait()
        except BaseException:
            self.cancelled.set()
            raise
        finally:
            if self.pool is not None:
                self.pool.shutdown()
        return self._conclude(time.monotonic() - began)

    def _select(self) -> Iterator[Step[C]]:
        """Yield each step whose needs are settled, and skip those that need one that failed.

        One pass is enough, as steps are in order: what becomes of a step that was yielded counts
        for those after it.
        """
        for step in self.ordered:
            if self.cancelled.is_set() or self.fatal is not None:
                return
            if step.name not in self.pending:
                continue
            if because := self._failed_need(step):
                self.pending.remove(step.name)
                self._record(StepResult(step.name, "skip", because=because))
                self.report(StepSkipped(step.name, because))
            elif all(need in self.outcomes for need in step.needs):
                self.pending.remove(step.name)
                yield step

    def _failed_need(self, step: Step[C]) -> str:
        """Return the step because of whose failure `step` cannot run; "" for none."""
        for need in step.needs:
            result = self.results.get(need)
            if result is not None and result.because:
                return result.because
            if result is not None and result.error and not isinstance(result.error, Cancelled):
                return need
        return ""

    def _decide(self, step: Step[C]) -> Decision[C]:
        decision = decide(step, self.query, self.outcomes)
        outcome = decision.outcome
        is_in_doubt = decision.displaced or self.query.observe != "always"
        if (
            outcome is not None
            and step.exclusive
            and is_in_doubt
            and not decision.accepted
            and self._is_slot_read(step)
        ):
            # Others may have filled the slot meanwhile, and what reads it could not tell.
            drift = () if decision.displaced else step.observe(self.query.context, outcome)
            if decision.displaced or drift:
                why = (*decision.reasons, *drift)
                decision = replace(decision, outcome=None, reasons=why)
        refuse_stale_needs(self.ordered, self.selection, {step.name: decision})
        return decision

    def _is_slot_read(self, step: Step[C]) -> bool:
        """Tell whether a step that reads this exclusive one's slot has to run, and still can."""
        failed = {name for name, row in self.results.items() if row.error or row.because}
        doomed = {name for name, needed in self.needs.items() if needed & failed}
        after = {name for name, needed in self.needs.items() if step.name in needed}
        names = self.selection.selected & (after - doomed) | {step.name}
        try:
            query = replace(self.query, explain=False)
            decisions = decide_all(self.ordered, query, names, self.outcomes)
        except UserError:  # of a later step, which will say so itself
            return True
        return any(
            step.name in other.needs and decisions[other.name].outcome is None
            for other in self.ordered
            if other.name in decisions
        )

    def _execute(self, step: Step[C], decision: Decision[C]) -> None:
        """Let a thread carry out the step; the ledger has its outcome when the thread ends."""
        # Here, since a run with nothing to do executes nothing, and should not import it.
        from concurrent.futures import ThreadPoolExecutor

        if self.pool is None:
            self.pool = ThreadPoolExecutor(self.jobs, thread_name_prefix="lfvpipe-step")
        upstream = {name: self.outcomes[name] for name in self.needs[step.name]}
        future = self.pool.submit(
            engine.attempt.execute,
            decision,
            self.query,
            upstream,
            self.cancelled,
            self.report,
            self.advise,
        )
        self.running.add(future)

    def _stand(self, step: Step[C], decision: Decision[C], outcome: Outcome) -> None:
        """Record that a known outcome stands for the step, which need not run."""
        if step.name not in self.selection.selected:  # it is only relied on: nothing is recorded
            self._record(StepResult(step.name, "skip", outcome))
            return
        ledger, variant = self.query.ledger, self.query.variant
        action = action_of(decision, self.query)
        fingerprint = decision.current.fingerprint
        if fingerprint is None:
            raise ValueError(f"{step.name} is settled before what it needs")
        if decision.accepted:
            ledger.accept(variant, step.name, fingerprint, decision.current.inputs)
        elif action == "reuse":
            ledger.stand(variant, step.name, fingerprint)
        word = "unchanged" if action == "unchanged" else "reused"
        self.report(StepFinished(step.name, outcome, word, 0.0))
        self._record(StepResult(step.name, action, outcome))

    def _wait(self) -> None:
        """Wait until a running step ends or a heartbeat is over, and record what ended."""
        from concurrent.futures import FIRST_COMPLETED, wait

        done, _ = wait(self.running, timeout=HEARTBEAT, return_when=FIRST_COMPLETED)
        for future in done:
            self.running.remove(future)
            if error := future.exception():  # the ledger cannot be written: start nothing more
                self.fatal = self.fatal or error
            else:
                self._record(future.result())

    def _record(self, result: StepResult) -> None:
        self.results[result.step] = result
        if result.outcome is not None:
            self.outcomes[result.step] = result.outcome

    def _conclude(self, seconds: float) -> RunResult:
        if self.fatal is not None:
            raise self.fatal
        stopped = any(isinstance(row.error, Cancelled) for row in self.results.values())
        unfinished = self.selection.selected & self.pending
        rows = (self.results.get(s.name, StepResult(s.name, "skip")) for s in self.ordered)
        result = RunResult(tuple(rows), stopped or bool(unfinished), seconds)
        self.report(RunFinished(result))
        for row in result.rows:
            if row.error is not None and not isinstance(row.error, UserError | Cancelled):
                raise row.error
        return result


def _one_at_a_time(reporter: Reporter) -> Reporter:
    guard = threading.Lock()

    def report(event: Event) -> None:
        with guard:
            reporter(event)

    return report
