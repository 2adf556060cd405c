"""StartModel and StopModel."""

from dataclasses import dataclass
from functools import partial

from lfvpipe.lookout.statuses import MODEL_STARTABLE, MODEL_STOPPABLE, ModelStatus
from lfvpipe.service.faults import invalid, over_quota
from lfvpipe.service.operations.base import OperationContext, Result
from lfvpipe.service.operations.models import conflict_of
from lfvpipe.service.state import models, tokens
from lfvpipe.service.state.database import Transaction
from lfvpipe.service.state.models import Model


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
        model = models.get(tx, project_name, model_version)
        if model.status not in MODEL_STARTABLE:
            raise conflict_of(model, f"is {model.status}; only a trained one can be started")
        if max_inference_units is not None and max_inference_units < min_inference_units:
            raise invalid("maxInferenceUnits must not be less than minInferenceUnits")
        self._check_quotas(tx, model.arn, max(min_inference_units, max_inference_units or 0))
        tokens.forget(tx, model.arn, "StopModel")
        models.begin_hosting(
            tx,
            model.id,
            message="The model is starting.",
            min_units=min_inference_units,
            max_units=max_inference_units,
        )
        return self._answer(tx, model)

    def stop_model(self, tx: Transaction, *, project_name: str, model_version: str) -> Result:
        """Stop hosting a model version."""
        model = models.get(tx, project_name, model_version)
        if model.status not in MODEL_STOPPABLE:
            raise conflict_of(model, f"is {model.status}; only a hosted one can be stopped")
        tokens.forget(tx, model.arn, "StartModel")
        stopping = ModelStatus.STOPPING_HOSTING
        models.change_status(tx, model.id, model.status, stopping, "The model is stopping.")
        return self._answer(tx, model)

    def _answer(self, tx: Transaction, model: Model) -> Result:
        changed = models.get(tx, model.project, str(model.version))
        tx.resource = changed.arn
        tx.after(partial(self.context.scheduler.reconcile_model, changed))
        return {"Status": changed.status}

    def _check_quotas(self, tx: Transaction, arn: str, units: int) -> None:
        quotas = self.context.runtime.quotas
        if units > quotas.inference_units:
            most = f"{units} inference units are more than the {quotas.inference_units} allowed"
            raise over_quota("MODEL", arn, most, quota="inference-units")
        if models.count_hosted(tx) >= quotas.hosted_models:
            full = f"{quotas.hosted_models} models are hosted already; stop one"
            raise over_quota("MODEL", arn, full, quota="hosted-models")
