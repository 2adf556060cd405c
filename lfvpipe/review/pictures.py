"""The pictures laid over an image: heat maps, known and predicted masks; PNGs, transparent."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy
from PIL import Image

from lfvpipe import detector, images, service
from lfvpipe.errors import UserError
from lfvpipe.report import heat_colours

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from lfvpipe.detector import Model
    from lfvpipe.steps.context import Context
    from lfvpipe.steps.model.outcome import ModelOutcome

SMALL = 256  # pixels, the longer side of a picture in the grid
KEPT = 64  # drawings: as far as a person goes back and forth
_WHITE = (255, 255, 255)


class NoPainting(UserError):
    """What the page sent is not what a person paints on an image."""


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


def see_through(data: bytes) -> bytes:
    """Return a mask with its white background clear; raises UserError if it is no image."""
    try:
        colours = numpy.asarray(images.read_mask(data))
    except images.ImageError as error:
        raise UserError("The mask cannot be read.") from error
    marked = (colours != numpy.array(_WHITE)).any(axis=2)
    alpha = numpy.where(marked, 255, 0).astype(numpy.uint8)
    return _png(Image.fromarray(numpy.dstack([colours, alpha])))


def mask_from_painting(
    data: bytes, size: tuple[int, int], classes: Mapping[str, str]
) -> bytes | None:
    """Return what a person painted as a mask that the service takes: RGB, white background.

    Args:
        data: A PNG of the image's size; what is clear is background, all else the class whose
            colour is nearest, as a brush's edges are softened.
        size: Width and height of the image, pixels.
        classes: Colours (``#RRGGBB``) by anomaly type.

    Returns:
        A PNG; None if nothing is marked.

    Raises:
        NoPainting: It is no PNG, or not of that size, which is looked at before it is decoded.
    """
    try:
        header = images.inspect(data)
        if (header.width, header.height) != size:
            raise NoPainting(f"The mask is {header.width}x{header.height}, the image not.")
        pixels, marked = images.read_painting(data)
    except images.ImageError as error:
        raise NoPainting("The mask is no PNG.") from error
    if not marked.any():
        return None
    codes = [bytes.fromhex(colour.lstrip("#")) for colour in classes.values()]
    palette = numpy.array([list(code) for code in codes], numpy.uint8)
    result = numpy.stack([_nearest(row, palette) for row in pixels])
    result[~marked] = _WHITE
    return _png(Image.fromarray(result))


def _nearest(row: NDArray[numpy.uint8], palette: NDArray[numpy.uint8]) -> NDArray[numpy.uint8]:
    """Return the palette's colour nearest to each pixel; a row at a time needs little memory."""
    distances = ((row[:, None].astype("i4") - palette) ** 2).sum(axis=2)
    nearest: NDArray[numpy.uint8] = palette[distances.argmin(axis=1)]
    return nearest


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
