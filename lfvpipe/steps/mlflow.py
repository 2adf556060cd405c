"""The run, told to an MLflow tracking server; a server that is away does not stop a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Facts, Outcome
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step, Work
from lfvpipe.errors import UserError
from lfvpipe.steps.context import Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.config.spec import Mlflow
    from lfvpipe.engine.inputs import Input

EXTRA = "pip install 'lfvpipe[mlflow]'"


class MlflowStep(Step[Context]):
    """Logs each run once; where that failed, the next run tries again."""

    name = "mlflow"
    needs = ("report",)

    def inputs(self, context: Context) -> Sequence[Input]:
        """Return where the run is told, without credentials."""
        return settings(_told_where(context))

    def act(self, context: Context, work: Work) -> Outcome:
        """Find the MLflow run of this run, or make it, and tell it everything."""
        from lfvpipe.report import run_file, tracking

        insist_on_extra()
        report = work.upstream["report"].facts
        path, page = (context.state_dir / str(report[fact]) for fact in ("run_file", "page"))
        run = run_file.load(path, with_verdicts=False)
        facts = {**_told_where(context), "run": run.id}
        try:
            told = tracking.tell(
                run,
                {"report.html": page, "run.json": path},
                uri=_spec(context).tracking_uri,
                experiment=_experiment(context),
            )
        except tracking.TrackingError as error:
            work.warn(f"MLflow was not told of this run, the next run tries again: {error}")
            return Outcome("unchanged", {**facts, "mlflow_run": None})
        known = {"experiment_id": told.experiment_id, "mlflow_run": told.run_id}
        return Outcome("created" if told.is_new else "updated", {**facts, **known})

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a run that the server was not told of."""
        if outcome.facts["mlflow_run"] is not None:
            return ()
        run, experiment = outcome.facts["run"], _experiment(context)
        return [Reason("output-missing", f"run {run} in the MLflow experiment {experiment}")]


def insist_on_extra() -> None:
    """Refuse to begin what would fail in the end.

    Raises:
        UserError: The extra is not installed.
    """
    from lfvpipe.report.tracking import is_installed

    if not is_installed():
        raise UserError(
            "the pipeline file names an MLflow server, and the extra for it is not installed",
            hint=f"Install it: {EXTRA}\nOr leave out `mlflow:` (once: --set mlflow=null).",
        )


def _told_where(context: Context) -> Facts:
    from lfvpipe.config.flat import bare_address

    return {
        "mlflow.tracking_uri": bare_address(_spec(context).tracking_uri),
        "mlflow.experiment": _experiment(context),
    }


def _spec(context: Context) -> Mlflow:
    spec = context.pipeline.mlflow
    if spec is None:
        raise ValueError("a pipeline without `mlflow` has no such step")
    return spec


def _experiment(context: Context) -> str:
    return _spec(context).experiment or context.pipeline.name
