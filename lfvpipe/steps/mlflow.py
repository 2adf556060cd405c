"""The run, told to an MLflow tracking server; a server that is away does not stop a pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from lfvpipe.engine.facts import ABSENT_IF_NONE, StepOutcome
from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step, Work
from lfvpipe.errors import UserError
from lfvpipe.steps.context import Context
from lfvpipe.steps.report import ReportOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.config.spec import Mlflow
    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.outcome import Facts, Word

EXTRA = "pip install 'lfvpipe[mlflow]'"


@dataclass(frozen=True)
class MlflowOutcome(StepOutcome):
    """Which run the server knows this one as; where the server is stands beside it.

    Attributes:
        run: The id of this run.
        experiment_id: The server's; left out where it was not told.
        mlflow_run: The server's id of the run; None where it was not told.
    """

    step: ClassVar[str] = "mlflow"

    run: str
    experiment_id: str | None = field(default=None, metadata=ABSENT_IF_NONE)
    mlflow_run: str | None = None


class MlflowStep(Step[Context]):
    """Logs each run once; where that failed, the next run tries again."""

    name = "mlflow"
    needs = ("report",)

    def inputs(self, context: Context) -> Sequence[Input]:
        """Return where the run is told, without credentials."""
        return settings(_server(context))

    def act(self, context: Context, work: Work) -> Outcome:
        """Find the MLflow run of this run, or make it, and tell it everything."""
        from lfvpipe.report import run_file, tracking

        insist_on_extra()
        report = ReportOutcome.of(work.upstream)
        path, page = context.state_dir / report.run_file, context.state_dir / report.page
        run = run_file.load(path)
        try:
            told = tracking.tell(
                run,
                {"report.html": page, "run.json": path},
                uri=_spec(context).tracking_uri,
                experiment=_experiment(context),
            )
        except tracking.TrackingError as error:
            work.warn(f"MLflow was not told of this run, the next run tries again: {error}")
            facts = MlflowOutcome(run.id)
            return Outcome("unchanged", {**_server(context), **facts.as_json()})
        facts = MlflowOutcome(run.id, told.experiment_id, told.run_id)
        word: Word = "created" if told.is_new else "updated"
        return Outcome(word, {**_server(context), **facts.as_json()})

    def describe(self, outcome: Outcome) -> str:
        """Return which run it is in MLflow."""
        run = MlflowOutcome.from_json(outcome.facts).mlflow_run
        return f"mlflow run {run}" if run else ""

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a run that the server was not told of."""
        facts = MlflowOutcome.from_json(outcome.facts)
        if facts.mlflow_run is not None:
            return ()
        where = f"run {facts.run} in the MLflow experiment {_experiment(context)}"
        return [Reason("output-missing", where)]


def insist_on_extra() -> None:
    """Refuse to begin what would fail in the end.

    Raises:
        UserError: The extra is not installed.
    """
    from lfvpipe.report.tracking import is_installed

    if not is_installed():
        raise UserError(
            "The pipeline file names an MLflow server, and the extra for it is not installed.",
            hint=f"Install it: {EXTRA}\nOr leave out `mlflow:` (once: --set mlflow=null).",
        )


def _server(context: Context) -> Facts:
    """Return where the run is told, without credentials, by the keys of the configuration."""
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
