"""Plans of all the variants that a command line is about."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lfvpipe import service
from lfvpipe.cli import session
from lfvpipe.engine.planning import plan
from lfvpipe.engine.selection import Selection
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfvpipe.cli.options import PipelineOptions, StepOptions
    from lfvpipe.cli.session import Variant
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.planning import PlanRow
    from lfvpipe.engine.reasons import Reason


@dataclass(frozen=True)
class Planned:
    """What one variant's run would do."""

    variant: Variant
    ledger: Ledger
    rows: tuple[PlanRow, ...]

    @property
    def title(self) -> str:
        """The pipeline's name, with the variant's where there is a matrix."""
        name = self.variant.context.pipeline.name
        return name if self.variant.name == "default" else f"{name} [{self.variant.name}]"

    @property
    def file(self) -> Path:
        """The pipeline file, as short as it can be said from here."""
        file = self.variant.context.pipeline.file
        return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file

    @property
    def to_run(self) -> tuple[PlanRow, ...]:
        """The steps that would act."""
        return tuple(row for row in self.rows if row.action == "run")

    @property
    def has_work(self) -> bool:
        """Whether a run would do anything at all."""
        return any(row.action in {"run", "reuse"} for row in self.rows)


def plan_all(
    options: PipelineOptions, *, steps: StepOptions | None = None, refresh: bool = False
) -> tuple[Planned, ...]:
    """Plan each variant.

    Args:
        options: What names the experiments.
        steps: Which steps are wanted; None for all.
        refresh: Look at the bucket and the service too.

    Raises:
        UserError: The config, the selection or the ledger is wrong.
    """
    planned = []
    for variant in session.open_variants(options):
        ledger = session.ledger_of(variant)
        selection = session.selection(steps, variant) if steps else Selection()
        with _naming_the_way_without_refresh() if refresh else nullcontext():
            rows = plan(
                variant.steps,
                variant.context,
                ledger,
                variant=variant.name,
                selection=selection,
                refresh=refresh,
            ).rows
        planned.append(Planned(variant, ledger, tuple(rows)))
    return tuple(planned)


@contextmanager
def _naming_the_way_without_refresh() -> Iterator[None]:
    """Say, where the embedded service cannot write, that a plan needs it only to observe."""
    try:
        yield
    except UserError as error:
        if isinstance(error, service.errors.FolderUnusable):
            error.hint += "\nWithout --refresh, nothing is written: the ledger alone is asked."
        raise


def as_json(planned: Sequence[Planned]) -> dict[str, Any]:
    """Return plans as JSON: `name`, `work`, and per variant `variant`, `work`, `steps`."""
    return {
        "name": planned[0].variant.context.pipeline.name,
        "work": any(one.has_work for one in planned),
        "variants": [
            {
                "variant": one.variant.name,
                "work": one.has_work,
                "steps": [row_json(row) for row in one.rows],
            }
            for one in planned
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
