"""Draws what was marked in an image as the mask that Lookout for Vision learns from."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from lfvpipe.dataset.annotations.regions import MAX_PIXELS, AnnotationError, Runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

    from lfvpipe.dataset.annotations.regions import AnnotatedImage

# Far from each other and from the white background, in the order in which types are first named.
PALETTE = (
    "#23A436", "#D7263D", "#1B6CA8", "#F29E02", "#7D3CB5", "#0FA3A3", "#8C5A2B", "#E55CAB",
    "#5F6B2D", "#3A3A98",
)  # fmt: skip


def colours(types: list[str]) -> dict[str, str]:
    """Return a colour (``#RRGGBB``) for each type, the same for the same types in any order."""
    ordered = sorted(set(types))
    found = dict(zip(ordered, PALETTE, strict=False))
    for number, name in enumerate(ordered[len(PALETTE) :], start=1):
        found[name] = f"#{(number * 0x3B7F15) % 0xFFFFFE:06X}"
    return found


def draw(image: AnnotatedImage, size: tuple[int, int], colour_of: Mapping[str, str]) -> bytes:
    """Return an RGB PNG: white, and each region in the colour of its type, later ones on top.

    Args:
        image: What was marked.
        size: (width, height) of the image in pixels, as it is shown (turned by its EXIF).
        colour_of: ``#RRGGBB`` by type; regions of other types are left out.

    Raises:
        AnnotationError: The tool saw an image of another size, or the size is beyond reason.
    """
    from PIL import Image, ImageDraw

    width, height = size
    said = (image.width or width, image.height or height)
    if said != size:
        raise AnnotationError(
            f"{image.where}: was annotated at {said[0]} x {said[1]} pixels, and {image.name} has"
            f" {width} x {height}.",
            hint="Annotate the images that you have, or give those that were annotated.",
        )
    if width * height > MAX_PIXELS:
        raise AnnotationError(f"{image.name}: has {width} x {height} pixels, too many for a mask.")
    mask = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(mask)
    for region in image.regions:
        colour = colour_of.get(region.type)
        if colour is None:
            continue
        for area in region.areas:
            if isinstance(area, Runs):
                mask.paste(colour, (area.left, area.top), _bitmap(area))
            else:
                # Outlined as well, so that a hairline of less than a pixel leaves one.
                pen.polygon(area.in_pixels(width, height), fill=colour, outline=colour)
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    return buffer.getvalue()


def _bitmap(runs: Runs) -> Image:
    import numpy
    from PIL import Image

    inside = numpy.arange(len(runs.counts)) % 2 == 1
    flat = numpy.repeat(inside, runs.counts)
    rows = (
        flat.reshape(runs.width, runs.height).T
        if runs.by_columns
        else flat.reshape(runs.height, runs.width)
    )
    return Image.fromarray(numpy.ascontiguousarray(rows))
