"""A score per position: how far it is from normal, and how like what was learnt.

Positions are whitened by the normal images' covariance, so that what is unusual stands out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector.logistic import Doubles

Floats = NDArray[np.float32]
TOP = 5  # positions that make an image's score
CHUNK = 4096  # positions worked on at a time, to save memory
ROUNDING = 5e-3  # of a feature's mean: what flat images may differ by without being unusual
QUIET = 0.1  # of the usual distance: below it, all is equally normal


@dataclass(frozen=True)
class Local:
    """A score per position.

    Attributes:
        mean: (c,) of normal positions.
        basis: (c, k) whitening.
        weights: (k,) on whitened positions; zero where nothing was labelled.
        bias: Added to them.
    """

    mean: Floats
    basis: Floats
    weights: Doubles
    bias: float

    def whitened(self, cells: Floats) -> Floats:
        """Return `cells` (n, c) with the normal covariance made the identity, over k: (n, k)."""
        return ((cells - self.mean) @ self.basis).astype(np.float32, copy=False)

    def evidence(self, cells: Floats) -> Floats:
        """Return the log-odds of each of `cells` (n, c) being anomalous."""
        direction = self.basis @ self.weights.astype(np.float32)
        offset = np.float32(self.bias) - self.mean @ direction
        return (cells @ direction + offset).astype(np.float32, copy=False)

    def novelty(self, cells: Floats) -> Floats:
        """Return the squared distance of each of `cells` (n, c) from the normal mean."""
        points = self.whitened(cells)
        result: Floats = np.einsum("ij,ij->i", points, points)
        return result


def worst(values: Floats | Doubles, count: int = TOP) -> float:
    """Return the mean of the `count` largest values."""
    return float(np.partition(values, -min(count, len(values)))[-count:].mean(dtype=np.float64))


def novelty_score(values: Floats) -> float:
    """Return an image's novelty from its positions': logarithmic, since distances multiply."""
    return float(np.log(worst(values) + QUIET))


def whitening(samples: Floats) -> Local:
    """Return the whitening of normal images' positions (n, c), with no weights yet."""
    mean, rough = samples.mean(0), samples.std(0)
    least = 0.05 * np.median(rough) + ROUNDING * np.abs(mean) + 1e-6
    spread = (rough + least).astype(np.float32)
    gram = np.zeros((len(mean), len(mean)))
    for start in range(0, len(samples), CHUNK):
        standard = ((samples[start : start + CHUNK] - mean) / spread).astype(np.float64)
        gram += standard.T @ standard
    values, vectors = np.linalg.eigh(gram / len(samples))
    keep = values >= min(values[-1], 1e-4 * max(values[-1], 1e-9))  # at least one, if all is flat
    scale = np.sqrt((values[keep] + 0.01 * values[keep].mean()) * keep.sum() + 1e-12)
    basis = vectors[:, keep] / scale / spread[:, None]
    return Local(mean, np.ascontiguousarray(basis, np.float32), np.zeros(int(keep.sum())), 0.0)
