"""StartModel and StopModel."""

from dataclasses import dataclass

from lfvpipe.service.faults import invalid, over_quota
from lfvpipe.service.operations.base import OperationContext, Result
from lfvpipe.service.operations.models import conflict_of
from lfvpipe.service.state import find, tokens
from lfvpipe.service.state.database import Transaction

_STARTABLE = {"TRAINED", "HOSTING_FAILED"}


@dataclass(frozen=True)
class Hosting:
    """The operations that start and stop hosting."""

    context: OperationContext

    def start_model(
        self,
        tx: Transaction,
        *,
        project_name: str,
        model_version: str,
        min_inference_units: int,
        max_inference_units: int | None = None,
    ) -> Result:
        """Begin to host a trained model version; one whose hosting failed may be tried again."""
        model = find.model(tx, project_name, model_version)
        if model.status not in _STARTABLE:
            raise conflict_of(model, f"is {model.status}; only a trained one can be started")
        if max_inference_units is not None and max_inference_units < min_inference_units:
            raise invalid("maxInferenceUnits must not be less than minInferenceUnits")
        self._require_units(tx, model.arn, max(min_inference_units, max_inference_units or 0))
        tokens.forget(tx, model.arn, "StopModel")
        tx.run(
            "UPDATE models SET status = 'STARTING_HOSTING', message = 'The model is starting.',"
            " min_units = ?, max_units = ? WHERE id = ?",
            min_inference_units,
            max_inference_units,
            model.id,
        )
        return self._changed(tx, project_name, str(model.version))

    def stop_model(self, tx: Transaction, *, project_name: str, model_version: str) -> Result:
        """Stop hosting a model version."""
        model = find.model(tx, project_name, model_version)
        if model.status not in {"HOSTED", "STARTING_HOSTING"}:
            raise conflict_of(model, f"is {model.status}; only a hosted one can be stopped")
        tokens.forget(tx, model.arn, "StartModel")
        tx.run(
            "UPDATE models SET status = 'STOPPING_HOSTING', message = 'The model is stopping.'"
            " WHERE id = ?",
            model.id,
        )
        return self._changed(tx, project_name, str(model.version))

    def _changed(self, tx: Transaction, project_name: str, version: str) -> Result:
        model = find.model(tx, project_name, version)
        tx.resource = model.arn
        tx.after(lambda: self.context.scheduler.reconcile_model(model))
        return {"Status": model.status}

    def _require_units(self, tx: Transaction, arn: str, units: int) -> None:
        quotas = self.context.runtime.quotas
        if units > quotas.inference_units:
            most = f"{units} inference units are more than the {quotas.inference_units} allowed"
            raise over_quota("MODEL", arn, most, quota="inference-units")
        hosted = "('STARTING_HOSTING', 'HOSTED', 'STOPPING_HOSTING')"
        row = tx.one(f"SELECT COUNT(*) FROM models WHERE status IN {hosted}")  # noqa: S608  (a constant)
        if row is not None and row[0] >= quotas.hosted_models:
            full = f"{quotas.hosted_models} models are hosted already; stop one"
            raise over_quota("MODEL", arn, full, quota="hosted-models")
