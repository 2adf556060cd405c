"""Where the evidence is: each position's part in the scores."""

import numpy as np

from lfvpipe.detector.features import POOLS, Floats, View
from lfvpipe.detector.logistic import Linear


def contributions(view: View, linear: Linear) -> Floats:
    """Return how much each position adds to the score of a view's pooled maps, (h, w).

    A mean's part is spread over all positions, a maximum's and a minimum's lie where they are
    attained (class activation mapping: Zhou et al., CVPR 2016, with extrema).
    """
    shape = view.maps[1].shape[1:]
    total = np.zeros(shape, np.float32)
    start = 0
    for tap in view.maps:
        part = slice(start, start + POOLS * len(tap))
        total += _spread(_tap(tap, linear, part), shape)
        start = part.stop
    return smooth(smooth(total))


def _tap(tap: Floats, linear: Linear, part: slice) -> Floats:
    weights = (linear.weights[part] / linear.spread[part]).reshape(POOLS, -1)
    means = linear.mean[part].reshape(POOLS, -1)
    flat = tap.reshape(len(tap), -1)
    result = weights[0] @ (flat - means[0][:, None]) / flat.shape[1]
    np.add.at(result, flat.argmax(1), weights[1] * (flat.max(1) - means[1]))
    np.add.at(result, flat.argmin(1), weights[2] * (flat.min(1) - means[2]))
    shaped: Floats = result.reshape(tap.shape[1:]).astype(np.float32)
    return shaped


def _spread(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Bring a map to `shape`, its sum kept."""
    total: Floats = resized(values, shape) * np.float32(values.size / (shape[0] * shape[1]))
    return total


def resized(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Bring a map to `shape` by linear interpolation."""
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


def standing_out(values: Floats) -> Floats:
    """Return `values` above their median, in units of their largest: 0 to 1."""
    above = np.maximum(values - np.median(values), 0)
    result: Floats = (above / max(float(above.max()), 1e-9)).astype(np.float32)
    return result
