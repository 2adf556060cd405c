"""What is unusual for its place: each position against the normal images' at the same position.

For products that lie in much the same way in every photograph, where a part that is missing or
moved looks like nothing that is unusual elsewhere. Each position has a Gaussian with a diagonal
covariance (after Defard et al., "PaDiM", ICPR 2020, of the stride-8 map alone); it is compared with
the nine around it, so that a product may lie a cell further or turn by a degree or two.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector.local import ROUNDING, novelty_score
from lfvpipe.detector.logistic import Doubles, Integers

Floats = NDArray[np.float32]
ReadMap = Callable[[int], Floats]
WORTH = 0.15  # share of the variance that places must explain
STEADY = 0.5  # of a channel's median spread over the places, added to its spread at each


@dataclass(frozen=True)
class Place:
    """A Gaussian per position, over the normal images.

    Attributes:
        mean: (h, w, c).
        scale: (h, w, c), 1 / spread.
        explained: The share of the normal images' variance that the position explains, 0 to 1: near
            0 for a texture, which is the same everywhere.
    """

    mean: Floats
    scale: Floats
    explained: float

    def novelty(self, tap: Floats) -> Floats:
        """Return how far each position of a map (h, w, c) is from usual for its place: (h, w).

        A map of another size is compared with the places that its positions fall on.
        """
        tap = regridded(tap, self.mean.shape[:2])
        height, width = tap.shape[:2]
        mean, scale = (_padded(each) for each in (self.mean, self.scale))
        nearest = np.full((height, width), np.inf, np.float32)
        for y in range(3):
            for x in range(3):
                part = np.s_[y : y + height, x : x + width]
                apart = (tap - mean[part]) * scale[part]
                distance = np.einsum("hwc,hwc->hw", apart, apart)
                np.minimum(nearest, distance, out=nearest)
        result: Floats = nearest / np.float32(tap.shape[2])
        return result

    def score(self, tap: Floats) -> float:
        """Return an image's score from its map (h, w, c)."""
        return novelty_score(self.novelty(tap).ravel())


def regridded(tap: Floats, grid: tuple[int, ...]) -> Floats:
    """Return a map (h, w, c) at the size `grid`, the nearest positions taken."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(grid, tap.shape, strict=False))
    return tap if tap.shape[:2] == grid else tap[rows][:, columns]


def _padded(values: Floats) -> Floats:
    return np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="edge")


@dataclass(frozen=True)
class Moments:
    """Sums over images' maps, and over their squares, so that a fold's can be taken away."""

    count: int
    total: Doubles
    squares: Doubles

    def plus(self, other: "Moments") -> "Moments":
        """Return the sums over these and the other images."""
        both = self.total + other.total, self.squares + other.squares
        return Moments(self.count + other.count, *both)

    def without(self, other: "Moments") -> "Moments":
        """Return the sums over the other images."""
        rest = self.total - other.total, self.squares - other.squares
        return Moments(self.count - other.count, *rest)

    def place(self) -> Place:
        """Return the Gaussians."""
        mean = self.total / self.count
        variance = np.maximum(self.squares / self.count - mean**2, 0)
        spread, between = np.sqrt(variance), mean.var((0, 1))
        least = ROUNDING * np.abs(mean).mean((0, 1)) + 0.05 * np.sqrt(between) + 1e-6
        steady = spread + STEADY * np.median(spread, (0, 1)) + least
        share = between / np.maximum(between + variance.mean((0, 1)), 1e-12)
        return Place(mean.astype(np.float32), (1 / steady).astype(np.float32), float(share.mean()))


def _added(sums: Moments | None, tap: Floats) -> Moments:
    real = tap.astype(np.float64)
    alone = Moments(1, real, real**2)
    return sums.plus(alone) if sums else alone


def fit(
    read: ReadMap,
    labels: NDArray[np.bool_],
    folds: Integers,
    tick: Callable[[int, int], None],
) -> tuple[Place, Doubles] | None:
    """Return the Gaussians of all normal images, and each image's score by the other folds'.

    None where places explain too little of how normal images vary: textures look alike everywhere.

    Args:
        read: An image's map (h, w, c); the first image's size is the model's.
        labels: True for anomalies.
        folds: Of each image.
        tick: Told of (done, total) images; may raise to stop.
    """
    sums = _by_fold(read, labels, folds, tick)
    everything = reduce(Moments.plus, sums.values())
    place = everything.place()
    if place.explained < WORTH:
        return None
    scores = np.zeros(len(labels))
    for fold in np.unique(folds).tolist():
        apart = everything.without(sums[fold]).place() if fold in sums else place
        for index in np.flatnonzero(folds == fold).tolist():
            scores[index] = apart.score(read(index))
    return place, scores


def _by_fold(
    read: ReadMap,
    labels: NDArray[np.bool_],
    folds: Integers,
    tick: Callable[[int, int], None],
) -> dict[int, Moments]:
    """Return the sums over each fold's normal images."""
    grid = read(0).shape[:2]
    sums: dict[int, Moments] = {}
    for index, (anomalous, fold) in enumerate(zip(labels.tolist(), folds.tolist(), strict=True)):
        if not anomalous:
            added = _moments(regridded(read(index), grid))
            sums[fold] = sums[fold].plus(added) if fold in sums else added
        tick(index + 1, len(labels))
    return sums


def _moments(tap: Floats) -> Moments:
    real = tap.astype(np.float64)
    return Moments(1, real, real**2)
