"""PaDiM: each cell against the normal images' at the same position.

For products that lie in much the same way in every photograph, where a part that is missing or
moved looks like nothing that is unusual elsewhere. Source: Defard et al., "PaDiM: a patch
distribution modeling framework for anomaly detection and localization" (ICPR 2020), on the stride-8
and stride-16 maps, with principal components of what positions do not explain instead of random
channels. Since no two photographs lie exactly alike, a cell is compared with its own position and
with those that it may have moved from: with the whole image, and with its surroundings. It does not
choose for itself, or a part's bare neighbourhood would excuse its absence.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.feature_store import as_stored
from lfvpipe.detector.features import CELL_TAPS, DEEPER_CHANNELS, deeper_channels
from lfvpipe.detector.heads.cell_mahalanobis import image_novelty
from lfvpipe.detector.heads.head import (
    FitOptions,
    FittedHead,
    Head,
    HeadScore,
    Tick,
    TrainingFeatures,
)
from lfvpipe.executor import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lfvpipe.detector.arrays import Bools, Doubles, Floats, Integers
    from lfvpipe.detector.features import View
    from lfvpipe.detector.layout import Layout


@dataclass(frozen=True)
class PadimHead(Head):
    """A Gaussian per position, over the normal images.

    Attributes:
        basis: (c, k) from channels to components.
        mean: (h, w, k).
        whitening: (h, w, k, k) from components to unit variance.
        explained: The share of the normal images' variance that the position explains, 0 to 1: near
            0 for a texture, which is the same everywhere.
    """

    NAME: ClassVar[str] = "place"
    PART: ClassVar[str] = "place"
    TAPS: ClassVar[int] = CELL_TAPS
    LAYOUT: ClassVar[Layout] = {
        "basis": (DEEPER_CHANNELS, "k"),
        "mean": ("h", "w", "k"),
        "whitening": ("h", "w", "k", "k"),
        "explained": "number",
    }

    basis: Floats
    mean: Floats
    whitening: Floats
    explained: float

    @classmethod
    def fit(cls, features: TrainingFeatures, options: FitOptions) -> list[FittedHead]:
        """Fit on the one scale where positions are known, if they explain enough there."""
        if not options.by_position:
            return []
        labels, folds, grids = features.cell_labels, features.cell_folds, features.grids

        def read(index: int) -> Floats:
            return deeper_channels(features.read_cells(index, 0)).reshape(*grids[index], -1)

        usual = Counter(grid for grid, label in zip(grids, labels, strict=True) if not label)
        grid = max(usual, key=lambda each: (usual[each], each))
        fit = fit_padim(read, grid, labels, folds, options.stage("places"), options.threads)
        if fit is None:
            return []
        head, scores = fit
        return [FittedHead(head, features.of_all_images(scores))]

    def score(self, view: View) -> HeadScore:
        """Return an image's score, and its cells' distances."""
        distances = self.distances(as_stored(deeper_channels(view.cells)))
        distances = regrid(distances, view.cells.shape[:2])
        return HeadScore(image_novelty(distances.ravel()), distances)

    @property
    def unlabelled_weight(self) -> float:
        """The more positions explain, the more."""
        return tuning.BLEND_POSITION_WEIGHT * self.explained

    def distances(self, tap: Floats) -> Floats:
        """Return the squared distance of each cell of a map (h, w, c) from normal: (h, w).

        A map of another size is compared with the positions that its cells fall on. Positions that
        cells may have moved from are looked at only where the image's score could depend on it:
        from the farthest cell on, until the next could not be among the worst.
        """
        components = regrid(tap, self.mean.shape[:2]) @ self.basis
        result = _mean_squares(components - self.mean, self.whitening).ravel()
        own, origins = result.copy(), _find_origins(components, self.mean)
        # By position, as rows: (h·w, k), means (h·w, k) and whitenings (h·w, k, k).
        size = components.shape[-1]
        rows, means = components.reshape(-1, size), self.mean.reshape(-1, size)
        whitenings = self.whitening.reshape(-1, size, size)
        order, step = np.argsort(-own, kind="stable"), tuning.PADIM_CELLS_AT_ONCE
        for start in range(0, len(order), step):
            batch, done = order[start : start + step], order[:start]
            worst = tuning.WORST_CELLS
            if start and np.partition(result[done], -worst)[-worst] >= own[batch[0]]:
                break
            there = origins[:, batch]
            moved = _mean_squares(rows[batch] - means[there], whitenings[there])
            result[batch] = np.minimum(own[batch], moved.min(0))
        return result.reshape(components.shape[:2])


def _mean_squares(apart: Floats, whitening: Floats) -> Floats:
    """Return the mean squares (...,) of differences (..., k) after whitening (..., k, k)."""
    white = np.matmul(apart[..., None, :], whitening)[..., 0, :]
    result: Floats = np.einsum("...k,...k->...", white, white) / np.float32(white.shape[-1])
    return result


def _find_origins(components: Floats, mean: Floats) -> Integers:
    """Return the positions that cells have moved from: with the image, with their surroundings.

    Args:
        components: (h, w, k) of an image.
        mean: (h, w, k) of the normal images.

    Returns:
        (2, h·w) numbers of positions, row by row.
    """
    height, width = mean.shape[:2]
    steps = range(-tuning.PADIM_REACH, tuning.PADIM_REACH + 1)
    candidates = np.stack(  # (moves, h, w) where each cell may have come from
        [
            np.clip(np.arange(height) + down, 0, height - 1)[:, None] * width
            + np.clip(np.arange(width) + right, 0, width - 1)
            for down, right in product(steps, steps)
        ]
    )
    flat = mean.reshape(-1, mean.shape[-1])
    differences = (components - flat[each] for each in candidates)
    apart = np.stack([np.einsum("hwk,hwk->hw", each, each) for each in differences])
    whole = np.full((height, width), apart.sum((1, 2)).argmin())
    around = _sum_around(apart, tuning.PADIM_SURROUNDINGS).argmin(0)
    chosen = [np.take_along_axis(candidates, each[None], 0).ravel() for each in (whole, around)]
    return np.stack(chosen)


def _sum_around(values: Floats, side: int) -> Doubles:
    """Return the sums over the square of `side` cells around each of `values` (n, h, w)."""
    margin = (side // 2 + 1, side // 2)
    sums = np.pad(values, ((0, 0), margin, margin), mode="edge").cumsum(1, np.float64).cumsum(2)
    total: Doubles = sums[:, side:, side:] - sums[:, :-side, side:]
    total += sums[:, :-side, :-side] - sums[:, side:, :-side]
    return total


def regrid(tap: Floats, grid: tuple[int, ...]) -> Floats:
    """Return a map (h, w, ...) at the size `grid`, the nearest cells taken."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(grid, tap.shape, strict=False))
    return tap if tap.shape[:2] == grid else tap[rows][:, columns]


