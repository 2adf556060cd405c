"""What is unusual for its place: each position against the normal images' at the same position.

For products that lie in much the same way in every photograph, where a part that is missing or
moved looks like nothing that is unusual elsewhere. Source: Defard et al., "PaDiM: a patch
distribution modeling framework for anomaly detection and localization" (ICPR 2020), on the stride-8
and stride-16 maps, with principal components of what places do not explain instead of random
channels. Since no two photographs lie exactly alike, a
position is compared with its own place and with those that it may have moved from: with the whole
image, and with its surroundings. It does not choose for itself, or a part's bare neighbourhood
would excuse its absence.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial, reduce
from itertools import product

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector.local import ROUNDING, TOP, novelty_score
from lfvpipe.detector.logistic import Doubles, Integers
from lfvpipe.executor import in_order

Floats = NDArray[np.float32]
ReadMap = Callable[[int], Floats]
Tick = Callable[[int, int], None]
WORTH = 0.25  # share of the variance that places must explain
COMPONENTS = 32
SHRINKAGE = (0.05, 0.1, 0.01)  # of a place's mean variance, of all places', and of unit variance
REACH = 2  # places to each side that a position may have moved by
SURROUNDINGS = 9  # side of the square of positions that move together
AT_ONCE = 64  # positions that are compared together


@dataclass(frozen=True)
class Place:
    """A Gaussian per position, over the normal images.

    Attributes:
        basis: (c, k) from channels to components.
        mean: (h, w, k).
        whitening: (h, w, k, k) from components to unit variance.
        explained: The share of the normal images' variance that the position explains, 0 to 1: near
            0 for a texture, which is the same everywhere.
    """

    basis: Floats
    mean: Floats
    whitening: Floats
    explained: float

    def novelty(self, tap: Floats) -> Floats:
        """Return the squared distance of each position of a map (h, w, c) from normal: (h, w).

        A map of another size is compared with the places that its positions fall on. Places that
        positions may have moved from are looked at only where the image's score could depend on it:
        from the farthest position on, until the next could not be among the worst.
        """
        components = regridded(tap, self.mean.shape[:2]) @ self.basis
        result = _squared(components - self.mean, self.whitening).ravel()
        own, origins = result.copy(), _origins(components, self.mean)
        order = np.argsort(-own, kind="stable")
        for start in range(0, len(order), AT_ONCE):
            batch, done = order[start : start + AT_ONCE], order[:start]
            if start and np.partition(result[done], -TOP)[-TOP] >= own[batch[0]]:
                break
            moved = self._compared(components, batch, origins[:, batch])
            result[batch] = np.minimum(own[batch], moved.min(0))
        return result.reshape(components.shape[:2])

    def _compared(self, components: Floats, positions: Integers, places: Integers) -> Floats:
        """Return the squared distances of `positions` (n,) from `places` (m, n): (m, n)."""
        size = components.shape[-1]
        apart = components.reshape(-1, size)[positions] - self.mean.reshape(-1, size)[places]
        return _squared(apart, self.whitening.reshape(-1, size, size)[places])

    def score(self, tap: Floats) -> float:
        """Return an image's score from its map (h, w, c)."""
        return novelty_score(self.novelty(tap).ravel())


def _squared(apart: Floats, whitening: Floats) -> Floats:
    """Return the mean squares (...,) of differences (..., k) after whitening (..., k, k)."""
    white = np.matmul(apart[..., None, :], whitening)[..., 0, :]
    result: Floats = np.einsum("...k,...k->...", white, white) / np.float32(white.shape[-1])
    return result


def _origins(components: Floats, mean: Floats) -> Integers:
    """Return the places that positions have moved from: with the image, with their surroundings.

    Args:
        components: (h, w, k) of an image.
        mean: (h, w, k) of the normal images.

    Returns:
        (2, h·w) numbers of places, row by row.
    """
    height, width = mean.shape[:2]
    steps = range(-REACH, REACH + 1)
    places = np.stack(
        [
            np.clip(np.arange(height) + down, 0, height - 1)[:, None] * width
            + np.clip(np.arange(width) + right, 0, width - 1)
            for down, right in product(steps, steps)
        ]
    )
    flat = mean.reshape(-1, mean.shape[-1])
    differences = (components - flat[each] for each in places)
    apart = np.stack([np.einsum("hwk,hwk->hw", each, each) for each in differences])
    whole = np.full((height, width), apart.sum((1, 2)).argmin())
    around = _summed(apart, SURROUNDINGS).argmin(0)
    chosen = [np.take_along_axis(places, each[None], 0).ravel() for each in (whole, around)]
    return np.stack(chosen)


