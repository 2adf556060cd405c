"""The pictures laid over an image: heat maps, known and predicted masks; PNGs, transparent."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy
from PIL import Image

from lfvpipe import detector, service
from lfvpipe.painting import see_through
from lfvpipe.report import heat_colours

if TYPE_CHECKING:
    from pathlib import Path

    from lfvpipe.detector import Model
    from lfvpipe.steps.context import Context
    from lfvpipe.steps.model.outcome import ModelOutcome

SMALL = 256  # pixels, the longer side of a picture in the grid
KEPT = 64  # drawings: as far as a person goes back and forth


@dataclass(frozen=True)
class Drawing:
    """What the model sees in one image, as PNGs; None for what it does not draw."""

    heat: bytes | None
    mask: bytes | None


class Pictures:
    """Asks a trained model's file where it sees anomalies; loaded when first asked.

    Args:
        file: The model file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._guard = threading.Lock()  # one image at a time: the machine may be small
        self._model: Model | None = None
        self._kept: OrderedDict[str, Drawing] = OrderedDict()

    def of(self, image: Path | bytes, sha256: str) -> Drawing:
        """Return what the model sees in an image, a file or its bytes, whose digest is `sha256`.

        Raises:
            UserError: The model or the image cannot be used.
        """
        with self._guard:
            if sha256 not in self._kept:
                self._kept[sha256] = self._draw(image)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return self._kept[sha256]

    def _draw(self, image: Path | bytes) -> Drawing:
        if self._model is None:
            self._model = detector.load(self._file)
        verdict = self._model.detect(image)
        heat = None
        if verdict.heat_map is not None:
            colours = heat_colours.pixels(numpy.clip(verdict.heat_map, 0, 1))
            heat = _png(Image.fromarray(colours))
        return Drawing(heat, see_through(verdict.mask_png) if verdict.mask_png else None)


def pictures_of(context: Context, model: ModelOutcome) -> Pictures | None:
    """Return what draws heat maps; None where the model's file is not on this machine."""
    if context.pipeline.service.endpoint != "embedded":
        return None
    file = service.embedded.model_file(
        context.service_dir, context.pipeline.region, model.project, model.version
    )
    return Pictures(file) if file else None


def thumbnail(data: bytes) -> bytes:
    """Return an image as a small JPEG."""
    with Image.open(io.BytesIO(data)) as image:
        small = image.convert("RGB")
    small.thumbnail((SMALL, SMALL))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
