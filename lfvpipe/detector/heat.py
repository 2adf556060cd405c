"""Where the evidence is: each position's part in a pooled linear score, or its novelty."""

import numpy as np

from lfvpipe.detector.backbone import CHANNELS
from lfvpipe.detector.features import POOLS, Floats, View
from lfvpipe.detector.logistic import Linear


def contributions(view: View, linear: Linear) -> Floats:
    """Return how much each position adds to the score, (h, w) on the last scale's stride-8 grid.

    A mean's part is spread over all positions, a maximum's and a minimum's lie where they are
    attained (class activation mapping: Zhou et al., CVPR 2016, with extrema).
    """
    shape = view.taps[-1][1].shape[1:]
    total = np.zeros(shape, np.float32)
    start = 0
    for taps in view.taps:
        for tap, channels in zip(taps, CHANNELS, strict=True):
            part = slice(start, start + POOLS * channels)
            total += _spread(_tap(tap, linear, part), shape)
            start = part.stop
    return _smooth(total)


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
    from PIL import Image

    image = Image.fromarray(values).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    total: Floats = np.asarray(image, np.float32) * np.float32(values.size / (shape[0] * shape[1]))
    return total


def _smooth(values: Floats) -> Floats:
    """Blur by a 3 by 3 box, twice, the border repeated."""
    for _ in range(2):
        for axis in (0, 1):
            pad = [(1, 1) if each == axis else (0, 0) for each in (0, 1)]
            wide = np.pad(values, pad, mode="edge")
            size = values.shape[axis]
            values = sum(
                np.take(wide, np.arange(k, k + size), axis) for k in range(3)
            ) / np.float32(3)
    return values


def scaled(
    values: Floats, probability: float, floor: float = 0.0, top: float | None = None
) -> Floats:
    """Return `values` in 0..1: nothing at `floor`, `probability` at their largest or at `top`."""
    above = np.maximum(values - floor, 0)
    peak = max(float(above.max()) if top is None else top - floor, 1e-9)
    result: Floats = np.clip(above / peak, 0, 1).astype(np.float32) * np.float32(probability)
    return result
