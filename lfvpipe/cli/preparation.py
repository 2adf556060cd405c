"""How a model's training images were prepared, whatever the pipeline file says by now."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from lfvpipe.cli import formatting
from lfvpipe.config.spec import Images
from lfvpipe.engine.ancestry import ancestors
from lfvpipe.engine.inputs import Setting, flatten
from lfvpipe.steps.extract.step import ExtractStep
from lfvpipe.steps.model.outcome import ModelOutcome

if TYPE_CHECKING:
    from lfvpipe.cli.variants import Variant
    from lfvpipe.engine.ledger import Ledger, Record

WAY = ("datasets", "manifests", "upload", "extract")  # from the model upstream


def training_preparation(variant: Variant, ledger: Ledger, model: Record, retrain: str) -> Images:
    """Return how to prepare images for `model`; tell the user where the file says otherwise.

    Args:
        variant: The experiment, as the file has it by now.
        ledger: Its memory.
        model: What the ledger has of the model.
        retrain: The command that would train a model as the file has it.
    """
    # The settings alone: older code, which is among the inputs too, cannot be had back.
    inputs = ExtractStep().inputs(variant.context)
    now = flatten(each for each in inputs if isinstance(each, Setting))
    extracts = ancestors(ledger, model, WAY)
    settings = [{key: each.inputs.get(key) for key in now} for each in extracts]
    if not settings or now in settings:  # of several, all prepared the training images alike
        return variant.pipeline.images
    then = settings[0]
    changed = ", ".join(
        f"{key}: {formatting.value(then[key])} → {formatting.value(now[key])}"
        for key in now
        if then[key] != now[key]
    )
    version = ModelOutcome.from_json(model.outcome.facts).version if model.outcome else "?"
    print(
        f"note: {variant.pipeline.file.name} has changed since model v{version} was trained"
        f" ({changed}). Images are prepared as they were for it; `{retrain}` trains another.",
        file=sys.stderr,
    )
    width, _, height = str(then["images.resize"] or "").partition("x")
    convert: Any = then["images.convert"]
    return Images((int(width), int(height)) if width else None, convert)
