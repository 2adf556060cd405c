"""Judges images with trained models in this process, whether they are hosted or not.

What is asked here is for a person who looks: one image at a time, with its heat map, by the same
rules and to the same verdict as DetectAnomalies.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.decision import Called, Decision
from lfvpipe.errors import UserError
from lfvpipe.lookout import tags
from lfvpipe.service.faults import conflict, invalid, not_found, unfit
from lfvpipe.service.state import models

if TYPE_CHECKING:
    from lfvpipe.detector import TrainedModel, Verdict
    from lfvpipe.service.quotas import Quotas
    from lfvpipe.service.runtime import Runtime
    from lfvpipe.service.state.database import Database
    from lfvpipe.service.state.models import Model

_LOADED = 2  # models in memory: a person tries one, and perhaps its predecessor


@dataclass(frozen=True)
class Judged:
    """What a model says of an image.

    Attributes:
        verdict: The detector's, with the heat map where it draws one.
        called: What the model's decision makes of it.
        threshold: Of that decision.
        version: Of the model.
        size: The width and height of images that the model takes.
    """

    verdict: Verdict
    called: Called
    threshold: float
    version: int
    size: tuple[int, int]


class Judge:
    """Asks trained models; safe to call from many threads, one image at a time.

    Args:
        runtime: The state.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._guard = threading.Lock()  # hosted models have the machine's other cores
        self._loaded: OrderedDict[int, TrainedModel] = OrderedDict()  # asked last at the end

    def judge(self, project: str, version: str, image: bytes) -> Judged:
        """Judge an image's file.

        Raises:
            Fault: There is no such model or it is not trained, or the image cannot be judged.
        """
        model = self._find(project, version)
        check_image(self._runtime.quotas, model, image)
        try:
            with self._guard:
                verdict = self._load(model).detect(image)
        except UserError as error:
            raise unfit(error) from error
        decision = decision_of(self._runtime.database, model)
        called = decision.call(verdict.probability)
        size = (model.width or 1, model.height or 1)
        return Judged(verdict, called, decision.threshold, model.version, size)

    def size(self, project: str, version: str) -> tuple[int, int]:
        """Return the width and height that a model's images have.

        Raises:
            Fault: There is no such model or it is not trained.
        """
        model = self._find(project, version)
        return model.width or 0, model.height or 0

    def _find(self, project: str, version: str) -> Model:
        if version == "latest":  # what a person looks at is one version, whatever comes later
            missing = f"project {project} has no model version {version}"
            raise not_found("MODEL", f"{project}/{version}", missing)
        with self._runtime.database.read() as tx:
            model = models.get(tx, project, version)
        if not self._runtime.model_file(model.id).is_file():
            state = f"model {version} of project {project} is {model.status}"
            raise conflict(
                "MODEL", f"{project}/{version}", f"{state}; only a trained model can be asked"
            )
        return model

    def _load(self, model: Model) -> TrainedModel:
        found = self._loaded.pop(model.id, None)
        if found is None:
            if len(self._loaded) >= _LOADED:
                self._loaded.popitem(last=False)
            found = self._runtime.detector_of(model).load(self._runtime.model_file(model.id))
        self._loaded[model.id] = found
        return found


def check_image(quotas: Quotas, model: Model, image: bytes) -> None:
    """Refuse an image that DetectAnomalies does not take.

    Raises:
        Fault: ValidationException.
    """
    from lfvpipe.images import SERVED, ImageError, inspect

    most = quotas.max_image_bytes
    if len(image) > most:
        raise invalid(f"the image has {len(image)} bytes; {most} are allowed")
    try:
        facts = inspect(image, SERVED)
    except ImageError as error:
        raise invalid(f"the image {error.fault}") from error
    # A photograph that lies on its side is judged upright, as a pipeline has prepared it.
    wanted = (model.width, model.height)
    if (facts.width, facts.height) != wanted and not _is_upright(image, wanted):
        raise invalid(
            f"The image has {facts.width}x{facts.height} pixels; it must have the size of the"
            f" training images, {model.width}x{model.height}."
        )


def decision_of(database: Database, model: Model) -> Decision:
    """Return what turns the model's scores into verdicts: its tag, or its own threshold.

    Raises:
        Fault: ValidationException: the tag says nothing that can be read.
    """
    found = database.look(
        "SELECT value FROM tags WHERE arn = ? AND key = ?", model.arn, tags.DECISION
    )
    try:
        return Decision() if found is None else Decision.from_text(found["value"])
    except ValueError as error:
        raise invalid(f"the model's tag {tags.DECISION} is wrong: {error}") from error


def _is_upright(image: bytes, size: tuple[int | None, int | None]) -> bool:
    from lfvpipe.images import ImageError, upright_size

    try:
        return upright_size(image) == size
    except ImageError:
        return False
