"""DetectAnomalies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.decision import Called, Decision
from lfvpipe.errors import UserError
from lfvpipe.lookout import likeness, tags
from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.service.faults import invalid
from lfvpipe.service.log import log_to
from lfvpipe.service.operations.base import OperationContext, Result
from lfvpipe.service.operations.models import conflict_of
from lfvpipe.service.protocol.serializer import OWN_HEADERS
from lfvpipe.service.state import models
from lfvpipe.service.state.models import Model
from lfvpipe.service.units.hosts import PoolClosed

if TYPE_CHECKING:
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
        self._check(model, body, content_type)
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
            raise invalid(f"the image cannot be judged: {error.message}") from error
        headers = {}
        if verdict.unlikeness is not None and verdict.is_unlike:
            headers = {likeness.HEADER: likeness.header_of(verdict.unlikeness)}
            self._log_unlike(model, headers)
        decision = self._decision(model)
        called = decision.call(verdict.probability)
        if self.context.keeper is not None:
            self.context.keeper.keep(self.context.region, model, body, verdict, decision)
        return {"DetectAnomalyResult": _result(verdict, called), OWN_HEADERS: headers}

    def _decision(self, model: Model) -> Decision:
        """Return what turns the model's scores into verdicts: its tag, or its own threshold."""
        found = self.context.runtime.database.look(
            "SELECT value FROM tags WHERE arn = ? AND key = ?", model.arn, tags.DECISION
        )
        try:
            return Decision() if found is None else Decision.from_text(found["value"])
        except ValueError as error:
            raise invalid(f"the model's tag {tags.DECISION} is wrong: {error}") from error

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

    def _check(self, model: Model, body: bytes, content_type: str) -> None:
        from lfvpipe.images import SERVED, ImageError, inspect

        if content_type.partition(";")[0].strip().lower() not in _CONTENT_TYPES:
            allowed = ", ".join(_CONTENT_TYPES)
            raise invalid(f"content-type must be one of the following. {allowed}")
        most = self.context.runtime.quotas.max_image_bytes
        if len(body) > most:
            raise invalid(f"the image has {len(body)} bytes; {most} are allowed")
        try:
            facts = inspect(body, SERVED)
        except ImageError as error:
            raise invalid(f"the image {error.fault}") from error
        # A photograph that lies on its side is judged upright, as a pipeline has prepared it.
        wanted = (model.width, model.height)
        if (facts.width, facts.height) != wanted and not _is_upright(body, wanted):
            raise invalid(
                f"The image has {facts.width}x{facts.height} pixels; it must have the size of the"
                f" training images, {model.width}x{model.height}."
            )


def _is_upright(body: bytes, size: tuple[int | None, int | None]) -> bool:
    from lfvpipe.images import ImageError, upright_size

    try:
        return upright_size(body) == size
    except ImageError:
        return False


def _result(verdict: "Verdict", called: Called) -> Result:
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
