"""The pictures laid over an image: heat maps, known and predicted masks; PNGs, transparent."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.errors import UserError
from lfvpipe.report import heat_colours

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image as Pillow

    from lfvpipe.detector import Model
    from lfvpipe.steps.context import Context
    from lfvpipe.steps.model.outcome import ModelOutcome

KEPT = 64
_WHITE = (255, 255, 255)


@dataclass(frozen=True)
class Looked:
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
        self._kept: OrderedDict[str, Looked] = OrderedDict()

    def of(self, path: Path, sha256: str) -> Looked:
        """Return what the model sees in the image file `path`, whose digest is `sha256`.

        Raises:
            UserError: The model or the image cannot be used.
        """
        with self._guard:
            if sha256 not in self._kept:
                self._kept[sha256] = self._look(path)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return self._kept[sha256]

    def _look(self, path: Path) -> Looked:
        from lfvpipe.detector import load

        if self._model is None:
            self._model = load(self._file)
        verdict = self._model.detect(path)
        heat = None if verdict.heat_map is None else _coloured(verdict.heat_map)
        return Looked(heat, see_through(verdict.mask_png) if verdict.mask_png else None)


def pictures_of(context: Context, model: ModelOutcome) -> Pictures | None:
    """Return what draws heat maps; None where the model's file is not on this machine."""
    if context.pipeline.service.endpoint != "embedded":
        return None
    from lfvpipe.service.embedded import model_file

    file = model_file(context.service_dir, model.project, model.version)
    return Pictures(file) if file else None


def _coloured(heat: NDArray[np.float32]) -> bytes:
    """Return a heat map of 0..1 in the colours of the report: the weaker, the clearer."""
    import numpy
    from PIL import Image

    return _png(Image.fromarray(heat_colours.pixels(numpy.clip(heat, 0, 1))))


def see_through(data: bytes) -> bytes:
    """Return a mask with its white background clear; raises UserError if it is no image."""
    import numpy
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as opened:
            colours = numpy.asarray(opened.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError("the mask cannot be read") from error
    marked = (colours != numpy.array(_WHITE)).any(axis=2)
    alpha = numpy.where(marked, 255, 0).astype(numpy.uint8)
    return _png(Image.fromarray(numpy.dstack([colours, alpha])))


def painted(data: bytes, size: tuple[int, int], classes: Mapping[str, str]) -> bytes | None:
    """Return what a person painted as a mask that the service takes: RGB, white background.

    Args:
        data: A PNG of the image's size; what is clear is background, all else the class whose
            colour is nearest, as a brush's edges are softened.
        size: Width and height of the image, pixels.
        classes: Colours (``#RRGGBB``) by anomaly type.

    Returns:
        A PNG; None if nothing is marked.

    Raises:
        UserError: It is no PNG, or not of that size.
    """
    import numpy
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as opened:
            if opened.size != size:
                raise UserError(f"the mask is {opened.size}, the image {size}")
            pixels = numpy.asarray(opened.convert("RGBA"))
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError("the mask is no PNG") from error
    marked = pixels[..., 3] > 127
    if not marked.any():
        return None
    palette = numpy.array([_rgb(colour) for colour in classes.values()], numpy.uint8)
    result = numpy.stack([_nearest(row, palette) for row in pixels[..., :3]])
    result[~marked] = _WHITE
    return _png(Image.fromarray(result))


def _nearest(row: NDArray[np.uint8], palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the palette's colour nearest to each pixel; a row at a time needs little memory."""
    distances = ((row[:, None].astype("i4") - palette) ** 2).sum(axis=2)
    nearest: NDArray[np.uint8] = palette[distances.argmin(axis=1)]
    return nearest


def _rgb(colour: str) -> tuple[int, int, int]:
    code = int(colour.lstrip("#"), 16)
    return code >> 16, (code >> 8) & 0xFF, code & 0xFF


def _png(image: Pillow.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
