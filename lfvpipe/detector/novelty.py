"""How far an image lies from every normal image seen: a memory bank of local features.

Source: Roth et al., "Towards total recall in industrial anomaly detection" (PatchCore, CVPR 2022),
without its 3 by 3 smoothing, which hides small defects, and with a random instead of a greedy bank.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector.logistic import Doubles, Integers

Floats = NDArray[np.float32]
DIMENSIONS = 100
BANK = 8_000
TOP = 3


@dataclass(frozen=True)
class Bank:
    """Local features of normal images.

    Attributes:
        projection: (d, DIMENSIONS), scales and projects a position's descriptor.
        rows: (n, DIMENSIONS) projected descriptors.
        folds: (n,) the fold of the image each row came from.
    """

    projection: Floats
    rows: Floats
    folds: Integers

    def distances(self, descriptors: Floats, left_out: int = -1) -> Floats:
        """Return each descriptor's distance (n,) to its nearest row, `left_out`'s rows ignored."""
        rows = self.rows[self.folds != left_out]
        points = descriptors @ self.projection
        products = points @ rows.T
        products *= -2
        products += np.einsum("ij,ij->i", rows, rows)
        nearest = products.min(1) + np.einsum("ij,ij->i", points, points)
        result: Floats = np.sqrt(np.maximum(nearest, 0))
        return result


def score(distances: Floats) -> float:
    """Return an image's novelty: the mean of its largest distances, logarithmic."""
    top = np.partition(distances.ravel(), -TOP)[-TOP:]
    return float(np.log(top.mean(dtype=np.float64) + 1e-6))


def build(samples: Floats, folds: Integers, seed: int) -> Bank:
    """Return a bank of at most BANK of the `samples` (n, d); `folds` (n,) says whose they are."""
    generator = np.random.default_rng(seed)
    spread = samples.std(0) + np.float32(1e-6)
    width = min(DIMENSIONS, samples.shape[1])
    directions = generator.standard_normal((samples.shape[1], width)) / np.sqrt(width)
    projection = (directions / spread[:, None]).astype(np.float32)
    keep = np.sort(generator.permutation(len(samples))[:BANK])
    return Bank(projection, samples[keep] @ projection, folds[keep])


def quantile_of_normals(scores: Doubles) -> tuple[float, float]:
    """Return (threshold, spread) that keep false positives on unseen normals at about 5 % or less.

    The larger of the conformal 95 % rank and of a Gaussian's 97 % point: the first holds for any
    distribution once there are 20 images, the second steadies it with fewer.
    """
    ranked = np.sort(scores)
    rank = min(len(ranked), int(np.ceil((len(ranked) + 1) * 0.95)))
    spread = float(max(scores.std(), 1e-3))
    return max(float(ranked[rank - 1]), float(np.mean(scores)) + 1.9 * spread), spread
