"""DetectAnomalies."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.errors import UserError
from lfvpipe.service.faults import invalid
from lfvpipe.service.operations.base import OperationContext, Result
from lfvpipe.service.operations.models import conflict_of
from lfvpipe.service.state import find
from lfvpipe.service.state.rows import Model
from lfvpipe.service.units.hosts import PoolClosed

if TYPE_CHECKING:
    from lfvpipe.detector import Verdict

_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG"}


@dataclass(frozen=True)
class Detection:
    """The operation that judges an image."""

    context: OperationContext

    def detect_anomalies(
        self, *, project_name: str, model_version: str, body: bytes, content_type: str
    ) -> Result:
        """Judge one image with a hosted model; calls may come from many threads at once."""
        model = self._hosted(project_name, model_version)
        self._check(model, body, content_type)
        try:
            verdict = self._judge(model, body)
        except PoolClosed as error:
            raise conflict_of(
                model, "was stopped; start it, and wait until it is HOSTED"
            ) from error
        except UserError as error:
            raise invalid(f"the image cannot be judged: {error.message}") from error
        return {"DetectAnomalyResult": _result(verdict)}

    def _judge(self, model: Model, body: bytes) -> "Verdict":
        hosts = self.context.scheduler.hosts
        try:
            return hosts.detect(model, body)
        except PoolClosed:  # stopped, and perhaps started again, since its row was read
            return hosts.detect(self._hosted(model.project, str(model.version)), body)

    def _hosted(self, project_name: str, version: str) -> Model:
        runtime = self.context.runtime
        model = find.numbered_model(runtime.database, project_name, version)
        if model is None:
            with runtime.database.read() as tx:
                model = find.model(tx, project_name, version)
        if model.status != "HOSTED":
            self.context.scheduler.reconcile_model(model)
            raise conflict_of(model, f"is {model.status}; start it, and wait until it is HOSTED")
        return model

    def _check(self, model: Model, body: bytes, content_type: str) -> None:
        from lfvpipe.images import ImageError, inspect

        kind = _FORMATS.get(content_type.partition(";")[0].strip().lower())
        if kind is None:
            allowed = "image/jpeg, image/png"
            raise invalid(f"content-type must be one of the following. {allowed}")
        most = self.context.runtime.quotas.max_image_bytes
        if len(body) > most:
            raise invalid(f"the image has {len(body)} bytes; {most} are allowed")
        try:
            facts = inspect(body)
        except ImageError as error:
            raise invalid(f"the image {error.fault}") from error
        if (facts.width, facts.height) != (model.width, model.height):
            raise invalid(
                f"the image has {facts.width}x{facts.height} pixels; it must have the size of the"
                f" training images, {model.width}x{model.height}"
            )


def _result(verdict: "Verdict") -> Result:
    anomalies = [
        {
            "Name": anomaly.name,
            "PixelAnomaly": {"TotalPercentageArea": anomaly.fraction, "Color": anomaly.color},
        }
        for anomaly in verdict.anomalies
    ]
    return {
        "Source": {"Type": "direct"},
        "IsAnomalous": verdict.is_anomalous,
        "Confidence": verdict.confidence,
        "Anomalies": anomalies or None,
        "AnomalyMask": verdict.mask_png,
    }