def _summed(values: Floats, side: int) -> Doubles:
    """Return the sums over the square of `side` positions around each of `values` (n, h, w)."""
    margin = (side // 2 + 1, side // 2)
    sums = np.pad(values, ((0, 0), margin, margin), mode="edge").cumsum(1, np.float64).cumsum(2)
    total: Doubles = sums[:, side:, side:] - sums[:, :-side, side:]
    total += sums[:, :-side, :-side] - sums[:, side:, :-side]
    return total


def regridded(tap: Floats, grid: tuple[int, ...]) -> Floats:
    """Return a map (h, w, ...) at the size `grid`, the nearest positions taken."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(grid, tap.shape, strict=False))
    return tap if tap.shape[:2] == grid else tap[rows][:, columns]


def fit(
    read: ReadMap,
    grid: tuple[int, int],
    labels: NDArray[np.bool_],
    folds: Integers,
    tick: Tick,
    threads: int = 1,
) -> tuple[Place, Doubles] | None:
    """Return the Gaussians of all normal images, and each image's score by the other folds'.

    None where places explain too little of how normal images vary: textures look alike everywhere.

    Args:
        read: An image's map (h, w, c).
        grid: The (h, w) of most of them, which is the model's.
        labels: True for anomalies.
        folds: Of each image.
        tick: Told of (done, total) images; may raise to stop.
        threads: Images worked on at the same time.
    """
    normals = np.flatnonzero(~labels).tolist()
    frame = _frame((regridded(read(index), grid) for index in normals), len(normals))
    if frame.explained < WORTH:
        return None
    sums: dict[int, Moments] = {}
    for number, index in enumerate(normals):
        added = moments(regridded(read(index), grid) @ frame.basis - frame.centre)
        sums[folds[index]] = sums[folds[index]].plus(added) if folds[index] in sums else added
        tick(number + 1, len(normals) + len(labels))
    everything = reduce(Moments.plus, sums.values())
    scores, done = np.zeros(len(labels)), len(normals)
    for fold in np.unique(folds).tolist():
        others = everything.without(sums[fold]) if fold in sums else everything
        apart = frame.place(others)
        members = np.flatnonzero(folds == fold).tolist()
        found = in_order(partial(_score, read, apart), members, threads)
        for index, score in zip(members, found, strict=True):
            scores[index] = score
            done += 1
            tick(done, len(normals) + len(labels))
    return frame.place(everything), scores


def _score(read: ReadMap, known: Place, index: int) -> float:
    return known.score(read(index))


@dataclass(frozen=True)
class Frame:
    """What positions are measured in, before it is known how they vary.

    Attributes:
        basis: (c, k) from channels to components.
        centre: (h, w, k) the places' means: sums around them lose no digits.
        explained: The share of the variance that places explain.
    """

    basis: Floats
    centre: Floats
    explained: float

    def place(self, sums: "Moments") -> Place:
        """Return the Gaussians that images' moments around the centre make."""
        mean, whitening = sums.gaussians()
        return Place(self.basis, mean + self.centre, whitening, self.explained)


def _frame(maps: Iterable[Floats], count: int) -> Frame:
    """Return the principal components of what places leave unexplained in `count` maps.

    The covariance within places is the whole's without that of the places' means.
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
    spread = np.sqrt(np.maximum(np.diag(within), 0)) + ROUNDING * np.abs(means).max(0) + 1e-6
    explained = float(np.mean(between / (between + spread**2)))
    _values, vectors = np.linalg.eigh(within / np.outer(spread, spread))
    basis = (vectors[:, -COMPONENTS:] / spread[:, None]).astype(np.float32)
    return Frame(basis, (total / count).astype(np.float32) @ basis, explained)


@dataclass(frozen=True)
class Moments:
    """Sums over images' components by place, and of their products, so that some can be left out.

    Attributes:
        count: Images.
        total: (h, w, k).
        products: (h, w, k, k).
    """

    count: int
    total: Floats
    products: Floats

    def plus(self, other: "Moments") -> "Moments":
        """Return the sums over these and the other images."""
        both = self.total + other.total, self.products + other.products
        return Moments(self.count + other.count, *both)

    def without(self, other: "Moments") -> "Moments":
        """Return the sums over these images, of which the others are some."""
        rest = self.total - other.total, self.products - other.products
        return Moments(self.count - other.count, *rest)

    def gaussians(self) -> tuple[Floats, Floats]:
        """Return each place's mean and whitening, its covariance shrunk towards a sphere."""
        mean = self.total / np.float32(self.count)
        size, whitening = mean.shape[-1], np.empty_like(self.products)
        variance = np.einsum("hwkk->hwk", self.products) / np.float32(self.count) - mean**2
        own, everywhere, unit = SHRINKAGE
        ridge = own * variance.mean(-1) + everywhere * variance.mean() + unit
        for row, at in enumerate(mean):  # a row at a time, to save memory
            covariance = self.products[row] / np.float32(self.count) - at[:, :, None] * at[:, None]
            covariance += ridge[row, :, None, None] * np.eye(size, dtype=np.float32)
            whitening[row] = np.linalg.inv(np.linalg.cholesky(covariance)).swapaxes(1, 2)
        return mean, whitening


def moments(components: Floats) -> Moments:
    """Return the sums of one image's components (h, w, k)."""
    return Moments(1, components, components[..., None] * components[..., None, :])