def fit_padim(
    read: Callable[[int], Floats],
    grid: tuple[int, int],
    labels: Bools,
    folds: Integers,
    tick: Tick,
    threads: int = 1,
) -> tuple[PadimHead, Doubles] | None:
    """Return the Gaussians of all normal images, and each image's score by the other folds'.

    None where positions explain too little of how normal images vary: textures look alike
    everywhere.

    Args:
        read: An image's map (h, w, c).
        grid: The (h, w) of most of them, which is the model's.
        labels: True for anomalies.
        folds: Of each image.
        tick: Told of (done, total) images; may raise to stop.
        threads: Images worked on at the same time.
    """
    normals, total = np.flatnonzero(~labels).tolist(), int(len(labels) + (~labels).sum())
    basis = _fit_components((regrid(read(index), grid) for index in normals), len(normals))
    if basis.explained < tuning.PADIM_LEAST_EXPLAINED:
        return None
    # Sums over images are kept fold by fold: what all but one fold say is a subtraction.
    sums: dict[int, Moments] = {}
    for number, index in enumerate(normals):
        added = moments(regrid(read(index), grid) @ basis.basis - basis.centre)
        sums[folds[index]] = sums[folds[index]].plus(added) if folds[index] in sums else added
        tick(number + 1, total)
    everything = reduce(Moments.plus, sums.values())
    scores, done = np.zeros(len(labels)), len(normals)
    for fold in np.unique(folds).tolist():
        others = basis.head(everything.without(sums[fold]) if fold in sums else everything)

        def score(index: int, others: PadimHead = others) -> float:
            return image_novelty(others.distances(read(index)).ravel())

        members = np.flatnonzero(folds == fold).tolist()
        for index, found in zip(members, in_order(score, members, threads), strict=True):
            scores[index] = found
            done += 1
            tick(done, total)
    return basis.head(everything), scores


