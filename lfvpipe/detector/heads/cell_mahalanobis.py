"""How far each cell lies from normal ones, wherever it lies: a Mahalanobis distance.

Cells are whitened by the normal images' covariance, so that what is unusual stands out. The
multiple-instance head learns on the same whitened cells, and so shares the parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.features import CELL_CHANNELS, CELL_TAPS
from lfvpipe.detector.heads.head import (
    FitOptions,
    FittedHead,
    Head,
    HeadScore,
    Parameters,
    TrainingFeatures,
)
from lfvpipe.detector.layout import Layout, check_part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.detector.arrays import Doubles, Floats
    from lfvpipe.detector.features import View


@dataclass(frozen=True)
class CellScores:
    """A distance and a logit per cell.

    Attributes:
        mean: (c,) of normal cells.
        basis: (c, k) whitening.
        weights: (k,) on whitened cells; zero where no anomaly was learnt from.
        bias: Added to them.
    """

    mean: Floats
    basis: Floats
    weights: Doubles
    bias: float

    LAYOUT: ClassVar[Layout] = {
        "mean": (CELL_CHANNELS,),
        "basis": (CELL_CHANNELS, "k"),
        "weights": ("k",),
        "bias": "number",
    }

    @classmethod
    def restore(cls, parameters: Mapping[str, Any]) -> CellScores:
        """Return the scores with these parameters; ValueError where they are others'."""
        check_part("cells", cls.LAYOUT, parameters)
        return cls(**parameters)

    @property
    def has_learnt(self) -> bool:
        """Whether there was an anomaly to learn from."""
        return bool(self.weights.any())

    def whiten(self, cells: Floats) -> Floats:
        """Return `cells` (n, c) with the normal covariance made the identity, over k: (n, k)."""
        return ((cells - self.mean) @ self.basis).astype(np.float32, copy=False)

    def evidence(self, cells: Floats) -> Floats:
        """Return the logit of each of `cells` (n, c) being anomalous."""
        direction = self.basis @ self.weights.astype(np.float32)
        offset = np.float32(self.bias) - self.mean @ direction
        return (cells @ direction + offset).astype(np.float32, copy=False)

    def novelty(self, cells: Floats) -> Floats:
        """Return the squared distance of each of `cells` (n, c) from the normal mean."""
        points = self.whiten(cells)
        result: Floats = np.einsum("ij,ij->i", points, points)
        return result


@dataclass(frozen=True)
class CellMahalanobisHead(Head):
    """The distance of cells from normal ones."""

    NAME: ClassVar[str] = "novelty"
    PART: ClassVar[str] = "local"
    TAPS: ClassVar[int] = CELL_TAPS

    cells: CellScores

    @classmethod
    def fit(cls, _features: TrainingFeatures, _options: FitOptions) -> list[FittedHead]:
        """Return nothing: the multiple-instance head reads the same cells and fits both."""
        return []

    def score(self, view: View) -> HeadScore:
        """Return an image's novelty, and its cells'."""
        grid = view.cells
        novelty = self.cells.novelty(grid.reshape(-1, grid.shape[-1])).reshape(grid.shape[:2])
        return HeadScore(image_novelty(novelty.ravel()), novelty)

    def parameters(self) -> Parameters:
        """Return the arrays and the bias of the cells' scores."""
        return vars(self.cells)

    @classmethod
    def restore(cls, parameters: Mapping[str, Any]) -> CellMahalanobisHead:
        """Return the head with these."""
        return cls(CellScores.restore(parameters))

    @property
    def always_in_heat_map(self) -> bool:
        """Where no anomaly was learnt from; else the multiple-instance head is there."""
        return not self.cells.has_learnt


def mean_of_worst(values: Floats | Doubles, count: int = tuning.WORST_CELLS) -> float:
    """Return the mean of the `count` largest values: an image is as anomalous as its few worst."""
    return float(np.partition(values, -min(count, len(values)))[-count:].mean(dtype=np.float64))


def image_novelty(values: Floats) -> float:
    """Return an image's novelty from its cells': logarithmic, since distances multiply."""
    return float(np.log(mean_of_worst(values) + tuning.CELL_QUIET_DISTANCE))


def fit_whitening(samples: Floats) -> CellScores:
    """Return the whitening of normal images' cells (n, c), with no weights yet."""
    mean, rough = samples.mean(0), samples.std(0)
    # What hardly varies in these samples may do so in others: no spread is taken to be 0.
    least = tuning.LEAST_SPREAD * np.median(rough)
    least = least + tuning.FEATURE_ROUNDING * np.abs(mean) + 1e-6
    spread = (rough + least).astype(np.float32)
    gram, chunk = np.zeros((len(mean), len(mean))), tuning.WHITENING_CHUNK
    for start in range(0, len(samples), chunk):
        standard = ((samples[start : start + chunk] - mean) / spread).astype(np.float64)
        gram += standard.T @ standard
    values, vectors = np.linalg.eigh(gram / len(samples))
    smallest = tuning.WHITENING_LEAST_VALUE * max(values[-1], 1e-9)
    keep = values >= min(values[-1], smallest)  # at least one, if all is flat
    ridge = tuning.WHITENING_SHRINKAGE * values[keep].mean()
    # Over all k directions, a normal cell's squared distance is 1 on average.
    scale = np.sqrt((values[keep] + ridge) * keep.sum() + 1e-12)
    basis = vectors[:, keep] / scale / spread[:, None]
    return CellScores(mean, np.ascontiguousarray(basis, np.float32), np.zeros(int(keep.sum())), 0.0)
