"""Segmentation: named anomaly types by cell, one logistic regression per type."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.arrays import Doubles, Floats, Integers
from lfvpipe.detector.logistic import expit, newton


@dataclass(frozen=True)
class Segmenter:
    """One linear score per anomaly type.

    Attributes:
        weights: (channels, types), on raw descriptors.
        bias: (types,).
    """

    weights: Doubles
    bias: Doubles

    def probabilities(self, descriptors: Floats) -> Floats:
        """Return the probability of each type at each cell, (h, w, types)."""
        logits = descriptors @ self.weights + self.bias
        return expit(logits).astype(np.float32)


def sample_cells(
    classes: Integers, quota: int, generator: np.random.Generator
) -> tuple[Integers, Doubles]:
    """Return at most `quota` cells of an image, half of them anomalous where there are such.

    Args:
        classes: (n,) the class of each cell.
        quota: How many cells to take at most.
        generator: Of the choice.

    Returns:
        The cells' indices, and how many cells each stands for.
    """
    chosen, shares = [], []
    groups = [np.flatnonzero(classes > 0), np.flatnonzero(classes == 0)]
    for group in groups:
        room = quota // 2 if len(groups[0]) else quota
        pick = np.sort(generator.permutation(group)[:room])
        chosen.append(pick)
        shares.append(np.full(len(pick), len(group) / max(1, len(pick))))
    return np.concatenate(chosen), np.concatenate(shares)


def fit_segmenter(
    cells: Floats,
    classes: Integers,
    shares: Doubles,
    types: int,
    tick: Callable[[int, int], None],
) -> Segmenter:
    """Fit one score a type against everything else.

    Args:
        cells: (n, channels) descriptors.
        classes: (n,) 0 for background, 1.. for the types.
        shares: (n,) how many cells each stands for.
        types: How many types there are.
        tick: Told of (done, total) types.
    """
    mean, spread = cells.mean(0, dtype=np.float64), cells.std(0, dtype=np.float64) + 1e-6
    standard = (cells - mean) / spread / np.sqrt(cells.shape[1])
    columns: list[Doubles] = []
    biases: list[float] = []
    for kind in range(1, types + 1):
        weight = shares / shares.mean()
        solution = newton(standard, classes == kind, weight, tuning.SEGMENTER_PENALTY)
        weights = solution[:-1] / np.sqrt(cells.shape[1]) / spread
        columns.append(weights)
        biases.append(float(solution[-1] - mean @ weights))
        tick(kind, types)
    return Segmenter(np.stack(columns, 1), np.array(biases))


def classify(probabilities: Floats, size: tuple[int, int]) -> Integers:
    """Return class numbers (h, w) at `size` (width, height), or smaller where that is large.

    The probabilities are interpolated, so that regions have smooth borders.
    """
    from PIL import Image

    factor = min(1.0, tuning.SEGMENTER_MAX_SIDE / max(size))
    small = (max(1, round(size[0] * factor)), max(1, round(size[1] * factor)))
    planes: Sequence[Floats] = [
        np.asarray(Image.fromarray(plane).resize(small, Image.Resampling.BILINEAR))
        for plane in np.ascontiguousarray(probabilities.transpose(2, 0, 1))
    ]
    stacked = np.stack(planes)
    best: Integers = np.where(stacked.max(0) >= 0.5, stacked.argmax(0) + 1, 0)
    return best
