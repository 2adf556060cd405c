"""How far an image as a whole lies from the normal ones: a shrunken Mahalanobis distance.

Source: Rippel, Mertens & Merhof, "Modeling the distribution of normal data in pre-trained deep
features for anomaly detection" (ICPR 2020), with the covariance shrunk towards a multiple of the
identity, so that it can be computed from fewer images than features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector.logistic import Doubles, Integers

Floats = NDArray[np.float32]
SHRINKAGE = 0.01  # of the total variance: unlike the mean of the values, the same for any count
MAX_COMPONENTS = 256
QUIET = 0.1  # squared distance below which all is equally normal; usual ones are about 100
MAX_ROWS = 1000  # images that are enough to know how normal ones differ


@dataclass(frozen=True)
class Deviation:
    """A Gaussian of normal images' features.

    Attributes:
        mean: (d,).
        spread: (d,) what features are divided by.
        basis: (d, k) directions in which normal images differ.
        values: (k,) how much they do, shrinkage included.
        floor: The variance assumed in every other direction.
    """

    mean: Floats
    spread: Floats
    basis: Floats
    values: Doubles
    floor: float

    def score(self, rows: Floats) -> Doubles:
        """Return the logarithm of the squared distance of each of `rows` (n, d)."""
        standard = (rows - self.mean) / self.spread
        inside = (standard @ self.basis).astype(np.float64) ** 2
        total = np.einsum("ij,ij->i", standard, standard, dtype=np.float64)
        outside = np.maximum(total - inside.sum(1), 0)
        result: Doubles = np.log((inside / self.values).sum(1) + outside / self.floor + QUIET)
        return result


def fit(rows: Floats) -> Deviation:
    """Return the Gaussian of normal images' `rows` (n, d), of which at most MAX_ROWS are read."""
    rows = rows[:MAX_ROWS]
    mean, spread = rows.mean(0), rows.std(0)
    steady = spread + np.float32(0.05) * np.median(spread) + np.float32(1e-3) * np.abs(mean)
    steady += np.float32(1e-6)
    spread = (steady * np.float32(rows.shape[1] ** 0.5)).astype(np.float32)
    standard = ((rows - mean) / spread).astype(np.float64)
    values, vectors = np.linalg.eigh(standard @ standard.T / len(rows))
    keep = np.flatnonzero(values > max(values[-1], 1e-12) * 1e-6)[-MAX_COMPONENTS:]
    floor = SHRINKAGE * max(float(values.sum()), 1e-2)
    values = values[keep]
    basis = standard.T @ (vectors[:, keep] / np.sqrt(values * len(rows)))
    compact = np.ascontiguousarray(basis, np.float32)
    return Deviation(mean, spread, compact, values + floor, floor)


def out_of_fold(rows: Floats, labels: NDArray[np.bool_], folds: Integers) -> Doubles:
    """Return each row's score by the normal rows of the other folds."""
    scores = np.zeros(len(rows))
    for fold in np.unique(folds):
        outside = folds == fold
        scores[outside] = fit(rows[~outside & ~labels]).score(rows[outside])
    return scores
