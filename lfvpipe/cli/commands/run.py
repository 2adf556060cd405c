"""`lfvpipe run`: carry the pipeline out, doing only what changed."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from lfvpipe import engine, report, steps, wrapping
from lfvpipe.cli import (
    commands,
    formatting,
    held_models,
    interrupt,
    matrix_table,
    output,
    questions,
    run_report,
)
from lfvpipe.cli.options import (
    Json,
    LockOptions,
    LogFormat,
    Option,
    Refresh,
    StepOptions,
    Why,
    at_least,
)
from lfvpipe.cli.plans import plan_variants, reason_json
from lfvpipe.cli.reporters import reporting
from lfvpipe.cli.training_ends import told
from lfvpipe.cli.unnamed_labels import about_unnamed_labels
from lfvpipe.cli.usage import UsageError, command_line, selecting_words
from lfvpipe.cli.variants import (
    ledger_of,
    locked,
    open_variants,
    remember_valid,
    selection_of,
    set_misfits_aside,
)
from lfvpipe.engine.phrases import count_of, doing
from lfvpipe.errors import UserError
from lfvpipe.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    from lfvpipe.cli.interrupt import Interruption
    from lfvpipe.cli.variants import Variant
    from lfvpipe.engine.events import Reporter
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.outcome import Outcome
    from lfvpipe.engine.result import RunResult, StepResult
    from lfvpipe.engine.selection import Selection
    from lfvpipe.steps import Training

DONE, FAILED = 0, 1
_LEAVE, _CANCEL, _WAIT = range(3)  # the answers to what becomes of a training


@dataclass(frozen=True, kw_only=True)
class RunOptions(StepOptions, LockOptions):
    """What `lfvpipe run` reads."""

    keep_going: Annotated[
        bool,
        Option("--keep-going", about="matrix: go on with the next variant after a failure"),
    ] = False
    adopt: Annotated[
        bool,
        Option(
            "--adopt",
            about="take over a project or dataset that is another pipeline's; implies --refresh",
        ),
    ] = False
    refresh: Refresh = False
    why: Why = None
    jobs: Annotated[
        int,
        Option(
            "--jobs",
            metavar="N",
            read=at_least(1),
            about="how many independent steps run at once (default: 4)",
            group="state",
        ),
    ] = 4
    detach: Annotated[
        bool,
        Option("--detach", about="leave once training has begun; a later run takes it up"),
    ] = False
    cancel_training: Annotated[
        bool,
        Option(
            "--cancel-training",
            about="Ctrl-C and SIGTERM cancel the training, too, and nothing is asked",
        ),
    ] = False
    json: Json = False
    log_format: LogFormat = "human"


@dataclass(frozen=True)
class VariantRun:
    """What became of one variant."""

    variant: Variant
    ledger: Ledger
    result: RunResult

    @property
    def is_detached(self) -> bool:
        """Whether it was left, as asked, while a training goes on."""
        return self.result.cancelled and not self.was_stopped

    @property
    def was_stopped(self) -> bool:
        """Whether the user stopped it."""
        stops = [row.error for row in self.result.rows if isinstance(row.error, engine.Cancelled)]
        is_left = bool(stops) and all(isinstance(each, engine.Detached) for each in stops)
        return self.result.cancelled and not is_left

    @property
    def did_nothing(self) -> bool:
        """Whether everything that was selected was up to date."""
        return self.result.ok and all(
            row.action in {"unchanged", "skip"} for row in self.result.rows
        )

    @property
    def has_reported(self) -> bool:
        """Whether the report tells of the present configuration, not of an earlier run's."""
        return any(row.step == "report" and row.action != "skip" for row in self.result.rows)

    @property
    def suffix(self) -> str:
        """What tells the variant from the others of its matrix; empty where there is none."""
        return f" [{self.variant.name}]" if self.variant.is_of_matrix else ""


def run(options: RunOptions) -> int:
    """Carry out each variant under the lock; return the exit code."""
    if options.why is not None:
        plans = plan_variants(options, steps=options, refresh=options.refresh)
        commands.plan.explain(plans, options.why)
        return DONE
    set_misfits_aside(options)
    variants = open_variants(options, adopt=options.adopt, trains=True, detach=options.detach)
    selections = [selection_of(options, variant) for variant in variants]
    with locked("run", options, variants[0]), interrupt.cancelling() as cancelled:
        runs = _carry_out(options, variants, selections, cancelled)
        code = _exit_code(runs, len(variants), cancelled)
        if options.json:
            output.print_json(_json(runs, code))
        else:
            _print(options, runs, cancelled=cancelled.is_set())
        if runs and (note := about_unnamed_labels(runs[0].variant, runs[0].ledger)):
            print(output.styled(f"note: {note}", "yellow"), file=sys.stderr)
    return code