@dataclass(frozen=True)
class Components:
    """What cells are measured in, before it is known how they vary.

    Attributes:
        basis: (c, k) from channels to components.
        centre: (h, w, k) the positions' means: sums around them lose no digits.
        explained: The share of the variance that positions explain.
    """

    basis: Floats
    centre: Floats
    explained: float

    def head(self, sums: Moments) -> PadimHead:
        """Return the Gaussians that images' moments around the centre make."""
        mean, whitening = sums.gaussians()
        return PadimHead(self.basis, mean + self.centre, whitening, self.explained)


def _fit_components(maps: Iterable[Floats], count: int) -> Components:
    """Return the principal components of what positions leave unexplained in `count` maps.

    The covariance within positions is the whole's without that of the positions' means.
    """
    total: Doubles = np.zeros(1)
    products: Doubles = np.zeros(1)
    for tap in maps:
        real = tap.astype(np.float64)
        flat = real.reshape(-1, real.shape[-1])
        total, products = total + real, products + flat.T @ flat
    means = (total / count).reshape(-1, total.shape[-1])
    within = products / count / len(means) - means.T @ means / len(means)
    within *= count / max(1, count - 1)
    between = means.var(0) - np.diag(within) / count
    spread = np.sqrt(np.maximum(np.diag(within), 0))
    spread = spread + tuning.FEATURE_ROUNDING * np.abs(means).max(0) + 1e-6
    explained = float(np.mean(between / (between + spread**2)))
    _values, vectors = np.linalg.eigh(within / np.outer(spread, spread))
    basis = (vectors[:, -tuning.PADIM_COMPONENTS :] / spread[:, None]).astype(np.float32)
    return Components(basis, (total / count).astype(np.float32) @ basis, explained)


@dataclass(frozen=True)
class Moments:
    """Sums over images' components by position, and of their products: some can be left out again.

    Attributes:
        count: Images.
        total: (h, w, k).
        products: (h, w, k, k).
    """

    count: int
    total: Floats
    products: Floats

    def plus(self, other: Moments) -> Moments:
        """Return the sums over these and the other images."""
        both = self.total + other.total, self.products + other.products
        return Moments(self.count + other.count, *both)

    def without(self, other: Moments) -> Moments:
        """Return the sums over these images, of which the others are some."""
        rest = self.total - other.total, self.products - other.products
        return Moments(self.count - other.count, *rest)

    def gaussians(self) -> tuple[Floats, Floats]:
        """Return each position's mean and whitening, its covariance shrunk towards a sphere."""
        mean = self.total / np.float32(self.count)
        size, whitening = mean.shape[-1], np.empty_like(self.products)
        variance = np.einsum("hwkk->hwk", self.products) / np.float32(self.count) - mean**2
        own, everywhere, unit = tuning.PADIM_SHRINKAGE
        ridge = own * variance.mean(-1) + everywhere * variance.mean() + unit
        for row, at in enumerate(mean):  # a row at a time, to save memory
            covariance = self.products[row] / np.float32(self.count) - at[:, :, None] * at[:, None]
            covariance += ridge[row, :, None, None] * np.eye(size, dtype=np.float32)
            whitening[row] = np.linalg.inv(np.linalg.cholesky(covariance)).swapaxes(1, 2)
        return mean, whitening


def moments(components: Floats) -> Moments:
    """Return the sums of one image's components (h, w, k)."""
    return Moments(1, components, components[..., None] * components[..., None, :])
