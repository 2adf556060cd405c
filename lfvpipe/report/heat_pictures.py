"""Images with their heat maps laid over them, as files to look at."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from lfvpipe import atomic
from lfvpipe.detector.images import open_rgb
from lfvpipe.report import heat_colours

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image as Pillow

SIDE = 1600  # pixels of the longer side at most
_STRENGTHS = 256  # of a heat map's colours: one byte a pixel keeps large pictures small in memory


def write(file: Path, picture: Pillow.Image | bytes, heat: NDArray[np.float32]) -> None:
    """Write `picture`, upright, under its heat map as a PNG, whole or not at all.

    Args:
        file: Where to; its folder is made.
        picture: What the model has looked at: pixels, or the bytes of a file.
        heat: (h, w), 0 to 1; of any size, it covers the whole picture.

    Raises:
        DetectorError: The picture cannot be read as an image.
        OSError: The file cannot be written.
    """
    atomic.write_bytes(file, png(picture, heat))


def png(picture: Pillow.Image | bytes, heat: NDArray[np.float32]) -> bytes:
    """Return the bytes of what `write` writes.

    Raises:
        DetectorError: The picture cannot be read as an image.
    """
    shown = open_rgb(picture).copy()
    shown.thumbnail((SIDE, SIDE))
    layer = _layer(heat, shown.size)
    shown.paste(layer, mask=layer)
    shown.info.clear()  # no metadata of the file it came from
    made = io.BytesIO()
    shown.save(made, "PNG")
    return made.getvalue()


def _layer(heat: NDArray[np.float32], size: tuple[int, int]) -> Pillow.Image:
    """Return a heat map as a see-through picture of `size`: the weaker, the clearer."""
    import numpy
    from PIL import Image

    larger = Image.fromarray(heat).resize(size, Image.Resampling.BICUBIC)
    top = _STRENGTHS - 1
    strengths = (numpy.clip(numpy.asarray(larger), 0, 1) * top).round().astype(numpy.uint8)
    ramp = numpy.linspace(0, 1, _STRENGTHS, dtype=numpy.float32)[None]
    return Image.fromarray(heat_colours.pixels(ramp)[0][strengths])
