"""What a person paints on an image: the page's painter, and masks made of what it sends."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy
from PIL import Image, ImageFilter

from lfvpipe import images
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["PAINTER", "NoPainting", "mask_from_painting", "png", "see_through"]

PAINTER: Final = Path(__file__).with_name("painter.js")
"""The script of the canvas that is painted on."""
_WHITE = (255, 255, 255)
_ALIKE: Final = 32  # of the distance of two colours: a browser's rounding, a stroke all but laid on
_EDGE: Final = 3  # pixels beside a class within which a brush's soft edge mixes it with another


class NoPainting(UserError):
    """What the page sent is not what a person paints on an image."""


def see_through(data: bytes) -> bytes:
    """Return a mask with its white background clear; raises UserError if it is no image."""
    try:
        colours = numpy.asarray(images.read_mask(data))
    except images.ImageError as error:
        raise UserError("The mask cannot be read.") from error
    marked = (colours != numpy.array(_WHITE)).any(axis=2)
    alpha = numpy.where(marked, 255, 0).astype(numpy.uint8)
    return png(numpy.dstack([colours, alpha]))


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
        NoPainting: It is no PNG, or not of that size, which is looked at before it is decoded;
            or something is marked in a colour that is none of a class, beyond soft edges.
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
    result = numpy.empty_like(pixels)
    is_class = marked.copy()
    for number, row in enumerate(pixels):  # a row at a time needs little memory
        distances = ((row[:, None].astype("i4") - palette) ** 2).sum(axis=2)
        result[number] = palette[distances.argmin(axis=1)]
        is_class[number] &= distances.min(axis=1) <= _ALIKE**2
    _check_colours(pixels, marked, is_class)
    result[~marked] = _WHITE
    return png(result)


def _check_colours(
    pixels: NDArray[numpy.uint8], marked: NDArray[numpy.bool_], is_class: NDArray[numpy.bool_]
) -> None:
    """Refuse what is marked in a colour of no class, but for the soft edges of what is of one."""
    if is_class.sum() == marked.sum():
        return
    widened = Image.fromarray(is_class.astype(numpy.uint8)).filter(
        ImageFilter.MaxFilter(2 * _EDGE + 1)
    )
    strange = marked & (numpy.asarray(widened) == 0)
    if strange.any():
        down, across = (int(each) for each in numpy.argwhere(strange)[0])
        colour = "#{:02X}{:02X}{:02X}".format(*pixels[down, across])
        raise NoPainting(
            f"The mask has {colour} at {across}, {down}, and no anomaly type has that colour. "
            "What is not marked has to be clear."
        )


def png(pixels: NDArray[numpy.uint8]) -> bytes:
    """Return the PNG of an array of shape (height, width, 3 or 4)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