def _exit_code(runs: Sequence[VariantRun], wanted: int, cancelled: Event) -> int:
    if cancelled.is_set() or any(each.was_stopped for each in runs):
        return interrupt.INTERRUPTED
    is_done = all(each.result.ok or each.is_detached for each in runs)
    return DONE if is_done and len(runs) == wanted else FAILED


def _carry_out(
    options: RunOptions,
    variants: Sequence[Variant],
    selections: Sequence[Selection],
    cancelled: Interruption,
) -> list[VariantRun]:
    """Run the variants one after the other, to the first that fails unless told to go on.

    Where the user stops it while a training goes on, they are asked what shall become of that.
    """
    remember_valid(options)
    by_name = {step.name: step for variant in variants for step in variant.steps}

    def describe(name: str, outcome: Outcome) -> str:
        return by_name[name].describe(outcome)

    runs: list[VariantRun] = []
    chosen = list(zip(variants, selections, strict=True))
    while True:
        with reporting(options.log_format, describe) as reporter:
            for variant, selection in chosen[len(runs) :]:
                if len(variants) > 1 and options.log_format == "human":
                    print(f"[{variant.name}]", file=sys.stderr)
                runs.append(_run_variant(options, variant, selection, reporter, cancelled))
                goes_on = runs[-1].result.ok or runs[-1].is_detached or options.keep_going
                if cancelled.is_set() or not goes_on:
                    break
        if not (cancelled.is_set() and runs and _keep_waiting(options, runs[-1], cancelled)):
            return runs
        cancelled.withdraw()
        runs.pop()


def _keep_waiting(options: RunOptions, last: VariantRun, cancelled: Interruption) -> bool:
    """See to the training that goes on although the run was stopped; return whether to wait on.

    Where nobody can be asked, and cancelling was not asked for, it goes on in the background.
    """
    can_ask = (
        questions.can_ask() and options.log_format == "human" and cancelled.by == [signal.SIGINT]
    )
    if not (options.cancel_training or can_ask):
        return False
    for training in steps.trainings_under_way(last.variant.context, ledger_of(last.variant)):
        choice = _CANCEL if options.cancel_training else _ask_about(training)
        if choice == _CANCEL:
            ending = steps.cancel_training(last.variant.context, training)
            print(told(training, ending), file=sys.stderr)
        elif choice == _WAIT:  # it may have ended, or been cancelled, while the question stood
            ended = steps.ending_of(last.variant.context, training)
            if ended is not steps.Ending.GONE:
                return True
            print(told(training, ended), file=sys.stderr)
    return False


def _ask_about(training: Training) -> int:
    try:
        with interrupt.raising():
            return questions.ask(
                f"{training} goes on."[:1].upper() + f"{training} goes on."[1:],
                (
                    "leave it to go on in the background: the next run takes it up",
                    "cancel it: what it has learnt so far is kept for the next run",
                    "keep waiting for it",
                ),
            )
    except KeyboardInterrupt:
        print(file=sys.stderr)
    except UsageError:  # Ctrl-D, or the terminal is gone: then nobody reads what follows
        pass
    print(f"{training} was left to go on in the background", file=sys.stderr)
    return _LEAVE


def _run_variant(
    options: RunOptions,
    variant: Variant,
    selection: Selection,
    reporter: Reporter,
    cancelled: Event,
) -> VariantRun:
    ledger = ledger_of(variant)
    held_before = frozenset(ledger.held)
    try:
        result = engine.run(
            variant.steps,
            variant.context,
            ledger,
            variant=variant.name,
            selection=selection,
            reporter=reporter,
            cancelled=cancelled,
            jobs=options.jobs,
            refresh=options.refresh or options.adopt,
            advise=steps.advise,
        )
    finally:
        held_models.stop_after_run(variant, ledger, reporter, before=held_before)
    if result.ok:
        try:
            steps.tell_decision(variant.context, ledger)
        except UserError as error:
            reporter(engine.StepWarning("evaluate", error.message))
    run_report.update_after_run(variant, result)
    return VariantRun(variant, ledger, result)


