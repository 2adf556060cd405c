"""Carries out what is stale, remembers it, and reports; independent steps run side by side."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Generic, TypeVar

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
from lfvpipe.engine.plan import Answer, Question, action_of, consider, insist_on_trusted, survey
from lfvpipe.engine.result import RunResult, StepResult
from lfvpipe.engine.selection import Selection, resolve
from lfvpipe.engine.step import Cancelled, Step
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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
        UserError: The selection is wrong, or leaves out a stale step that others need.
        LedgerError: The ledger cannot be written; what ran is resumed by the next run.
        Exception: A bug in a step, once the other steps have ended.
    """
    ordered = in_order(steps)
    chosen = resolve(ordered, selection or Selection())
    question = Question(
        context,
        ledger,
        variant,
        chosen,
        observe="always" if refresh else "reused",
        explain=True,
        advise=advise,
    )
    if chosen.relied_on:
        local = replace(question, observe="never", explain=False)
        answers = survey(ordered, local, chosen.selected | chosen.relied_on)
        insist_on_trusted(ordered, question, answers)
    going = _Run(ordered, question, reporter, cancelled or threading.Event(), jobs)
    return going.carry_out()


class _Run(Generic[C]):
    """The state of one run; only `attempt` runs outside the caller's thread."""

    def __init__(
        self,
        ordered: Sequence[Step[C]],
        question: Question[C],
        reporter: Reporter,
        cancelled: threading.Event,
        jobs: int,
    ) -> None:
        self.ordered = ordered
        self.question = question
        self.needs = transitive_needs(ordered)
        self.cancelled = cancelled
        self.jobs = jobs
        self.report = _one_at_a_time(reporter)
        self.pending = {step.name: step for step in ordered}
        self.results: dict[str, StepResult] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.running: dict[Future[StepResult], str] = {}
        self.pool: ThreadPoolExecutor | None = None
        self.fatal: BaseException | None = None

    def carry_out(self) -> RunResult:
        began = time.monotonic()
        taken = self.question.chosen.selected
        names = tuple(step.name for step in self.ordered if step.name in taken)
        self.report(RunStarted(self.question.variant, names))
        try:
            self._work_off()
        except BaseException:
            self.cancelled.set()
            raise
        finally:
            if self.pool is not None:
                self.pool.shutdown()
        return self._conclude(time.monotonic() - began)

    def _work_off(self) -> None:
        while True:
            self._settle_what_can_be()
            if not self.running:
                return
            self._wait()

    def _conclude(self, seconds: float) -> RunResult:
        if self.fatal is not None:
            raise self.fatal
        stopped = any(isinstance(row.error, Cancelled) for row in self.results.values())
        unfinished = self.question.chosen.selected & self.pending.keys()
        rows = (self.results.get(s.name, StepResult(s.name, "skip")) for s in self.ordered)
        result = RunResult(tuple(rows), stopped or bool(unfinished), seconds)
        self.report(RunFinished(result))
        for row in result.rows:
            if row.error is not None and not isinstance(row.error, UserError | Cancelled):
                raise row.error
        return result

    def _settle_what_can_be(self) -> None:
        """Settle or start every step whose needs are settled; one pass, as steps are in order."""
        for step in self.ordered:
            if self.cancelled.is_set() or self.fatal is not None:
                return
            if step.name in self.pending:
                self._settle(step)

    def _settle(self, step: Step[C]) -> None:
        chosen = self.question.chosen
        if step.name not in chosen.selected | chosen.relied_on:
            del self.pending[step.name]
        elif because := self._obstacle(step):
            self._skip(step, because)
        elif all(need in self.outcomes for need in step.needs):
            del self.pending[step.name]
            self._decide(step)

    def _obstacle(self, step: Step[C]) -> str:
        for need in step.needs:
            result = self.results.get(need)
            if result is not None and result.because:
                return result.because
            if result is not None and result.error and not isinstance(result.error, Cancelled):
                return need
        return ""

    def _skip(self, step: Step[C], because: str) -> None:
        del self.pending[step.name]
        self.results[step.name] = StepResult(step.name, "skip", because=because)
        self.report(StepSkipped(step.name, because))

    def _decide(self, step: Step[C]) -> None:
        try:
            answer = consider(step, self.question, self.outcomes)
            if answer.displaced and self._serves_one_that_runs(step):
                answer = replace(answer, outcome=None)
            insist_on_trusted([step], self.question, {step.name: answer})
        except LedgerError:
            raise
        except UserError as error:
            self._take(StepResult(step.name, "run", error=error))
            self.report(StepFailed(step.name, error, 0.0))
            return
        if answer.outcome is None:
            self._start(step, answer)
        else:
            self._settle_fresh(step, answer, answer.outcome)

    def _serves_one_that_runs(self, step: Step[C]) -> bool:
        """Whether a step that reads this displaced one's slot, and is not doomed, has to run."""
        failed = {name for name, row in self.results.items() if row.error or row.because}
        doomed = {name for name, needed in self.needs.items() if needed & failed}
        after = {name for name, needed in self.needs.items() if step.name in needed}
        names = self.question.chosen.selected & (after - doomed) | {step.name}
        try:
            asked = replace(self.question, explain=False)
            answers = survey(self.ordered, asked, names, self.outcomes)
        except UserError:  # of a later step, which will say so itself
            return True
        return answers[step.name].outcome is None

    def _settle_fresh(self, step: Step[C], answer: Answer[C], outcome: Outcome) -> None:
        action = action_of(answer, self.question)
        if step.name in self.question.chosen.selected:
            self._stand(step, answer)
            word = "unchanged" if action == "unchanged" else "reused"
            self.report(StepFinished(step.name, outcome, word, 0.0))
        else:
            action = "skip"
        self._take(StepResult(step.name, action, outcome))

    def _stand(self, step: Step[C], answer: Answer[C]) -> None:
        ledger, variant = self.question.ledger, self.question.variant
        fingerprint = answer.today.fingerprint
        if fingerprint is None:
            raise ValueError(f"{step.name} is settled before what it needs")
        if answer.accepted:
            ledger.accept(variant, step.name, fingerprint, answer.today.inputs)
        elif ledger.standing_at(variant, step.name) != fingerprint:
            ledger.stand(variant, step.name, fingerprint)

    def _take(self, result: StepResult) -> None:
        self.results[result.step] = result
        if result.outcome is not None:
            self.outcomes[result.step] = result.outcome

    def _start(self, step: Step[C], answer: Answer[C]) -> None:
        from concurrent.futures import ThreadPoolExecutor

        from lfvpipe.engine.attempt import attempt

        if self.pool is None:
            self.pool = ThreadPoolExecutor(self.jobs, thread_name_prefix="lfvpipe-step")
        upstream = {name: self.outcomes[name] for name in self.needs[step.name]}
        future = self.pool.submit(
            attempt, answer, self.question, upstream, self.cancelled, self.report
        )
        self.running[future] = step.name

    def _wait(self) -> None:
        from concurrent.futures import FIRST_COMPLETED, wait

        done, _ = wait(self.running, timeout=HEARTBEAT, return_when=FIRST_COMPLETED)
        for future in done:
            del self.running[future]
            if error := future.exception():
                self.fatal = self.fatal or error
            else:
                self._take(future.result())


def _one_at_a_time(reporter: Reporter) -> Reporter:
    guard = threading.Lock()

    def report(event: Event) -> None:
        with guard:
            reporter(event)

    return report
