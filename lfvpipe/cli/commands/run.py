"""`lfvpipe run`: carry the pipeline out, doing only what changed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from lfvpipe.cli import commands, interrupt, output, planning, results, session
from lfvpipe.cli.options import (
    DEFAULT_FILE,
    Json,
    LockOptions,
    LogFormat,
    Option,
    Refresh,
    StepOptions,
    Why,
    at_least,
)
from lfvpipe.cli.reporters import reporting
from lfvpipe.engine import runner
from lfvpipe.engine.lock import hold
from lfvpipe.errors import UserError
from lfvpipe.steps.advice import advise

if TYPE_CHECKING:
    from threading import Event

    from lfvpipe.cli.session import Variant
    from lfvpipe.engine.events import Reporter
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.lock import Holder
    from lfvpipe.engine.runner import RunResult
    from lfvpipe.engine.selection import Selection

DONE, FAILED = 0, 1


@dataclass(frozen=True)
class Ran:
    """What became of one variant."""

    variant: Variant
    ledger: Ledger
    result: RunResult

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


@dataclass(frozen=True, kw_only=True)
class RunOptions(StepOptions, LockOptions):
    """What `lfvpipe run` reads."""

    keep_going: Annotated[
        bool,
        Option("--keep-going", about="matrix: go on with the next variant after a failure"),
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
    json: Json = False
    log_format: LogFormat = "human"


def run(options: RunOptions) -> int:
    """Carry out each variant under the lock; return the exit code."""
    if options.why is not None:
        planned = planning.plan_all(options, steps=options, refresh=options.refresh)
        commands.plan.explain(planned, options.why)
        return DONE
    variants = session.open_variants(options)
    selections = [session.selection(options, variant) for variant in variants]
    with locked("run", options, variants[0]), interrupt.cancelling() as cancelled:
        ran = _carry_out(options, variants, selections, cancelled)
        code = _exit_code(ran, len(variants), cancelled=cancelled.is_set())
        if options.json:
            output.print_json(_json(ran, code))
        else:
            _tell(ran, options, cancelled=cancelled.is_set())
    return code


def locked(name: str, options: LockOptions, variant: Variant) -> Any:
    """Hold the pipeline's lock for the command `name`; say so when that means waiting.

    Raises:
        Locked: Another run holds it.
    """

    def on_wait(holder: Holder | None) -> None:
        print(f"waiting for {holder or 'another run'} to end", file=sys.stderr)

    command = f"lfvpipe {name} {options.file or DEFAULT_FILE}"
    folder = variant.context.state_dir
    return hold(folder, command, options.lock_timeout, on_wait=on_wait)


def _carry_out(
    options: RunOptions,
    variants: tuple[Variant, ...],
    selections: list[Selection],
    cancelled: Event,
) -> list[Ran]:
    session.remember_valid(options)
    ran: list[Ran] = []
    with reporting(options.log_format) as reporter:
        for variant, selection in zip(variants, selections, strict=True):
            if len(variants) > 1 and options.log_format == "human":
                print(f"[{variant.name}]", file=sys.stderr)
            ran.append(_run_one(options, variant, selection, reporter, cancelled))
            if cancelled.is_set() or not (ran[-1].result.ok or options.keep_going):
                break
    return ran


def _run_one(
    options: RunOptions,
    variant: Variant,
    selection: Selection,
    reporter: Reporter,
    cancelled: Event,
) -> Ran:
    ledger = session.ledger_of(variant)
    try:
        result = runner.run(
            variant.steps,
            variant.context,
            ledger,
            variant=variant.name,
            selection=selection,
            reporter=reporter,
            cancelled=cancelled,
            jobs=options.jobs,
            refresh=options.refresh,
            advise=advise,
        )
    finally:
        results.release_what_is_held(variant, ledger, reporter)
    results.note_timings(variant, result)
    results.turn_page(variant, result)
    return Ran(variant, ledger, result)


def _exit_code(ran: list[Ran], variants: int, *, cancelled: bool) -> int:
    if cancelled or any(one.result.cancelled for one in ran):
        return interrupt.INTERRUPTED
    done = len(ran) == variants and all(one.result.ok for one in ran)
    return DONE if done else FAILED


def _tell(ran: list[Ran], options: RunOptions, *, cancelled: bool) -> None:
    for number, one in enumerate(each for each in ran if each.result.ok):
        print(end="\n" if number else "")
        _tell_outcome(one)
    for one in ran:
        _tell_failures(one)
    if cancelled or any(not one.result.ok for one in ran):
        _tell_how_to_resume(options, ran)
    elif len(ran) > 1 and not all(one.did_nothing for one in ran):
        print(f"\ncompare them with `{session.command('compare', options)} --matrix`")


def _tell_outcome(one: Ran) -> None:
    page = results.page_line(one.variant, one.ledger)
    if one.did_nothing:
        print(f"nothing changed{_title(one)}")
        print(results.headline(one.variant, one.ledger) + page, end="")
    else:
        told = results.summary(one.variant, one.ledger) if one.has_reported else ""
        print(told + page if told else f"{_partly(one)}\n", end="")


def _title(one: Ran) -> str:
    return "" if one.variant.name == "default" else f" [{one.variant.name}]"


def _partly(one: Ran) -> str:
    """Return what a run did that was not to come to its report."""
    selected = [row for row in one.result.rows if row.action != "skip"]
    rest = len(one.result.rows) - len(selected)
    return (
        f"done: {len(selected)} steps; {rest} were not selected, `lfvpipe plan` says what is left"
    )


def _tell_failures(one: Ran) -> None:
    for row in one.result.rows:
        if isinstance(row.error, UserError):
            print(f"error: {row.step}{_title(one)}: {row.error.message}", file=sys.stderr)
            for line in advise(row.error).splitlines():
                print(f"  {line}", file=sys.stderr)


def _tell_how_to_resume(options: RunOptions, ran: list[Ran]) -> None:
    stopped = any(one.result.cancelled for one in ran)
    word = "resume" if stopped else "what is done stays done; try again"
    selecting = session.selecting_words(options, again=True)
    command = session.command("run", options, selecting=selecting)
    print(f"{word} with `{command}`", file=sys.stderr)


def _json(ran: list[Ran], code: int) -> dict[str, Any]:
    """Return `name`, `exit_code`, and of each variant what became of it, its `run` and `page`."""
    variants = [
        {
            "variant": one.variant.name,
            "ok": one.result.ok,
            "nothing_changed": one.did_nothing,
            "cancelled": one.result.cancelled,
            "seconds": round(one.result.seconds, 3),
            "steps": [_step_json(row) for row in one.result.rows],
            "run": results.run_json(one.variant, one.ledger),
            "page": str(results.page(one.variant, one.ledger) or "") or None,
        }
        for one in ran
    ]
    return {"name": ran[0].variant.context.pipeline.name, "exit_code": code, "variants": variants}


def _step_json(row: Any) -> dict[str, Any]:
    error = row.error
    return {
        "step": row.step,
        "action": row.action,
        "outcome": row.outcome.word if row.outcome else None,
        "facts": dict(row.outcome.facts) if row.outcome else {},
        "seconds": round(row.seconds, 3),
        "reasons": [planning.reason_json(reason) for reason in row.reasons],
        "warnings": list(row.warnings),
        "because": row.because or None,
        "error": str(error) if error else None,
    }
