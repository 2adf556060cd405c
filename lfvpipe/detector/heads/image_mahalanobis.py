"""How far an image as a whole lies from the normal ones: a shrunken Mahalanobis distance.

Source: Rippel, Mertens & Merhof, "Modeling the distribution of normal data in pre-trained deep
features for anomaly detection" (ICPR 2020), with the covariance shrunk towards a multiple of the
identity, so that it can be computed from fewer images than features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.backbone.graph import CHANNELS
from lfvpipe.detector.features import POOLS
from lfvpipe.detector.heads.head import FitOptions, FittedHead, Head, HeadScore, TrainingFeatures

if TYPE_CHECKING:
    from lfvpipe.detector.arrays import Bools, Doubles, Floats, Integers
    from lfvpipe.detector.features import View
    from lfvpipe.detector.layout import Layout


_FEATURES = (POOLS + tuning.GRID_SIDE**2) * sum(CHANNELS)


@dataclass(frozen=True)
class ImageMahalanobisHead(Head):
    """A Gaussian of normal images' features.

    Attributes:
        mean: (d,).
        spread: (d,) what features are divided by.
        basis: (d, k) directions in which normal images differ.
        values: (k,) how much they do, shrinkage included.
        floor: The variance assumed in every other direction.
    """

    NAME: ClassVar[str] = "deviation"
    PART: ClassVar[str] = "deviation"
    TAPS: ClassVar[int] = len(CHANNELS)
    LAYOUT: ClassVar[Layout] = {
        "mean": (_FEATURES,),
        "spread": (_FEATURES,),
        "basis": (_FEATURES, "k"),
        "values": ("k",),
        "floor": "positive",
    }

    mean: Floats
    spread: Floats
    basis: Floats
    values: Doubles
    floor: float

    @classmethod
    def fit(cls, features: TrainingFeatures, _options: FitOptions) -> list[FittedHead]:
        """Fit on the pooled maps and area means of normal images."""
        rows = np.concatenate([features.pooled[:: features.views], features.grid_means], axis=1)
        scores = out_of_fold_distances(rows, features.labels, features.folds)
        return [FittedHead(fit_gaussian(rows[~features.labels]), scores)]

    def score(self, view: View) -> HeadScore:
        """Return the logarithm of an image's squared distance."""
        rows = np.concatenate([view.pool(), view.grid_means()])[None]
        return HeadScore(float(self.log_distances(rows)[0]))

    def log_distances(self, rows: Floats) -> Doubles:
        """Return the logarithm of the squared distance of each of `rows` (n, d)."""
        standard = (rows - self.mean) / self.spread
        inside = (standard @ self.basis).astype(np.float64) ** 2
        total = np.einsum("ij,ij->i", standard, standard, dtype=np.float64)
        outside = np.maximum(total - inside.sum(1), 0)
        distances = (inside / self.values).sum(1) + outside / self.floor
        result: Doubles = np.log(distances + tuning.IMAGE_QUIET_DISTANCE)
        return result


def fit_gaussian(rows: Floats) -> ImageMahalanobisHead:
    """Return the Gaussian of normal images' `rows` (n, d), of which at most so many are read."""
    rows = rows[: tuning.IMAGE_GAUSSIAN_MAX_IMAGES]
    mean, spread = rows.mean(0), rows.std(0)
    # A feature that happens not to vary in these few images must not decide in others.
    steady = spread + np.float32(tuning.LEAST_SPREAD) * np.median(spread)
    steady += np.float32(tuning.IMAGE_FEATURE_ROUNDING) * np.abs(mean)
    steady += np.float32(1e-6)
    spread = (steady * np.float32(rows.shape[1] ** 0.5)).astype(np.float32)
    standard = ((rows - mean) / spread).astype(np.float64)
    # Fewer images than features: the eigenvectors come from the images' (n, n) products.
    values, vectors = np.linalg.eigh(standard @ standard.T / len(rows))
    keep = np.flatnonzero(values > max(values[-1], 1e-12) * 1e-6)
    keep = keep[-tuning.IMAGE_GAUSSIAN_MAX_COMPONENTS :]
    floor = tuning.IMAGE_GAUSSIAN_SHRINKAGE * max(float(values.sum()), 1e-2)
    values = values[keep]
    basis = standard.T @ (vectors[:, keep] / np.sqrt(values * len(rows)))
    compact = np.ascontiguousarray(basis, np.float32)
    return ImageMahalanobisHead(mean, spread, compact, values + floor, floor)


def out_of_fold_distances(rows: Floats, labels: Bools, folds: Integers) -> Doubles:
    """Return each row's log distance from the normal rows of the other folds."""
    scores = np.zeros(len(rows))
    for fold in np.unique(folds):
        outside = folds == fold
        gaussian = fit_gaussian(rows[~outside & ~labels])
        scores[outside] = gaussian.log_distances(rows[outside])
    return scores
