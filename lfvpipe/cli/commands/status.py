"""`lfvpipe status`: where each step stands."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lfvpipe import engine, wrapping
from lfvpipe.cli import formatting, output
from lfvpipe.cli.options import Json, PipelineOptions, Refresh
from lfvpipe.cli.plans import plan_variants, row_json
from lfvpipe.cli.usage import command_line
from lfvpipe.engine.phrases import size
from lfvpipe.report.durations import duration
from lfvpipe.steps.pruning.survey import disk_use

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.cli.output import Style
    from lfvpipe.cli.plans import VariantPlan
    from lfvpipe.cli.variants import Variant
    from lfvpipe.engine.ledger import Record
    from lfvpipe.engine.lock import Holder
    from lfvpipe.engine.planning import PlanRow

WIDE = 100  # columns from which on all that there is to say fits beside one another
STYLES: dict[str, Style | None] = {
    "done": "green",
    "stale": "yellow",
    "reusable": "cyan",
    "running": "cyan",
    "interrupted": "yellow",
    "failed": "red",
    "never run": "dim",
}


@dataclass(frozen=True)
class Standing:
    """Where one step stands.

    Attributes:
        row: What a run would do with it.
        record: The outcome it stands at, or what the last attempt left.
        at_work: A run holds the lock, so an attempt without an end goes on.
    """

    row: PlanRow
    record: Record | None
    at_work: bool = False

    @property
    def state(self) -> str:
        """One of the keys of `STYLES`."""
        codes = {reason.code for reason in self.row.reasons}
        if self.row.action == "unchanged":
            return "done"
        if self.row.action == "reuse":
            return "reusable"
        for code in ("failed", "interrupted"):
            if code in codes:
                return "running" if code == "interrupted" and self.at_work else code
        return "never run" if self.record is None else "stale"

    @property
    def seconds(self) -> float | None:
        """How long the last attempt took."""
        record = self.record
        return formatting.seconds_between(record.started, record.finished) if record else None


@dataclass(frozen=True, kw_only=True)
class StatusOptions(PipelineOptions):
    """What `lfvpipe status` reads."""

    refresh: Refresh = False
    json: Json = False


def run(options: StatusOptions) -> int:
    """Print each step's state, outcome, time and facts; return 0."""
    plans = plan_variants(options, refresh=options.refresh)
    if options.json:
        output.print_json(_json(plans))
        return 0
    for plan in plans:
        _print(plan, options)
    use = disk_use(plans[0].variant.context, plans[0].ledger)
    if use is not None and use.prunable:
        prune = command_line("prune", options, formatting.path(plans[0].variant.pipeline.file))
        frees = f"of which `{prune}` would free {size(use.prunable)}"
        print(f"\n{size(use.bytes)} in {formatting.path(options.state_root)}, {frees}")
    return 0


def standings(plan: VariantPlan) -> list[Standing]:
    """Return where each step of a planned variant stands."""
    is_at_work = _run_at_work(plan) is not None
    return [
        Standing(row, plan.ledger.baseline(plan.variant.name, row.step), is_at_work)
        for row in plan.rows
    ]


def _run_at_work(plan: VariantPlan) -> Holder | None:
    """Return the run that is at work on this pipeline, if one is."""
    holder = engine.current_holder(plan.variant.context.state_dir)
    return holder if holder and holder.command.startswith("lfvpipe run") else None


def _print(plan: VariantPlan, options: StatusOptions) -> None:
    print(output.styled(plan.variant.title, "bold"))
    if holder := _run_at_work(plan):
        print(output.styled(f"at work: {holder}", "cyan"))
    found = standings(plan)
    head = ("step", "state", "outcome", "when", "took", "facts")
    cells = [head, *(_cells(standing, plan.variant) for standing in found)]
    if wrapping.columns() < WIDE:  # the facts say more than the times, and need the room
        cells = [(*row[:3], row[5]) for row in cells]
    print(output.table(cells, styles=["dim", *(STYLES[standing.state] for standing in found)]))
    file = formatting.path(plan.variant.pipeline.file)
    stop = command_line("stop", options, file)
    for key in plan.ledger.held:
        print(output.styled(f"hosted: {key}; `{stop}` stops it", "yellow"))
    if plan.to_run:
        again = f"{len(plan.to_run)} of {len(plan.rows)} steps to run"
        print(f"\n{again}: `{command_line('plan', options, file)}` says why")


def _cells(standing: Standing, variant: Variant) -> tuple[str, ...]:
    """Return a step's line; where it is stale or failed, the reason takes the place of facts."""
    step, record, reasons = standing.row.step, standing.record, standing.row.reasons
    outcome = record.outcome if record else None
    if standing.state not in {"done", "reusable", "running", "never run"} and reasons:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        facts = formatting.reason(reasons[0]) + more
    else:
        facts = variant.describe(step, outcome) if outcome else ""
    return (
        step,
        standing.state,
        outcome.word if outcome else "",
        formatting.when(record.finished) if record else "",
        duration(standing.seconds) if standing.seconds is not None else "",
        facts,
    )


def _json(plans: Sequence[VariantPlan]) -> dict[str, Any]:
    variants = [
        {
            "variant": plan.variant.name,
            "held": {key: dict(facts) for key, facts in plan.ledger.held.items()},
            "steps": [_step_json(standing) for standing in standings(plan)],
        }
        for plan in plans
    ]
    use = disk_use(plans[0].variant.context, plans[0].ledger)
    return {
        "name": plans[0].variant.pipeline.name,
        "variants": variants,
        "disk": None if use is None else asdict(use),
    }


def _step_json(standing: Standing) -> dict[str, Any]:
    record = standing.record
    outcome = record.outcome if record else None
    return {
        **row_json(standing.row),
        "state": standing.state,
        "outcome": outcome.word if outcome else None,
        "facts": dict(outcome.facts) if outcome else {},
        "started": record.started if record else None,
        "finished": record.finished if record else None,
        "error": record.error if record else None,
    }
