"""What a run of each experiment would do."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lfvpipe import engine, service
from lfvpipe.cli.variants import ledger_of, open_variants, selection_of
from lfvpipe.errors import UserError
from lfvpipe.steps import ownership

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfvpipe.cli.options import PipelineOptions, StepOptions
    from lfvpipe.cli.variants import Variant
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.planning import PlanRow
    from lfvpipe.engine.reasons import Reason
    from lfvpipe.steps.ownership import Owner


@dataclass(frozen=True)
class VariantPlan:
    """What one variant's run would do, and the ledger that says so."""

    variant: Variant
    ledger: Ledger
    rows: tuple[PlanRow, ...]

    @property
    def to_run(self) -> tuple[PlanRow, ...]:
        """The steps that would act."""
        return tuple(row for row in self.rows if row.action == "run")

    @property
    def has_work(self) -> bool:
        """Whether a run would do anything at all."""
        return any(row.action in {"run", "reuse"} for row in self.rows)

    @property
    def marks(self) -> Sequence[Owner]:
        """The pipelines whose mark the project bears: a run that has work stops before them."""
        if not self.has_work:
            return ()
        return ownership.marked_by_others(self.variant.context, self.ledger.lineage)


def plan_variants(
    options: PipelineOptions, *, steps: StepOptions | None = None, refresh: bool = False
) -> tuple[VariantPlan, ...]:
    """Plan each variant.

    Args:
        options: What names the experiments.
        steps: Which steps are wanted; None for all.
        refresh: Look at the bucket and the service too.

    Raises:
        UserError: The config, the selection or the ledger is wrong.
    """
    return tuple(_plans(options, steps, refresh=refresh))


def _plans(
    options: PipelineOptions, steps: StepOptions | None, *, refresh: bool
) -> Iterator[VariantPlan]:
    for variant in open_variants(options):
        ledger = ledger_of(variant)
        selection = selection_of(steps, variant) if steps else engine.Selection()
        with _advising_against_refresh() if refresh else nullcontext():
            plan = engine.plan(
                variant.steps,
                variant.context,
                ledger,
                variant=variant.name,
                selection=selection,
                refresh=refresh,
            )
        yield VariantPlan(variant, ledger, tuple(plan.rows))


def has_unlearnt(options: PipelineOptions, variant: Variant) -> bool:
    """Tell whether images, labels or settings have changed since the variant's model learnt.

    Raises:
        UserError: The config or the ledger is wrong, or what has changed cannot be read.
    """
    plans = plan_variants(options)
    rows = next((each.rows for each in plans if each.variant.name == variant.name), ())
    waiting = {row.step for row in rows if row.action in {"run", "reuse"}}
    return bool(waiting - {"evaluate", "report", "mlflow"})


@contextmanager
def _advising_against_refresh() -> Iterator[None]:
    """Say, where the embedded service cannot write, that a plan needs it only to observe."""
    try:
        yield
    except UserError as error:
        if isinstance(error, service.errors.FolderUnusable):
            error.hint += "\nWithout --refresh, nothing is written: the ledger alone is asked."
        raise


def plans_json(plans: Sequence[VariantPlan]) -> dict[str, Any]:
    """Return plans as JSON: `name`, `work`, and per variant `variant`, `work`, `steps`, `marks`.

    The last are the pipelines whose mark the project bears, before which a run stops.
    """
    return {
        "name": plans[0].variant.pipeline.name,
        "work": any(plan.has_work for plan in plans),
        "variants": [
            {
                "variant": plan.variant.name,
                "work": plan.has_work,
                "steps": [row_json(row) for row in plan.rows],
                "marks": [owner.as_json() for owner in plan.marks],
            }
            for plan in plans
        ],
    }


def row_json(row: PlanRow) -> dict[str, Any]:
    """Return a row as JSON: `step`, `action`, `reasons`."""
    reasons = [reason_json(reason) for reason in row.reasons]
    return {"step": row.step, "action": row.action, "reasons": reasons}


def reason_json(reason: Reason) -> dict[str, Any]:
    """Return a reason as JSON: `code`, `subject`, `before`, `after`."""
    return {
        "code": reason.code,
        "subject": reason.subject,
        "before": reason.before,
        "after": reason.after,
    }
