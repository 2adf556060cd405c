"""Masks in and out: the class of each cell of a grid, and a PNG of a verdict's classes."""

import io
from collections.abc import Sequence

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.arrays import Integers
from lfvpipe.detector.errors import DetectorError
from lfvpipe.detector.facts import BACKGROUND, BACKGROUND_COLOR, Anomaly, Example
from lfvpipe.detector.images import open_mask, reduce

MAX_PNG_BYTES = 5_242_880  # of DetectAnomalies' AnomalyMask


def color_of(text: str) -> tuple[int, int, int]:
    """Return (red, green, blue) of "#RRGGBB".

    Raises:
        DetectorError: `text` is not such a colour.
    """
    try:
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
    except ValueError as error:
        raise DetectorError(f"{text!r} is not a colour.", hint="Write it as #RRGGBB.") from error
    return red, green, blue


def anomaly_types(examples: Sequence[Example]) -> dict[str, str]:
    """Return the colour of each anomaly type that some mask declares, sorted, no background.

    Raises:
        DetectorError: One type has two colours.
    """
    classes: dict[str, str] = {}
    for example in examples:
        if example.mask is not None:
            for name, color in example.mask_classes.items():
                if classes.setdefault(name, color).upper() != color.upper():
                    raise DetectorError(
                        f"The anomaly type {name} has two colours, {classes[name]} and {color}.",
                        hint="Give each type one colour in all masks.",
                    )
    return {
        name: color.upper() for name, color in sorted(classes.items()) if name.lower() != BACKGROUND
    }


def pixel_classes(example: Example, classes: Sequence[str]) -> Integers | None:
    """Return the class number of each mask pixel, (h, w), 0 for every colour not in the classes."""
    if example.mask is None:
        return None
    mask = np.asarray(open_mask(example.mask)).astype(np.int32)
    result = np.zeros(mask.shape[:2], np.int64)
    for name, text in example.mask_classes.items():
        if name in classes:
            match = (mask == np.array(color_of(text))).all(-1)
            result[match] = classes.index(name) + 1
    return result


def cell_classes(
    example: Example,
    size: tuple[int, int],
    classes: Sequence[str],
    grids: Sequence[tuple[int, int]],
) -> list[Integers]:
    """Return the prevailing class of each cell of each grid (h, w), row by row: (h · w,).

    0 where little is anomalous; without a mask all are, and take no memory.

    Raises:
        DetectorError: The mask is not of the image's `size` (width, height).
    """
    pixels = pixel_classes(example, classes)
    if pixels is None:
        return [np.broadcast_to(np.int64(0), height * width) for height, width in grids]
    if pixels.shape[::-1] != size:
        raise DetectorError(
            f"The mask {example.mask} has {pixels.shape[1]} by {pixels.shape[0]} pixels, its image"
            f" {size[0]} by {size[1]}, upright.",
            hint="Draw masks on their images, turned as they are shown.",
        )
    return [_prevailing_classes(pixels, len(classes), grid) for grid in grids]


def _prevailing_classes(pixels: Integers, count: int, grid: tuple[int, int]) -> Integers:
    """Return which of `count` classes prevails in each cell of a grid over `pixels` (H, W)."""
    parts = ((pixels == number + 1).astype(np.float32) for number in range(count))
    shares = np.stack([reduce(each, grid) for each in parts])
    covered = shares.sum(0) >= tuning.MASK_LEAST_COVERED
    return np.where(covered, shares.argmax(0) + 1, 0).ravel()


def areas(found: Integers, classes: dict[str, str]) -> tuple[Anomaly, ...]:
    """Return the background and each class present in `found` (h, w) with its share of the area."""
    counts = np.bincount(found.ravel(), minlength=len(classes) + 1)
    named = [(BACKGROUND, BACKGROUND_COLOR), *classes.items()]
    rows = [
        Anomaly(name, color, float(count / found.size))
        for (name, color), count in zip(named, counts, strict=True)
    ]
    return (rows[0], *(row for row in rows[1:] if row.fraction > 0))


def mask_png(found: Integers, classes: dict[str, str], size: tuple[int, int]) -> bytes:
    """Return an RGB PNG of `size` (width, height) from class numbers (h, w); at most 5 MB.

    RGB rather than a palette, as the service's was: the guide's own script blends the mask with
    an RGB photograph, which Pillow refuses for two modes.
    """
    from PIL import Image

    colors = [color_of(color) for color in (BACKGROUND_COLOR, *classes.values())]
    painted = Image.fromarray(np.array(colors, np.uint8)[found])
    buffer = io.BytesIO()
    painted.resize(size, Image.Resampling.NEAREST).save(buffer, "PNG")
    if buffer.tell() > MAX_PNG_BYTES:
        raise DetectorError(f"The mask of a {size[0]} by {size[1]} image exceeds 5 MB.")
    return buffer.getvalue()
