"""DetectAnomalies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.errors import UserError
from lfvpipe.lookout import likeness
from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.service.faults import invalid, unfit
from lfvpipe.service.judging import check_image, decision_of
from lfvpipe.service.log import log_to
from lfvpipe.service.operations.base import OperationContext, Result
from lfvpipe.service.operations.models import conflict_of
from lfvpipe.service.protocol.serializer import OWN_HEADERS
from lfvpipe.service.state import models
from lfvpipe.service.state.models import Model
from lfvpipe.service.units.hosts import PoolClosed

if TYPE_CHECKING:
    from lfvpipe.decision import Called
    from lfvpipe.detector import Verdict

_CONTENT_TYPES = ("image/jpeg", "image/png")


@dataclass(frozen=True)
class Detection:
    """The operation that judges an image."""

    context: OperationContext

    def detect_anomalies(
        self, *, project_name: str, model_version: str, body: bytes, content_type: str
    ) -> Result:
        """Judge one image with a hosted model; calls may come from many threads at once."""
        model = self._require_hosted(project_name, model_version)
        if content_type.partition(";")[0].strip().lower() not in _CONTENT_TYPES:
            allowed = ", ".join(_CONTENT_TYPES)
            raise invalid(f"content-type must be one of the following. {allowed}")
        check_image(self.context.runtime.quotas, model, body)
        hosts = self.context.scheduler.hosts
        self.context.scheduler.idleness.note(model.id)
        try:
            try:
                verdict = hosts.detect(model, body)
            except PoolClosed:  # stopped, and perhaps started again, since its row was read
                model = self._require_hosted(project_name, str(model.version))
                verdict = hosts.detect(model, body)
        except PoolClosed as error:
            stopped = "was stopped; start it, and wait until it is HOSTED"
            raise conflict_of(model, stopped) from error
        except UserError as error:
            raise unfit(error) from error
        headers = {}
        if verdict.unlikeness is not None and verdict.is_unlike:
            headers = {likeness.HEADER: likeness.header_of(verdict.unlikeness)}
            self._log_unlike(model, headers)
        decision = decision_of(self.context.runtime.database, model)
        called = decision.call(verdict.probability)
        if self.context.tally is not None:
            score, anomalous = verdict.probability, called.is_anomalous
            self.context.tally.count(
                model.project, model.version, score=score, is_anomalous=anomalous
            )
        if self.context.keeper is not None:
            self.context.keeper.keep(self.context.region, model, body, verdict, decision)
        return {"DetectAnomalyResult": _result(verdict, called), OWN_HEADERS: headers}

    def _log_unlike(self, model: Model, headers: Mapping[str, str]) -> None:
        """Log an image that is not like the training images.

        A service behind HTTP has a line for each request, which has the header; one within its
        caller's process has none, and its standard error is the caller's.
        """
        if not self.context.scheduler.hosts.isolated:
            file = self.context.runtime.state_dir / "logs" / "detection.log"
            facts = {"project": model.project, "version": model.version}
            log_to(file, f"an image is {likeness.UNLIKE}", **facts, unlike=headers[likeness.HEADER])

    def _require_hosted(self, project_name: str, version: str) -> Model:
        runtime = self.context.runtime
        model = models.look_up(runtime.database, project_name, version)
        if model is None:  # latest, or to say in the API's words what is missing
            with runtime.database.read() as tx:
                model = models.get(tx, project_name, version)
        if model.status is not ModelStatus.HOSTED:
            self.context.scheduler.reconcile_model(model)
            raise conflict_of(model, f"is {model.status}; start it, and wait until it is HOSTED")
        return model


def _result(verdict: "Verdict", called: "Called") -> Result:
    anomalies = [
        {
            "Name": anomaly.name,
            "PixelAnomaly": {"TotalPercentageArea": anomaly.fraction, "Color": anomaly.color},
        }
        for anomaly in verdict.anomalies
    ]
    return {
        "Source": {"Type": "direct"},
        "IsAnomalous": called.is_anomalous,
        "Confidence": called.confidence,
        "Anomalies": anomalies or None,
        "AnomalyMask": verdict.mask_png,
    }