def _print(options: RunOptions, runs: Sequence[VariantRun], *, cancelled: bool) -> None:
    """Print what was achieved, and to standard error what failed and how to go on."""
    done = [each for each in runs if each.result.ok]
    reported = [each for each in done if each.has_reported and not each.did_nothing]
    for number, each in enumerate(done):
        if len(done) == 1 or each not in reported:
            print(end="\n" if number else "")
            _print_outcome(each)
    if len(done) > 1 and reported:
        _print_matrix(done)
    for each in runs:
        for row in each.result.rows:
            if isinstance(row.error, UserError):
                message = visible(row.error.message)
                print(f"error: {row.step}{each.suffix}: {message}", file=sys.stderr)
                for line in steps.advise(row.error).splitlines():
                    print(f"  {visible(line)}", file=sys.stderr)
    _print_how_to_go_on(options, runs, cancelled=cancelled)


def _print_how_to_go_on(
    options: RunOptions, runs: Sequence[VariantRun], *, cancelled: bool
) -> None:
    """Print what comes next: to standard error where the run is not done."""
    is_done = not cancelled and all(each.result.ok for each in runs)
    if is_done:
        if len(runs) > 1 and not all(each.did_nothing for each in runs):
            print(f"\ncompare them with `{command_line('compare', options)} --matrix`")
        return
    if not cancelled and all(each.result.ok or each.is_detached for each in runs):
        print(f"see how it ends with `{command_line('run', options)}`", file=sys.stderr)
        return
    was_stopped = any(each.result.cancelled for each in runs)
    word = "resume" if was_stopped else "what is done stays done; try again"
    again = command_line("run", options, selecting=selecting_words(options, again=True))
    print(f"{word} with `{again}`", file=sys.stderr)


def _print_matrix(done: Sequence[VariantRun]) -> None:
    """Print one table of all variants that have a report, and where their pages are."""
    files = [run_report.run_file(each.variant, each.ledger) for each in done]
    comparison = report.comparison.compare([report.run_file.load(f) for f in files if f])
    print("\n".join(matrix_table.layout(comparison, wrapping.columns())).lstrip("\n"))
    for warning in report.comparison_view.warnings(comparison):
        print(output.styled(f"note: {warning}", "yellow"))
    print("\npages")
    for each in done:
        if page := run_report.page(each.variant, each.ledger):
            print(f"  {each.variant.name}  {formatting.path(page)}")


def _print_outcome(done: VariantRun) -> None:
    """Print the summary; of a run that did nothing, or not all, less."""
    page = run_report.page_line(done.variant, done.ledger)
    if done.did_nothing:
        print(f"nothing changed{done.suffix}")
        print(run_report.headline(done.variant, done.ledger) + page, end="")
        return
    summary = run_report.summary(done.variant, done.ledger) if done.has_reported else ""
    if summary:
        print(summary + page, end="")
        return
    rows = done.result.rows
    left_out = sum(row.action == "skip" for row in rows)
    print(
        f"done: {count_of(len(rows) - left_out, 'step')};"
        f" {doing(left_out, 'step', 'were')} not selected,"
        " `lfvpipe plan` says what is left"
    )


def _json(runs: Sequence[VariantRun], code: int) -> dict[str, Any]:
    """Return `name`, `exit_code`, and of each variant what became of it, its `run` and `page`."""
    variants = [
        {
            "variant": each.variant.name,
            "ok": each.result.ok,
            "nothing_changed": each.did_nothing,
            "cancelled": each.result.cancelled,
            "seconds": round(each.result.seconds, 3),
            "steps": [_step_json(row) for row in each.result.rows],
            "run": run_report.run_json(each.variant, each.ledger),
            "page": str(run_report.page(each.variant, each.ledger) or "") or None,
        }
        for each in runs
    ]
    return {"name": runs[0].variant.pipeline.name, "exit_code": code, "variants": variants}


def _step_json(row: StepResult) -> dict[str, Any]:
    return {
        "step": row.step,
        "action": row.action,
        "outcome": row.outcome.word if row.outcome else None,
        "facts": dict(row.outcome.facts) if row.outcome else {},
        "seconds": round(row.seconds, 3),
        "reasons": [reason_json(reason) for reason in row.reasons],
        "warnings": list(row.warnings),
        "because": row.because or None,
        "error": str(row.error) if row.error else None,
    }
