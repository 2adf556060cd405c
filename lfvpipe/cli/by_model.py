"""How an image is judged by a detector's model that is at hand: the same in any process."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lfvpipe.cli.verdicts import ImageVerdict
from lfvpipe.decision import Decision, score_of
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from lfvpipe.cli.asked import Maps, Photograph
    from lfvpipe.cli.preparation import Preparation
    from lfvpipe.detector import Model
    from lfvpipe.images import Prepared

    Heat = NDArray[np.float32] | None


@dataclass(frozen=True)
class ByFile:
    """By a model file alone, which knows how its training images were prepared.

    Attributes:
        decision: What makes verdicts of its scores.
        maps: Where heat maps go; None where none are wanted.
    """

    decision: Decision = field(default_factory=Decision)
    maps: Maps | None = None

    def drawing(self, maps: Maps | None) -> ByFile:
        """Return the same, with heat maps that go there."""
        return replace(self, maps=maps)

    def detect(self, model: Model, image: Photograph) -> ImageVerdict:
        """Return the verdict on a photograph.

        Raises:
            UserError: It cannot be used.
        """
        verdict = model.detect(image.data)
        called = self.decision.call(verdict.probability)
        maps = self.maps
        return ImageVerdict(
            image.name,
            called.is_anomalous,
            called.confidence,
            called.to_person,
            to_person=called.to_person,
            anomalies=without_background((a.name, a.fraction) for a in verdict.anomalies),
            heat_map=maps.draw(image, model.view(image.data), verdict.heat_map) if maps else None,
            note=model.tell_apart(image.data),
            unlikeness=verdict.unlikeness if verdict.is_unlike else None,
        )


@dataclass(frozen=True)
class ByPipeline:
    """By the model of a pipeline: prepared as its training images were, decided as its file says.

    Attributes:
        preparation: How a photograph becomes what the model looks at.
        decision: What makes verdicts of its scores.
        review_below: Verdicts of less confidence are doubtful.
        maps: Where heat maps go; None where none are wanted.
    """

    preparation: Preparation
    decision: Decision
    review_below: float
    maps: Maps | None = None

    def drawing(self, maps: Maps | None) -> ByPipeline:
        """Return the same, with heat maps that go there."""
        return replace(self, maps=maps)

    def detect(self, model: Model, image: Photograph) -> ImageVerdict:
        """Return the verdict on a photograph; raises what `ByFile.detect` does."""
        prepared = self.preparation.prepare(image.data)
        said, heat = self.ask(model, prepared)
        return self.finish(image, prepared, self.decide(said), heat)

    def ask(self, model: Model, prepared: Prepared) -> tuple[ImageVerdict, Any]:
        """Judge in this process what the service would: the size of the training images alone.

        Returns:
            What the model says, undecided, and its heat map: (h, w), 0 to 1; None where it has
            none.

        Raises:
            UserError: It has another size.
        """
        size, wanted = (prepared.width, prepared.height), model.info.image_size
        if size != wanted:
            raise UserError(
                f"The image has {size[0]}x{size[1]} pixels; it must have the size of the training"
                f" images, {wanted[0]}x{wanted[1]}."
            )
        verdict = model.detect(prepared.data)
        said = ImageVerdict(
            "",
            verdict.is_anomalous,
            verdict.confidence,
            anomalies=without_background((each.name, each.fraction) for each in verdict.anomalies),
            unlikeness=verdict.unlikeness if verdict.is_unlike else None,
        )
        return said, verdict.heat_map

    def decide(self, said: ImageVerdict) -> ImageVerdict:
        """Return what a model or a service said, decided as the pipeline file wants it."""
        called = self.decision.call(
            score_of(said.confidence or 0, is_anomalous=bool(said.is_anomalous))
        )
        return replace(said, **called._asdict())

    def finish(
        self, image: Photograph, prepared: Prepared, said: ImageVerdict, heat: Heat
    ) -> ImageVerdict:
        """Return a decided verdict with all that is to be known of it; its heat map is drawn."""
        return replace(
            said,
            image=image.name,
            needs_review=said.to_person or (said.confidence or 0) < self.review_below,
            heat_map=self.maps.draw(image, prepared.data, heat) if self.maps else None,
            note=self.preparation.geometry.tell_apart(
                prepared.whole, (prepared.width, prepared.height)
            ),
        )


def without_background(found: Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Return the types of anomaly; the service counts the background as one of them."""
    return tuple((name, part) for name, part in found if name.lower() != "background")
