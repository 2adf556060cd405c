"""How a model's training images were prepared, whatever the pipeline file says by now."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe import images
from lfvpipe.cli import formatting
from lfvpipe.engine.ancestry import ancestors
from lfvpipe.lookout.rules import MAX_IMAGE_BYTES
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.extract.settings import geometry_of, image_settings, images_of
from lfvpipe.steps.model.outcome import ModelOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfvpipe.cli.variants import Variant
    from lfvpipe.engine.ledger import Ledger, Record
    from lfvpipe.images import Geometry, PixelRules, Prepared

WAY = ("datasets", "manifests", "upload", "extract")  # from the model upstream


@dataclass(frozen=True)
class Preparation:
    """How an image becomes what a model was trained on, and what to know of that.

    Attributes:
        rules: How it becomes pixels.
        geometry: Which part of it counts.
        counts: How many images of each label were in train and test; empty where that is not known.
    """

    rules: PixelRules
    geometry: Geometry
    counts: Mapping[str, Mapping[str, int]]

    def prepare(self, data: bytes) -> Prepared:
        """Prepare a photograph, the bytes of its file, as the model's training images were.

        Raises:
            ImageError: It is none that can be used.
        """
        return images.examine(
            data, rules=self.rules, geometry=self.geometry, max_bytes=MAX_IMAGE_BYTES
        )


def training_preparation(
    variant: Variant, ledger: Ledger, model: Record, retrain: str
) -> Preparation:
    """Return how to prepare images for `model`; tell the user where the file says otherwise.

    Args:
        variant: The experiment, as the file has it by now.
        ledger: Its memory.
        model: What the ledger has of the model.
        retrain: The command that would train a model as the file has it.
    """
    # The settings alone: older code, which is among the inputs too, cannot be had back.
    now = image_settings(variant.pipeline.images)
    extracts = ancestors(ledger, model, WAY)
    settings = [
        {key: each for key, each in extract.inputs.items() if key.startswith("images.")}
        for extract in extracts
    ]
    white = max((_white_level(each) or 0 for each in extracts), default=0) or None
    if not settings or now in settings:  # of several, all prepared the training images alike
        spec = variant.pipeline.images
        geometry = _geometry(extracts) or geometry_of(spec)
        return Preparation(spec.rules(white), geometry, _counts(extracts))
    then = settings[0]
    changed = ", ".join(
        f"{key}: {formatting.value(then.get(key))} → {formatting.value(now.get(key))}"
        for key in dict.fromkeys([*now, *then])
        if then.get(key) != now.get(key)
    )
    version = ModelOutcome.from_json(model.outcome.facts).version if model.outcome else "?"
    print(
        f"note: {variant.pipeline.file.name} has changed since model v{version} was trained"
        f" ({changed}). Images are prepared as they were for it; `{retrain}` trains another.",
        file=sys.stderr,
    )
    spec = images_of(then)
    geometry = _geometry(extracts[:1]) or geometry_of(spec)
    return Preparation(spec.rules(white), geometry, _counts(extracts[:1]))


def _counts(extracts: Sequence[Record]) -> Mapping[str, Mapping[str, int]]:
    outcomes = (each.outcome for each in extracts if each.outcome)
    return next((ExtractOutcome.from_json(each.facts).counts for each in outcomes), {})


def _white_level(extract: Record) -> float | None:
    return ExtractOutcome.from_json(extract.outcome.facts).white if extract.outcome else None


def _geometry(extracts: Sequence[Record]) -> Geometry | None:
    """Return the geometry that extractions noted; None for one of 0.1.0, which knew sizes alone."""
    texts = (
        ExtractOutcome.from_json(each.outcome.facts).geometry for each in extracts if each.outcome
    )
    found = next(filter(None, texts), None)
    return images.Geometry.from_text(found) if found else None
