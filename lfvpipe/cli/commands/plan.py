"""`lfvpipe plan`: what a run would do, like a diff."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.cli import formatting, output, training_times
from lfvpipe.cli.options import EVERY_STEP, Json, Refresh, StepOptions, Why
from lfvpipe.cli.plans import plan_variants, plans_json
from lfvpipe.cli.usage import UsageError, command_line, selecting_words
from lfvpipe.dataset.sources import sources_of
from lfvpipe.steps import by_range
from lfvpipe.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.cli.output import Style
    from lfvpipe.cli.plans import VariantPlan
    from lfvpipe.engine.planning import PlanRow

WORK_TO_DO = 2
MOST_REASONS = 6
MARKS: dict[str, tuple[str, str, Style]] = {
    "create": ("+", "run", "green"),
    "run": ("~", "run again", "yellow"),
    "follow": ("~", "run again if what it needs changes", "yellow"),
    "reuse": ("<", "reuse an earlier outcome", "cyan"),
    "unchanged": (" ", "unchanged", "dim"),
    "skip": ("-", "not selected", "dim"),
}


@dataclass(frozen=True, kw_only=True)
class PlanOptions(StepOptions):
    """What `lfvpipe plan` reads."""

    refresh: Refresh = False
    why: Why = None
    json: Json = False


def run(options: PlanOptions) -> int:
    """Print the plan; return 2 when there is work to do, 0 when there is none."""
    plans = plan_variants(options, steps=options, refresh=options.refresh)
    has_work = any(plan.has_work for plan in plans)
    if options.json:
        output.print_json(plans_json(plans))
    elif options.why is not None:
        explain(plans, options.why)
    else:
        for plan in plans:
            _print(plan)
        if has_work:
            # Said once: one command runs all variants.
            file = formatting.path(plans[0].variant.pipeline.file)
            command = command_line("run", options, file, selecting=selecting_words(options))
            print("run it with", output.styled(command, "bold"))
    return WORK_TO_DO if has_work else 0


def explain(plans: Sequence[VariantPlan], step: str) -> None:
    """Print every reason why `step`, or with `EVERY_STEP` each step, would run.

    Raises:
        UsageError: There is no such step.
    """
    for plan in plans:
        rows = [
            row
            for row in plan.rows
            if step in (EVERY_STEP, row.step, row.step.partition(":")[0])  # a step or a family
        ]
        if not rows:
            known = ", ".join(row.step for row in plan.rows)
            raise UsageError(f"There is no step {step!r}.", hint=f"Steps: {known}.")
        print(output.styled(plan.variant.title, "bold"))
        _print_rows(plan, rows, most=sys.maxsize)


def _print(plan: VariantPlan) -> None:
    print(output.styled(plan.variant.title, "bold"), end="")
    if plan.ledger.held and not plan.variant.pipeline.hosting.keep_running:
        held = ", ".join(plan.ledger.held)
        print(f" (still hosted: {held}; `lfvpipe run` or `lfvpipe stop` stops it)", end="")
    if not plan.has_work:
        selected = sum(row.action != "skip" for row in plan.rows)
        which = "" if selected == len(plan.rows) else "selected "
        print(f": nothing to do, all {selected} {which}steps are up to date")
        return
    reused = sum(row.action == "reuse" for row in plan.rows)
    more = f", {reused} to reuse" if reused else ""
    print(f": {len(plan.to_run)} of {len(plan.rows)} steps to run{more}")
    _print_rows(plan, plan.rows, most=MOST_REASONS)
    for owner in plan.marks:
        print(
            f"! project {plan.variant.pipeline.project} bears the mark of {visible(str(owner))}: as"
            " long as it is there, a run stops before it replaces anything; --adopt takes it over"
        )
    print()


def _print_rows(plan: VariantPlan, rows: Sequence[PlanRow], most: int) -> None:
    """Print each row with at most so many of its reasons beneath."""
    width = max(18, *(len(row.step) for row in rows))
    for row in rows:
        mark, word, style = MARKS[_kind(row)]
        print(output.styled(f"{mark} {row.step:<{width}} {word}", style))
        phrases = _reason_phrases(row)
        for phrase in phrases[:most]:
            print(f"    {phrase}")
        if len(phrases) > most:
            print(f"    and {len(phrases) - most} more reasons: --why {row.step}")
        if told := training_times.foretell(row, plan.ledger) or _way_of(row, plan):
            print(f"    {told}")


def _way_of(row: PlanRow, plan: VariantPlan) -> str:
    """Return how a source is fetched where that is not as a whole."""
    family, _, member = row.step.partition(":")
    if family != "fetch" or row.action != "run":
        return ""
    pipeline = plan.variant.pipeline
    ways = (
        by_range.foretell(pipeline, each) for each in sources_of(pipeline) if each.member == member
    )
    return next(ways, "")


def _kind(row: PlanRow) -> str:
    """Return the row's key in `MARKS`; steps that merely follow others are told apart."""
    if row.action != "run":
        return row.action
    if _is_first(row):
        return "create"
    return "follow" if all(why.code == "upstream" for why in row.reasons) else "run"


def _reason_phrases(row: PlanRow) -> list[str]:
    """Return the reasons as phrases; what merely follows from other steps comes last, in one."""
    if _is_first(row):
        return []
    own = [formatting.reason(why) for why in row.reasons if why.code != "upstream"]
    after = [why.subject for why in row.reasons if why.code == "upstream"]
    return [*own, f"after {', '.join(after)}"] if after else own


def _is_first(row: PlanRow) -> bool:
    return any(why.code == "never-run" for why in row.reasons)
