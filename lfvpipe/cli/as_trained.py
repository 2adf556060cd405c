"""How a model's training images were prepared, whatever the pipeline file says by now."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from lfvpipe.cli import wording
from lfvpipe.config.spec import Images
from lfvpipe.engine.ancestry import ancestors
from lfvpipe.engine.inputs import Setting, flatten
from lfvpipe.steps.extract.step import ExtractStep
from lfvpipe.steps.model.outcome import ModelOutcome

if TYPE_CHECKING:
    from lfvpipe.cli.session import Variant
    from lfvpipe.engine.ledger import Ledger, Record
    from lfvpipe.engine.outcome import Facts

WAY = ("datasets", "manifests", "upload", "extract")  # from the model upstream


def images(variant: Variant, ledger: Ledger, model: Record, command: str) -> Images:
    """Return how to prepare images for `model`; tell the user where the file says otherwise.

    Args:
        variant: The experiment, as the file has it by now.
        ledger: Its memory.
        model: What the ledger has of the model.
        command: What would train a model as the file has it.
    """
    # The settings alone: older code, which is among the inputs too, cannot be had back.
    inputs = ExtractStep().inputs(variant.context)
    today = flatten(each for each in inputs if isinstance(each, Setting))
    then = [{key: each.inputs.get(key) for key in today} for each in ancestors(ledger, model, WAY)]
    if not then or today in then:  # of several, all prepared the training images alike
        return variant.context.pipeline.images
    _tell(variant, model, command, then[0], today)
    return _images(then[0])


def _images(inputs: Facts) -> Images:
    width, _, height = str(inputs["images.resize"] or "").partition("x")
    convert: Any = inputs["images.convert"]
    return Images((int(width), int(height)) if width else None, convert)


def _tell(variant: Variant, model: Record, command: str, then: Facts, today: Facts) -> None:
    changed = ", ".join(
        f"{key}: {wording.value(then[key])} → {wording.value(today[key])}"
        for key in today
        if then[key] != today[key]
    )
    name = variant.context.pipeline.file.name
    version = ModelOutcome.from_json(model.outcome.facts).version if model.outcome else "?"
    print(
        f"note: {name} has changed since model v{version} was trained ({changed}). Images are"
        f" prepared as they were for it; `{command}` trains another.",
        file=sys.stderr,
    )
