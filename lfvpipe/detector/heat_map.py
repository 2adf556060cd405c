"""Maps of where the evidence is: brought to one size, smoothed, and made comparable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lfvpipe.detector.arrays import Floats


def resize(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Bring a map to `shape` (h, w) by linear interpolation."""
    from PIL import Image

    if values.shape == shape:
        return values
    image = Image.fromarray(values).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32)


def smooth(values: Floats) -> Floats:
    """Blur by a 3 by 3 box, the border repeated."""
    for axis in (0, 1):
        pad = [(1, 1) if each == axis else (0, 0) for each in (0, 1)]
        wide = np.pad(values, pad, mode="edge")
        size = values.shape[axis]
        shifted = [np.take(wide, np.arange(k, k + size), axis) for k in range(3)]
        values = (shifted[0] + shifted[1] + shifted[2]) / np.float32(3)
    return values


def normalise(values: Floats) -> Floats:
    """Return how far `values` lie above their median, in units of the largest: 0 to 1.

    Scores of heads have no common scale, but what stands out in a map does so in any.
    """
    above = np.maximum(values - np.median(values), 0)
    result: Floats = (above / max(float(above.max()), 1e-9)).astype(np.float32)
    return result
